"""The address that a program gives to bind(2), as the kernel's bytes. Pure."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

SOCKADDR_MAX_BYTES = 128
"""sizeof(struct sockaddr_storage)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A TCP or UDP address."""

    family: socket.AddressFamily
    host: str
    port: int
    scope: int = 0

    @property
    def place(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """As ``socket.bind`` takes it."""
        return (self.host, self.port) if self.family == socket.AF_INET else (self.host, self.port, 0, self.scope)


def read_sockaddr(raw: bytes) -> Asked | None:
    """What ``raw`` (a struct sockaddr) says; None: it is of another family, or cut.

    >>> read_sockaddr(bytes([2, 0, 0x1F, 0x90, 127, 0, 0, 1, *bytes(8)]))
    Asked(family=<AddressFamily.AF_INET: 2>, host='127.0.0.1', port=8080, scope=0)
    """
    if len(raw) < 8:
        return None
    (family,) = struct.unpack_from("=H", raw)
    (port,) = struct.unpack_from("!H", raw, 2)
    if family == socket.AF_INET:
        return Asked(socket.AF_INET, socket.inet_ntop(socket.AF_INET, raw[4:8]), port)
    if family == socket.AF_INET6 and len(raw) >= 24:
        scope = struct.unpack_from("=I", raw, 24)[0] if len(raw) >= 28 else 0
        return Asked(socket.AF_INET6, socket.inet_ntop(socket.AF_INET6, raw[8:24]), port, scope)
    return None
