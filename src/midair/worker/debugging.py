"""``breakpoint()`` in an application that is being developed: its debugger gets the terminal that ``midair dev`` was typed in.

A worker's standard streams are no terminal, and it is in the background of the one that controls it. So each time the debugger is
about to ask, the supervisor is asked for the terminal and makes this process group the one in the foreground; the standard streams
are the terminal then, and so line editing and Ctrl-C work. After the answer they are what they were. Without a terminal, or if the
supervisor does not have it itself, the debugger finds the end of its input, as ever.

Imported in development alone: it imports pdb, and gives everybody the class below in the place of ``pdb.Pdb``. What is built on
that (ipdb, pytest's) gets the terminal, too.
"""

from __future__ import annotations

import contextlib
import os
import pdb
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from midair.sockets import passing, words

TERMINAL = "/dev/tty"
STREAMS = (0, 1, 2)
LOOK_EVERY_S = 0.01
"""Whether the terminal is ours by now. Nobody else waits: the program stands still."""
SEND_AGAIN_S = 0.01
"""The link is full, and the event loop that would wait for room stands still with the program."""

_link: socket.socket | None = None
_asking = threading.RLock()
"""One debugger of this process asks at a time: requests in other threads meet breakpoints, too."""


def use(link: socket.socket) -> None:
    """From now on this is the way to the supervisor."""
    global _link  # noqa: PLW0603 - a debugger is made by whoever calls breakpoint(), and handed nothing
    _link = link


class Debugger(pdb.Pdb):
    """pdb, with the terminal while it asks."""

    def interaction(self, *args: Any, **kwargs: Any) -> None:
        with _asking, _terminal():
            super().interaction(*args, **kwargs)


pdb.Pdb = Debugger  # type: ignore[misc]  # on purpose: see above


@contextlib.contextmanager
def _terminal() -> Iterator[None]:
    """The terminal is ours, and the standard streams are it."""
    terminal = _open()
    if terminal < 0:
        yield
        return
    try:
        if not _say(words.AskTerminal(group=os.getpgrp())):
            yield
            return
        while os.tcgetpgrp(terminal) != os.getpgrp():
            time.sleep(LOOK_EVERY_S)
        try:
            with _as_streams(terminal), _interruptible():
                yield
        finally:
            _say(words.ReturnTerminal())
    finally:
        os.close(terminal)


def _open() -> int:
    """The terminal that controls us, if the supervisor has it to lend; else -1."""
    try:
        terminal = os.open(TERMINAL, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        if _link is not None and _is_lent_by_ours(os.tcgetpgrp(terminal)):
            return terminal
    except (OSError, ValueError):
        pass
    os.close(terminal)
    return -1


def _is_lent_by_ours(group: int) -> bool:
    """Whether the supervisor is in the foreground, or one of its children, to which it has lent the terminal."""
    supervisor = os.getppid()
    if group == os.getpgid(supervisor):
        return True
    with open(f"/proc/{group}/stat") as file:
        parent = file.read().rpartition(")")[2].split()[1]
    return int(parent) == supervisor


@contextlib.contextmanager
def _as_streams(terminal: int) -> Iterator[None]:
    kept = [os.dup(fd) for fd in STREAMS]
    _flush()
    try:
        for fd in STREAMS:
            os.dup2(terminal, fd)
        yield
    finally:
        _flush()
        for fd, old in zip(STREAMS, kept, strict=True):
            os.dup2(old, fd)
            os.close(old)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # The application may have put something else there.
            stream.flush()


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C interrupts what is typed, as everywhere; in the background a worker leaves it to the supervisor."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # pdb has one of its own after "continue".
            signal.signal(signal.SIGINT, before)


def _say(word: words.AskTerminal | words.ReturnTerminal) -> bool:
    """Past the event loop, which may stand still just here. False: nobody hears it."""
    assert _link is not None
    while True:
        try:
            passing.send(_link, words.encode(word))
        except BlockingIOError:
            time.sleep(SEND_AGAIN_S)
        except OSError:
            return False  # The supervisor is gone, and we are about to be told so.
        else:
            return True
