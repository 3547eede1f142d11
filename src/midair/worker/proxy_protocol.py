"""The PROXY protocol, version 1 and 2: a proxy that passes bytes on says first for whom.

    PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\\r\\n          version 1, a line
    \\r\\n\\r\\n\\0\\r\\nQUIT\\n 0x21 0x11 length addresses TLVs     version 2, binary

``read`` is told all that has come so far, and answers None until it is a whole header: bytes may come one by one. The
TLVs of version 2 are skipped, with the checksum that may be among them: TCP has one.
https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
"""

from __future__ import annotations

import ipaddress
import socket

from msgspec import Struct

from midair.worker.asgi import Address

_LINE_MAX = 107  # version 1, its line end included
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_REST_MAX = 4096  # version 2, behind its first 16 bytes: the addresses, and some TLVs of a certificate's length
_UNKNOWN = b"PROXY UNKNOWN"
_FAMILIES = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}
_LOCAL, _PROXY = 0, 1
_INET_STREAM, _INET6_STREAM = 0x11, 0x21


class BadHeader(Exception):
    """What came is no header of the PROXY protocol."""


class Header(Struct, frozen=True):
    """A header of ``length`` bytes. No client: the proxy asks for itself (a health check), or does not know."""

    length: int
    client: Address | None = None
    server: Address | None = None


def read(data: bytes) -> Header | None:
    """The header that ``data`` begins with, or None while it is not whole. Raises BadHeader as soon as it cannot be one."""
    if data[:12] == _SIGNATURE[: len(data)]:
        return _read_binary(data)
    if data[:6] == b"PROXY "[: len(data)]:
        return _read_line(data)
    raise BadHeader("neither version of the PROXY protocol begins like this")


def _read_line(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _LINE_MAX)
    if end < 0:
        if len(data) >= _LINE_MAX or b"\n" in data:
            raise BadHeader("the line has no end")
        return None
    line = data[:end]
    if line == _UNKNOWN or line.startswith(_UNKNOWN + b" "):
        return Header(end + 2)  # what may stand behind the word is to be ignored
    words = line.split(b" ")
    if len(words) != 6 or words[1] not in _FAMILIES:
        raise BadHeader("the line is not PROXY, family, two addresses and two ports")
    family = _FAMILIES[words[1]]
    client = (_host(words[2], family), _port(words[4]))
    return Header(end + 2, client, (_host(words[3], family), _port(words[5])))


def _host(text: bytes, family: int) -> str:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        raise BadHeader(f"invalid address {text!r}") from None
    if address.version != (4 if family == socket.AF_INET else 6):
        raise BadHeader(f"{text!r} is of the other family")
    return str(address)


def _port(text: bytes) -> int:
    if not text.isdigit() or len(text) > 5 or (text[0] == 48 and text != b"0") or int(text) > 65535:
        raise BadHeader(f"invalid port {text!r}")
    return int(text)


def _read_binary(data: bytes) -> Header | None:
    if len(data) < 16:
        if len(data) > 12 and data[12] not in (0x20, 0x21):
            raise BadHeader("not version 2, or an unknown command")
        return None
    version, command = divmod(data[12], 16)
    length = int.from_bytes(data[14:16])
    if version != 2 or command not in (_LOCAL, _PROXY):
        raise BadHeader("not version 2, or an unknown command")
    if length > _REST_MAX:
        raise BadHeader("the header is too long")
    if len(data) < 16 + length:
        return None
    whole = 16 + length
    if command == _LOCAL:
        return Header(whole)
    if data[13] == _INET_STREAM:
        return _addresses(data, whole, socket.AF_INET, 4)
    if data[13] == _INET6_STREAM:
        return _addresses(data, whole, socket.AF_INET6, 16)
    if data[13] >> 4 > 3 or data[13] & 15 > 2:
        raise BadHeader("unknown family or transport")
    return Header(whole)  # UNSPEC, a Unix socket, datagrams: nobody that has an address here


def _addresses(data: bytes, whole: int, family: int, size: int) -> Header:
    ports = 16 + 2 * size
    if whole < ports + 4:
        raise BadHeader("the header is too short for its addresses")
    client = socket.inet_ntop(family, data[16 : 16 + size]), int.from_bytes(data[ports : ports + 2])
    server = socket.inet_ntop(family, data[16 + size : ports]), int.from_bytes(data[ports + 2 : ports + 4])
    return Header(whole, client, server)
