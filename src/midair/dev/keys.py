"""Keys on the terminal: one character at a time, without Enter. The terminal's modes are put back whenever it is not ours.

Ctrl-C and Ctrl-Z stay what they are. None if standard input or error is no terminal, or while we are in the background: a shell
that runs in the foreground would lose what is typed to it.
"""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Callable
from typing import Any, TypeAlias

from midair.supervisor.loop import Loop, Timer

FD = 0
READ_BYTES = 64
LOOK_EVERY_S = 0.5
Modes: TypeAlias = list[Any]
"""As ``termios.tcgetattr`` gives them."""
LOCAL_FLAGS = 3
CONTROL_CHARACTERS = 6
"""Places in what ``tcgetattr`` gives."""


class Keys:
    """While open, ``on_key`` gets each character that is typed to us."""

    def __init__(self, loop: Loop, on_key: Callable[[str], None]) -> None:
        self._loop, self._on_key = loop, on_key
        self._is_taken = False
        self._found: Modes = []
        """The modes that are put back."""
        self._set: Modes = []
        """Ours. A shell that brings us back may set them by itself: then what was found before counts."""
        self._looking: Timer | None = None
        self._is_open = False

    @property
    def are_read(self) -> bool:
        return self._is_taken

    def open(self) -> None:
        """Take the terminal, if there is one, and whenever it is ours to take."""
        self._is_open = os.isatty(FD) and os.isatty(2)
        self.look()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._is_open = False
        if self._is_taken:
            set_modes(FD, self._found)
        self._lose()

    def look(self) -> None:
        """See anew whether we are in the foreground. A shell that was there in between has set the modes that it likes."""
        self._lose()
        if not self._is_open:
            return
        if is_in_foreground(FD):
            self._take()
        else:
            # Nobody tells a process that runs in the background that it is brought to the foreground.
            self._looking = self._loop.call_later(LOOK_EVERY_S, self.look)

    def _take(self) -> None:
        now = termios.tcgetattr(FD)
        if now != self._set:
            self._found = now
        changed = [*now[:CONTROL_CHARACTERS], list(now[CONTROL_CHARACTERS])]
        changed[LOCAL_FLAGS] &= ~(termios.ICANON | termios.ECHO)
        changed[CONTROL_CHARACTERS][termios.VMIN] = 1
        changed[CONTROL_CHARACTERS][termios.VTIME] = 0
        set_modes(FD, changed)
        self._is_taken, self._set = True, termios.tcgetattr(FD)
        self._loop.on_readable(FD, self._read)

    def _lose(self) -> None:
        if self._looking:
            self._looking.cancel()
            self._looking = None
        if self._is_taken:
            self._is_taken = False
            self._loop.forget(FD)

    def _read(self) -> None:
        if not is_in_foreground(FD):
            self.look()  # What is typed is a shell's, and reading it would stop us.
            return
        try:
            typed = os.read(FD, READ_BYTES)
        except OSError:
            typed = b""
        if not typed:  # The terminal is gone.
            self._is_open = False
            self._lose()
        for character in typed.decode(errors="ignore"):
            if self._is_open:  # The key before may have closed us.
                self._on_key(character)


def is_in_foreground(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False  # Not the terminal that controls us.


def set_modes(fd: int, modes: Modes) -> None:
    """Also from the background, where the kernel would stop us by SIGTTOU. A terminal that is gone has no modes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        termios.tcsetattr(fd, termios.TCSADRAIN, modes)
    except (termios.error, OSError):
        pass
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
