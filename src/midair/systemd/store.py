"""systemd's descriptor store (``FileDescriptorStoreMax=``): what is put there comes back to whoever the unit starts next.

It is emptied by systemd when the unit is stopped, and kept over a crash, ``kill -9`` and ``systemctl restart``. Storing is a
hint: it goes over NOTIFY_SOCKET, is never waited for, and a service that nobody keeps anything for runs all the same.

Whether somebody does is asked, since nothing says so before systemd 254 ($FDSTORE), and other programs read NOTIFY_SOCKET,
too. A pipe is put into the store, and after it goes a BARRIER, whose pipe is closed once all before it was taken in. If the
first pipe is still open then, it was kept.
"""

from __future__ import annotations

import os

from midair.systemd.notify import Notifier

STATE = "midair-state"
"""Name of the memfd with the supervisor's own state."""
QUESTION = "midair-question"
"""Name of what is stored to see whether it is kept."""


class Store:
    """The store of the unit that this process is the main process of. Each call returns whether it was taken."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def keep(self, name: str, fd: int) -> bool:
        """Keep the file that is open as ``fd``, which is still the caller's. One that is kept already stays under its name."""
        # FDPOLL: systemd would drop a listener that somebody has shut down, though it can be made to listen again.
        return self._notifier.send("FDSTORE=1", f"FDNAME={name}", "FDPOLL=0", fds=(fd,))

    def remove(self, name: str) -> bool:
        """Close all that is kept under this name."""
        return self._notifier.send("FDSTOREREMOVE=1", f"FDNAME={name}")

    def ask(self) -> Question | None:
        """Ask whether things are kept; None: it could not be asked now."""
        try:
            question = Question()
        except OSError:
            return None  # No descriptors are left.
        if question.put(self, self._notifier):
            return question
        question.close()
        return None


class Question:
    """Whether things are kept. Answered when ``fd`` is readable."""

    def __init__(self) -> None:
        self._kept, self._kept_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self.fd, self._end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            os.close(self._kept)
            os.close(self._kept_end)
            raise

    def put(self, store: Store, notifier: Notifier) -> bool:
        """Send it; whether it was taken."""
        is_sent = store.keep(QUESTION, self._kept_end) and notifier.send("BARRIER=1", fds=(self._end,))
        # The last copies are those on their way.
        os.close(self._kept_end)
        os.close(self._end)
        return is_sent

    def answer(self) -> bool:
        """Whether it was kept. Call it when ``fd`` is readable."""
        try:
            return os.read(self._kept, 1) != b""
        except BlockingIOError:
            return True

    def close(self) -> None:
        os.close(self._kept)
        os.close(self.fd)
