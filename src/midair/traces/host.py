"""``python -m midair.traces.host FD``: the child that tells a collector of updates. The supervisor never speaks HTTP.

The supervisor sends a receipt when its update has ended, and again when something followed; what is new in it is exported, one
update at a time. A collector that is down, slow or that answers with an error holds up nobody but us: what it does not take is
tried again, ever more seldom, and what is too much is dropped and counted. The child ends with its link, or with the supervisor.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

import msgspec

from midair.sockets import passing
from midair.traces import words
from midair.traces.updates import Receipt, read, spans

PENDING_MAX = 100
"""Updates that wait for the collector. At one a minute that is more than an hour without it."""
EXPORT_WITHIN_S = 3.0
"""One export, with what the library tries again by itself: once, a second later."""
AGAIN_FIRST_S, AGAIN_MOST_S = 1.0, 60.0
NICER = 5


def main() -> None:
    link = socket.socket(fileno=int(sys.argv[1]))
    link.setblocking(True)
    os.set_inheritable(link.fileno(), False)
    # Ctrl-C at the terminal is the supervisor's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.nice(NICER)
    Exporter(link).run()


class Exporter:
    """What waits, and the collector that it waits for."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._pending: dict[int, Receipt] = {}
        self._has: dict[int, int] = {}
        """Spans of each update that the collector has from us; of the last PENDING_MAX updates."""
        self._failures = 0
        self._failed_since_s = 0.0
        self._next_try_s = 0.0

    def run(self) -> None:
        """To the end of the link."""
        begin = self._receive()
        if not isinstance(begin, words.Begin):
            return
        try:
            from midair.traces.otlp import Exports, exporter, resource_of

            self._exports = Exports(lambda: exporter(begin.destination, EXPORT_WITHIN_S))
        except ImportError as exc:
            from midair.traces.errors import install_line

            self._say(words.Unusable(error=f"OpenTelemetry is not installed: {exc}", hint=install_line(sys.executable)))
            return
        self._resource = resource_of({"service.name": begin.service, "service.instance.id": begin.node})
        while self._take_in():
            self._export_next()

    # --- in -------------------------------------------------------------------------------------------------------

    def _take_in(self) -> bool:
        """Take in what has come, and wait for it if there is nothing to do; whether the supervisor is there."""
        while True:
            wait_s = max(0.0, self._next_try_s - time.monotonic()) if self._pending else None
            is_there, _, _ = select.select([self._link], [], [], wait_s)
            if not is_there:
                return True
            word = self._receive()
            if word is None:
                return False
            if self._pending and time.monotonic() >= self._next_try_s:
                return True

    def _receive(self) -> words.ToChild | None:
        try:
            message = passing.receive(self._link)
        except OSError:
            return None
        if message is None:
            return None
        try:
            word = words.to_child(message.data)
            if isinstance(word, words.Changed) and message.fds:
                fd = message.fds[0]
                self._wait_for(read(os.pread(fd, os.fstat(fd).st_size, 0)))
        except msgspec.MsgspecError:
            return words.Changed(update=0)  # Of another midair: what we do not know we do not tell.
        finally:
            message.close()
        return word

    def _wait_for(self, receipt: Receipt) -> None:
        self._pending[receipt.number] = receipt
        if len(self._pending) > PENDING_MAX:
            oldest = self._pending.pop(next(iter(self._pending)))
            self._say(words.Dropped(update=oldest.number, spans=len(spans(oldest)) - self._had(oldest)))

    # --- out ------------------------------------------------------------------------------------------------------

    def _had(self, receipt: Receipt) -> int:
        return max(receipt.trace.exported, self._has.get(receipt.number, 0))

    def _export_next(self) -> None:
        if not self._pending or time.monotonic() < self._next_try_s:
            return
        from midair.traces.otlp import told

        number = next(iter(self._pending))
        receipt = self._pending.pop(number)
        found = spans(receipt)
        new = found[self._had(receipt) :]
        if not new:
            return
        if error := self._exports.export(told(new, self._resource)):
            self._pending[number] = receipt  # Behind the others: one that no collector takes must not hold them up.
            self._failed(error)
            return
        self._has[number] = len(found)
        while len(self._has) > PENDING_MAX:
            del self._has[next(iter(self._has))]
        self._say(words.Exported(update=number, spans=len(found), new=len(new)))
        self._succeeded()

    def _failed(self, error: str) -> None:
        now_s = time.monotonic()
        if not self._failures:
            self._failed_since_s = now_s
            self._say(words.Failing(error=error))
        self._failures += 1
        self._next_try_s = now_s + min(AGAIN_MOST_S, AGAIN_FIRST_S * 2.0 ** min(self._failures - 1, 10))

    def _succeeded(self) -> None:
        if self._failures:
            self._say(words.Recovered(failed_s=round(time.monotonic() - self._failed_since_s, 1)))
        self._failures, self._next_try_s = 0, 0.0

    def _say(self, word: words.FromChild) -> None:
        try:
            passing.send(self._link, words.encode(word))
        except OSError:
            sys.exit(0)  # The supervisor is gone.


if __name__ == "__main__":
    main()
