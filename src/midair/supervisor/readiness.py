"""When is a command child ready? What ``health.probe`` says, read. No I/O here.

    notify               it says READY=1 on its NOTIFY_SOCKET
    http://ADDRESS/PATH  a GET there is answered with 200
    tcp://ADDRESS        somebody accepts a connection there
    listener:/PATH       the same GET over a private listening socket that is passed to it as ``health``
    delay:SECONDS        it has lived that long

The first and the last are told by the child or the clock, once. The others are asked: until the answer is good before the
cut-over, and each second in the bake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from midair.config.units import read_duration
from midair.errors import ConfigError
from midair.sockets.address import BadAddress, TcpAddress, parse

PRIVATE_NAME = "health"
"""What LISTEN_FDNAMES calls the private socket."""


class BadProbe(ConfigError):
    """``health.probe`` cannot be read."""

    code = "bad-probe"
    hint = 'write "notify", "http://HOST:PORT/PATH", "tcp://HOST:PORT", "listener:/PATH" or "delay:3s"'


@dataclass(frozen=True, slots=True)
class Readiness:
    """One kind, with what belongs to it."""

    kind: Literal["notify", "http", "tcp", "listener", "delay"]
    address: TcpAddress | None = None
    """http, tcp."""
    path: str = ""
    """http, listener."""
    delay_s: float = 0.0

    @property
    def is_asked(self) -> bool:
        """It is found out by asking, again and again, not told once."""
        return self.kind in {"http", "tcp", "listener"}


def read_readiness(probe: str) -> Readiness:
    """Read ``health.probe`` of a command; empty is ``notify``. Pure; raises BadProbe, BadAddress.

    >>> read_readiness("listener:/health").path, read_readiness("delay:1500ms").delay_s
    ('/health', 1.5)
    """
    scheme, _, rest = probe.partition(":")
    if probe in {"", "notify"}:
        return Readiness("notify")
    if scheme == "listener" and rest.startswith("/"):
        return Readiness("listener", path=rest)
    if scheme == "delay":
        return Readiness("delay", delay_s=_seconds(probe, rest))
    if scheme in {"http", "tcp"} and rest.startswith("//"):
        place, _, path = rest[2:].partition("/")
        address = parse(place)
        if not isinstance(address, TcpAddress):
            raise BadAddress(place, "it is asked over TCP", hint=BadProbe.hint)
        if scheme == "http":
            return Readiness("http", address, f"/{path}")
        if not path:
            return Readiness("tcp", address)
        raise BadProbe(f"health.probe = {probe!r}: a TCP address has no path")
    raise BadProbe(f"health.probe = {probe!r} is not a probe")


def _seconds(probe: str, text: str) -> float:
    try:
        return float(text) if text.isascii() and text.isdigit() else read_duration(text)
    except ValueError as exc:
        raise BadProbe(f"health.probe = {probe!r}: {exc}") from exc
