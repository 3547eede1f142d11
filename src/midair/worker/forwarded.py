"""What proxies say about the client in ``X-Forwarded-For`` and ``X-Forwarded-Proto``, and whom it is believed of. As uvicorn.

Each proxy appends the address that asked it, so the list is read from its end: the first address there that is no
trusted proxy is the client. What stands before it anybody may have written.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from midair.worker.asgi import Address, Scope

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

EVERYBODY = "*"
_REMEMBERED = 4096  # hosts that were looked up; anybody may name one
_HOST_MAX = 64  # no address is longer, and what is remembered is somebody else's text
_SCHEMES = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}


class Trusted:
    """The proxies that are believed: addresses, networks, or everybody. A peer on a Unix socket always is."""

    def __init__(self, proxies: Iterable[str]) -> None:
        """``proxies``: as in ``serve.forwarded_allow_ips``; raises ValueError for what is no address or network."""
        names = tuple(proxies)
        self.is_everybody = EVERYBODY in names
        self._networks: tuple[Network, ...] = tuple(ipaddress.ip_network(name) for name in names if name != EVERYBODY)
        self._holds = lru_cache(_REMEMBERED)(self._look_up)

    def covers(self, peer: Address | None) -> bool:
        """Whether the other end of a connection is believed. None: it is on a Unix socket, where permissions decide."""
        return self.is_everybody or peer is None or self._is_proxy(peer[0])

    def client(self, forwarded_for: str) -> Address | None:
        """The client that a chain of proxies names, or None if it names nobody. The port is 0 if it is not told."""
        chain = [entry.strip() for entry in forwarded_for.split(",")]
        if not self.is_everybody:
            for entry in reversed(chain):
                address = _address(entry)
                if not self._is_proxy(address[0]):
                    return address if address[0] else None
        # All of them are trusted: the request began at the first.
        first = _address(chain[0])
        return first if first[0] else None

    def _is_proxy(self, host: str) -> bool:
        return len(host) <= _HOST_MAX and self._holds(host)

    def _look_up(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # a listener for both families shows IPv4 peers so
        return any(address in network for network in self._networks)


def apply(scope: Scope, trusted: Trusted) -> None:
    """Put the client and the scheme into ``scope`` that a trusted proxy tells; what is not told stays.

    Before a request becomes a WebSocket: its scheme follows from this one.
    """
    chain: list[bytes] = []
    proto = b""
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":
            chain.append(value)
        elif name == b"x-forwarded-proto":
            proto = value
    if proto in _SCHEMES:
        scope["scheme"] = _SCHEMES[proto]
    # A proxy may append by a line of its own: all lines are one list (RFC 9110, 5.3).
    client = trusted.client(b",".join(chain).decode("latin-1")) if chain else None
    if client is not None:
        scope["client"] = client


def _address(text: str) -> Address:
    """Host and port of ``host``, ``host:port``, ``v6``, ``[v6]`` or ``[v6]:port``; what is neither is taken as it is."""
    host, colon, port = text.rpartition(":")
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if not rest:
            return (host, 0) if text.endswith("]") else (text, 0)
        return (host, _port(rest[1:])) if rest[0] == ":" else (text, 0)
    if colon and ":" not in host and _port(port):
        return host, _port(port)
    return text, 0


def _port(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535 else 0
