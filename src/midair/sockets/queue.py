"""How many connections wait in a listener's queue, and how many may: what the kernel says of that one socket, at once.

Of TCP it is said by TCP_INFO. A Unix socket has no such option; there the kernel is asked over netlink (sock_diag) for the one
socket with this inode, and answers within the call. Where it does not (a sandbox without netlink, ``RestrictAddressFamilies=``
of systemd without AF_NETLINK, a kernel without unix_diag), nothing is known. Nobody looks through /proc.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

_TCP_INFO = struct.Struct("8x6I")
"""Up to tcpi_unacked and tcpi_sacked, which are queue and backlog of a listening socket (tcp_get_info in net/ipv4/tcp.c)."""

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_UDIAG_SHOW_RQLEN = 0x10
_UNIX_DIAG_RQLEN = 4
_ANY = 0xFFFFFFFF

_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_ANSWER = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_PAIR = struct.Struct("=II")
_ANSWER_MAX_BYTES = 4096


class Queue(NamedTuple):
    """Connections that were made and not accepted yet."""

    waiting: int
    limit: int


def queue_of(listening: socket.socket) -> Queue | None:
    """The queue of a listening socket; None: the kernel does not say. Never waits."""
    try:
        if listening.family == socket.AF_UNIX:
            return _of_unix(os.fstat(listening.fileno()).st_ino)
        info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        *_, waiting, limit = _TCP_INFO.unpack(info)
    except (OSError, struct.error):
        return None
    return Queue(waiting, limit)


def _of_unix(inode: int) -> Queue | None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_SOCK_DIAG) as asking:
        request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _ANY, inode, _UDIAG_SHOW_RQLEN, _ANY, _ANY)
        header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
        asking.send(header + request)
        # Answered before send returned: what is not there by now never comes.
        return _read(asking.recv(_ANSWER_MAX_BYTES))


def _read(answer: bytes) -> Queue | None:
    _, kind, *_ = _HEADER.unpack_from(answer)
    place = _HEADER.size + _ANSWER.size
    while kind == _SOCK_DIAG_BY_FAMILY and place + _ATTRIBUTE.size <= len(answer):
        length, attribute = _ATTRIBUTE.unpack_from(answer, place)
        if attribute == _UNIX_DIAG_RQLEN:
            return Queue(*_PAIR.unpack_from(answer, place + _ATTRIBUTE.size))
        if length < _ATTRIBUTE.size:
            break
        place += (length + 3) & ~3
    return None
