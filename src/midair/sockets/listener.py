"""A listening socket and where it came from. One owner: the supervisor; everybody else gets a copy of the descriptor.

Rules that hold for every listener, bound or inherited:

- family, type and protocol are the kernel's own answer. An event loop sets TCP_NODELAY on an accepted socket only if
  the listener says that it is TCP; one built with the wrong family costs 44 ms a keep-alive request.
- TCP_NODELAY is set on the listener too: Linux hands it down to accepted sockets, whoever accepts them.
- close-on-exec, so that only the child that is meant to gets it.
- never shut down and, when shared, never closed at an update: the queue of connections not yet accepted would go.
"""

from __future__ import annotations

import os
import socket

from msgspec import Struct

from midair.errors import WorldError


class NotAListener(WorldError):
    """A descriptor that was passed to us is not a listening stream socket."""

    code = "not-a-listener"
    hint = "pass a TCP or Unix stream socket that is bound (systemd: ListenStream=, Accept=no)"

    def __init__(self, fd: int, reason: str) -> None:
        super().__init__(f"descriptor {fd} cannot be listened on: {reason}")
        self.fd = fd


class Listener(Struct, frozen=True):
    """A bound socket that accepts.

    name: what LISTEN_FDNAMES calls it. typed: the address as the user wrote it, or ``fd://N``. actual: where it
    listens, ``127.0.0.1:8000``, ``[::1]:8000``, ``unix:/run/x.sock`` (the port is the real one when 0 was typed).
    file: device and inode of the socket file that we made; None when there is none or it is not ours to remove.
    is_passed: whoever started us has opened it and keeps it open, as systemd does for a ``.socket`` unit.
    """

    name: str
    typed: str
    actual: str
    socket: socket.socket
    file: tuple[int, int] | None = None
    is_passed: bool = False

    @property
    def fd(self) -> int:
        return self.socket.fileno()

    @property
    def is_unix(self) -> bool:
        return self.socket.family == socket.AF_UNIX

    @property
    def inode(self) -> int:
        """Number of the open socket itself, the same for all copies of it as long as there is one."""
        return os.fstat(self.fd).st_ino

    @property
    def is_reachable(self) -> bool:
        """Whether clients still find it: the file of a Unix socket may have been removed, or be another one's."""
        if not self.is_unix:
            return True
        try:
            found = os.lstat(self.actual.removeprefix("unix:"))
        except OSError:
            return False
        return self.file in {None, (found.st_dev, found.st_ino)}

    def close(self) -> None:
        """Close the socket and remove the file that we made, if it is still that one. At the end of a service."""
        is_ours_to_remove = self.file is not None and self.is_reachable
        self.socket.close()
        if not is_ours_to_remove:
            return
        try:
            os.unlink(self.actual.removeprefix("unix:"))
        except OSError:
            # Somebody removed it, or the folder became read-only: a stale file is found and replaced by the next start.
            pass


def adopt(
    fd: int,
    name: str,
    typed: str = "",
    *,
    file: tuple[int, int] | None = None,
    is_blocking: bool = False,
    is_passed: bool = False,
) -> Listener:
    """A listener out of an open descriptor, which it owns from then on.

    is_blocking: the mode of its accepts. It belongs to the open socket, so every process that shares it is hit.
    Raises NotAListener; the descriptor is then still the caller's, and open.
    """
    try:
        adopted = socket.socket(fileno=fd)
    except OSError as exc:
        raise NotAListener(fd, exc.strerror or str(exc)) from exc
    try:
        _prepare(adopted, is_blocking)
        actual = actual_address(adopted)
    except NotAListener:
        adopted.detach()
        raise
    except OSError as exc:
        adopted.detach()
        raise NotAListener(fd, exc.strerror or str(exc)) from exc
    return Listener(name, typed or f"fd://{fd}", actual, adopted, file, is_passed)


def actual_address(listening: socket.socket) -> str:
    """Where a socket is bound, in the form in which addresses are typed."""
    name = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name)}"
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if listening.family == socket.AF_INET6 else f"{host}:{port}"


def _prepare(adopted: socket.socket, is_blocking: bool) -> None:
    if adopted.type != socket.SOCK_STREAM or adopted.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        raise NotAListener(adopted.fileno(), "it is not a TCP or Unix stream socket")
    if not adopted.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        if adopted.family != socket.AF_UNIX and adopted.getsockname()[1] == 0:
            # listen() would pick a port that nobody knows of.
            raise NotAListener(adopted.fileno(), "it is not bound")
        adopted.listen(2048)
    adopted.set_inheritable(False)
    adopted.setblocking(is_blocking)
    set_no_delay(adopted)


def set_no_delay(listening: socket.socket) -> None:
    if listening.family != socket.AF_UNIX:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
