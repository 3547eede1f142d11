"""All printing of the command line. Data goes to standard output, everything else to standard error.

On a terminal there are colours (not with NO_COLOR) and, while an update goes on, a moving line; elsewhere plain lines,
the same words. With ``--json`` standard output has JSON and nothing else, errors too.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from midair.errors import Fault
from midair.observe.wording import age, clean, size

if TYPE_CHECKING:
    from msgspec import Struct
    from rich.status import Status
    from rich.text import Text

    from midair.control.words import ReceiptLine

__all__ = ["age", "clean", "moment", "size", "version"]
"""Words for figures, with what prints them: pages have the same from ``observe/wording.py``."""

RED, GREEN, YELLOW, DIM, BOLD = "31", "32", "33", "2", "1"
PLAIN_EVERY_S = 5.0
"""Where lines stay, something that changes each second gets one no more often."""


class Show:
    """Where and how a command prints."""

    def __init__(self, *, as_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self.out = out or sys.stdout
        self.err = err or sys.stderr

    # --- data -------------------------------------------------------------------------------------------------------

    def line(self, text: str = "") -> None:
        """A line of data for people."""
        self._put(self.out, text)

    def raw(self, text: str) -> None:
        """Text that is somebody else's and is passed on as it is: log lines, metrics."""
        self.out.write(text if text.endswith("\n") else f"{text}\n")
        self.out.flush()

    def json(self, value: object) -> None:
        """One JSON document on one line."""
        import msgspec

        self.out.write(msgspec.json.encode(value).decode() + "\n")
        self.out.flush()

    def table(
        self,
        heads: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        right: frozenset[int] = frozenset(),
        width: int = 0,
    ) -> None:
        """Aligned columns. right: numbers of the columns that are aligned at their right. width: longer lines are cut; 0: none."""
        for number, text in enumerate(aligned(heads, rows, right=right)):
            line = fitting(text, width) if width else text
            self.out.write((line if number else self.styled(line, DIM, self.out)) + "\n")

    def width(self) -> int:
        """Columns of the terminal that data goes to; 0: it goes somewhere else, where nothing needs to be cut."""
        return shutil.get_terminal_size().columns if self.out.isatty() else 0

    # --- the rest ---------------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Something worth knowing that is not the data."""
        self._put(self.err, text)

    def warning(self, text: str) -> None:
        self.err.write(f"{self.styled('warning:', YELLOW, self.err)} {clean(text)}\n")

    def failure(self, fault: Fault, exit_code: int) -> int:
        """Say what happened, what to do and where more is told; return ``exit_code``."""
        if self.as_json:
            self.json({"fault": fault, "exit_code": exit_code})
            return exit_code
        if fault.detail:
            self.err.write("".join(f"  {clean(line)}\n" for line in fault.detail.rstrip().splitlines()))
        self.err.write(f"{self.styled('error:', RED, self.err)} {clean(fault.message)}\n")
        if fault.hint:
            self.err.write(f"{self.styled('hint:', YELLOW, self.err)} {clean(fault.hint)}\n")
        if fault.more:
            self.err.write(f"{self.styled('more:', DIM, self.err)} {clean(fault.more)}\n")
        self.err.flush()
        return exit_code

    def progress(self) -> Progress:
        """A reporter of an update's phases; a context."""
        return Progress(self)

    def styled(self, text: str, style: str, stream: TextIO) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if has_colour(stream) else text

    def _put(self, stream: TextIO, text: str) -> None:
        stream.write(f"{clean(text)}\n")
        stream.flush()


class Progress:
    """The phases of an update, one line each with its time; the current one turns on a terminal.

    ``phase`` begins one and thereby ends the one before; ``note`` says something in between.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._phase = ""
        self._began_s = 0.0
        self._status: Status | None = None
        self._state = ""
        self._state_s: float | None = None
        self._is_live = not show.as_json and show.err.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_turning()

    def phase(self, name: str, since_s: float) -> None:
        """The phase ``name`` begins, ``since_s`` after the update began."""
        self.end(since_s)
        self._phase, self._state, self._began_s = name, "", since_s
        if self._is_live:
            self._turn()

    def end(self, since_s: float, *, is_good: bool = True) -> None:
        """The current phase ends."""
        self._stop_turning()
        if self._phase and not self._show.as_json:
            mark = "" if not self._is_live else "✓ " if is_good else "✗ "
            colour = GREEN if is_good else RED
            took = f"{max(since_s - self._began_s, 0):7.2f} s"
            self._show.err.write(f"{self._show.styled(mark, colour, self._show.err)}{clean(self._phase):9} {took}\n")
            self._show.err.flush()
        self._phase = ""

    def state(self, figure: str, text: str, since_s: float) -> None:
        """How far the current phase is, as it changes: beside its name on a terminal, with the ``figure`` in front; elsewhere a
        line now and then."""
        if self._is_live:
            self._state = f"{figure} {text}"
        if self._status is not None:
            self._status.update(self._turning())
        elif not self._is_live and (self._state_s is None or since_s - self._state_s >= PLAIN_EVERY_S):
            self._state_s = since_s
            self.note(f"  {text}")

    def note(self, text: str) -> None:
        self._between(self._show.note, text)

    def warning(self, text: str) -> None:
        self._between(self._show.warning, text)

    def _between(self, say: Callable[[str], None], text: str) -> None:
        if self._show.as_json:
            return
        self._stop_turning()
        say(text)
        if self._is_live and self._phase:
            self._turn()

    def _turn(self) -> None:
        # rich is imported here and nowhere else: a plain pipe or a systemd unit never pays for it.
        from rich.console import Console
        from rich.status import Status

        console = Console(file=self._show.err, no_color=not has_colour(self._show.err), highlight=False)
        self._status = Status(self._turning(), console=console)
        self._status.start()

    def _turning(self) -> Text:
        from rich.text import Text

        return Text(clean(f"{self._phase}  {self._state}".rstrip()))

    def _stop_turning(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def json_of(answer: Struct) -> dict[str, object]:
    """An answer as the command line prints it: its fields, without the word that the wire needs."""
    from msgspec import to_builtins

    fields = to_builtins(answer)
    assert isinstance(fields, dict)
    fields.pop("word", None)
    return fields


# --- words for figures ---------------------------------------------------------------------------------------------


def has_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def aligned(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()
) -> Iterator[str]:
    """A line for the heads and one for each row, in columns. right: numbers of those that are aligned at their right."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(heads, *cleaned, strict=True)]
    for row in [list(heads), *cleaned]:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def narrowed(
    heads: Sequence[str], rows: Sequence[Sequence[str]], drop: Sequence[str], width: int
) -> tuple[list[str], list[list[str]]]:
    """Heads and rows without as many of the columns ``drop``, in that order, as it takes to fit; width 0: all of them."""
    left = list(heads)
    shown = [list(row) for row in rows]
    for name in drop:
        if not width or max(map(len, aligned(left, shown))) <= width:
            break
        place = left.index(name)
        left, shown = [*left[:place], *left[place + 1 :]], [[*row[:place], *row[place + 1 :]] for row in shown]
    return left, shown


def fitting(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns."""
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"


def moment(time_s: float) -> str:
    """Local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_s))


def clock(time_s: float) -> str:
    """Local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(time_s))


def version(name: str, generation: int) -> str:
    """``1.9.0 (generation 8)``."""
    return f"{name} (generation {generation})" if name else f"generation {generation}"


def why(receipt: ReceiptLine) -> str:
    """Why an update was asked for, and why it failed, in one line."""
    return "; ".join(filter(None, (receipt.reason, receipt.fault.partition("\n")[0])))
