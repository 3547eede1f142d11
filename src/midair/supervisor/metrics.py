"""The endpoint that Prometheus scrapes: a child serves it, and the socket is ours.

The supervisor binds the address, so the child can die and come back without the port ever being somebody else's; it starts
one only if ``metrics.address`` is set. An address in use is a warning: a service is not stopped by its metrics.
"""

from __future__ import annotations

import os
import sys

import msgspec

from midair.control.place import control_socket
from midair.core import backoff
from midair.errors import MidairError
from midair.release.environment import NEVER_PASSED
from midair.sockets.bind import open_listeners
from midair.sockets.listener import Listener, adopt
from midair.supervisor.estate import Estate
from midair.supervisor.processes import Program

LISTENER_FD = 3
NAME = "metrics"


class Kept(msgspec.Struct, kw_only=True):
    """The endpoint, as it gets over an upgrade."""

    typed: str
    pid: int
    deaths_s: list[float] = []


class Exporter:
    """The endpoint and the child that serves it."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._listener: Listener | None = None
        self._typed = ""
        self._pid = 0
        self._deaths_s: list[float] = []

    def ensure(self) -> None:
        """Serve, if the settings want it, unless it is served already. At the start, and again after an upgrade."""
        address = self._estate.settings.metrics.address
        if address and self._listener is None:
            self._typed, self._listener = address, self._bind(address)
        self._estate.metrics_at = self._listener.actual if self._listener else ""
        if self._listener and not self._pid:
            self._start()

    def _bind(self, address: str) -> Listener | None:
        try:
            # Without our environment: sockets that systemd passed to us are the service's.
            (listener,) = open_listeners([address], folder=self._estate.settings.folder, environ={}).listeners
        except MidairError as error:
            fields = {"address": address, "error": str(error), "hint": error.hint or None}
            self._estate.say("metrics_unavailable", fields)
            return None
        return listener

    def _start(self) -> None:
        estate, listener = self._estate, self._listener
        assert listener is not None
        environment = {key: value for key, value in estate.ambient.items() if key not in NEVER_PASSED}
        argv = [
            sys.executable,
            "-P",
            "-m",
            "midair.supervisor.scrape",
            str(LISTENER_FD),
            control_socket(estate.settings.runtime_dir),
        ]
        fds: list[int] = []
        try:
            stdout, stderr = estate.outputs.open(0, -1, name=NAME)
            fds += [stdout, stderr]
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            fds.append(null)
            places = {0: null, 1: stdout, 2: stderr, LISTENER_FD: listener.fd}
            self._pid = estate.processes.start(Program(argv, environment, "/", places), self._exited)
        except OSError as exc:
            how = f"it could not be started: {exc.strerror or exc}"
            estate.loop.call_soon(lambda: self._exited(how))
            return
        finally:
            for fd in fds:
                os.close(fd)
        estate.say("metrics_served", {"address": listener.actual, "pid": self._pid})

    def _exited(self, how: str) -> None:
        self._pid = 0
        if self._estate.service.stopping:
            return
        now_s = self._estate.loop.clock.now_s()
        self._deaths_s = [*backoff.recent(self._deaths_s, now_s), now_s]
        wait_s = backoff.delay_s(len(self._deaths_s), 1)
        self._estate.say("metrics_died", {"how": how, "again_in_s": wait_s})
        self._estate.loop.call_later(wait_s, self.ensure)

    # --- over an upgrade ------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return ""

    def freeze(self) -> tuple[bytes, list[int]]:
        kept = Kept(typed=self._typed, pid=self._pid, deaths_s=self._deaths_s)
        return msgspec.msgpack.encode(kept), [self._listener.fd] if self._listener else []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        if self._listener:
            return  # The execve failed: nothing was lost.
        kept = msgspec.msgpack.decode(state, type=Kept)
        self._typed, self._deaths_s = kept.typed, kept.deaths_s
        if fds:
            self._listener = adopt(fds[0], "web", kept.typed)
        if kept.pid:
            self._pid = kept.pid
            self._estate.processes.adopt(kept.pid, self._exited)
