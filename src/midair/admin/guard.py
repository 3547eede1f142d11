"""Who may look: whoever can connect and asks for the page by one of its names. Pure.

The Host keeps out a name that was pointed at this machine (DNS rebinding): a page under such a name would be our own origin,
and could read everything. An address cannot be pointed anywhere. Pages of other sites may lead here, and not more: what
their scripts, images and frames ask for is refused, so that they learn nothing, not even whether somebody serves.

In a container the address has to be one that the orchestrator reaches, which others reach, too: with ``remote = "probes"`` they get
what says nothing about the program, and the page is for whoever can come in (a forwarded port ends at the loopback address).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from midair.browser.guard import address_of, header, host_name, is_local_name, is_loopback
from midair.worker.asgi import Scope

PROBES = ("/livez", "/metrics", "/readyz")
"""What is asked by programs, of all services alike."""
ALLOWED_HINT = "name it in admin.allowed_hosts, if it is one of yours"


class Guard:
    """What is asked of every request."""

    def __init__(self, address: str, allowed_hosts: Sequence[str], remote: Literal["all", "probes"] = "all") -> None:
        """address: where we listen, ``127.0.0.1:9465``. remote: what others than this machine may ask for."""
        self._own = host_name(address)
        self._remote = remote
        self._allowed_hosts = tuple(host.lower() for host in allowed_hosts)

    def why_not(self, scope: Scope) -> str:
        """Why this request is refused; empty: it is not."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        host = host_name(hosts[0].decode("latin-1")) if len(hosts) == 1 else ""
        if not self._is_ours(host):
            return f"the host {host!r} is none of ours: {ALLOWED_HINT}"
        site = header(scope, b"sec-fetch-site")
        if site in ("cross-site", "same-site") and header(scope, b"sec-fetch-mode") != "navigate":
            return "another site's page asks"
        origin = header(scope, b"origin")
        if origin and host_name(origin.partition("://")[2]) != host:
            return "another site's page asks"
        client = scope.get("client")
        if self._remote == "probes" and scope["path"] not in PROBES and not is_loopback(client[0] if client else None):
            return f"only this machine may see that; from elsewhere there are {', '.join(PROBES)} (admin.remote)"
        return ""

    def _is_ours(self, host: str) -> bool:
        """By an address nobody can be led here: whoever has it could connect anyway."""
        if not host:
            return False
        if is_local_name(host) or host == self._own or address_of(host) is not None:
            return True
        return any(
            host == known.lstrip(".") or (known.startswith(".") and host.endswith(known))
            for known in self._allowed_hosts
        )
