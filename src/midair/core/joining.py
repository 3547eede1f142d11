"""A worker's way to its slot: started, asked for its health, and then in its place, or in its predecessor's."""

from __future__ import annotations

from midair.core import bake, candidate, carrying, workers
from midair.core.effects import ProbeWorker
from midair.core.policy import PROBE_AGAIN_S, PROBE_FAILURES
from midair.core.state import Role, Worker, WorkerState
from midair.core.turn import Turn
from midair.errors import Fault


def started(turn: Turn, worker: Worker) -> None:
    """A worker's application has started. A candidate's must also be healthy; a replacement is needed now."""
    generation = turn.generation(worker.generation)
    is_new = generation.role is Role.CANDIDATE or is_to_take_a_slot(turn, worker)
    if is_new and generation.policy.has_health and generation.has_health_route:
        worker.state = WorkerState.PROBING
        turn.do(ProbeWorker(worker.id, warm=True))
        return
    turn.forget(f"start:{worker.id}")
    if generation.role is Role.CANDIDATE:
        _is_able(turn, worker)
    elif generation.role is Role.SERVING:
        worker.state = WorkerState.READY
        take_over_if_due(turn, worker)
    else:
        worker.state = WorkerState.READY
        workers.leave(turn, worker, 0.0)


def probed(turn: Turn, worker: Worker, verdict: str, detail: str) -> None:
    generation = turn.generation(worker.generation)
    if verdict == "no-route" and generation.has_health_route:
        generation.has_health_route = False
        turn.note("no_health_route", generation=generation.id, answer=detail)
    if worker.state is WorkerState.PROBING:
        if verdict == "unhealthy":
            worker.last_words = Fault("not-ready", f"health probe: {detail}")
            turn.wake(f"probe:{worker.id}", PROBE_AGAIN_S)
        else:
            worker.last_words = None
            _is_able(turn, worker)
    elif _bakes(turn, worker) and verdict != "no-route":
        worker.failed_probes = worker.failed_probes + 1 if verdict == "unhealthy" else 0
        if worker.failed_probes >= PROBE_FAILURES:
            why = f"worker {worker.id} failed {PROBE_FAILURES} health probes in a row: {detail}"
            bake.roll_back(turn, Fault("bake-unhealthy", why), is_automatic=True)


def _is_able(turn: Turn, worker: Worker) -> None:
    """A new version's worker could serve; if its slot has state, it must be able to take that, too."""
    if not carrying.is_tried(turn, worker):
        able(turn, worker)


def able(turn: Turn, worker: Worker) -> None:
    """Nothing is left that a new version's worker has to show."""
    worker.state = WorkerState.READY
    turn.forget(f"start:{worker.id}")
    candidate.become_ready(turn)


def _bakes(turn: Turn, worker: Worker) -> bool:
    update = turn.service.baking
    return update is not None and update.generation == worker.generation and worker.state is WorkerState.ACCEPTING


def take_over_if_due(turn: Turn, worker: Worker) -> None:
    """A replacement has to wait while slots are switched, and during a canary for a slot that is the other generation's."""
    if worker.state is not WorkerState.READY or turn.service.switch or not _is_its_slot(turn, worker):
        return
    if not carrying.is_relieving(turn, worker):
        take_over(turn, worker)


def _is_its_slot(turn: Turn, worker: Worker) -> bool:
    update = turn.in_part()
    if update and update.generation == worker.generation:
        return worker.slot < update.slots
    return worker.slot >= (update.slots if update else 0) and worker.generation == turn.service.serving


def is_to_take_a_slot(turn: Turn, worker: Worker) -> bool:
    """Whether it is to take an old worker's slot on the way from slot to slot. It must be as well as a candidate's, and its
    failure is the new version's."""
    update = turn.from_slot_to_slot()
    return update is not None and update.generation == worker.generation and worker.slot >= update.slots


def take_over(turn: Turn, worker: Worker) -> None:
    """A replacement begins; whom it replaces goes."""
    workers.accept(turn, worker)
    for old in turn.staying(worker.generation):
        if old.successor == worker.id:
            turn.note("worker_replaced", generation=old.generation, slot=old.slot, worker=old.id, by=worker.id)
            if old.hangs:
                if old.carries:
                    turn.note("state_lost", worker=old.id, error="its event loop stands still")
                workers.kill(turn, old)
            else:
                workers.leave(turn, old, turn.generation(old.generation).policy.drain_s)
