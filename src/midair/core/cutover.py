"""Slots change hands: the only time during which a request has to wait, in the kernel's listen queue.

    the others are told to stop ─ they have said so, or 50 ms pass ─ (state, ``carrying.py``) ─ the target's workers begin
    before a new worker has begun, giving up costs nothing: whoever was told to stop begins again

The same switch serves a canary (some slots), one slot after the other, the rest or all of them, and the way back.
"""

from __future__ import annotations

from msgspec.structs import replace

from midair.core import bake, candidate, carrying, joining, surge, workers
from midair.core.effects import Phase, Result
from midair.core.ids import WorkerId
from midair.core.pace import UNPACED
from midair.core.policy import SWITCH_ACK_S
from midair.core.state import ALL_SLOTS, QUARANTINE_MAX, Generation, Role, Switch, Worker, WorkerState
from midair.core.turn import Turn
from midair.errors import Fault


def begin(
    turn: Turn,
    target: Generation,
    slots: int,
    *,
    is_back: bool = False,
    fault: Fault | None = None,
    is_automatic: bool = False,
    stopped: frozenset[WorkerId] = frozenset(),
) -> None:
    """Tell everybody else to stop accepting. The listen queue keeps the new connections meanwhile. ``stopped``: who was
    told before."""
    service = turn.service
    carrying.call_off(turn)
    switch = Switch(target.id, set(), slots, is_back, fault, is_automatic, set(stopped))
    service.switch = switch
    update = None if is_back else turn.candidate(target.id) or service.baking
    phase: Phase = "canary" if slots <= target.policy.canary_workers else "cut-over"
    if update and update.phase != phase:
        turn.enter(update, phase)
    for worker in turn.accepting():
        if worker.generation == target.id or worker.slot >= slots:
            continue
        generation = turn.generation(worker.generation)
        if generation.policy.parks:
            workers.stop_accepting(turn, worker, holds=carrying.holds(turn, worker, target))
            switch.waiting.add(worker.id)
            switch.stopped.add(worker.id)
        else:
            # A command child cannot stop and start again: its cut-over is the order to finish (RULES 4).
            workers.leave(turn, worker, generation.policy.drain_s)
    if switch.waiting:
        turn.wake("switch", SWITCH_ACK_S)
    else:
        finish(turn)


def acknowledged(turn: Turn, worker: Worker) -> None:
    if worker.state is WorkerState.STOPPING:
        worker.state = WorkerState.PARKED
    switch = turn.service.switch
    if switch and worker.id in switch.waiting:
        switch.waiting.discard(worker.id)
        if not switch.waiting:
            finish(turn)


def finish(turn: Turn) -> None:
    """The old slots stopped (or had their time): the new ones begin."""
    service = turn.service
    switch = service.switch
    assert switch is not None
    turn.forget("switch")
    if carrying.holds_up(turn, switch):
        return
    service.switch = None
    for worker in list(service.workers.values()):
        if worker.state is WorkerState.STOPPING:
            worker.state = WorkerState.PARKED  # It did not answer in time; what it accepts now it also serves.
    target = turn.generation(switch.target)
    beginning = [w for w in turn.workers_of(target.id) if w.slot < switch.slots]
    for worker in beginning:
        if worker.state is WorkerState.READY and carrying.predecessor(turn, worker) is None:
            joining.take_over(turn, worker)  # It may be a replacement that became ready meanwhile.
    for worker in beginning:
        if worker.state is WorkerState.PARKED:
            workers.accept(turn, worker)
    if switch.is_back:
        _went_back(turn, target, switch)
    elif switch.slots == ALL_SLOTS:
        _went_over(turn, target, is_doomed=switch.fault is not None)
    else:
        _part_began(turn, target, switch.slots)
    if not switch.is_back and switch.fault:
        bake.roll_back(turn, switch.fault, is_automatic=switch.is_automatic)
    _after(turn)


def is_under_way(turn: Turn) -> bool:
    """Slots are on their way to the candidate, and it has not met anybody yet."""
    service = turn.service
    return bool(service.switch and service.candidate and service.switch.target == service.candidate.generation)


def abort(turn: Turn, fault: Fault, result: Result = "refused") -> None:
    """The candidate goes between "stop" and "begin": nobody has met it, so the old slots just begin again."""
    undo(turn)
    candidate.refuse(turn, fault, result)
    _after(turn)


def turn_back(turn: Turn, fault: Fault) -> None:
    """The rest of the slots cannot follow the canary with what they have in memory: all go back. Where no way leads back, the
    new version goes on without."""
    service, switch = turn.service, turn.service.switch
    assert switch is not None
    assert service.baking is not None
    carrying.drop_of_switch(turn)
    target = bake.way_back(turn)
    if target is None or service.baking.asked.no_rollback:
        turn.note("state_lost", generation=switch.target, error=fault.message)
        finish(turn)
        return
    service.switch = None
    stopped = frozenset(switch.stopped)
    begin(turn, target, ALL_SLOTS, is_back=True, fault=fault, is_automatic=True, stopped=stopped)


def undo(turn: Turn) -> None:
    """Whoever was told to stop begins again."""
    carrying.drop_of_switch(turn)
    switch, turn.service.switch = turn.service.switch, None
    turn.forget("switch")
    for worker in list(turn.service.workers.values()):
        if switch and worker.id in switch.stopped and worker.state in {WorkerState.STOPPING, WorkerState.PARKED}:
            workers.accept(turn, worker)


def _after(turn: Turn) -> None:
    """What had to wait for the slots: replacements that became ready meanwhile, a queued request, the next candidate."""
    service = turn.service
    if service.switch:
        return
    for worker in list(service.workers.values()):
        if turn.generation(worker.generation).role is Role.SERVING:
            joining.take_over_if_due(turn, worker)
    carrying.part_later(turn)
    queued, service.queued = service.queued, None
    if queued:
        candidate.begin(turn, queued)
    candidate.become_ready(turn)


# --- what it brings about -----------------------------------------------------------------------------------------


def _part_began(turn: Turn, target: Generation, slots: int) -> None:
    _leave_candidacy(turn, target)
    update = turn.service.baking
    assert update is not None
    update.slots = slots
    target.role = Role.SERVING
    for old in turn.with_role(Role.SERVING):
        if old.id not in {target.id, turn.service.serving}:
            _empty(turn, old)  # An earlier canary: this one takes its place.
    workers.enforce_bound(turn)
    if surge.is_canary(target, slots):
        turn.wake("canary", target.policy.canary_s)
    turn.wake("look", target.policy.probe_interval_s)


def canary_ended(turn: Turn) -> None:
    """The canary held: the rest of the slots follow, all at once or one after the other."""
    update = turn.service.baking
    if turn.service.switch or carrying.is_busy(turn):
        turn.wake("canary", SWITCH_ACK_S)
    elif update and update.phase == "canary":
        generation = turn.generation(update.generation)
        if generation.goes_by_slot:
            turn.enter(update, "cut-over")
        else:
            begin(turn, generation, ALL_SLOTS)


def _leave_candidacy(turn: Turn, target: Generation) -> None:
    """From the first accept on, failure means rollback: the update moves from ``candidate`` to ``baking``."""
    service = turn.service
    update = turn.candidate(target.id)
    if update is None:
        return  # It was a canary, and a newer candidate may be on its way already.
    if service.baking:
        age_s = turn.now_s - service.baking.baked_from_s
        turn.close(service.baking, "superseded", note=f"superseded after {age_s:.1f} s by update {update.id}")
        if service.baking.asked.no_rollback:
            # What the old code could not follow, it cannot follow now either.
            update.asked = replace(update.asked, no_rollback=True)
    target.asked_rate_per_s = UNPACED if update.asked.now else update.asked.drain_rate_per_s
    service.baking, service.candidate = update, None
    update.baked_from_s = turn.now_s
    for timer in ("bake", "look", "canary"):
        turn.forget(timer)


def _went_over(turn: Turn, target: Generation, *, is_doomed: bool) -> None:
    """``is_doomed``: a reason to go back came up meanwhile, so that not even a bake of 0 s may commit it."""
    service = turn.service
    _leave_candidacy(turn, target)
    update = service.baking
    assert update is not None
    update.slots = ALL_SLOTS
    for old in turn.with_role(Role.SERVING):
        if old.id != target.id:
            _empty(turn, old)
    for other in service.generations.values():
        other.goes_by_slot = other.goes_by_slot and other.id == target.id  # Nobody waits for their room any more.
    service.serving, service.policy, service.wanted = target.id, target.policy, target.policy.workers
    target.role = Role.SERVING
    workers.enforce_bound(turn)
    if update.is_first or (not target.policy.bake_s and not is_doomed):
        bake.commit(turn)
        return
    turn.enter(update, "bake")
    workers.fill(turn, target)
    turn.wake("bake", target.policy.bake_s)
    turn.wake("look", target.policy.probe_interval_s)


def _empty(turn: Turn, old: Generation) -> None:
    """It accepts no more. The newest committed one stays for a rollback, any other goes."""
    old.drain_until_s = turn.now_s + old.policy.drain_s
    if old.id == turn.service.committed and old.policy.parks:
        old.role = Role.PARKED
    else:
        workers.retire(turn, old, old.policy.drain_s)


def _went_back(turn: Turn, target: Generation, switch: Switch) -> None:
    service = turn.service
    update = service.baking
    assert update is not None
    fault = switch.fault or Fault("rolled-back", "rolled back")
    bad = turn.generation(update.generation)
    for timer in ("bake", "look", "canary"):
        turn.forget(timer)
    if switch.is_automatic:
        service.quarantine[bad.fingerprint] = fault.message
        while len(service.quarantine) > QUARANTINE_MAX:
            del service.quarantine[next(iter(service.quarantine))]
    service.baking = None
    service.serving, service.policy, service.wanted = target.id, target.policy, target.policy.workers
    target.role = Role.SERVING
    turn.close(update, "rolled-back", fault)
    for other in turn.with_role(Role.SERVING):
        if other.id != target.id:  # The bad one, and whom it was the canary beside if that was never committed.
            workers.retire(turn, other, other.policy.drain_s)
    workers.enforce_bound(turn)
    workers.fill(turn, target)
