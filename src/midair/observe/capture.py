"""What workers write to their output: bytes in, lines out, nothing unbounded. No I/O here.

A ``Splitter`` is one pipe of one worker. A line longer than LINE_MAX_BYTES is cut and its rest thrown away and counted;
the part of a line that has not ended yet can be taken out and put back as bytes, so that the supervisor can re-execute
itself in the middle of a line. A ``Tail`` keeps the last lines of a generation for receipts and ``midair logs``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from msgspec import Struct

LINE_MAX_BYTES = 16 * 1024
"""A traceback's longest line is below 1 KiB; a JSON line with a traceback in it is below this."""

TAIL_LINES = 200
TAIL_MAX_BYTES = 256 * 1024
"""200 lines of ordinary length are 20 KiB; 200 of the longest would be 3 MiB for each generation."""


WORDS_LINES = 20
"""Of a traceback that is quoted: what a terminal shows beside all else."""
LAST_LINES = 10
"""Quoted where there is no traceback."""
_TRACEBACK = "Traceback (most recent call last):"


class Line(Struct, frozen=True):
    """One line of a worker. ``text`` has no line end; bytes that are no UTF-8 are shown as ``\\xff``."""

    generation: int
    slot: int
    text: str
    lost_bytes: int = 0
    """How much of the line was thrown away because it was too long."""
    name: str = ""
    """Of the process that wrote it, if it is no worker: ``before`` (a hook), ``mailer`` (a program beside the workers)."""


class Splitter:
    """Cuts one worker's output into lines."""

    __slots__ = ("_lost", "_partial", "generation", "name", "slot")

    def __init__(self, generation: int, slot: int, state: bytes = b"", name: str = "") -> None:
        """state: what ``export`` gave for the same pipe in the supervisor before re-execution."""
        self.generation, self.slot, self.name = generation, slot, name
        self._lost = int.from_bytes(state[:8], "little")
        self._partial = state[8:]

    def export(self) -> bytes:
        """The line that has not ended yet, for the next image of the supervisor. Opaque, below LINE_MAX_BYTES + 8."""
        return self._lost.to_bytes(8, "little") + self._partial

    def feed(self, data: bytes) -> list[Line]:
        """The lines that end with this data. Cost and memory do not depend on how it was cut into pieces."""
        *ended, rest = data.split(b"\n")
        lines = []
        for piece in ended:
            self._extend(piece)
            lines.append(self._take())
        self._extend(rest)
        return lines

    def finish(self) -> list[Line]:
        """At the end of the pipe: the last line, if it had no end."""
        return [self._take()] if self._partial or self._lost else []

    def _extend(self, piece: bytes) -> None:
        room = LINE_MAX_BYTES - len(self._partial)
        self._partial += piece[:room]
        self._lost += max(len(piece) - room, 0)

    def _take(self) -> Line:
        text = self._partial.removesuffix(b"\r").decode(errors="backslashreplace")
        line = Line(self.generation, self.slot, text, self._lost, self.name)
        self._partial, self._lost = b"", 0
        return line


class Tail:
    """The last lines of a generation, oldest first."""

    __slots__ = ("_bytes", "_lines")

    def __init__(self, lines: Iterable[str] = ()) -> None:
        """lines: what ``export`` gave."""
        self._lines: deque[str] = deque()
        self._bytes = 0
        for line in lines:
            self.add(line)

    def add(self, line: str) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        while len(self._lines) > TAIL_LINES or self._bytes > TAIL_MAX_BYTES:
            self._bytes -= len(self._lines.popleft())

    def export(self) -> list[str]:
        return list(self._lines)

    def last(self, count: int) -> list[str]:
        return list(self._lines)[-count:] if count > 0 else []


def last_words(rows: Sequence[tuple[str, str]]) -> list[str]:
    """What explains a failure best of all that processes printed: the last traceback with the line before it, else the last lines.

    rows: who printed it (a worker's stream) and the text, oldest first; those of several stand between each other. Pure.
    """
    found = next((place for place in reversed(range(len(rows))) if _TRACEBACK in rows[place][1]), None)
    if found is None:
        return [text for _, text in rows[-LAST_LINES:]]
    who, head = rows[found]
    before = [text for each, text in rows[:found] if each == who][-1:]
    block, after = [head], [text for each, text in rows[found + 1 :] if each == who]
    for text in after:
        is_inside = text[:1] in ("", " ", "\t")
        if is_inside or not head.startswith(" "):
            block.append(text)
        if not is_inside:
            break
    return [*before, *(block if len(block) < WORDS_LINES else [head, "  …", *block[2 - WORDS_LINES :]])]
