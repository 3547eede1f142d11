"""A terminal as a screen that is drawn again and again, and keys one by one. It is left as it was found, whatever ends us.

Own drawing, with six control sequences that every terminal knows: the other screen, the cursor off, home, clear to the end of a
line and of the screen, and colours. Each picture is written in one piece over the one before, so that nothing flickers over ssh.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import sys
import termios
import time
import tty
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from midair.cli.show import has_colour

ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"
LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l"
HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
ENDINGS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""They end us by an exception, so that what was changed is put back. SIGINT is one already."""
LOOK_EVERY_S = 0.25
"""How often the terminal's size is compared with what was drawn."""
READ_BYTES = 64
SEQUENCE = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]")
"""An arrow or a function key: none of ours."""


class Screen:
    """A context: inside, the terminal is ours."""

    def __init__(self) -> None:
        self._in, self._out = sys.stdin, sys.stdout
        self._modes: list[Any] = []
        self._handlers: dict[int, Any] = {}
        self._drawn: tuple[int, int] = (0, 0)
        self._typed = ""

    @property
    def is_possible(self) -> bool:
        """There is a terminal, and it can do more than lines."""
        return self._in.isatty() and self._out.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def __enter__(self) -> Self:
        self._modes = termios.tcgetattr(self._in)
        for number in ENDINGS:
            self._handlers[number] = signal.signal(number, _end)
        self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._pause)
        self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        return isinstance(error, KeyboardInterrupt)

    def _take(self) -> None:
        tty.setcbreak(self._in, termios.TCSADRAIN)
        self._write(ENTER)

    def _give_back(self) -> None:
        # The modes first: they matter more, and the terminal may be gone, which the writing would tell.
        try:
            termios.tcsetattr(self._in, termios.TCSADRAIN, self._modes)
        except (termios.error, OSError):
            return
        self._write(LEAVE)

    def _pause(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal as it was, and when we go on we take it again."""
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        # Here we are back.
        signal.signal(signal.SIGTSTP, self._pause)
        self._modes = termios.tcgetattr(self._in)
        self._take()
        self._drawn = (0, 0)

    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        found = shutil.get_terminal_size()
        try:
            found = os.get_terminal_size(self._out.fileno())  # COLUMNS would hide that it was resized
        except OSError:
            pass
        return max(found.columns, 1), max(found.lines, 1)

    def draw(self, lines: Sequence[tuple[str, str]]) -> None:
        """Text and style of each line from the top on."""
        size = self.size()
        clear = "" if size == self._drawn else "\x1b[2J"
        self._drawn = size
        is_coloured = has_colour(self._out)
        rows = [f"\x1b[{style}m{text}\x1b[0m" if style and is_coloured else text for text, style in lines]
        self._write(clear + HOME + f"{END_OF_LINE}\r\n".join(rows) + END_OF_LINE + END_OF_SCREEN)

    def key(self, within_s: float) -> str | None:
        """The next key; empty: none within this time, or the size has changed; None: the terminal is gone."""
        deadline_s = time.monotonic() + within_s
        while not self._typed:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or self.size() != self._drawn:
                return ""
            if select.select([self._in], [], [], min(left_s, LOOK_EVERY_S))[0] and not self._read():
                return None
        key, self._typed = self._typed[0], self._typed[1:]
        return key

    def _read(self) -> bool:
        try:
            typed = os.read(self._in.fileno(), READ_BYTES)
        except OSError:
            typed = b""
        self._typed = SEQUENCE.sub("", typed.decode(errors="ignore"))
        return bool(typed)

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as exc:  # The terminal is gone: there is nobody left to draw for.
            raise SystemExit(1) from exc


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
