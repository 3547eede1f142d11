"""Workers and zygotes, one step at a time: start, accept, stop, leave, kill, replace. Who does it when is decided elsewhere."""

from __future__ import annotations

from midair.core import backoff, carrying
from midair.core.effects import (
    Accept,
    DropZygote,
    GenerationGone,
    Kill,
    Leave,
    StartWorker,
    StartZygote,
    StopAccepting,
)
from midair.core.ids import WorkerId, ZygoteId
from midair.core.policy import HURRY_S, KILL_GRACE_S
from midair.core.state import ALL_SLOTS, Generation, Role, Worker, WorkerState, ZygoteState
from midair.core.turn import Turn

DEATHS_KEPT = 20
"""More deaths than workers by this many, and the wait has long been at its longest."""


def start(turn: Turn, generation: Generation, slot: int) -> Worker:
    service = turn.service
    service.last_worker += 1
    worker = Worker(WorkerId(service.last_worker), generation.id, slot, WorkerState.STARTING, turn.now_s)
    service.workers[worker.id] = worker
    if generation.role is Role.SERVING:  # A candidate's time is limited as a whole.
        turn.wake(f"start:{worker.id}", generation.policy.ready_s)
    zygote = None if generation.spawns else generation.zygote
    turn.do(StartWorker(worker.id, generation.id, slot, zygote, generation.fingerprint))
    return worker


def died(turn: Turn, generation: Generation) -> None:
    """Remember a death for the back-off. As many are kept as the longest wait needs, however many workers there are."""
    recent = backoff.recent(generation.deaths_s, turn.now_s)
    generation.deaths_s = [*recent, turn.now_s][-(turn.wanted(generation) + DEATHS_KEPT) :]


def accept(turn: Turn, worker: Worker) -> None:
    worker.state, worker.state_in = WorkerState.ACCEPTING, None
    turn.do(Accept(worker.id))


def stop_accepting(turn: Turn, worker: Worker, *, holds: bool) -> None:
    worker.state = WorkerState.STOPPING
    turn.do(StopAccepting(worker.id, holds))


def leave(turn: Turn, worker: Worker, within_s: float) -> None:
    """End a worker: politely if it serves or could, at once if its application has not started yet."""
    name = f"kill:{worker.id}"
    due_s = turn.now_s + within_s + turn.generation(worker.generation).policy.exit_s + KILL_GRACE_S
    if worker.state is WorkerState.KILLED or turn.service.timers.get(name, due_s + 1.0) <= due_s:
        return  # It leaves as soon as that already.
    if worker.state is WorkerState.STARTING:
        # It may hang in an import and hears nothing; nobody is connected to it.
        kill(turn, worker)
        return
    if worker.state is WorkerState.ACCEPTING:
        if worker.carries and not turn.service.stopping:
            turn.note("state_lost", worker=worker.id, error="it leaves, and nobody is there to take what it has")
        turn.do(StopAccepting(worker.id))
    worker.state = WorkerState.LEAVING
    turn.do(Leave(worker.id, within_s))
    turn.service.timers[name] = due_s


def kill(turn: Turn, worker: Worker) -> None:
    if worker.state is not WorkerState.KILLED:
        worker.state = WorkerState.KILLED
        turn.forget(f"kill:{worker.id}")
        turn.do(Kill(worker.id))


def remove(turn: Turn, worker: Worker) -> None:
    """Its process is gone."""
    del turn.service.workers[worker.id]
    turn.forget(f"kill:{worker.id}")
    turn.forget(f"probe:{worker.id}")
    turn.forget(f"start:{worker.id}")
    if turn.service.switch:
        turn.service.switch.waiting.discard(worker.id)
    carrying.target_gone(turn, worker)
    for other in turn.service.workers.values():
        if other.successor == worker.id:
            other.successor = None


def retire(turn: Turn, generation: Generation, within_s: float) -> None:
    """All its workers leave; it is gone when they are."""
    generation.role = Role.RETIRING
    for worker in turn.staying(generation.id):
        leave(turn, worker, within_s)
    settle(turn, generation)
    drop_zygotes(turn)


def settle(turn: Turn, generation: Generation) -> None:
    """Close a retiring generation whose last worker and last once-only process have left."""
    if generation.role is not Role.RETIRING or turn.workers_of(generation.id) or generation.companions:
        return
    generation.role = Role.GONE
    turn.do(GenerationGone(generation.id))
    # A command's generation is gone soon after the cut-over, and a rollback after the commit still asks what it was.
    if generation.id not in {turn.service.previous, turn.service.committed}:
        del turn.service.generations[generation.id]


# --- zygotes ------------------------------------------------------------------------------------------------------

ZYGOTE_AGAIN_S = 0.1
"""Before a lost zygote is started again, the first time."""


def start_zygote(turn: Turn, generation: Generation, pinned: str = "") -> None:
    service = turn.service
    service.last_zygote += 1
    generation.zygote = ZygoteId(service.last_zygote)
    service.zygotes[generation.zygote] = ZygoteState.STARTING
    if generation.role is Role.SERVING:  # A candidate's time is limited as a whole.
        turn.wake(f"import:{generation.zygote}", generation.policy.ready_s)
    turn.do(StartZygote(generation.zygote, generation.id, pinned))


def drop_zygotes(turn: Turn) -> None:
    """Drop every zygote that no generation can need any more: neither to replace a worker nor to go back to."""
    service = turn.service
    needed = {
        g.zygote
        for g in service.generations.values()
        if g.role in {Role.CANDIDATE, Role.SERVING, Role.PARKED} or g.id == service.previous
    }
    for zygote in [z for z in service.zygotes if z not in needed]:
        drop_zygote(turn, zygote)


def drop_zygote(turn: Turn, zygote: ZygoteId) -> None:
    del turn.service.zygotes[zygote]
    turn.forget(f"import:{zygote}")
    turn.do(DropZygote(zygote))


def zygote_died(turn: Turn, generation: Generation) -> None:
    """The process that forks is lost: soon another one imports the same files, later and later if it dies each time."""
    generation.zygote_deaths_s = [*backoff.recent(generation.zygote_deaths_s, turn.now_s), turn.now_s][-DEATHS_KEPT:]
    turn.wake(f"zygote:{generation.id}", max(ZYGOTE_AGAIN_S, backoff.delay_s(len(generation.zygote_deaths_s), 1)))


# --- keeping the number -------------------------------------------------------------------------------------------


def fill(turn: Turn, generation: Generation) -> None:
    """Start what is missing of a serving generation, and let go of what is too much."""
    service = turn.service
    if service.stopping or generation.role is not Role.SERVING:
        return
    wanted = turn.wanted(generation)
    let_go(turn, generation)
    missing = missing_slots(turn, generation)
    if not missing or generation.runs_short:
        return
    if not generation.spawns and not _zygote_is_ready(turn, generation):
        return
    deaths = backoff.recent(generation.deaths_s, turn.now_s)
    wait_s = backoff.delay_s(len(deaths), wanted)
    for slot in missing[: room(turn, generation)]:
        name = f"replace:{generation.id}:{slot}"
        if turn.has_timer(name):
            continue
        if wait_s:
            turn.wake(name, wait_s)
            turn.note("worker_held_back", generation=generation.id, slot=slot, wait_s=wait_s, deaths=len(deaths))
        else:
            start(turn, generation, slot)
    if len(deaths) == backoff.CRASH_LOOP:
        turn.note("crash_loop", generation=generation.id, version=generation.version, deaths=len(deaths))


def let_go(turn: Turn, generation: Generation) -> None:
    """What is too much of a serving generation leaves, once it has given away what it carries."""
    wanted = turn.wanted(generation)
    kept = wanted if generation.runs_short else 0  # Nobody will take the place of a missing one, in whatever slot.
    for worker in sorted(turn.staying(generation.id), key=lambda w: w.slot)[kept:]:
        if worker.slot >= wanted and not carrying.is_parting(turn, worker):
            leave(turn, worker, generation.policy.drain_s)


def missing_slots(turn: Turn, generation: Generation) -> list[int]:
    covered = {worker.slot for worker in turn.staying(generation.id)}
    return [slot for slot in turn.slots(generation) if slot not in covered]


def room(turn: Turn, generation: Generation) -> int:
    """How many more workers of it may start now.

    Where a version goes by slot, memory holds one worker more than there are slots: it and the one that serves, those that are
    leaving included, wait for each other's ends, on the way there and on the way back.
    """
    service = turn.service
    others = [g for g in service.generations.values() if g.goes_by_slot or g.id == service.serving]
    if not any(g.goes_by_slot for g in others) or (generation.id != service.serving and not generation.goes_by_slot):
        return ALL_SLOTS
    most = max(turn.wanted(g) for g in others) + 1
    return max(0, most - sum(len(turn.workers_of(g.id)) for g in others))


def can_come_back(turn: Turn, generation: Generation, fingerprint_on_disk: str) -> bool:
    """Whether a worker of it that ends for another's sake could be started again."""
    if generation.spawns:
        return generation.fingerprint == fingerprint_on_disk
    return generation.zygote is not None and turn.service.zygotes.get(generation.zygote) is ZygoteState.READY


def _zygote_is_ready(turn: Turn, generation: Generation) -> bool:
    if generation.zygote is None:
        if not turn.has_timer(f"zygote:{generation.id}"):
            start_zygote(turn, generation, pinned=generation.fingerprint)
        return False
    return turn.service.zygotes.get(generation.zygote) is ZygoteState.READY


def enforce_bound(turn: Turn) -> None:
    """Hurry the oldest retiring generations when there are more than ``drain.max_generations``: an update never waits."""
    # One that is kept for a rollback may have nobody left but those that leave.
    going = (g.id for g in turn.with_role(Role.RETIRING, Role.PARKED) if not turn.staying(g.id))
    retiring = sorted(generation for generation in going if turn.workers_of(generation))
    for generation in retiring[: max(0, len(retiring) - turn.service.policy.max_generations)]:
        for worker in turn.workers_of(generation):
            hurry(turn, worker, HURRY_S)


def hurry(turn: Turn, worker: Worker, within_s: float) -> None:
    """Have a worker that leaves do so within this time, unless it is to be gone sooner already."""
    before_s = turn.service.timers.get(f"kill:{worker.id}", 0.0)
    leave(turn, worker, within_s)
    if turn.service.timers.get(f"kill:{worker.id}", 0.0) < before_s:
        turn.note("drain_hurried", generation=worker.generation, worker=worker.id)
