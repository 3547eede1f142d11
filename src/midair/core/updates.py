"""An update, from the request to its end.

    build ─ start ─ ready ─┬─────────── cut-over ─ bake ─ commit
                           └─ canary ──────┘
    refuse: any failure up to the cut-over; the serving generation never noticed
    roll_back: any failure after the first accept of a new worker; the parked generation accepts again

At most two updates are alive: one that bakes (``service.baking``) and a newer one on its way (``service.candidate``).
Slots change hands in a *switch* (``service.switch``), the only time during which a request has to wait.
"""

from __future__ import annotations

from dataclasses import replace

from midair.core import backoff, bake, workers
from midair.core.effects import (
    Answer,
    Closed,
    CountAnswers,
    Entered,
    Opened,
    Phase,
    Prepare,
    ProbeWorker,
    Result,
    RunHook,
    Verify,
)
from midair.core.events import AnswersCounted, Prepared, UpdateAsked
from midair.core.ids import GenerationId, RequestId, UpdateId
from midair.core.policy import PROBE_AGAIN_S, PROBE_FAILURES, SWITCH_ACK_S
from midair.core.state import (
    QUARANTINE_MAX,
    Generation,
    Role,
    Switch,
    Update,
    Worker,
    WorkerState,
    ZygoteState,
)
from midair.core.turn import Turn
from midair.errors import Fault

ALL_SLOTS = 1 << 30
SURVEYS_MAX = 3
"""How often a candidate is begun again because its files changed while they were imported."""
NO_REQUEST = RequestId(0)
RETRY_CODES = frozenset({"startup-failed", "worker-exited", "not-ready", "zygote-exited"})
"""What a first start tries again: the world may not be ready yet. An import error will not mend itself."""


# --- build --------------------------------------------------------------------------------------------------------


def ask(turn: Turn, asked: UpdateAsked) -> None:
    """A request for an update: begin it, queue it, or say why not."""
    service = turn.service
    if service.stopping:
        turn.do(Answer(asked.request, Fault("stopping", "the service is stopping")))
    elif service.hold and not asked.force and service.hold.by != asked.by:
        hold = service.hold
        turn.do(
            Answer(
                asked.request,
                Fault("held", f"updates are held by {hold.by}: {hold.reason}", "midair hold --release, or --force"),
            )
        )
    else:
        if service.queued:
            turn.do(Answer(service.queued.request, Fault("superseded", "a newer request took its place")))
            service.queued = None
        if service.switch and not asked.now:
            service.queued = asked
        else:
            begin(turn, asked)


def begin(turn: Turn, asked: UpdateAsked) -> None:
    _supersede(turn, f"superseded by a newer request ({asked.by})")
    _survey(turn, _open(turn, asked))


def begin_rollback(turn: Turn, asked: UpdateAsked, target: Generation) -> None:
    """Go back after the commit: an update like any other, from the kept zygote or from files that are still the same."""
    _supersede(turn, f"superseded by a rollback ({asked.by})")
    update = _open(turn, asked)
    update.rollback_to, update.pinned = target.id, target.fingerprint
    generation = turn.generation(update.generation)
    if target.zygote is not None and turn.service.zygotes.get(target.zygote) is ZygoteState.READY:
        generation.zygote = target.zygote
        _adopt(turn, generation, Prepared(generation.id, target.version, target.fingerprint, target.policy))
        update.is_verified = True
        _enter(turn, update, "start")
        _start_workers(turn, generation)
    else:
        _survey(turn, update)


def _supersede(turn: Turn, why: str) -> None:
    """A newer request takes the place of a candidate that nobody has met yet, also while its slots are being switched."""
    if is_switching_over(turn):
        abort_switch(turn, Fault("superseded", why), "superseded")
    elif turn.service.candidate:
        refuse(turn, Fault("superseded", why), "superseded")


def _survey(turn: Turn, update: Update) -> None:
    """Look at what is on disk; a rollback accepts nothing but the version that it goes back to."""
    turn.do(Prepare(update.generation, update.asked.reread, update.pinned))


def _open(turn: Turn, asked: UpdateAsked) -> Update:
    service = turn.service
    service.last_update += 1
    update = Update(
        UpdateId(service.last_update),
        _new_generation(turn).id,
        asked,
        "build",
        turn.now_s,
        service.serving,
        is_first=service.serving is None,
    )
    service.candidate = update
    turn.do(Opened(update.id, update.generation, asked.request, asked.by, asked.reason, service.serving))
    _enter(turn, update, "build")
    return update


def _new_generation(turn: Turn) -> Generation:
    service = turn.service
    service.last_generation += 1
    generation = Generation(GenerationId(service.last_generation), Role.CANDIDATE, service.policy)
    service.generations[generation.id] = generation
    return generation


def _enter(turn: Turn, update: Update, phase: Phase) -> None:
    update.phase = phase
    turn.do(Entered(update.id, update.generation, phase, turn.generation(update.generation).version))


def _adopt(turn: Turn, generation: Generation, prepared: Prepared) -> None:
    generation.version, generation.fingerprint = prepared.version, prepared.fingerprint
    generation.policy = prepared.policy
    generation.spawns = not prepared.policy.forks


def prepared(turn: Turn, event: Prepared) -> None:
    """The survey is there: may this version start at all?"""
    update, service = _candidate(turn, event.generation), turn.service
    if update is None or update.phase != "build":
        return
    generation = turn.generation(update.generation)
    if update.rollback_to:
        target = service.generations.get(update.rollback_to)
        event = replace(event, version=target.version) if target else event
    _adopt(turn, generation, event)
    why = service.quarantine.get(event.fingerprint)
    expect = update.asked.expect
    if why and not update.asked.force and not update.rollback_to:
        hint = "mend it, or insist with midair reload --force"
        refuse(turn, Fault("quarantined", f"version {event.version} was rolled back: {why}", hint))
    elif expect and expect != event.version:
        refuse(turn, Fault("unexpected-version", f"on disk is version {event.version}, expected was {expect}"))
    elif generation.policy.has_before:
        turn.do(RunHook(generation.id, "before"))
    else:
        start(turn, update)


def before_hook_ended(turn: Turn, generation: GenerationId, fault: Fault | None) -> None:
    update = _candidate(turn, generation)
    if update is None or update.phase != "build":
        return
    if fault:
        refuse(turn, fault)
    else:
        start(turn, update)


# --- start and ready ----------------------------------------------------------------------------------------------


def start(turn: Turn, update: Update) -> None:
    _enter(turn, update, "start")
    generation = turn.generation(update.generation)
    limit_s = generation.policy.ready_s
    if update.is_first:
        limit_s = max(limit_s, update.began_s + generation.policy.start_s - turn.now_s)
    turn.wake(f"ready:{generation.id}", limit_s)
    if generation.spawns:
        _start_workers(turn, generation)
    else:
        workers.start_zygote(turn, generation)


def zygote_imported(turn: Turn, update: Update, unsafe: tuple[str, ...]) -> None:
    """The code is in. Fork from it, or, where that is not safe, let every worker import by itself."""
    generation = turn.generation(update.generation)
    if unsafe and generation.policy.must_fork:
        what = "; ".join(unsafe)
        hint = 'open it in the start-up of the application, or set zygote = "auto"'
        refuse(turn, Fault("fork-unsafe", f"not safe to fork: {what}", hint))
        return
    if unsafe:
        generation.spawns, generation.why_spawns, generation.zygote = True, unsafe, None
        workers.drop_zygotes(turn)
        turn.note("fork_unsafe", generation=generation.id, why="; ".join(unsafe))
    else:
        turn.do(Verify(generation.id))
    _start_workers(turn, generation)


def _start_workers(turn: Turn, generation: Generation) -> None:
    name = f"ready:{generation.id}"
    if not turn.has_timer(name):
        turn.wake(name, generation.policy.ready_s)
    for slot in range(generation.policy.workers):
        workers.start(turn, generation, slot)


def started(turn: Turn, worker: Worker) -> None:
    """A worker's application has started. A candidate's must also be healthy; a replacement is needed now."""
    generation = turn.generation(worker.generation)
    turn.forget(f"start:{worker.id}")
    if generation.role is Role.CANDIDATE and generation.policy.has_health and generation.has_health_route:
        worker.state = WorkerState.PROBING
        turn.do(ProbeWorker(worker.id, warm=True))
    elif generation.role is Role.CANDIDATE:
        worker.state = WorkerState.READY
        become_ready(turn)
    elif generation.role is Role.SERVING:
        worker.state = WorkerState.READY
        _take_over_if_due(turn, worker)
    else:
        worker.state = WorkerState.READY
        workers.leave(turn, worker, 0.0)


def _take_over_if_due(turn: Turn, worker: Worker) -> None:
    """A replacement has to wait while slots are switched, and during a canary for a slot that is the other generation's."""
    service = turn.service
    if service.switch or worker.state is not WorkerState.READY:
        return
    slots = _canary_slots(turn)
    is_canary = service.baking is not None and service.baking.generation == worker.generation
    if (
        (worker.slot < slots)
        if slots and is_canary
        else (worker.slot >= slots and worker.generation == service.serving)
    ):
        take_over(turn, worker)


def _canary_slots(turn: Turn) -> int:
    """The slots below this number are the canary's now."""
    update = turn.service.baking
    return turn.generation(update.generation).policy.canary_workers if update and update.phase == "canary" else 0


def take_over(turn: Turn, worker: Worker) -> None:
    """A replacement begins; whom it replaces goes."""
    workers.accept(turn, worker)
    for old in turn.staying(worker.generation):
        if old.successor == worker.id:
            turn.note("worker_replaced", generation=old.generation, slot=old.slot, worker=old.id, by=worker.id)
            if old.hangs:
                workers.kill(turn, old)
            else:
                workers.leave(turn, old, turn.generation(old.generation).policy.drain_s)


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
            worker.state = WorkerState.READY
            become_ready(turn)
    elif _bakes(turn, worker) and verdict != "no-route":
        worker.failed_probes = worker.failed_probes + 1 if verdict == "unhealthy" else 0
        if worker.failed_probes >= PROBE_FAILURES:
            why = f"worker {worker.id} failed {PROBE_FAILURES} health probes in a row: {detail}"
            roll_back(turn, Fault("bake-unhealthy", why), is_automatic=True)


def verified(turn: Turn, generation: GenerationId, fingerprint: str) -> None:
    """The files after the import. If they are not what was surveyed, nobody knows what was imported: begin again."""
    update = _candidate(turn, generation)
    if update is None:
        return
    if fingerprint == turn.generation(generation).fingerprint:
        update.is_verified = True
        become_ready(turn)
    elif update.surveys >= SURVEYS_MAX:
        hint = "reload again when the deployment has finished, or deploy into release folders"
        refuse(turn, Fault("files-changing", "the files changed each time they were imported", hint))
    else:
        turn.note("files_changed_during_import", generation=generation)
        _begin_anew(turn, update)
        update.surveys += 1
        _survey(turn, update)


def _begin_anew(turn: Turn, update: Update) -> None:
    """The same update with another generation: nothing of what was found out about the first one counts."""
    _discard(turn, turn.generation(update.generation))
    update.generation = _new_generation(turn).id
    update.is_verified = False
    _enter(turn, update, "build")


def become_ready(turn: Turn) -> None:
    """Cut over once every slot of the candidate is ready and the files are known to be those that were imported."""
    update, service = turn.service.candidate, turn.service
    if update is None or update.phase != "start" or service.switch:
        return
    generation = turn.generation(update.generation)
    ready = {w.slot for w in turn.workers_of(generation.id) if w.state is WorkerState.READY}
    if not ready.issuperset(range(generation.policy.workers)):
        return
    if not update.is_verified:
        if generation.spawns:
            turn.do(Verify(generation.id))
        return
    turn.forget(f"ready:{generation.id}")
    _enter(turn, update, "ready")
    canary = generation.policy.canary_workers
    has_both = canary < generation.policy.workers and any(w.slot >= canary for w in turn.accepting())
    is_canary = bool(canary) and has_both
    begin_switch(turn, generation, canary if is_canary else ALL_SLOTS)


# --- the switch ---------------------------------------------------------------------------------------------------


def begin_switch(
    turn: Turn,
    target: Generation,
    slots: int,
    *,
    is_back: bool = False,
    fault: Fault | None = None,
    is_automatic: bool = False,
) -> None:
    """Tell everybody else to stop accepting. The listen queue keeps the new connections meanwhile."""
    service = turn.service
    switch = Switch(target.id, set(), slots, is_back, fault, is_automatic)
    service.switch = switch
    if update := _candidate(turn, target.id):
        _enter(turn, update, "cut-over" if slots == ALL_SLOTS else "canary")
    for worker in turn.accepting():
        if worker.generation == target.id or worker.slot >= slots:
            continue
        generation = turn.generation(worker.generation)
        if generation.policy.parks:
            workers.stop_accepting(turn, worker)
            switch.waiting.add(worker.id)
            switch.stopped.add(worker.id)
        else:
            # A command child cannot stop and start again: its cut-over is the order to finish (RULES 4).
            workers.leave(turn, worker, generation.policy.drain_s)
    if switch.waiting:
        turn.wake("switch", SWITCH_ACK_S)
    else:
        finish_switch(turn)


def acknowledged(turn: Turn, worker: Worker) -> None:
    if worker.state is WorkerState.STOPPING:
        worker.state = WorkerState.PARKED
    switch = turn.service.switch
    if switch and worker.id in switch.waiting:
        switch.waiting.discard(worker.id)
        if not switch.waiting:
            finish_switch(turn)


def finish_switch(turn: Turn) -> None:
    """The old slots stopped (or had their time): the new ones begin."""
    service = turn.service
    switch = service.switch
    assert switch is not None
    service.switch = None
    turn.forget("switch")
    for worker in list(service.workers.values()):
        if worker.state is WorkerState.STOPPING:
            worker.state = WorkerState.PARKED  # It did not answer in time; what it accepts now it also serves.
    target = turn.generation(switch.target)
    beginning = [w for w in turn.workers_of(target.id) if w.slot < switch.slots]
    for worker in beginning:
        if worker.state is WorkerState.READY:
            take_over(turn, worker)  # It may be a replacement that became ready meanwhile.
    for worker in beginning:
        if worker.state is WorkerState.PARKED:
            workers.accept(turn, worker)
    if switch.is_back:
        _went_back(turn, target, switch)
    elif switch.slots == ALL_SLOTS:
        _went_over(turn, target, is_doomed=switch.fault is not None)
    else:
        _canary_began(turn, target)
    if not switch.is_back and switch.fault:
        roll_back(turn, switch.fault, is_automatic=switch.is_automatic)
    _after_switch(turn)


def is_switching_over(turn: Turn) -> bool:
    """Slots are on their way to the candidate, and it has not met anybody yet."""
    service = turn.service
    return bool(service.switch and service.candidate and service.switch.target == service.candidate.generation)


def abort_switch(turn: Turn, fault: Fault, result: Result = "refused") -> None:
    """The candidate goes between "stop" and "begin": nobody has met it, so the old slots just begin again."""
    undo_switch(turn)
    refuse(turn, fault, result)
    _after_switch(turn)


def undo_switch(turn: Turn) -> None:
    """Whoever was told to stop begins again."""
    switch, turn.service.switch = turn.service.switch, None
    turn.forget("switch")
    for worker in list(turn.service.workers.values()):
        if switch and worker.id in switch.stopped and worker.state in {WorkerState.STOPPING, WorkerState.PARKED}:
            workers.accept(turn, worker)


def _after_switch(turn: Turn) -> None:
    """What had to wait for the slots: replacements that became ready meanwhile, a queued request, the next candidate."""
    service = turn.service
    if service.switch:
        return
    for worker in list(service.workers.values()):
        if turn.generation(worker.generation).role is Role.SERVING:
            _take_over_if_due(turn, worker)
    queued, service.queued = service.queued, None
    if queued:
        begin(turn, queued)
    become_ready(turn)


def _canary_began(turn: Turn, target: Generation) -> None:
    _leave_candidacy(turn, target)
    target.role = Role.SERVING
    for old in turn.with_role(Role.SERVING):
        if old.id not in {target.id, turn.service.serving}:
            _empty(turn, old)  # An earlier canary: this one takes its place.
    workers.enforce_bound(turn)
    turn.wake("canary", target.policy.canary_s)
    turn.wake("look", target.policy.probe_interval_s)


def canary_ended(turn: Turn) -> None:
    """The canary held: the rest of the slots follow."""
    update = turn.service.baking
    if turn.service.switch:
        turn.wake("canary", SWITCH_ACK_S)
    elif update and update.phase == "canary":
        _enter(turn, update, "cut-over")
        begin_switch(turn, turn.generation(update.generation), ALL_SLOTS)


def _leave_candidacy(turn: Turn, target: Generation) -> None:
    """From the first accept on, failure means rollback: the update moves from ``candidate`` to ``baking``."""
    service = turn.service
    update = _candidate(turn, target.id)
    if update is None:
        return  # It was a canary, and a newer candidate may be on its way already.
    if service.baking:
        age_s = turn.now_s - service.baking.baked_from_s
        _close(turn, service.baking, "superseded", note=f"superseded after {age_s:.1f} s by update {update.id}")
        if service.baking.asked.no_rollback:
            # What the old code could not follow, it cannot follow now either.
            update.asked = replace(update.asked, no_rollback=True)
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
    for old in turn.with_role(Role.SERVING):
        if old.id != target.id:
            _empty(turn, old)
    service.serving, service.policy, service.wanted = target.id, target.policy, target.policy.workers
    target.role = Role.SERVING
    workers.enforce_bound(turn)
    if update.is_first or (not target.policy.bake_s and not is_doomed):
        commit(turn)
        return
    workers.fill(turn, target)
    _enter(turn, update, "bake")
    turn.wake("bake", target.policy.bake_s)
    turn.wake("look", target.policy.probe_interval_s)


def _empty(turn: Turn, old: Generation) -> None:
    """It accepts no more. The newest committed one stays for a rollback, any other goes."""
    old.drain_until_s = turn.now_s + old.policy.drain_s
    if old.id == turn.service.committed and old.policy.parks:
        old.role = Role.PARKED
    else:
        workers.retire(turn, old, old.policy.drain_s)


# --- bake and commit ----------------------------------------------------------------------------------------------


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
    why = bake.error_verdict(event.responses, event.errors, event.before_rate, limit)
    if why:
        roll_back(turn, Fault("bake-errors", why), is_automatic=True)


def commit(turn: Turn) -> None:
    """The new version stays. The old one's workers end when they are empty; its zygote is kept for a rollback."""
    service = turn.service
    update = service.baking
    if update is None:
        return
    if service.switch:
        turn.wake("bake", SWITCH_ACK_S)  # Slots are being switched away from it, or back if that fails.
        return
    generation = turn.generation(update.generation)
    for timer in ("bake", "look", "canary"):
        turn.forget(timer)
    generation.is_committed = True
    stale, service.previous, service.committed = service.previous, service.committed, generation.id
    if service.previous == generation.id:
        service.previous = None
    service.quarantine.pop(generation.fingerprint, None)
    service.rollback_barred = ""
    if update.asked.no_rollback:
        service.rollback_barred = f"version {generation.version} was released with --no-rollback"
    _enter(turn, update, "commit")
    _close(turn, update, "committed")
    service.baking = None
    for old in turn.with_role(Role.PARKED):
        workers.retire(turn, old, max(0.0, old.drain_until_s - turn.now_s))
    if stale is not None and stale in service.generations and service.generations[stale].role is Role.GONE:
        del service.generations[stale]
    workers.drop_zygotes(turn)
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


def warm_ended(turn: Turn) -> None:
    """Nobody went back in time: the kept zygote goes."""
    service = turn.service
    if service.previous is not None:
        old = service.generations.get(service.previous)
        service.previous = None
        if old and old.role is Role.GONE:
            del service.generations[old.id]
        workers.drop_zygotes(turn)


# --- the ways back ------------------------------------------------------------------------------------------------


def refuse(turn: Turn, fault: Fault, result: Result = "refused") -> None:
    """Give the candidate up. Nobody has met it."""
    update, service = turn.service.candidate, turn.service
    if update is None:
        return
    generation = turn.generation(update.generation)
    if update.is_first and result == "refused" and _may_retry(turn, update, fault):
        wait_s = backoff.delay_s(update.attempt + 1, 1)
        turn.note("start_failed", error=fault.message, again_in_s=wait_s, attempt=update.attempt)
        _begin_anew(turn, update)
        update.attempt += 1
        turn.wake("retry", wait_s)
        return
    version = generation.version
    service.candidate = None
    turn.forget("retry")
    _close(turn, update, result, fault, version=version)
    _discard(turn, generation)
    if result == "refused":
        _check_left(turn, fault)


def _may_retry(turn: Turn, update: Update, fault: Fault) -> bool:
    limit_s = turn.generation(update.generation).policy.start_s
    return fault.code in RETRY_CODES and turn.now_s - update.began_s < limit_s


def retry(turn: Turn) -> None:
    update = turn.service.candidate
    if update and update.phase == "build":
        _survey(turn, update)


def _discard(turn: Turn, generation: Generation) -> None:
    turn.forget(f"ready:{generation.id}")
    generation.zygote = None
    workers.retire(turn, generation, 0.0)
    workers.drop_zygotes(turn)


def _check_left(turn: Turn, fault: Fault) -> None:
    """A first start that was refused leaves nothing to supervise."""
    service = turn.service
    if service.serving is None and not service.stopping:
        from midair.core import stopping

        stopping.stop_failed(turn, fault)


def start_from_disk(turn: Turn) -> None:
    """When no worker of the serving version is left and its files are gone, what is on disk is better than nothing: it
    starts as an update of its own, again and again with growing waits. Looked at after every event."""
    service = turn.service
    if service.serving is None or service.candidate or service.stopping or turn.has_timer("disk"):
        return
    serving = turn.generation(service.serving)
    if not serving.runs_short or turn.staying(serving.id):
        return
    tries_s = backoff.recent(serving.from_disk_s, turn.now_s)
    if tries_s and turn.now_s < (again_s := tries_s[-1] + backoff.delay_s(len(tries_s) + 1, 1)):
        turn.wake("disk", again_s - turn.now_s)
        return
    serving.from_disk_s = [*tries_s, turn.now_s]
    why = f"no worker of version {serving.version} is left and its files are gone"
    begin(turn, UpdateAsked(NO_REQUEST, "midair", why, force=True))


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
        workers.fill(turn, turn.generation(update.generation))
        return
    begin_switch(turn, target, ALL_SLOTS, is_back=True, fault=fault, is_automatic=is_automatic)


def way_back(turn: Turn) -> Generation | None:
    """The committed generation, if it can begin again: a command's has left, and one that is gone from the disk may have
    no worker left, which would be worse than a bad version."""
    service = turn.service
    target = service.generations.get(service.committed) if service.committed is not None else None
    if target is None or target.role not in {Role.PARKED, Role.SERVING}:
        return None
    return target if turn.staying(target.id) or not target.runs_short else None


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
    target.deaths_s.clear()
    _close(turn, update, "rolled-back", fault)
    for other in turn.with_role(Role.SERVING):
        if other.id != target.id:  # The bad one, and whom it was the canary beside if that was never committed.
            workers.retire(turn, other, other.policy.drain_s)
    workers.enforce_bound(turn)
    workers.fill(turn, target)


def _close(
    turn: Turn, update: Update, result: Result, fault: Fault | None = None, note: str = "", version: str = ""
) -> None:
    version = version or turn.generation(update.generation).version
    turn.do(Closed(update.id, update.generation, result, version, turn.service.serving, fault, note))


def _candidate(turn: Turn, generation: GenerationId) -> Update | None:
    update = turn.service.candidate
    return update if update and update.generation == generation else None


def _bakes(turn: Turn, worker: Worker) -> bool:
    update = turn.service.baking
    return update is not None and update.generation == worker.generation and worker.state is WorkerState.ACCEPTING
