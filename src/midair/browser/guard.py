"""Who may listen, and who may open a file: a token that only our own pages know, the Host, the Origin, and where the peer is.

The token keeps out every page that is not ours. The Host keeps out a name that was pointed at this machine (DNS rebinding):
such a page would be our own origin otherwise, and could read the token. The Origin keeps out sockets of other pages, should
they have learnt the token. Pure.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from midair.worker.asgi import Scope
from midair.worker.settings import DevSettings

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Peer(NamedTuple):
    """Who asks. ``is_local``: from this very machine, so that source and editor are theirs anyway."""

    why_not: str
    """Why it may not have anything of ours; empty: it may."""
    is_local: bool


class Guard:
    """What is asked of every request for our own paths, and of every page before it gets the token."""

    def __init__(
        self, dev: DevSettings, peer_of: Callable[[Scope], str | None], ports: frozenset[int] = frozenset()
    ) -> None:
        """peer_of: the address at the other end of a request's connection, whatever a proxy says; None: a Unix socket.
        ports: pages of these ports may come, too (the service's, where its pages are answered by another program)."""
        self._dev = dev
        self._peer_of = peer_of
        self._ports = ports

    def peer(self, scope: Scope) -> Peer:
        """Whether whoever sent this request may have a page with the token in it."""
        host = host_name(header(scope, b"host"))
        if not self._is_ours(host):
            return Peer(f"the host {host!r} is not in dev.allowed_hosts", is_local=False)
        address = self._peer_of(scope)
        client = scope.get("client")
        if not is_loopback(address) and not self._dev.expose:
            return Peer("only this machine may listen (midair dev --expose)", is_local=False)
        is_local = is_loopback(address) and is_loopback(client[0] if client else None) and is_local_name(host)
        return Peer("", is_local=is_local)

    def why_not(self, scope: Scope, token: str) -> str:
        """Why this request for one of our own paths is refused; empty: it is not. Sockets and commands need an Origin."""
        peer = self.peer(scope)
        if peer.why_not:
            return peer.why_not
        if not hmac.compare_digest(token.encode(), self._dev.token.encode()):
            return "the token is not ours: the page is of an earlier start of midair dev"
        if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD"):
            return self._why_not_origin(scope)
        return ""

    def _why_not_origin(self, scope: Scope) -> str:
        origin = header(scope, b"origin")
        try:
            parts = urlsplit(origin)
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
        except ValueError:
            return f"the origin {origin!r} is none"
        host = header(scope, b"host").lower()
        if parts.netloc and parts.netloc.lower() in (host, f"{host}:{port}", host.removesuffix(f":{port}")):
            return ""
        if port in self._ports and self._is_ours(parts.hostname or ""):
            return ""
        return f"the origin {origin!r} is another page's"

    def _is_ours(self, name: str) -> bool:
        """Loopback names and addresses; names that the configuration knows; any address at all for exposed ports, since an
        address cannot be rebound."""
        if is_local_name(name) or (self._dev.expose and address_of(name) is not None):
            return True
        return any(
            name == known.lstrip(".").lower() or (known.startswith(".") and name.endswith(known.lower()))
            for known in self._dev.allowed_hosts
        )


def is_loopback(address: str | None) -> bool:
    """None is the other end of a Unix socket."""
    if address is None:
        return True
    known = address_of(address)
    mapped = getattr(known, "ipv4_mapped", None)
    return known is not None and (mapped or known).is_loopback


def is_local_name(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost") or (address_of(name) is not None and is_loopback(name))


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def host_name(host: str) -> str:
    """A Host header without its port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def header(scope: Scope, name: bytes) -> str:
    found = [value for known, value in scope["headers"] if known == name]
    return found[0].decode("latin-1") if len(found) == 1 else ""
