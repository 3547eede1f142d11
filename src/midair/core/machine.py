"""The update machine: told what happened, it answers what to do. It opens nothing, waits for nothing and reads no clock.

``step`` is the only entrance. The same history at the same times gives the same orders. What always holds (the property tests
check it against a model of the outside, ``tests/core``):

- outside a switch, a canary and the way from slot to slot, the workers that accept are of one generation;
- an old slot stops accepting only after that slot of the candidate has said ready, been probed, and been verified; and, unless the
  candidate goes from slot to slot, all its other slots as well;
- an update that was opened is closed exactly once;
- what was started is ended: every worker is told to leave or killed before the service ends.

The rooms, in the order of an update: ``requests`` (what people ask), ``candidate`` (build, start, ready), ``surge`` (how many
slots at a time), ``cutover`` (slots change hands), ``bake`` (watch, commit, roll back); beside it ``joining`` (a worker's way to
its slot), ``carrying`` (its state), ``workers`` (start, stop, replace), ``companions``, ``standin`` (while no version can serve),
``stopping``. At most two updates are alive: one that bakes (``service.baking``) and a newer one on its way
(``service.candidate``). All that is remembered stands in ``state``. This file tells each event to its room.
"""

from __future__ import annotations

from typing import assert_never

from midair.core import (
    bake,
    candidate,
    carrying,
    companions,
    cutover,
    joining,
    requests,
    standin,
    stopping,
    surge,
    workers,
)
from midair.core.effects import DropZygote, Effect, ProbeWorker
from midair.core.events import (
    AnswersCounted,
    CompanionExited,
    DrainAsked,
    Event,
    HoldAsked,
    HookEnded,
    Prepared,
    PrepareFailed,
    ProbeAnswered,
    ReleaseAsked,
    RollbackAsked,
    ScaleAsked,
    StateCarried,
    StopAsked,
    StoppedAccepting,
    Tick,
    UpdateAsked,
    Verified,
    WorkerDrained,
    WorkerExited,
    WorkerFailed,
    WorkerReady,
    WorkerWorn,
    ZygoteExited,
    ZygoteFailed,
    ZygoteReady,
)
from midair.core.ids import GenerationId, WorkerId, ZygoteId
from midair.core.policy import Policy
from midair.core.state import (
    ENDING,
    Generation,
    Role,
    Service,
    Worker,
    WorkerState,
    ZygoteState,
)
from midair.core.turn import Turn
from midair.errors import Fault


def new_service(policy: Policy) -> Service:
    return Service(policy, policy.workers)


def step(service: Service, event: Event, now_s: float) -> list[Effect]:
    """Take one event in; return the orders that follow, in order. ``now_s``: monotonic seconds. Changes ``service``."""
    turn = Turn(service, now_s)
    standin.begin(turn)
    _dispatch(turn, event)
    candidate.start_from_disk(turn)
    surge.go_on(turn)
    standin.relieve(turn)
    companions.reconcile(turn)
    stopping.check(turn)
    return turn.effects


def next_wake_s(service: Service) -> float | None:
    """When a ``Tick`` is wanted next (monotonic seconds), if at all."""
    return min(service.timers.values(), default=None)


def _dispatch(turn: Turn, event: Event) -> None:
    match event:
        case UpdateAsked():
            requests.ask(turn, event)
        case RollbackAsked():
            requests.rollback(turn, event)
        case ScaleAsked():
            requests.scale(turn, event)
        case HoldAsked():
            requests.hold(turn, event)
        case ReleaseAsked():
            requests.release(turn, event)
        case DrainAsked():
            requests.drain(turn, event)
        case StopAsked():
            stopping.ask(turn, event)
        case Prepared():
            candidate.prepared(turn, event)
        case PrepareFailed(generation, fault):
            _refuse_candidate(turn, generation, fault)
        case Verified(generation, fingerprint):
            candidate.verified(turn, generation, fingerprint)
        case HookEnded():
            _hook_ended(turn, event)
        case ZygoteReady():
            _zygote_ready(turn, event)
        case ZygoteFailed(zygote, fault):
            _zygote_lost(turn, zygote, fault)
        case ZygoteExited(zygote, how):
            fault = Fault("zygote-exited", f"the process that imports the application ended: {how}")
            _zygote_lost(turn, zygote, fault)
        case WorkerReady():
            _worker_ready(turn, event)
        case WorkerFailed():
            _worker_failed(turn, event)
        case ProbeAnswered(worker_id, verdict, detail):
            if worker := turn.worker(worker_id):
                joining.probed(turn, worker, verdict, detail)
        case StoppedAccepting(worker_id):
            if worker := turn.worker(worker_id):
                cutover.acknowledged(turn, worker)
        case StateCarried():
            carrying.carried(turn, event)
        case WorkerDrained(worker_id):
            if worker := turn.worker(worker_id):
                worker.has_drained = True
        case WorkerExited(worker_id, how):
            if worker := turn.worker(worker_id):
                was_busy = carrying.is_busy(turn)
                _worker_exited(turn, worker, how)
                if was_busy:
                    candidate.become_ready(turn)
        case WorkerWorn():
            _worker_worn(turn, event)
        case AnswersCounted():
            bake.counted(turn, event)
        case CompanionExited():
            companions.exited(turn, event)
            bake.contract(turn)
        case Tick():
            _tick(turn)
        case _:
            assert_never(event)


# --- news of the making -------------------------------------------------------------------------------------------


def _refuse_candidate(turn: Turn, generation: GenerationId, fault: Fault) -> None:
    if turn.service.candidate and turn.service.candidate.generation == generation:
        candidate.refuse(turn, fault)
        if fault.code == "no-memory":
            bake.make_room(turn)  # For the next try.


def _hook_ended(turn: Turn, event: HookEnded) -> None:
    if event.hook == "before":
        candidate.before_hook_ended(turn, event.generation, event.fault)
    elif event.fault:
        turn.note("hook_failed", hook=event.hook, generation=event.generation, error=event.fault.message)


def _zygote_ready(turn: Turn, event: ZygoteReady) -> None:
    service = turn.service
    if event.zygote not in service.zygotes:
        return
    service.zygotes[event.zygote] = ZygoteState.READY
    turn.forget(f"import:{event.zygote}")
    for generation in turn.of_zygote(event.zygote):
        update = service.candidate
        if update and update.generation == generation.id:
            candidate.zygote_imported(turn, update, event)
        else:
            if event.unsafe:
                generation.spawns, generation.why_spawns, generation.zygote = True, event.unsafe, None
                workers.drop_zygotes(turn)
            workers.fill(turn, generation)


def _zygote_lost(turn: Turn, zygote: ZygoteId, fault: Fault) -> None:
    service = turn.service
    if zygote not in service.zygotes:
        return
    del service.zygotes[zygote]
    turn.forget(f"import:{zygote}")
    for generation in turn.of_zygote(zygote):
        generation.zygote = None
        if service.candidate and service.candidate.generation == generation.id:
            if cutover.is_under_way(turn):
                cutover.abort(turn, fault)
            else:
                candidate.refuse(turn, fault)
        elif generation.role is Role.SERVING:
            turn.note("zygote_lost", generation=generation.id, why=fault.message)
            _remember(generation, fault)
            if fault.code == "files-changed":
                _run_short(turn, generation, fault)
            else:
                workers.zygote_died(turn, generation)
            _fail_on_the_way(turn, generation, fault)


def _remember(generation: Generation, fault: Fault) -> None:
    """Why it lost a process. That the next one cannot be started is said already, and is not why the one before ended."""
    if fault.code != "files-changed":
        generation.last_fault = fault


def _fail_on_the_way(turn: Turn, generation: Generation, fault: Fault) -> None:
    """It has taken some slots and cannot take the others: the old version takes all again."""
    taking = turn.from_slot_to_slot()
    if taking and taking.generation == generation.id:
        bake.roll_back(turn, fault, is_automatic=True)


def _run_short(turn: Turn, generation: Generation, fault: Fault) -> None:
    """Its code is gone from the disk: missing workers stay missing. When none is left, what is on disk is better than
    nothing, as an update of its own."""
    if not generation.runs_short:
        generation.runs_short = fault.message
        turn.note("runs_short", generation=generation.id, version=generation.version, why=fault.message)


# --- news of workers ----------------------------------------------------------------------------------------------


def _worker_ready(turn: Turn, event: WorkerReady) -> None:
    worker = turn.worker(event.worker)
    if worker and worker.state is WorkerState.STARTING:
        worker.carries = event.carries
        joining.started(turn, worker)


def _worker_failed(turn: Turn, event: WorkerFailed) -> None:
    worker = turn.worker(event.worker)
    if worker is None:
        return
    worker.last_words = event.fault
    if not event.exists:
        _worker_exited(turn, worker, "never started")


def _worker_exited(turn: Turn, worker: Worker, how: str) -> None:
    service = turn.service
    generation = turn.generation(worker.generation)
    was_expected = worker.state in ENDING or service.stopping is not None
    was_accepting = worker.state is WorkerState.ACCEPTING
    was_to_take_a_slot = joining.is_to_take_a_slot(turn, worker)
    workers.remove(turn, worker)
    if was_expected:
        workers.settle(turn, generation)
        bake.contract(turn)
        workers.fill(turn, generation)
        if service.serving is not None:
            workers.fill(turn, turn.generation(service.serving))  # It may have waited for the room.
        _finish_switch_if_waiting(turn)
        return
    fault = worker.last_words or Fault("worker-exited", f"worker {worker.id} ended before it was ready: {how}")
    turn.note(
        "worker_died", worker=worker.id, slot=worker.slot, generation=generation.id, how=how, state=worker.state.value
    )
    if generation.role is Role.CANDIDATE:
        if cutover.is_under_way(turn):
            cutover.abort(turn, fault)
        else:
            candidate.refuse(turn, fault)
        return
    if service.baking and service.baking.generation == generation.id and was_accepting:
        why = f"worker {worker.id} died {turn.now_s - service.baking.baked_from_s:.1f} s after the cut-over: {how}"
        bake.roll_back(turn, Fault("bake-died", why, detail=fault.detail), is_automatic=True)
    elif was_to_take_a_slot:
        bake.roll_back(turn, fault, is_automatic=True)
    if generation.role is Role.SERVING:
        _remember(generation, worker.last_words or Fault("worker-exited", f"worker {worker.id} ended: {how}"))
        workers.died(turn, generation)
        if worker.last_words and worker.last_words.code == "files-changed":
            _run_short(turn, generation, worker.last_words)
        workers.fill(turn, generation)
        if generation.runs_short:
            _run_short(turn, generation, Fault("files-changed", generation.runs_short))
    workers.settle(turn, generation)
    _finish_switch_if_waiting(turn)


def _finish_switch_if_waiting(turn: Turn) -> None:
    """The last worker that the switch waited for died instead of answering."""
    switch = turn.service.switch
    if switch and not switch.waiting:
        cutover.finish(turn)


def _worker_worn(turn: Turn, event: WorkerWorn) -> None:
    worker = turn.worker(event.worker)
    if worker is None or worker.state is not WorkerState.ACCEPTING or worker.successor is not None:
        return
    generation = turn.generation(worker.generation)
    if generation.role is not Role.SERVING or generation.runs_short:
        return
    if not generation.spawns and (
        generation.zygote is None or turn.service.zygotes.get(generation.zygote) is not ZygoteState.READY
    ):
        return
    worker.hangs = event.hangs
    turn.note("worker_worn", worker=worker.id, slot=worker.slot, generation=generation.id, why=event.why)
    worker.successor = workers.start(turn, generation, worker.slot).id


# --- time ---------------------------------------------------------------------------------------------------------


def _tick(turn: Turn) -> None:
    service = turn.service
    due = sorted((at_s, name) for name, at_s in service.timers.items() if at_s <= turn.now_s)
    for _, name in due:
        if service.timers.get(name, turn.now_s + 1.0) <= turn.now_s:  # an earlier one may have taken it back
            del service.timers[name]
            _due(turn, name)


def _due(turn: Turn, name: str) -> None:
    service = turn.service
    kind, _, rest = name.partition(":")
    match kind:
        case "ready":
            _not_ready(turn, GenerationId(int(rest)))
        case "probe":
            worker = turn.worker(WorkerId(int(rest)))
            if worker and worker.state is WorkerState.PROBING:
                turn.do(ProbeWorker(worker.id, warm=True))
        case "switch":
            cutover.finish(turn)
        case "carry":
            carrying.is_late(turn, int(rest))
        case "canary":
            cutover.canary_ended(turn)
        case "bake":
            bake.commit(turn)
        case "look":
            bake.look(turn)
        case "kill":
            if worker := turn.worker(WorkerId(int(rest))):
                turn.note(
                    "worker_killed", worker=worker.id, generation=worker.generation, why="it did not leave in time"
                )
                workers.kill(turn, worker)
        case "start":
            if worker := turn.worker(WorkerId(int(rest))):
                _not_started(turn, worker)
        case "import":
            turn.do(DropZygote(ZygoteId(int(rest))))
            _zygote_lost(turn, ZygoteId(int(rest)), Fault("not-ready", "the import did not finish"))
        case "disk":
            pass  # its wait is over: so is the look after this event
        case "replace" | "zygote":
            generation = service.generations.get(GenerationId(int(rest.partition(":")[0])))
            if generation:
                _replace(turn, generation, kind, rest)
        case "warm":
            bake.let_go(turn)
        case "retry":
            candidate.retry(turn)
        case "hold":
            service.hold = None
            turn.note("released", by="its time limit")
        case "stop":
            stopping.leave_all(turn)
        case "companion":
            pass  # its wait is over: the comparison after this event starts it
        case _:
            raise AssertionError(f"a timer of unknown kind: {name}")


def _replace(turn: Turn, generation: Generation, kind: str, rest: str) -> None:
    """A held-back worker's wait is over. The others that wait keep their own time."""
    if turn.service.stopping:
        return
    if kind == "zygote":
        workers.fill(turn, generation)
        if generation.zygote is None and not generation.spawns and generation.role is Role.SERVING:
            workers.start_zygote(turn, generation, pinned=generation.fingerprint)
        return
    slot = int(rest.partition(":")[2])
    is_wanted = slot in workers.missing_slots(turn, generation) and workers.room(turn, generation) > 0
    can_start = generation.spawns or (
        generation.zygote is not None and turn.service.zygotes.get(generation.zygote) is ZygoteState.READY
    )
    if generation.role is Role.SERVING and is_wanted and not generation.runs_short and can_start:
        workers.start(turn, generation, slot)


def _not_started(turn: Turn, worker: Worker) -> None:
    """A replacement hangs in its start-up: that counts as a death, and the next one is tried."""
    generation = turn.generation(worker.generation)
    if worker.state in {WorkerState.STARTING, WorkerState.PROBING}:
        said = worker.last_words
        why = said.message if said else "its start-up did not finish"
        turn.note("worker_killed", worker=worker.id, generation=generation.id, why=why)
        if joining.is_to_take_a_slot(turn, worker):
            limit_s = generation.policy.ready_s
            what = f"worker {worker.id} was not ready after {limit_s:g} s: {why}"
            bake.roll_back(turn, Fault("not-ready", what, (said and said.hint) or ""), is_automatic=True)
        generation.last_fault = Fault("not-ready", why, (said and said.hint) or "")
        workers.died(turn, generation)
        workers.kill(turn, worker)


def _not_ready(turn: Turn, generation_id: GenerationId) -> None:
    update = turn.service.candidate
    if update is None or update.generation != generation_id:
        return
    generation = turn.generation(generation_id)
    said = next((w.last_words for w in turn.workers_of(generation_id) if w.last_words), None)
    where = said.message if said else "its start-up did not finish"
    if generation.zygote is not None and turn.service.zygotes.get(generation.zygote) is ZygoteState.STARTING:
        where = "its import did not finish"
    limit_s = generation.policy.ready_s
    fault = Fault(
        "not-ready",
        f"generation {generation_id} was not ready after {limit_s:g} s: {where}",
        (said and said.hint) or "see the application's own lines; ready.timeout sets the limit",
    )
    candidate.refuse(turn, fault)
