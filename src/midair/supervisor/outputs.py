"""What the processes of a service print: read line by line from pipes, passed to the log, its end kept for receipts.

A process never waits for a reader of the log: the pipes are read as they fill, and what the log cannot take is dropped and
counted there. With ``log.output = "inherit"`` the processes get our own descriptors and nothing is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from midair.observe.capture import Line, Splitter, Tail, last_words
from midair.supervisor import document
from midair.supervisor.loop import Loop
from midair.supervisor.recent import Recent

READ_BYTES = 64 * 1024
READS_A_TURN = 4
"""A process that prints without end must not keep the loop from others."""
TAILS_MAX = 12
"""Generations whose last lines are kept."""


class Row(NamedTuple):
    """A line that is kept."""

    slot: int
    stream: str
    number: int
    """When it was read (``recent.py``)."""
    text: str


class Outputs:
    """All pipes."""

    def __init__(self, loop: Loop, pass_on: Callable[[Line, str], None], *, is_inherited: bool = False) -> None:
        """pass_on: takes a line and the stream's name."""
        self._loop = loop
        self._pass_on = pass_on
        self.recent = Recent(loop.clock.wall_s)
        self._is_inherited = is_inherited
        self._tails: dict[int, Tail] = {}
        self._pipes: dict[int, tuple[Splitter, str]] = {}
        self.followers: list[Callable[[Line, str], None]] = []
        """Who wants every line as it comes (``midair logs -f``)."""

    def open(self, generation: int, slot: int, *, name: str = "", is_kept: bool = False) -> tuple[int, int]:
        """Descriptors to be a process's stdout and stderr; the caller closes its copies. Raises OSError.

        name: of a process that is no worker. is_kept: its lines are wanted, also with ``log.output = "inherit"``.
        """
        if self._is_inherited and not is_kept:
            return os.dup(1), os.dup(2)
        stdout = self._open(generation, slot, "stdout", name)
        try:
            return stdout, self._open(generation, slot, "stderr", name)
        except OSError:
            os.close(stdout)
            raise

    def _open(self, generation: int, slot: int, stream: str, name: str) -> int:
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        self._watch(read, Splitter(generation, slot, name=name), stream)
        return write

    def _watch(self, read: int, splitter: Splitter, stream: str) -> None:
        self._pipes[read] = (splitter, stream)
        self._loop.on_readable(read, lambda: self._read(read))

    def _read(self, fd: int) -> None:
        splitter, stream = self._pipes[fd]
        for _ in range(READS_A_TURN):
            try:
                data = os.read(fd, READ_BYTES)
            except BlockingIOError:
                return
            for line in splitter.feed(data) if data else splitter.finish():
                self._take(line, stream)
            if not data:
                self._loop.forget(fd)
                del self._pipes[fd]
                os.close(fd)
                return

    def _take(self, line: Line, stream: str) -> None:
        tail = self._tails.get(line.generation)
        if tail is None:
            tail = self._tails[line.generation] = Tail()
            while len(self._tails) > TAILS_MAX:
                del self._tails[min(self._tails)]
        number = self.recent.count()
        # Beside the stream: an image before this one, which this may go back to, knows three columns.
        tail.add(f"{line.slot}\t{stream}@{number}\t{line.text}")
        self._pass_on(line, stream)
        for follower in list(self.followers):
            follower(line, stream)

    def export(self) -> document.OutputState:
        pipes = [
            document.PipeState(
                fd=fd, generation=s.generation, slot=s.slot, stream=stream, unfinished=s.export(), name=s.name
            )
            for fd, (s, stream) in self._pipes.items()
        ]
        return document.OutputState(pipes=pipes, tails={g: tail.export() for g, tail in self._tails.items()})

    def adopt(self, state: document.OutputState) -> None:
        """Go on reading where the image before this one stopped, in the middle of a line if need be."""
        self._tails = {generation: Tail(lines) for generation, lines in state.tails.items()}
        for pipe in state.pipes:
            splitter = Splitter(pipe.generation, pipe.slot, pipe.unfinished, pipe.name)
            self._watch(pipe.fd, splitter, pipe.stream)

    def drain(self) -> None:
        """Read what is there now: before a receipt quotes a process's last lines."""
        for fd in list(self._pipes):
            if fd in self._pipes:
                self._read(fd)

    def rows(self, generation: int) -> list[Row]:
        """The last lines of a generation, oldest first."""
        self.drain()
        tail = self._tails.get(generation)
        return [_row(line) for line in tail.export()] if tail else []

    def generations(self) -> list[int]:
        """Those of which any line is kept."""
        return sorted(self._tails)

    def tail(self, generation: int) -> list[tuple[int, str, str]]:
        """Slot, stream and text of the last lines of a generation, oldest first."""
        return [(row.slot, row.stream, row.text) for row in self.rows(generation)]

    def last_words(self, generation: int) -> str:
        """Of what a generation printed that which explains best why it failed."""
        return "\n".join(last_words([(f"{row.slot}{row.stream}", row.text) for row in self.rows(generation)]))

    def last_lines(self, generation: int) -> list[str]:
        return [row.text for row in self.rows(generation)]


def _row(line: str) -> Row:
    slot, stream, text = line.split("\t", 2)
    stream, _, number = stream.partition("@")
    return Row(int(slot), stream, int(number or 0), text)
