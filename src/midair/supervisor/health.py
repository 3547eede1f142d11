"""Is a worker healthy, and how does it answer? Carries out ProbeWorker and CountAnswers."""

from __future__ import annotations

import socket
from typing import Literal

from midair.core import events
from midair.core.ids import GenerationId, WorkerId
from midair.observe.counters import Cell
from midair.supervisor.estate import Estate
from midair.supervisor.probe import Probe


class Health:
    """Asks workers over socket pairs of their own, one question a worker at a time."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._probes: dict[WorkerId, Probe] = {}

    def probe(self, worker_id: WorkerId, *, warm: bool) -> None:
        worker = self._estate.fleet.workers.get(worker_id)
        if worker is None:
            return
        release = self._estate.releases[worker.generation]
        health = release.settings.health
        host = health.host or (self._estate.listeners[0].actual if self._estate.listeners else "localhost")
        paths = [*(health.warm if warm else ()), health.path]
        self._probe_next(worker_id, paths, host, health.timeout_s)

    def _probe_next(self, worker_id: WorkerId, paths: list[str], host: str, timeout_s: float) -> None:
        path, *rest = paths
        try:
            ours, theirs = socket.socketpair()
        except OSError as exc:
            self._probed(worker_id, "unhealthy", exc.strerror or str(exc))
            return

        def done(verdict: Literal["healthy", "unhealthy", "no-route"], detail: str) -> None:
            self._probes.pop(worker_id, None)
            if rest:
                self._probe_next(worker_id, rest, host, timeout_s)
            else:
                self._probed(worker_id, verdict, detail)

        with theirs:
            self._estate.fleet.probe(worker_id, theirs)
        earlier = self._probes.pop(worker_id, None)
        if earlier:
            earlier.cancel()
        self._probes[worker_id] = Probe(self._estate.loop, ours, path, host, timeout_s, done)

    def _probed(self, worker_id: WorkerId, verdict: Literal["healthy", "unhealthy", "no-route"], detail: str) -> None:
        worker = self._estate.fleet.workers.get(worker_id)
        if worker is None:
            return
        self._estate.happened(worker.generation, "probed", {"worker": worker_id, "verdict": verdict, "answer": detail})
        self._estate.tell(events.ProbeAnswered(worker_id, verdict, detail))

    def count_answers(self, generation: GenerationId) -> None:
        responses = errors = 0
        for worker in self._estate.fleet.workers.values():
            if worker.generation == generation:
                cells = worker.page.cells
                responses += cells[Cell.REQUESTS]
                errors += cells[Cell.RESPONSES_5XX]
        self._estate.tell(events.AnswersCounted(generation, responses, errors, 0.0))
