"""The new version serves and is watched until it is committed or rolled back: deaths, health, and the share of errors."""

from __future__ import annotations

from midair.core import carrying, cutover, workers
from midair.core.effects import CountAnswers, ProbeWorker, RunHook
from midair.core.events import AnswersCounted
from midair.core.ids import GenerationId
from midair.core.policy import SWITCH_ACK_S
from midair.core.state import ALL_SLOTS, COMING, Generation, Role, WorkerState
from midair.core.turn import Turn
from midair.errors import Fault

ENOUGH_RESPONSES = 20
"""Fewer answers than this say nothing."""
HEALTHY_BEFORE = 0.05
"""A predecessor that failed more often than this is no measure: a database that is down is not the new version's fault."""


def look(turn: Turn) -> None:
    """Once a second while a new version bakes: probe it and count its answers."""
    update = turn.service.baking
    if update is None:
        return
    generation = turn.generation(update.generation)
    if generation.policy.has_health and generation.has_health_route:
        for worker in turn.workers_of(generation.id):
            if worker.state is WorkerState.ACCEPTING:
                turn.do(ProbeWorker(worker.id))
    turn.do(CountAnswers(generation.id))
    turn.wake("look", generation.policy.probe_interval_s)


def counted(turn: Turn, event: AnswersCounted) -> None:
    update = turn.service.baking
    if update is None or update.generation != event.generation:
        return
    limit = turn.generation(event.generation).policy.bake_error_rate
    why = error_verdict(event.responses, event.errors, event.before_rate, limit)
    if why:
        roll_back(turn, Fault("bake-errors", why), is_automatic=True)


def error_verdict(responses: int, errors: int, before_rate: float, limit: float) -> str:
    """Why this generation should go, or nothing.

    responses, errors: since it accepts; errors are 5xx answers and application exceptions. before_rate: the predecessor's
    share of errors in its last minute, 0..1. limit: the share that rolls back, 0 is off. Pure.
    """
    if not limit or responses < ENOUGH_RESPONSES or before_rate >= HEALTHY_BEFORE or errors < limit * responses:
        return ""
    return f"{errors} of its first {responses} answers were errors (before: {before_rate:.0%})"


# --- it stays -----------------------------------------------------------------------------------------------------


def commit(turn: Turn) -> None:
    """The new version stays. The old one's workers end when they are empty; its zygote is kept for a rollback."""
    service = turn.service
    update = service.baking
    if update is None:
        return
    if service.switch or carrying.is_busy(turn):
        turn.wake("bake", SWITCH_ACK_S)  # Slots are being switched away from it, or back if that fails.
        return
    generation = turn.generation(update.generation)
    for timer in ("bake", "look", "canary"):
        turn.forget(timer)
    generation.is_committed, generation.goes_by_slot = True, False
    stale, service.previous, service.committed = service.previous, service.committed, generation.id
    if service.previous == generation.id or generation.policy.keep == "none":
        stale, service.previous = service.previous, None
    service.quarantine.pop(generation.fingerprint, None)
    if not update.is_first:
        service.before = None
    service.rollback_barred = ""
    if update.asked.no_rollback:
        service.rollback_barred = f"version {generation.version} was released with --no-rollback"
    turn.enter(update, "commit")
    turn.close(update, "committed")
    service.baking = None
    for old in turn.with_role(Role.PARKED):
        if old.id != service.previous or generation.policy.keep != "workers":
            workers.retire(turn, old, max(0.0, old.drain_until_s - turn.now_s))
            continue
        for worker in turn.staying(old.id):
            if worker.state in COMING:  # A replacement that was on its way when its generation was parked.
                workers.leave(turn, worker, 0.0)
    _forget_if_gone(turn, stale)
    workers.enforce_bound(turn)
    if service.previous is not None:
        turn.wake("warm", generation.policy.warm_s)
    if generation.policy.has_after:
        turn.do(RunHook(generation.id, "after"))
    contract(turn)
    workers.fill(turn, generation)


def contract(turn: Turn) -> None:
    """After the commit and the old version's last connection, what only the old version needed may be taken away."""
    service = turn.service
    if service.committed is None or service.baking or service.committed != service.serving:
        return
    serving = turn.generation(service.committed)
    if not serving.policy.has_contract or service.contracted == serving.id or service.stopping:
        return
    if any(turn.with_role(Role.RETIRING, Role.PARKED)):
        return
    service.contracted = serving.id
    service.rollback_barred = f"the contract hook of version {serving.version} has run"
    turn.do(RunHook(serving.id, "contract"))


def let_go(turn: Turn) -> None:
    """What is kept of the version before goes: nobody went back in time, or its memory is needed."""
    service = turn.service
    kept, service.previous = service.previous, None
    turn.forget("warm")
    old = service.generations.get(kept) if kept is not None else None
    if old and old.role is Role.PARKED:
        workers.retire(turn, old, max(0.0, old.drain_until_s - turn.now_s))
    _forget_if_gone(turn, kept)
    workers.enforce_bound(turn)
    workers.drop_zygotes(turn)


def make_room(turn: Turn) -> None:
    """Memory is short: no version before is worth an update that is refused, or a worker that is killed."""
    if turn.service.previous is not None:
        turn.note("kept_given_up", generation=turn.service.previous)
        let_go(turn)


def _forget_if_gone(turn: Turn, generation: GenerationId | None) -> None:
    """It was still known only because somebody might have gone back to it."""
    generations = turn.service.generations
    if generation is not None and generation in generations and generations[generation].role is Role.GONE:
        del generations[generation]


# --- it goes ------------------------------------------------------------------------------------------------------


def roll_back(turn: Turn, fault: Fault, *, is_automatic: bool) -> None:
    """Let the parked generation accept again and the new one go."""
    service = turn.service
    update = service.baking
    if update is None:
        return
    if service.switch:
        # A switch to another generation takes this one away anyhow; one to this very generation is undone at its end.
        if service.switch.target == update.generation:
            service.switch.fault, service.switch.is_automatic = fault, is_automatic
        return
    target = way_back(turn)
    if target is None or update.asked.no_rollback:
        turn.note("rollback_impossible", generation=update.generation, why=fault.message)
        return
    cutover.begin(turn, target, ALL_SLOTS, is_back=True, fault=fault, is_automatic=is_automatic)


def way_back(turn: Turn) -> Generation | None:
    """The committed generation, if it can begin again: a command's has left, and one that is gone from the disk may have
    no worker left, which would be worse than a bad version."""
    service = turn.service
    target = service.generations.get(service.committed) if service.committed is not None else None
    if target is None or target.role not in {Role.PARKED, Role.SERVING}:
        return None
    return target if turn.staying(target.id) or not target.runs_short else None
