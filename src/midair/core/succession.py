"""Who takes over the connections of a worker that accepts no more. Pure: looks at the service, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from midair.core.ids import GenerationId, WorkerId
from midair.core.state import ALL_SLOTS, Service, Update, Worker, WorkerState

RETIRING = frozenset({WorkerState.STOPPING, WorkerState.PARKED, WorkerState.LEAVING})

Succession = WorkerId | Literal["wait", "drain"]
"""Move the connections there; leave them where they are for now; let them come to an end."""


def successor(service: Service, worker: Worker, loads: Mapping[WorkerId, int]) -> Succession:
    """What becomes of the connections of ``worker``, which accepts no more.

    They go straight to the serving generation: to the worker of the same slot, or to the one that has the fewest. loads:
    connections by worker. A canary's slots keep what they have until it is known whether it stays. A worker that left its slot
    to a version that goes from slot to slot gives it what it has: it is to end soon.
    """
    generation = service.generations.get(worker.generation)
    if service.stopping or generation is None or not generation.policy.migrates:
        return "drain"
    if worker.state not in RETIRING or (
        worker.generation == service.serving and worker.state is not WorkerState.LEAVING
    ):
        return "wait"
    heir_id = heir(service, worker)
    targets = [
        each
        for each in service.workers.values()
        if each.state is WorkerState.ACCEPTING and each.generation == heir_id and each.id != worker.id
    ]
    takes_over = service.generations.get(heir_id) if heir_id is not None else None
    if takes_over is None or not takes_over.policy.migrates:
        return "drain"
    if not targets:
        return "wait"
    return min(targets, key=lambda each: (each.slot != worker.slot, loads.get(each.id, 0), each.slot)).id


def heir(service: Service, worker: Worker) -> GenerationId | None:
    """The generation that the connections of ``worker`` go to."""
    taking = taking_slots(service)
    is_taken = taking is not None and worker.generation == service.serving and worker.slot < taking.slots
    return taking.generation if taking and is_taken else service.serving


def taking_slots(service: Service) -> Update | None:
    """The update whose generation takes one slot after the other now."""
    update = service.baking
    if update is None or not 0 < update.slots < ALL_SLOTS:
        return None
    return update if service.generations[update.generation].goes_by_slot else None
