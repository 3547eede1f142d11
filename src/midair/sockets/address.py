"""Where a service listens, as it is typed: ``host:port``, ``[v6]:port``, ``:port``, ``unix:PATH``, ``fd://N``.

Reading an address asks nobody: no name is looked up (a resolver may wait for seconds, and may answer differently the
next time), so a host is a number or ``localhost``, which is 127.0.0.1. ``:8000`` is every IPv4 address of the machine,
``[::]:8000`` every IPv6 address and those alone: for both, write both.
"""

from __future__ import annotations

import os
import socket

from msgspec import Struct

from midair.errors import ConfigError

UNIX_PATH_MAX_BYTES = 107
"""sun_path holds 108 bytes, the closing NUL included."""


class BadAddress(ConfigError):
    """An address that cannot be read."""

    code = "bad-address"
    hint = "write host:port, [v6]:port, :port, unix:PATH or fd://N"

    def __init__(self, typed: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"bad address {typed!r}: {reason}", hint=hint)
        self.typed = typed


class TcpAddress(Struct, frozen=True):
    """``host`` is numeric, without brackets; ``zone`` is the interface of a link-local IPv6 address, else empty."""

    typed: str
    host: str
    port: int
    zone: str = ""

    @property
    def is_v6(self) -> bool:
        return ":" in self.host

    def __str__(self) -> str:
        zone = f"%{self.zone}" if self.zone else ""
        return f"[{self.host}{zone}]:{self.port}" if self.is_v6 else f"{self.host}:{self.port}"


class UnixAddress(Struct, frozen=True):
    """``path`` is absolute when a folder was given to ``parse``."""

    typed: str
    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class DescriptorAddress(Struct, frozen=True):
    """A listening socket that whoever started us has opened."""

    typed: str
    fd: int

    def __str__(self) -> str:
        return f"fd://{self.fd}"


Address = TcpAddress | UnixAddress | DescriptorAddress


def parse(typed: str, folder: str = "") -> Address:
    """Read an address. A relative Unix path is taken from ``folder``. Pure; raises BadAddress."""
    if typed.startswith("unix:"):
        return _unix(typed, folder)
    if typed.startswith("fd://"):
        return _descriptor(typed)
    scheme, separator, rest = typed.partition("://")
    if separator:
        raise BadAddress(typed, f"{scheme}:// is not part of an address", hint=f"write {rest.rstrip('/') or ':8000'}")
    return _tcp(typed)


def _unix(typed: str, folder: str) -> UnixAddress:
    path = typed.removeprefix("unix:").removeprefix("//")
    if not path:
        raise BadAddress(typed, "the path is missing", hint="write unix:/run/NAME/web.sock")
    if path.startswith("@"):
        raise BadAddress(
            typed,
            "abstract Unix sockets are not offered: they have no permissions, anybody on the machine may connect",
            hint="write unix:/run/NAME/web.sock",
        )
    if "\0" in path:
        raise BadAddress(typed, "a path has no NUL in it")
    path = os.path.join(folder, path)
    if len(os.fsencode(path)) > UNIX_PATH_MAX_BYTES:
        raise BadAddress(
            typed,
            f"{path!r} is longer than the {UNIX_PATH_MAX_BYTES} bytes that the kernel takes",
            hint="use a shorter folder, such as /run/NAME",
        )
    return UnixAddress(typed, path)


def _descriptor(typed: str) -> DescriptorAddress:
    number = typed.removeprefix("fd://")
    if not _is_number(number) or len(number) > 7:
        raise BadAddress(typed, "the descriptor is not a number", hint="write fd://3")
    return DescriptorAddress(typed, int(number))


def _tcp(typed: str) -> TcpAddress:
    host, zone, port = _split(typed)
    if not _is_number(port) or len(port) > 5 or int(port) > 65535:
        raise BadAddress(typed, f"the port {port!r} is not a number from 0 to 65535")
    if host in ("", "*"):
        return TcpAddress(typed, "0.0.0.0", int(port))
    if host == "localhost":
        return TcpAddress(typed, "127.0.0.1", int(port))
    if _is_family(host, socket.AF_INET6):
        return TcpAddress(typed, host, int(port), zone)
    if zone or not _is_family(host, socket.AF_INET):
        raise BadAddress(
            typed,
            f"{host!r} is not an IP address, and names are not looked up",
            hint=f"write its number (`getent ahosts {host}` tells it), or :{port} for every IPv4 address",
        )
    return TcpAddress(typed, host, int(port))


def _split(typed: str) -> tuple[str, str, str]:
    """Host (without brackets), zone and port."""
    if typed.startswith("["):
        inside, bracket, port = typed[1:].partition("]:")
        if not bracket:
            raise BadAddress(typed, "a bracketed address ends with ]:PORT", hint="write [::1]:8000")
        host, _, zone = inside.partition("%")
        if not _is_family(host, socket.AF_INET6):
            raise BadAddress(typed, f"{host!r} is not an IPv6 address", hint="brackets are for IPv6: [::1]:8000")
        return host, zone, port
    if typed.count(":") > 1:
        host, _, port = typed.rpartition(":")
        if _is_family(typed, socket.AF_INET6) or _is_family(host, socket.AF_INET6):
            raise BadAddress(typed, "an IPv6 address needs brackets", hint=f"write [{host}]:{port} or [{typed}]:8000")
        raise BadAddress(typed, "too many colons")
    host, colon, port = typed.rpartition(":")
    if not colon:
        hint = f"write :{typed} or 127.0.0.1:{typed}" if _is_number(typed) else f"write {typed or '127.0.0.1'}:8000"
        raise BadAddress(typed, "the port is missing", hint=hint)
    return host, "", port


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_family(host: str, family: int) -> bool:
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):  # ValueError: a NUL, or a character that is no ASCII
        return False
    return True
