"""The watcher child: ``python -m midair.watch.host FD``. One thread; ends when its link does."""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections import deque

import msgspec

from midair.errors import MidairError
from midair.sockets import passing
from midair.watch import words
from midair.watch.watcher import Watcher

OUTBOX_MAX = 1000
"""Words that wait for a supervisor that does not read. No batch is taken meanwhile, so that there are only troubles to drop."""


class Host:
    """The child's loop."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._outbox: deque[tuple[words.FromWatcher, bytes]] = deque()
        self._watcher: Watcher | None = None
        self._is_over = False

    def run(self) -> None:
        """Until the link ends."""
        while not self._is_over:
            self._wait()
            self._hear()
            if self._watcher is not None and not self._outbox:
                self._turn(self._watcher)
            self._flush()
        if self._watcher is not None:
            self._watcher.close()

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN | (select.POLLOUT if self._outbox else 0))
        timeout_ms = None
        if self._watcher is not None and not self._outbox:
            if self._watcher.fileno() >= 0:
                poll.register(self._watcher.fileno(), select.POLLIN)
            due_s = self._watcher.due_s()
            if due_s is not None:
                # Rounded up: a poll that ends too early turns for nothing.
                timeout_ms = max(0, int((due_s - time.monotonic()) * 1000) + 1)
        poll.poll(timeout_ms)

    def _hear(self) -> None:
        while not self._is_over:
            try:
                message = passing.receive(self._channel)
                if message is None:
                    self._is_over = True
                    return
                message.close()
                self._obey(words.decode_to_watcher(message.data))
            except BlockingIOError:
                return
            except (OSError, msgspec.MsgspecError):
                self._is_over = True

    def _obey(self, word: words.ToWatcher) -> None:
        match word:
            case words.Begin():
                if self._watcher is not None:
                    self._watcher.close()
                self._watcher = Watcher(word, time.monotonic, self._say)
                self._send(self._watcher.ready())
            case words.Ignore():
                if self._watcher is not None:
                    self._watcher.ignore(word.lines)
            case words.TellDigests():
                self._tell_digests()

    def _turn(self, watcher: Watcher) -> None:
        watcher.take()
        batch = watcher.batch()
        if batch is not None:
            for part in words.in_parts(batch.changes, raw=batch.raw, seconds=batch.seconds):
                self._send(part)

    def _tell_digests(self) -> None:
        known = self._watcher.digests() if self._watcher is not None else {}
        self._outbox.append((words.Digests(count=len(known)), msgspec.msgpack.encode(known)))

    def _say(self, error: MidairError) -> None:
        fault = error.fault()
        self._send(words.Trouble(code=fault.code, message=fault.message, hint=fault.hint, detail=fault.detail))

    def _send(self, word: words.FromWatcher) -> None:
        if len(self._outbox) < OUTBOX_MAX or not isinstance(word, words.Trouble):
            self._outbox.append((word, b""))

    def _flush(self) -> None:
        while self._outbox and not self._is_over:
            word, beside = self._outbox[0]
            try:
                self._pass(word, beside)
            except (BlockingIOError, passing.DescriptorsInFlight):
                return
            except OSError:
                self._is_over = True
                return
            self._outbox.popleft()

    def _pass(self, word: words.FromWatcher, beside: bytes) -> None:
        if not isinstance(word, words.Digests):
            passing.send(self._channel, words.encode(word))
            return
        fd = os.memfd_create("digests", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(fd), "wb") as file:
                file.write(beside)
            passing.send(self._channel, words.encode(word), [fd])
        finally:
            os.close(fd)


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.setblocking(False)
    Host(channel).run()


if __name__ == "__main__":
    main()
