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

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from midair.config.units import read_duration
from midair.errors import ConfigError
from midair.sockets.address import BadAddress, TcpAddress, parse

EVERY_HOST = {"0.0.0.0", "::"}

PRIVATE_NAME = "health"
"""What LISTEN_FDNAMES calls the private socket."""


class BadProbe(ConfigError):
    """``health.probe`` cannot be read."""

    code = "bad-probe"
    hint = 'write "notify", "http://HOST:PORT/PATH", "tcp://HOST:PORT", "listener:/PATH" or "delay:3s"'


class ProbeIsBind(ConfigError):
    """The probe would ask an address of the service, where the older version answers as well."""

    code = "probe-is-bind"
    hint = 'probe another address, or set health.probe to "listener:/PATH" (a private socket is passed) or "notify"'

    def __init__(self, address: TcpAddress, bind: str) -> None:
        super().__init__(
            f"health.probe asks {address}, and the service listens at {bind}: the old version would answer"
        )
        self.address, self.bind = address, bind


class Readiness(Struct, frozen=True):
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


def check_apart(readiness: Readiness, binds: Iterable[str]) -> None:
    """A probe must not arrive where the service itself listens. Pure; raises ProbeIsBind.

    binds: addresses as the kernel says them. The configuration is checked for what was typed; port 0 and inherited
    descriptors say their address only now.
    """
    asked = readiness.address
    for bind in binds if asked else ():
        address = parse(bind)
        if asked and isinstance(address, TcpAddress) and asked.port == address.port and _may_meet(asked, address):
            raise ProbeIsBind(asked, bind)


def _may_meet(asked: TcpAddress, bound: TcpAddress) -> bool:
    return asked.host == bound.host or bound.host in EVERY_HOST or asked.host in EVERY_HOST


def _seconds(probe: str, text: str) -> float:
    try:
        return float(text) if text.isascii() and text.isdigit() else read_duration(text)
    except ValueError as exc:
        raise BadProbe(f"health.probe = {probe!r}: {exc}") from exc
