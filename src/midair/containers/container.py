"""What Dockerfile, Compose and Kubernetes have in common: where things are in the container, what it listens on, how long it takes.
Pure.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from midair.config.schema import Settings
from midair.containers.file_text import label
from midair.containers.survey import Decision
from midair.errors import UsageError
from midair.sockets.address import TcpAddress, parse
from midair.systemd.timeouts import Timeout, first_start_timeout, stop_timeout

UID = 10001
"""Nobody's on an ordinary machine: should a process get out, it owns nothing there."""
ADMIN_PORT = 9465
ENDPOINTS_S = 5.0
"""How long it takes until every node of a cluster sends no more to a pod that is to end: a second as a rule."""
PRIVILEGED_PORTS = 1024


class NoPort(UsageError):
    """The port that the service is asked at is not known."""

    code = "no-port"
    hint = 'name it: bind = "0.0.0.0:8000"; a program that binds by itself (listener = "lent") gets that socket'


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP address that the service listens on. ``is_local``: in the configuration for its own machine alone."""

    number: int
    is_local: bool


@dataclass(frozen=True, slots=True)
class Container:
    """One service's container."""

    settings: Settings
    chosen: frozenset[str] = frozenset()
    """Keys that the configuration sets; the others have their default."""
    command: tuple[str, ...] = ("midair", "run")
    ports: tuple[Port, ...] = ()
    secrets: tuple[str, ...] = ()
    """Files with secret values, relative to the folder: they are no part of the image."""
    builds_with: str = ""
    """What `hooks.before` makes the program with, if the image has been made with it already: it is not there."""

    @property
    def name(self) -> str:
        return label(self.settings.name)

    @property
    def folder(self) -> str:
        """Where the code is: commands find the service by it."""
        return f"/srv/{self.name}"

    @property
    def runtime_dir(self) -> str:
        """Of the control socket and the lock."""
        return self._place("runtime_dir", f"/run/midair/{self.name}")

    @property
    def state_dir(self) -> str:
        """Of the receipts."""
        return self._place("state_dir", f"/var/lib/midair/{self.name}")

    def _place(self, key: str, usual: str) -> str:
        if key not in self.chosen:
            return usual
        inside = os.path.relpath(getattr(self.settings, key), self.settings.folder)
        return getattr(self.settings, key) if inside.startswith("..") else f"{self.folder}/{inside}"

    @property
    def environment(self) -> tuple[tuple[str, str, str], ...]:
        """Name, value and reason of what the image says to the service, and to commands in it."""
        return tuple(self._environment())

    def _environment(self) -> Iterator[tuple[str, str, str]]:
        if self.name != self.settings.name and "name" not in self.chosen:
            yield "MIDAIR_NAME", self.settings.name, "As it is called outside."
        if any(port.is_local for port in self.ports):
            why = "The loopback address of a container is its own: nobody outside would reach it."
            yield "MIDAIR_BIND", ",".join(self._bind()), why
        if self.builds_with:
            why = f"What hooks.before makes is in the image; {self.builds_with} is not. This does nothing in its place."
            yield "MIDAIR_HOOKS_BEFORE", "true", why
        places = "Known to the service and to each command that is typed in the container."
        for key, variable in (("runtime_dir", "MIDAIR_RUNTIME_DIR"), ("state_dir", "MIDAIR_STATE_DIR")):
            if key not in self.chosen:
                yield variable, getattr(self, key), places

    def _bind(self) -> Iterator[str]:
        """``bind`` with loopback addresses opened; what is no TCP address stays."""
        for typed in self.settings.bind:
            address = parse(typed, self.settings.folder)
            if isinstance(address, TcpAddress) and is_loopback(address.host):
                yield f"{'[::]' if address.is_v6 else '0.0.0.0'}:{address.port}"
            else:
                yield typed

    @property
    def stop(self) -> Timeout:
        return stop_timeout(self.settings)

    @property
    def start(self) -> Timeout:
        return first_start_timeout(self.settings)

    def decisions(self) -> Iterator[Decision]:
        for port in self.ports:
            why = "bind names the loopback address, which is the container's own" if port.is_local else "bind"
            yield Decision("listens", f"0.0.0.0:{port.number}" if port.is_local else f"port {port.number}", why)
        if not self.ports:
            yield Decision("listens", "unknown", "bind names no TCP address")
        yield Decision("first start", f"{self.start.total_s} s", _sum(self.start))
        yield Decision("stop", f"{self.stop.total_s} s", _sum(self.stop))
        for path in self.secrets:
            yield Decision("secret", path, "not in the image: mounted")


def _sum(limit: Timeout) -> str:
    return str(limit).partition(" = ")[2]


def delayed(container: Container, delay_s: float) -> Container:
    """The container of a service with this ``stop.delay``."""
    settings = container.settings
    return dataclasses.replace(container, settings=replace(settings, stop=replace(settings.stop, delay_s=delay_s)))


def ports_of(settings: Settings) -> tuple[Port, ...]:
    """The TCP ports of ``bind``, each once."""
    found = [parse(typed, settings.folder) for typed in settings.bind]
    ports = {
        address.port: Port(address.port, is_loopback(address.host))
        for address in found
        if isinstance(address, TcpAddress) and address.port
    }
    return tuple(ports.values())


def is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback
