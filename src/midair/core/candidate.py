"""A version on its way, from the request to the moment when it could serve. Nobody has met it yet: any failure refuses it, and the
serving generation never noticed.

    build ─ start ─ ready ─ (``cutover.py``)
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from midair.core import backoff, bake, carrying, cutover, joining, stopping, surge, workers
from midair.core.effects import Opened, Prepare, Result, RunHook, Verify
from midair.core.events import Prepared, UpdateAsked, ZygoteReady
from midair.core.ids import STAND_IN, GenerationId, RequestId, UpdateId
from midair.core.state import Before, Generation, Role, Update, WorkerState, ZygoteState
from midair.core.turn import Turn
from midair.errors import Fault

SURVEYS_MAX = 3
"""How often a candidate is begun again because its files changed while they were imported."""
NO_REQUEST = RequestId(0)
RETRY_CODES = frozenset({"startup-failed", "worker-exited", "not-ready", "zygote-exited"})
"""What a first start tries again: the world may not be ready yet. An import error will not mend itself."""


# --- build --------------------------------------------------------------------------------------------------------


def begin(turn: Turn, asked: UpdateAsked) -> None:
    _supersede(turn, f"superseded by a newer request ({asked.by})")
    _survey(turn, _open(turn, asked, _new_generation(turn)))


def begin_rollback(turn: Turn, asked: UpdateAsked, target: Generation) -> None:
    """Go back after the commit: an update like any other, from the kept zygote or from files that are still the same."""
    _supersede(turn, f"superseded by a rollback ({asked.by})")
    has_zygote = target.zygote is not None and turn.service.zygotes.get(target.zygote) is ZygoteState.READY
    if _is_kept(turn, target, is_whole=has_zygote):
        _begin_kept(turn, asked, target)
        return
    update = _open(turn, asked, _new_generation(turn))
    update.rollback_to, update.pinned = target.id, target.fingerprint
    generation = turn.generation(update.generation)
    if has_zygote:
        generation.zygote = target.zygote
        _adopt(turn, generation, Prepared(generation.id, target.version, target.fingerprint, target.policy))
        update.is_verified = True
        turn.enter(update, "start")
        _start_workers(turn, generation)
    else:
        _survey(turn, update)


def _is_kept(turn: Turn, target: Generation, *, is_whole: bool) -> bool:
    """Whether its workers were kept: all of them, where others could be forked; else whoever is left is better than nobody."""
    slots = {worker.slot for worker in turn.staying(target.id)}
    return target.role is Role.PARKED and (slots.issuperset(range(target.policy.workers)) if is_whole else bool(slots))


def _begin_kept(turn: Turn, asked: UpdateAsked, target: Generation) -> None:
    """Go back to workers that were kept: they have started long ago, and are only asked for their health."""
    update = _open(turn, asked, target)
    update.from_kept = update.is_verified = True
    target.role = Role.CANDIDATE
    turn.enter(update, "start")
    turn.wake(f"ready:{target.id}", target.policy.ready_s)
    kept = turn.staying(target.id)
    for worker in kept:
        worker.state = WorkerState.PROBING
    for worker in kept:
        joining.started(turn, worker)


def _supersede(turn: Turn, why: str) -> None:
    """A newer request takes the place of a candidate that nobody has met yet, also while its slots are being switched."""
    if cutover.is_under_way(turn):
        cutover.abort(turn, Fault("superseded", why), "superseded")
    elif turn.service.candidate:
        refuse(turn, Fault("superseded", why), "superseded")


def _open(turn: Turn, asked: UpdateAsked, generation: Generation) -> Update:
    service = turn.service
    service.last_update += 1
    update = Update(
        UpdateId(service.last_update),
        generation.id,
        asked,
        "build",
        turn.now_s,
        service.serving,
        is_first=service.serving is None,
    )
    service.candidate = update
    turn.do(
        Opened(
            update.id,
            update.generation,
            asked.request,
            asked.by,
            asked.reason,
            service.serving,
            asked.traceparent,
            asked.tracestate,
        )
    )
    turn.enter(update, "build")
    return update


def _new_generation(turn: Turn) -> Generation:
    service = turn.service
    service.last_generation += 1
    generation = Generation(GenerationId(service.last_generation), Role.CANDIDATE, service.policy)
    service.generations[generation.id] = generation
    return generation


def _survey(turn: Turn, update: Update) -> None:
    """Look at what is on disk; a rollback accepts nothing but the version that it goes back to."""
    turn.do(Prepare(update.generation, update.asked.reread, update.pinned))


def prepared(turn: Turn, event: Prepared) -> None:
    """The survey is there: may this version start at all?"""
    update, service = turn.candidate(event.generation), turn.service
    if update is None or update.phase != "build":
        return
    generation = turn.generation(update.generation)
    if update.rollback_to:
        target = service.generations.get(update.rollback_to)
        event = replace(event, version=target.version) if target else event
    _adopt(turn, generation, event)
    if update.is_first and service.before:
        _follow(turn, generation, service.before)
    if generation.policy.lacks_room and not update.rollback_to:
        bake.make_room(turn)
    why = service.quarantine.get(event.fingerprint)
    expect = update.asked.expect
    if why and not update.asked.force and not update.rollback_to:
        hint = "mend it, or insist with midair reload --force"
        refuse(turn, Fault("quarantined", f"version {event.version} was rolled back: {why}", hint))
    elif expect and expect != event.version:
        hint = f"put the files of {expect} in place, or reload without --expect"
        refuse(turn, Fault("unexpected-version", f"on disk is version {event.version}, expected was {expect}", hint))
    elif generation.goes_by_slot and generation.policy.lacks_room and not _has_way_back(turn, update):
        what = f"{generation.policy.by_slot}; the present ones, once ended, could not be started again: their files are gone"
        hint = 'free memory, or go slot by slot all the same with surge = "slot", or side by side with surge = "all"'
        refuse(turn, Fault("no-memory", what, hint))
    elif generation.policy.has_before and not update.has_run_before:
        turn.do(RunHook(generation.id, "before"))
    else:
        _start(turn, update)


def _has_way_back(turn: Turn, update: Update) -> bool:
    """Whether the workers that have to end before the new ones fit could be started again if the update fails."""
    serving = turn.service.serving
    if serving is None or update.rollback_to:
        return True
    return workers.can_come_back(turn, turn.generation(serving), turn.generation(update.generation).fingerprint)


def _adopt(turn: Turn, generation: Generation, prepared: Prepared) -> None:
    generation.version, generation.fingerprint = prepared.version, prepared.fingerprint
    generation.policy = prepared.policy
    generation.spawns = not prepared.policy.forks
    # A stand-in has one slot, and nobody has to go back to it: it makes room at once.
    generation.goes_by_slot = bool(prepared.policy.by_slot) and turn.service.serving not in {None, STAND_IN}
    if generation.goes_by_slot:
        turn.note("surge_by_slot", generation=generation.id, why=prepared.policy.by_slot)


def _follow(turn: Turn, generation: Generation, before: Before) -> None:
    """A first start after the supervisor was killed. The same code goes on with its history: a crash loop is still one. Other
    code serves because there is nothing else, and nobody has asked for it: that is told."""
    if generation.fingerprint == before.fingerprint:
        generation.deaths_s = list(before.deaths_s)
        generation.zygote_deaths_s, generation.from_disk_s = list(before.zygote_deaths_s), list(before.from_disk_s)
        return
    turn.note(
        "disk_differs",
        generation=generation.id,
        version=generation.version,
        served=before.version,
        rolled_back=turn.service.quarantine.get(generation.fingerprint),
    )


def before_hook_ended(turn: Turn, generation: GenerationId, fault: Fault | None) -> None:
    update = turn.candidate(generation)
    if update is None or update.phase != "build":
        return
    if fault:
        refuse(turn, fault)
    elif update.rollback_to:
        _start(turn, update)
    else:
        # What it has made (a build) belongs to the version: what is there by now is what starts.
        update.has_run_before = True
        _survey(turn, update)


# --- start and ready ----------------------------------------------------------------------------------------------


def _start(turn: Turn, update: Update) -> None:
    turn.enter(update, "start")
    generation = turn.generation(update.generation)
    limit_s = generation.policy.ready_s
    if update.is_first:
        limit_s = max(limit_s, update.began_s + generation.policy.start_s - turn.now_s)
    turn.wake(f"ready:{generation.id}", limit_s)
    if generation.spawns:
        _start_workers(turn, generation)
    else:
        workers.start_zygote(turn, generation)


def zygote_imported(turn: Turn, update: Update, event: ZygoteReady) -> None:
    """The code is in. Fork from it, or, where that is not safe, let every worker import by itself."""
    generation, unsafe = turn.generation(update.generation), event.unsafe
    generation.policy = event.policy or generation.policy
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
    surge.start_some(turn, generation)


def verified(turn: Turn, generation: GenerationId, fingerprint: str) -> None:
    """The files after the import. If they are not what was surveyed, nobody knows what was imported: begin again."""
    update = turn.candidate(generation)
    if update is None:
        return
    update.is_verifying = False
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
    update.is_verified = update.is_verifying = update.has_run_before = False
    turn.enter(update, "build")


def become_ready(turn: Turn) -> None:
    """Cut over once every slot of the candidate that switches first is ready and the files are known to be those that were
    imported. A canary's other slots are ready by then, too; by slot, the others start when there is room."""
    update, service = turn.service.candidate, turn.service
    if update is None or update.phase != "start" or service.switch or carrying.is_busy(turn):
        return
    generation = turn.generation(update.generation)
    slots = surge.next_slots(turn, generation)
    ready = {w.slot for w in turn.workers_of(generation.id) if w.state is WorkerState.READY}
    if not ready.issuperset(_needed(turn, update, slots)):
        return
    if not update.is_verified:
        if generation.spawns and not update.is_verifying:
            update.is_verifying = True
            turn.do(Verify(generation.id))
        return
    turn.forget(f"ready:{generation.id}")
    turn.enter(update, "ready")
    cutover.begin(turn, generation, slots)


def _needed(turn: Turn, update: Update, slots: int) -> Iterable[int]:
    """The slots whose workers must be ready before the first ``slots`` switch."""
    generation = turn.generation(update.generation)
    if update.from_kept:
        return [worker.slot for worker in turn.staying(generation.id)]
    if not generation.goes_by_slot:
        return range(generation.policy.workers)
    first = range(min(slots, generation.policy.workers))
    if workers.room(turn, generation) > 0:
        return first
    # What there is no room for starts when the old ones have left: to wait for it would be to wait for ever.
    missing = workers.missing_slots(turn, generation)
    return [slot for slot in first if slot not in missing] or first


# --- given up -----------------------------------------------------------------------------------------------------


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
    service.candidate = None
    turn.forget("retry")
    turn.close(update, result, fault)
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
    if generation.id == turn.service.previous:
        _keep_on(turn, generation)
        return
    generation.zygote = None
    workers.retire(turn, generation, 0.0)
    workers.drop_zygotes(turn)


def _keep_on(turn: Turn, generation: Generation) -> None:
    """Going back to kept workers was given up: they are kept as before."""
    generation.role = Role.PARKED
    for worker in turn.staying(generation.id):
        turn.forget(f"probe:{worker.id}")
        worker.state, worker.last_words = WorkerState.PARKED, None


def _check_left(turn: Turn, fault: Fault) -> None:
    """A first start that was refused leaves nothing to supervise."""
    service = turn.service
    if service.serving is None and not service.stopping:
        stopping.stop_failed(turn, fault)


# --- from the disk, when nothing else is left ---------------------------------------------------------------------


def start_from_disk(turn: Turn) -> None:
    """When no worker of the serving version is left and its files are gone, what is on disk is better than nothing: it
    starts as an update of its own, again and again with growing waits. Looked at after every event."""
    service = turn.service
    if service.serving is None or service.candidate or service.stopping or turn.has_timer("disk"):
        return
    short = _beyond_help(turn)
    if short is None:
        return
    tries_s = backoff.recent(short.from_disk_s, turn.now_s)
    if tries_s and turn.now_s < (again_s := tries_s[-1] + backoff.delay_s(len(tries_s) + 1, 1)):
        turn.wake("disk", again_s - turn.now_s)
        return
    short.from_disk_s = [*tries_s, turn.now_s]
    what = "cannot take all its slots" if turn.staying(short.id) else "has no worker left"
    why = f"version {short.version} {what}, and its files are gone"
    begin(turn, UpdateAsked(NO_REQUEST, "midair", why, force=True))


def _beyond_help(turn: Turn) -> Generation | None:
    """The generation that cannot go on without other code: no worker is left, or it was to take more slots and must not go back.
    While one takes slot after slot, the one that gives them up needs none."""
    taking, serving = turn.from_slot_to_slot(), turn.service.serving
    assert serving is not None
    generation = turn.generation(taking.generation if taking else serving)
    return generation if generation.runs_short and (taking or not turn.staying(generation.id)) else None
