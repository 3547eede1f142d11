"""Descriptors and the words that go with them, from one process to another: one message, one datagram.

A message is a few bytes and up to DESCRIPTORS_MAX descriptors over a Unix socket of type SOCK_SEQPACKET: borders are
kept, order is kept, and the end of the peer is told (end of file), which a datagram socket would not do. Either all
of a message arrives or the receiver is told what was lost; it never gets half of it without notice.

Whoever receives a message owns its descriptors: use them or ``close()`` the message. They come close-on-exec.
"""

from __future__ import annotations

import array
import errno
import os
import socket
from collections.abc import Sequence

from msgspec import Struct

from midair.errors import Bug, WorldError

MESSAGE_MAX_BYTES = 64 * 1024
"""Largest message. Well under the default send buffer (208 KiB), so that an empty queue always takes one."""

DESCRIPTORS_MAX = 253
"""Descriptors of one message: the kernel's own bound (SCM_MAX_FD)."""

_INT_BYTES = array.array("i").itemsize
_CONTROL_BYTES = socket.CMSG_SPACE(DESCRIPTORS_MAX * _INT_BYTES)


class MessageTooLarge(Bug):
    """Something tried to send more than one message may hold."""

    code = "message-too-large"


class MessageCut(WorldError):
    """The peer sent more than a message may hold. What came was thrown away, its descriptors closed."""

    code = "message-cut"
    hint = "the other process speaks another protocol; both must come from midair"


class DescriptorsLost(WorldError):
    """Descriptors of a message did not fit into this process. Those that did were closed again."""

    code = "descriptors-lost"
    hint = "raise the limit of open files (ulimit -n, LimitNOFILE= in the unit)"


class DescriptorsInFlight(WorldError):
    """Too many descriptors are sent and not yet received. Nothing was sent; try again when the peer has read."""

    code = "descriptors-in-flight"
    hint = "raise the limit of open files (ulimit -n, LimitNOFILE= in the unit)"


class Message(Struct, frozen=True):
    """What arrived. ``fds`` belong to whoever holds the message."""

    data: bytes
    fds: tuple[int, ...] = ()

    def close(self) -> None:
        """Close every descriptor of the message. Only for one whose descriptors nobody took."""
        _close_all(self.fds)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends, non-blocking and close-on-exec."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def send(channel: socket.socket, data: bytes, fds: Sequence[int] = ()) -> None:
    """Send one message, all of it or nothing. The descriptors stay open here; they are the caller's to close.

    Raises BlockingIOError when the queue is full (wait until ``channel`` is writable), BrokenPipeError or
    ConnectionResetError when the peer is gone, DescriptorsInFlight, MessageTooLarge.
    """
    if not data:
        # A datagram of no bytes looks like the end of the peer.
        raise MessageTooLarge("a message needs at least one byte")
    if len(data) > MESSAGE_MAX_BYTES or len(fds) > DESCRIPTORS_MAX:
        raise MessageTooLarge(f"a message of {len(data)} bytes and {len(fds)} descriptors is larger than allowed")
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        channel.sendmsg([data], control, socket.MSG_NOSIGNAL)
    except OSError as exc:
        if exc.errno == errno.ETOOMANYREFS:
            raise DescriptorsInFlight(f"{len(fds)} descriptors cannot be sent now: too many are on their way") from exc
        raise


def receive(channel: socket.socket) -> Message | None:
    """The next message, or None when the peer has closed its end.

    Raises BlockingIOError when there is none yet, MessageCut, DescriptorsLost. After an error no descriptor of the
    message is left open here.
    """
    try:
        data, control, flags, _ = channel.recvmsg(MESSAGE_MAX_BYTES, _CONTROL_BYTES, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        # The peer has gone without reading all that it was sent. The kernel says so once, and ahead of what the peer itself had
        # said, which still waits here: its last words, or connections that are ours from now on.
        data, control, flags, _ = channel.recvmsg(MESSAGE_MAX_BYTES, _CONTROL_BYTES, socket.MSG_CMSG_CLOEXEC)
    fds = _descriptors(control)
    if flags & socket.MSG_CTRUNC:
        # The kernel installs descriptors one by one and stops at the limit of open files: what is here is a part.
        _close_all(fds)
        raise DescriptorsLost(f"only {len(fds)} descriptors of a message could be taken")
    if flags & socket.MSG_TRUNC:
        _close_all(fds)
        raise MessageCut(f"a message was longer than {MESSAGE_MAX_BYTES} bytes")
    if not data:
        _close_all(fds)
        return None
    return Message(data, fds)


def _descriptors(control: Sequence[tuple[int, int, bytes]]) -> tuple[int, ...]:
    found = array.array("i")
    for level, kind, payload in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(payload[: len(payload) - len(payload) % _INT_BYTES])
    return tuple(found)


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
