"""A link to a Python process of ours: words out in order, words in as they come, its end told once."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from midair.errors import MidairError
from midair.sockets import passing, words
from midair.supervisor.loop import Loop

QUEUE_MAX = 1000
"""Words that may wait for a process that does not read. It hangs long before that; more are dropped with the link."""


class Link:
    """The supervisor's end of a process's socket pair."""

    def __init__(
        self,
        loop: Loop,
        channel: socket.socket,
        on_word: Callable[[words.FromHost], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self.channel = channel
        self._on_word = on_word
        self._on_end = on_end
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self.is_open = True
        loop.on_readable(channel.fileno(), self.read)

    def hand_to(self, on_word: Callable[[words.FromHost], None], on_end: Callable[[], None]) -> None:
        """The process at the other end is another thing from now on: who hears it."""
        self._on_word, self._on_end = on_word, on_end

    def send(self, word: words.ToHost, fds: Sequence[int] = ()) -> None:
        """Send now, or as soon as the process reads. ``fds`` stay the caller's; they are duplicated if they must wait."""
        if not self.is_open:
            return
        data = words.encode(word)
        if not self._queue:
            try:
                passing.send(self.channel, data, fds)
                return
            except (BlockingIOError, passing.DescriptorsInFlight):
                pass
            except OSError:
                return  # It is gone; its end of file says so.
        if len(self._queue) >= QUEUE_MAX:
            self.close()
            return
        self._queue.append((data, tuple(os.dup(fd) for fd in fds)))
        self._loop.on_writable(self.channel.fileno(), self._flush)

    def _flush(self) -> None:
        while self._queue and self.is_open:
            data, fds = self._queue[0]
            try:
                passing.send(self.channel, data, fds)
            except (BlockingIOError, passing.DescriptorsInFlight):
                return
            except OSError:
                self._drop_queue()
                break
            self._queue.popleft()
            for fd in fds:
                os.close(fd)
        if self.is_open:
            self._loop.on_writable(self.channel.fileno(), None)

    def read(self) -> None:
        """Take in what has come. Also called when the process has ended, so that its last words come before its end."""
        while self.is_open:
            try:
                message = passing.receive(self.channel)
                if message is None:
                    break
                message.close()  # Nothing is ever passed this way.
                word = words.decode_from_host(message.data)
            except BlockingIOError:
                return
            except (OSError, MidairError, msgspec.MsgspecError):
                break  # A process that says what is no word is treated as gone; its exit status tells more.
            self._on_word(word)
        if self.is_open:
            self.close()
            self._on_end()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._loop.forget(self.channel.fileno())
            self._drop_queue()
            self.channel.close()

    @property
    def is_quiet(self) -> bool:
        """Nothing waits to be sent."""
        return not self._queue

    def _drop_queue(self) -> None:
        for _, fds in self._queue:
            for fd in fds:
                os.close(fd)
        self._queue.clear()
