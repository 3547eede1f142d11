"""The terminal is lent to a process of the service whose debugger asks (``worker/debugging.py``), and taken back when it has asked.

One at a time: who asks meanwhile waits, standing still at its breakpoint. Keys are off while it is lent, and whoever has it is not
taken for one that hangs.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from midair.dev.keys import Keys
from midair.sockets import words
from midair.supervisor.estate import Estate
from midair.supervisor.loop import Timer
from midair.supervisor.members import Worker, Zygote

TERMINAL = "/dev/tty"
BACK_AFTER_S = 0.3
"""From the end of one question of a debugger until the terminal is ours again: the next line is stepped to sooner than that."""


@dataclass(slots=True)
class _Borrower:
    process: Worker | Zygote
    group: int


class Lending:
    """Who has the terminal."""

    def __init__(self, estate: Estate, keys: Keys, on_back: Callable[[], None]) -> None:
        """on_back: told when it is ours again."""
        self._estate, self._keys, self._on_back = estate, keys, on_back
        self._has_it: _Borrower | None = None
        self._waiting: deque[_Borrower] = deque()
        self._taking_back: Timer | None = None
        estate.fleet.on_terminal = self._heard

    @property
    def is_lent(self) -> bool:
        return self._has_it is not None

    def _heard(self, process: Worker | Zygote, word: words.AskTerminal | words.ReturnTerminal | None) -> None:
        match word:
            case words.AskTerminal(group=group):
                self._asked(_Borrower(process, group))
            case words.ReturnTerminal():
                if self._has_it and self._has_it.process is process:
                    self._taking_back = self._estate.loop.call_later(BACK_AFTER_S, self._take_back)
            case None:
                self._ended(process)

    def _asked(self, borrower: _Borrower) -> None:
        if isinstance(borrower.process, Worker):
            self._estate.debugged.add(borrower.process.id)
        if self._has_it is None:
            self._lend(borrower)
        elif self._has_it.process is borrower.process:
            if self._taking_back:
                self._taking_back.cancel()
        else:
            self._waiting.append(borrower)

    def _lend(self, borrower: _Borrower) -> None:
        self._has_it = borrower
        self._keys.close()
        give_terminal(borrower.group)

    def _ended(self, process: Worker | Zygote) -> None:
        """It cannot give anything back any more."""
        self._waiting = deque(each for each in self._waiting if each.process is not process)
        if self._has_it and self._has_it.process is process:
            self._take_back()

    def close(self) -> None:
        """Nobody gets it any more."""
        self._waiting.clear()
        self._take_back()

    def _take_back(self) -> None:
        """The terminal is ours, or the next one's who waits."""
        if self._taking_back:
            self._taking_back.cancel()
        borrower, self._has_it = self._has_it, None
        if borrower and isinstance(borrower.process, Worker):
            self._estate.debugged.discard(borrower.process.id)
        if self._waiting:
            self._lend(self._waiting.popleft())
        elif borrower:
            give_terminal(os.getpgrp())
            self._keys.open()
            self._on_back()


def give_terminal(group: int) -> None:
    """This process group is in the foreground from now on. Also from the background, where the kernel would stop us for asking."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        # By its name, as who borrows it does: our standard streams may be files.
        terminal = os.open(TERMINAL, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.tcsetpgrp(terminal, group)
        finally:
            os.close(terminal)
    except OSError:
        pass  # The group has ended meanwhile, or the terminal has.
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
