"""Keys on the terminal: one character at a time, without Enter. The terminal's modes are put back whenever it is not ours.

Ctrl-C and Ctrl-Z stay what they are. None if standard input or error is no terminal, or while we are in the background: a shell
that runs in the foreground would lose what is typed to it.
"""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Callable

from midair.supervisor.loop import Loop

FD = 0
READ_BYTES = 64
LOCAL_FLAGS = 3
CONTROL_CHARACTERS = 6
"""Places in what ``tcgetattr`` gives."""


class Keys:
    """While open, ``on_key`` gets each character."""

    def __init__(self, loop: Loop, on_key: Callable[[str], None]) -> None:
        self._loop, self._on_key = loop, on_key
        self._modes: list[int | list[bytes | int]] | None = None
        """As we found them; None: not ours."""

    @property
    def are_there(self) -> bool:
        return os.isatty(FD) and os.isatty(2)

    @property
    def is_open(self) -> bool:
        return self._modes is not None

    def open(self) -> None:
        """Take the terminal, if there is one and it is ours to take."""
        if self.is_open or not self.are_there or not is_in_foreground(FD):
            return
        modes = termios.tcgetattr(FD)
        changed = [*modes[:CONTROL_CHARACTERS], list(modes[CONTROL_CHARACTERS])]
        changed[LOCAL_FLAGS] &= ~(termios.ICANON | termios.ECHO)
        changed[CONTROL_CHARACTERS][termios.VMIN] = 1
        changed[CONTROL_CHARACTERS][termios.VTIME] = 0
        set_modes(FD, changed)
        self._modes = modes
        self._loop.on_readable(FD, self._read)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._modes is None:
            return
        modes, self._modes = self._modes, None
        self._loop.forget(FD)
        set_modes(FD, modes)

    def _read(self) -> None:
        try:
            typed = os.read(FD, READ_BYTES)
        except OSError:
            typed = b""  # The terminal is gone.
        if not typed:
            self._modes = None
            self._loop.forget(FD)
        for character in typed.decode(errors="ignore"):
            if self.is_open:  # A key may have lent the terminal.
                self._on_key(character)


def is_in_foreground(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False  # Not the terminal that controls us.


def set_modes(fd: int, modes: list[int | list[bytes | int]]) -> None:
    """Also from the background, where the kernel would stop us by SIGTTOU. A terminal that is gone has no modes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        termios.tcsetattr(fd, termios.TCSADRAIN, modes)
    except (termios.error, OSError):
        pass
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
