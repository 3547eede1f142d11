"""Taking connections off a listener, and stopping to: at a definite point, with nothing dropped.

The event loops' own servers are not used. asyncio's drops connections that it has accepted and not yet given a
transport when it is closed, both call ``listen()`` again with a backlog of their own, and neither says from which point
on it accepts no more. Here a connection is either in the kernel's queue or in the hands of the server, and both
``start`` and ``stop`` are synchronous.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable

from midair.worker import borrowed

_ACCEPTS_PER_TURN = 32  # then other connections get their turn, and other workers their share
_BACK_OFF_S = 0.25
_NO_ROOM = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Acceptor:
    """Accepts on a duplicate of one listener; the listener stays the caller's."""

    def __init__(
        self,
        listener: socket.socket,
        backlog: int,
        take: Callable[[socket.socket], None],
        report: Callable[[str], None],
        loop: asyncio.AbstractEventLoop,
        *,
        is_borrowed: bool = False,
    ) -> None:
        """is_borrowed: the listener's mode is somebody else's, who may rely on it."""
        # Family and protocol are asked from the kernel: a listener that came as a bare descriptor may be mislabelled,
        # and then its connections would not get TCP_NODELAY.
        self._sock = socket.socket(fileno=os.dup(listener.fileno()))
        self._accept: Callable[[], tuple[socket.socket, object]] = self._sock.accept
        if is_borrowed:
            self._accept = borrowed.acceptor(self._sock)
        else:
            self._sock.setblocking(False)
        if not self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self._sock.listen(backlog)
        self._is_tcp = self._sock.family in (socket.AF_INET, socket.AF_INET6)
        self._take, self._report, self._loop = take, report, loop
        self._retry: asyncio.TimerHandle | None = None
        loop.add_reader(self._sock.fileno(), self._on_readable)

    def stop(self) -> None:
        """Accept no more, from now on. What waits in the kernel's queue stays there for others."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    def _on_readable(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                sock, _address = self._accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # gone before we came to it: the client's doing, and no connection of ours
            except OSError as exc:
                if exc.errno not in _NO_ROOM:
                    self._report(f"accept failed: {exc}")
                    return
                self._back_off(exc)
                return
            sock.setblocking(False)
            if self._is_tcp:
                try:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                except OSError:
                    pass  # reset meanwhile: the transport will find out
            self._take(sock)

    def _back_off(self, exc: OSError) -> None:
        # The listener stays readable: without a pause this would be called again at once, for ever.
        self._report(f"cannot accept: {exc}; trying again in {_BACK_OFF_S} s")
        self._loop.remove_reader(self._sock.fileno())
        self._retry = self._loop.call_later(_BACK_OFF_S, self._resume)

    def _resume(self) -> None:
        self._retry = None
        self._loop.add_reader(self._sock.fileno(), self._on_readable)
