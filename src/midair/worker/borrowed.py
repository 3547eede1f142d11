"""Accepting on a listener that is a command's, too, without a change that the command would feel.

O_NONBLOCK belongs to the open socket, not to a descriptor: set by one process it is set for all, and a program that waits in
accept(2) would get an error in the place of its next connection. So the mode stays as it is. A look comes first; should the
program be quicker than the accept after it, which would then wait for the next connection, a timer breaks that off.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import socket
from collections.abc import Callable

WAIT_MAX_S = 0.002
"""How long the event loop may stand still because somebody else was quicker."""


def acceptor(listening: socket.socket) -> Callable[[], tuple[socket.socket, object]]:
    """What accepts like ``listening.accept`` of a non-blocking socket: raises BlockingIOError when nobody waits, also OSError.

    For the main thread, to which the timer's signal goes; SIGALRM is its own from now on. Whoever waits for a reader in between
    does so with asyncio's own loop: uvloop's sets what it watches non-blocking.
    """
    signal.signal(signal.SIGALRM, _nothing)
    look = select.poll()
    look.register(listening, select.POLLIN)

    def accept() -> tuple[socket.socket, object]:
        if not look.poll(0):
            raise BlockingIOError(errno.EAGAIN, "nobody waits")
        return accept_soon(listening), None

    return accept


def accept_soon(listening: socket.socket) -> socket.socket:
    # Again and again: the first signal may come before the call that it is to break off.
    before = signal.setitimer(signal.ITIMER_REAL, WAIT_MAX_S, WAIT_MAX_S)
    try:
        # Not Python's own, which goes on after a signal; and a handler that raises might lose an accepted connection.
        fd = _libc.accept4(listening.fileno(), None, None, socket.SOCK_CLOEXEC)
        error = ctypes.get_errno()
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
    if fd >= 0:
        return socket.socket(fileno=fd)
    if error == errno.EINTR:
        raise BlockingIOError(errno.EAGAIN, "somebody else was quicker")
    raise OSError(error, os.strerror(error))


def _nothing(number: int, frame: object) -> None:
    """The signal has done its work by coming."""


_libc = ctypes.CDLL(None, use_errno=True)
