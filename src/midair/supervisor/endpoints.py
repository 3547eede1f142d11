"""Addresses beside the service's own: one child serves them all, and the sockets are ours.

The supervisor binds them, so the child can die and come back without a port ever being somebody else's; it starts one only if
an address is set. An address in use is a warning: a service is not stopped by its metrics.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import msgspec

from midair.admin.orders import MODULE, Orders
from midair.config.schema import Settings
from midair.control.place import control_socket
from midair.core import backoff
from midair.errors import MidairError
from midair.release.environment import NEVER_PASSED
from midair.sockets.bind import open_listeners
from midair.sockets.listener import Listener, adopt
from midair.supervisor.estate import Estate
from midair.supervisor.processes import Program

METRICS = "metrics"
ADMIN = "admin"
PURPOSES = (METRICS, ADMIN)
"""What an address is for. ``PURPOSE_served`` and ``PURPOSE_unavailable`` are events."""
FIRST_FD = 3
"""Of the child's listeners, in the order of PURPOSES."""
NAME = "endpoints"
"""How the child is called where its output is passed on."""


class Kept(msgspec.Struct, kw_only=True):
    """The endpoints, as they get over an upgrade."""

    pid: int
    deaths_s: list[float] = []
    purposes: tuple[str, ...] = (METRICS,)
    """What the descriptors are for, in their order. A midair that knew one address alone did not say."""
    typed: tuple[str, ...] = ()
    """Their addresses as they were typed, in the same order: where the port is the kernel's choice, only these find them again."""


def addresses_of(settings: Settings) -> dict[str, str]:
    """What these settings want served, by what it is for; an empty address: nowhere."""
    return {METRICS: settings.metrics.address, ADMIN: settings.admin.address}


class Endpoints:
    """The addresses and the child that serves them."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._listeners: dict[str, Listener] = {}
        self.pid = 0
        self._deaths_s: list[float] = []

    @property
    def listeners(self) -> Mapping[str, Listener]:
        """By what they are for."""
        return self._listeners

    def take_back(self, purpose: str, listener: Listener) -> None:
        """Serve on what an earlier process had bound for it. Before ``ensure``."""
        self._listeners[purpose] = listener

    def ensure(self) -> None:
        """Serve what the settings want, unless it is served already. At the start, and again after an upgrade."""
        for purpose, address in addresses_of(self._estate.settings).items():
            if address and purpose not in self._listeners:
                self._bind(purpose, address)
        self._estate.served_at = {purpose: each.actual for purpose, each in self._listeners.items()}
        if self._listeners and not self.pid:
            self._start()

    def _bind(self, purpose: str, address: str) -> None:
        try:
            # Without our environment: sockets that systemd passed to us are the service's.
            (listener,) = open_listeners([address], folder=self._estate.settings.folder, environ={}).listeners
        except MidairError as error:
            fields = {"address": address, "error": str(error), "hint": error.hint or None}
            self._estate.say(f"{purpose}_unavailable", fields)
        else:
            self._listeners[purpose] = listener

    def _start(self) -> None:
        estate = self._estate
        environment = {key: value for key, value in estate.ambient.items() if key not in NEVER_PASSED}
        served = [purpose for purpose in PURPOSES if purpose in self._listeners]
        places = {FIRST_FD + number: self._listeners[purpose].fd for number, purpose in enumerate(served)}
        argv = [sys.executable, "-P", "-m", MODULE, self._orders(dict(zip(served, places, strict=True))).argument()]
        fds: list[int] = []
        try:
            stdout, stderr = estate.outputs.open(0, -1, name=NAME)
            fds += [stdout, stderr]
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            fds.append(null)
            places |= {0: null, 1: stdout, 2: stderr}
            self.pid = estate.processes.start(Program(argv, environment, "/", places), self._exited)
        except OSError as exc:
            how = f"it could not be started: {exc.strerror or exc}"
            estate.loop.call_soon(lambda: self._exited(how))
            return
        finally:
            for fd in fds:
                os.close(fd)
        for purpose in served:
            estate.say(f"{purpose}_served", {"address": self._listeners[purpose].actual, "pid": self.pid})

    def _orders(self, fds: dict[str, int]) -> Orders:
        settings = self._estate.settings
        return Orders(
            control=control_socket(settings.runtime_dir),
            metrics_fd=fds.get(METRICS, -1),
            admin_fd=fds.get(ADMIN, -1),
            allowed_hosts=settings.admin.allowed_hosts,
            remote=settings.admin.remote,
        )

    def _exited(self, how: str) -> None:
        self.pid = 0
        if self._estate.service.stopping:
            return
        now_s = self._estate.loop.clock.now_s()
        self._deaths_s, wait_s = backoff.after_death(self._deaths_s, now_s)
        self._estate.say("endpoints_died", {"how": how, "again_in_s": wait_s})
        self._estate.loop.call_later(wait_s, self.ensure)

    # --- over an upgrade ------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return ""

    def freeze(self) -> tuple[bytes, list[int]]:
        typed = tuple(each.typed for each in self._listeners.values())
        kept = Kept(pid=self.pid, deaths_s=self._deaths_s, purposes=tuple(self._listeners), typed=typed)
        return msgspec.msgpack.encode(kept), [each.fd for each in self._listeners.values()]

    def thaw(self, state: bytes, fds: list[int]) -> None:
        if self._listeners:
            return  # The execve failed: nothing was lost.
        kept = msgspec.msgpack.decode(state, type=Kept)
        self._deaths_s = kept.deaths_s
        as_typed = kept.typed or ("",) * len(fds)
        for purpose, fd, typed in zip(kept.purposes, fds, as_typed, strict=False):
            self._listeners[purpose] = adopt(fd, "web", typed)
        if kept.pid:
            self.pid = kept.pid
            self._estate.processes.adopt(kept.pid, self._exited)
