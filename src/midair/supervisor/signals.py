"""Signals become items in the loop. A handler does nothing; the interpreter writes the number into a pipe for us."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable

from midair.supervisor.loop import Loop


class Signals:
    """Takes the given signals for as long as it is open. ``close`` puts the old handlers back."""

    def __init__(self, loop: Loop, numbers: Iterable[int], callback: Callable[[int], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, _ignore) for number in numbers}
        loop.on_readable(self._read, self._on_readable)

    def _on_readable(self) -> None:
        # A full pipe would lose a number, not the fact: 64 KiB of signals are not handled one by one anyway.
        for number in dict.fromkeys(os.read(self._read, 65536)):
            if number in self._old:
                self._callback(number)

    def close(self) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        self._loop.forget(self._read)
        os.close(self._read)
        os.close(self._write)


def _ignore(number: int, frame: object) -> None:
    """Python needs a handler for the wake-up to happen."""


def reset_in_child() -> None:
    """In a forked child of the supervisor: no handler, no mask, no pipe of the parent's."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in {signal.SIGKILL, signal.SIGSTOP} and signal.getsignal(number) is _ignore:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
