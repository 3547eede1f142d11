"""Who takes over the connections of a worker that accepts no more. Pure: looks at the service, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from midair.core.ids import WorkerId
from midair.core.state import Service, Worker, WorkerState

RETIRING = frozenset({WorkerState.STOPPING, WorkerState.PARKED, WorkerState.LEAVING})

Succession = WorkerId | Literal["wait", "drain"]
"""Move the connections there; leave them where they are for now; let them come to an end."""


def successor(service: Service, worker: Worker, loads: Mapping[WorkerId, int]) -> Succession:
    """What becomes of the connections of ``worker``, which accepts no more.

    They go straight to the serving generation: to the worker of the same slot, or to the one that has the fewest. loads:
    connections by worker. A canary's slots keep what they have until it is known whether it stays.
    """
    generation = service.generations.get(worker.generation)
    if service.stopping or generation is None or not generation.policy.migrates:
        return "drain"
    if worker.state not in RETIRING or (
        worker.generation == service.serving and worker.state is not WorkerState.LEAVING
    ):
        return "wait"
    targets = [
        each
        for each in service.workers.values()
        if each.state is WorkerState.ACCEPTING and each.generation == service.serving and each.id != worker.id
    ]
    serving = service.generations.get(service.serving) if service.serving is not None else None
    if serving is None or not serving.policy.migrates:
        return "drain"
    if not targets:
        return "wait"
    return min(targets, key=lambda each: (each.slot != worker.slot, loads.get(each.id, 0), each.slot)).id
