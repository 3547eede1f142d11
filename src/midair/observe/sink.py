"""Where log lines leave the process, without ever waiting: a paused terminal must not stop a service.

The descriptor is usually shared (a terminal with the shell, a pipe with whoever else writes to it), and O_NONBLOCK
belongs to the open file, so it would hit everyone who shares it: it is never changed here. Instead, by kind:

- a socket (the journal's): each send says MSG_DONTWAIT;
- a terminal or a pipe: opened anew through /proc/self/fd, which makes an open file of our own that may be non-blocking;
- where that is refused (another user's terminal): poll, then at most PIPE_BUF bytes, which a writable pipe takes whole;
- a file or a device such as /dev/null: plain writes, which do not wait for a reader.

A ``Channel`` in the place of a descriptor takes an entry at a time, such as the journal's (``systemd/journal.py``).

What cannot be written now is kept up to a bound and written when the descriptor is writable again; beyond the bound
lines are dropped whole and counted, and the count is said when there is room again. Lines of a source (a worker whose output
is passed on) have a bound of their own and never take the room of the supervisor's lines.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

SOURCE_MAX_BYTES = 1024 * 1024
"""Lines of one source that wait. A worker that writes faster than anybody reads loses lines, not the service."""

SOURCES_MAX_BYTES = 4 * 1024 * 1024
"""Lines of all sources that wait: the supervisor is to stay small."""

OWN_MAX_BYTES = 256 * 1024
"""The supervisor's own lines that wait: about a thousand."""

CHUNK_BYTES = 64 * 1024
WHOLE = 0
"""The bound of one write where each write is one line."""

PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ECONNREFUSED, errno.ENOENT, errno.EMFILE, errno.ENFILE}
)
"""A full disk may have room later, and a journal that is restarted comes back: what cannot be written then is lost, and no more."""

Callback = Callable[[], None]
Watch = Callable[[int, Callback | None], None]
"""``Loop.on_writable``: call back while a descriptor is writable; None ends it."""


class Channel(Protocol):
    """Takes lines whole, one at a time."""

    fd: int
    """The sink's from now on: it watches and closes it."""

    def send(self, line: bytes, /) -> int:
        """Its length. Raises BlockingIOError while there is no room."""


class Sink:
    """Takes lines, writes them to one descriptor as it can. Owns a copy of the descriptor."""

    def __init__(self, to: int | Channel, watch: Watch | None = None) -> None:
        """to: a descriptor, or what takes whole lines. watch: how to be called when writing is possible again; without it, the
        next line or ``flush`` tries."""
        self._watch = watch
        self._send, self.fd, self._bound = _writer(to) if isinstance(to, int) else (to.send, to.fd, WHOLE)
        self._lines: deque[tuple[str, bytes, int]] = deque()  # source, data, how much of it is written
        self._waiting: dict[str, int] = {}
        self._dropped: dict[str, int] = {}
        self._is_watched = False
        self.dropped_total = 0
        """Lines dropped since the start, those too that are not said yet."""
        self.is_broken = False
        """Whoever read it is gone; nothing is written any more."""

    @property
    def waiting_bytes(self) -> int:
        return sum(self._waiting.values())

    def write(self, line: bytes, source: str = "") -> bool:
        """Write a line, its end included, or keep it, or drop it. Returns False if it was dropped.

        source: whose line it is; empty: ours.
        """
        if self.is_broken or not self._has_room(source, len(line)):
            self.drop(source)
            return False
        self._lines.append((source, line, 0))
        self._waiting[source] = self._waiting.get(source, 0) + len(line)
        if len(self._lines) == 1:
            self.flush()
        return True

    def would_drop(self, source: str) -> bool:
        """Is there no room for any line of this source? Asked before a line is made, which costs more than to drop it."""
        return self.is_broken or not self._has_room(source, 1)

    def drop(self, source: str) -> None:
        """Count a line that was not even made."""
        self._dropped[source] = self._dropped.get(source, 0) + 1
        self.dropped_total += 1

    def take_dropped(self) -> dict[str, int]:
        """Lines dropped since the last call, by source; empty while nothing can be written, so that it can be said."""
        if self._lines or self.is_broken:
            return {}
        dropped, self._dropped = self._dropped, {}
        return dropped

    def flush(self) -> bool:
        """Write what can be written now. True when nothing waits."""
        while self._lines and not self.is_broken:
            if not self._write_some():
                break
        self._rewatch()
        return not self._lines

    def close(self, within_s: float = 0.5) -> None:
        """Give what waits a last chance and close. The only call that may wait; the service is over by then."""
        deadline_s = time.monotonic() + within_s
        waiting = select.poll()
        waiting.register(self.fd, select.POLLOUT)
        while not self.flush() and not self.is_broken and (left_s := deadline_s - time.monotonic()) > 0:
            waiting.poll(left_s * 1000)
        self._drop_waiting()
        self._rewatch()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _has_room(self, source: str, size: int) -> bool:
        own = self._waiting.get("", 0)
        if not source:
            return own + size <= OWN_MAX_BYTES
        others = self.waiting_bytes - own
        return self._waiting.get(source, 0) + size <= SOURCE_MAX_BYTES and others + size <= SOURCES_MAX_BYTES

    def _write_some(self) -> bool:
        """One write. False when no more can be written now."""
        chunk = self._chunk()
        try:
            written = self._send(chunk)
        except BlockingIOError:
            return False
        except OSError as exc:
            # A reader or a terminal that is gone does not come back.
            self.is_broken = exc.errno not in PASSING
            self._drop_waiting()
            return False
        self._forget(written)
        return written == len(chunk)

    def _drop_waiting(self) -> None:
        for source, _, _ in self._lines:
            self.drop(source)
        self._lines.clear()
        self._waiting.clear()

    def _chunk(self) -> bytes:
        """What goes into one write: many lines at once, so that a terminal that wakes up is quick."""
        if self._bound == WHOLE:
            return self._lines[0][1]
        parts: list[bytes] = []
        size = 0
        for _, line, begin in self._lines:
            part = line[begin : begin + self._bound - size]
            parts.append(part)
            size += len(part)
            if size >= self._bound:
                break
        return b"".join(parts)

    def _forget(self, written: int) -> None:
        while written:
            source, line, begin = self._lines.popleft()
            done = min(len(line) - begin, written)
            written -= done
            self._waiting[source] -= done
            if begin + done < len(line):
                self._lines.appendleft((source, line, begin + done))
            elif not self._waiting[source]:
                del self._waiting[source]

    def _rewatch(self) -> None:
        wanted = bool(self._lines)
        if self._watch is not None and wanted != self._is_watched:
            self._watch(self.fd, self._on_writable if wanted else None)
            self._is_watched = wanted

    def _on_writable(self) -> None:
        self.flush()


def _writer(fd: int) -> tuple[Callable[[bytes], int], int, int]:
    """How to write without waiting, the descriptor to watch, and the bound of one write."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):
        channel = socket.socket(fileno=os.dup(fd))
        own = channel.detach()
        return _socket_writer(own), own, CHUNK_BYTES
    if stat.S_ISFIFO(mode) or os.isatty(fd):
        try:
            own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # another user's, or no /proc
            own = os.dup(fd)
            return _polled_writer(own), own, select.PIPE_BUF
        return (lambda data: os.write(own, data)), own, CHUNK_BYTES
    own = os.dup(fd)
    return (lambda data: os.write(own, data)), own, CHUNK_BYTES


def _socket_writer(fd: int) -> Callable[[bytes], int]:
    def send(data: bytes) -> int:
        channel = socket.socket(fileno=fd)
        try:
            return channel.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        finally:
            channel.detach()

    return send


def _polled_writer(fd: int) -> Callable[[bytes], int]:
    def send(data: bytes) -> int:
        ready = select.poll()
        ready.register(fd, select.POLLOUT)
        if not ready.poll(0):
            raise BlockingIOError
        return os.write(fd, data)

    return send
