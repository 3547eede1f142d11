"""Is a worker healthy? Carries out ProbeWorker."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Literal

from midair.core import events
from midair.core.ids import WorkerId
from midair.sockets.listener import Listener
from midair.supervisor.estate import Estate
from midair.supervisor.probe import AUTO_PATH, Knock, Probe


class Health:
    """Asks workers over socket pairs of their own, one question a worker at a time."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._probes: dict[WorkerId, Probe] = {}

    def probe(self, worker_id: WorkerId, *, warm: bool) -> None:
        worker = self._estate.worker(worker_id)
        if worker is None:
            return
        release = self._estate.releases[worker.generation]
        health = release.settings.health
        host = health.host or _host(self._estate.listeners)
        way = self._estate.commands.way_to(worker_id)
        paths = [*(health.warm if warm else ()), health.path]
        if way:
            paths = [*(health.warm if warm and way[1] else ()), way[1]]
        self._probe_next(worker_id, paths, host, health.timeout_s)

    def _probe_next(self, worker_id: WorkerId, paths: list[str], host: str, timeout_s: float) -> None:
        path, *rest = paths
        try:
            ours = self._connect(worker_id)
        except OSError as exc:
            self._probed(worker_id, "unhealthy", exc.strerror or str(exc))
            return

        def done(verdict: Literal["healthy", "unhealthy", "no-route"], detail: str) -> None:
            self._probes.pop(worker_id, None)
            if verdict == "unhealthy" and path:
                detail = f"GET {AUTO_PATH if path == 'auto' else path}: {detail}"
            if rest:
                self._probe_next(worker_id, rest, host, timeout_s)
            else:
                self._probed(worker_id, verdict, detail)

        earlier = self._probes.pop(worker_id, None)
        if earlier:
            earlier.cancel()
        ask = Probe if path else Knock
        self._probes[worker_id] = ask(self._estate.loop, ours, path, host, timeout_s, done)

    def _connect(self, worker_id: WorkerId) -> socket.socket:
        """A connection to this very worker, maybe still on its way. Raises OSError."""
        way = self._estate.commands.way_to(worker_id)
        if way is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._estate.fleet.probe(worker_id, theirs)
            return ours
        address = way[0]
        ours = socket.socket(socket.AF_INET6 if address.is_v6 else socket.AF_INET)
        ours.setblocking(False)
        ours.connect_ex((address.host, address.port))  # What became of it is seen when it can be written to.
        return ours

    def _probed(self, worker_id: WorkerId, verdict: Literal["healthy", "unhealthy", "no-route"], detail: str) -> None:
        worker = self._estate.worker(worker_id)
        if worker is None:
            return
        self._estate.happened(worker.generation, "probed", {"worker": worker_id, "verdict": verdict, "answer": detail})
        self._estate.tell(events.ProbeAnswered(worker_id, verdict, detail))


def _host(listeners: Sequence[Listener]) -> str:
    """Whom the probe asks for. A Unix socket's path is no Host: it would be answered 400, by us, before the application."""
    return next((listener.actual for listener in listeners if not listener.is_unix), "localhost")
