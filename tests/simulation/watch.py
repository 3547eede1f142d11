"""What must hold at every moment, kept in its own books from events, orders and the simulated outside.

Nothing here reads the core's state: a mistake in it cannot hide behind itself. ``Watch.after`` is called once for each
turn of the core and raises ``Broken`` with the history if a promise does not hold.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Literal

from midair.core.effects import (
    Accept,
    Answer,
    Carry,
    Closed,
    DropCarry,
    DropZygote,
    Effect,
    End,
    Entered,
    GenerationGone,
    Kill,
    Leave,
    Note,
    Opened,
    Prepare,
    ProbeWorker,
    RunHook,
    StartCompanion,
    StartWorker,
    StartZygote,
    StoodIn,
    StopAccepting,
    StopCompanion,
    Verify,
)
from midair.core.events import (
    CompanionExited,
    DrainAsked,
    Event,
    HoldAsked,
    Prepared,
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
    WorkerExited,
    WorkerFailed,
    WorkerReady,
    ZygoteExited,
    ZygoteFailed,
    ZygoteReady,
)
from midair.core.ids import STAND_IN, GenerationId, RequestId, UpdateId, WorkerId, ZygoteId
from midair.core.policy import HURRY_S, KILL_GRACE_S, SWITCH_ACK_S, Policy
from midair.testing.world import STAND_IN_CODE, World

ZYGOTES_MAX = 5
"""The one kept for a rollback, the newest committed one, one that took over but was superseded in its bake, the canary that
superseded it, and a candidate's."""
TICKS_AT_ONCE_MAX = 5
STARTS_A_SECOND_MAX = 10
"""Starts for each wanted worker in any one second: more is a crash loop that nobody holds back."""
EPSILON_S = 1e-6

Told = Literal["start", "accept", "stop", "leave", "kill"]


class Broken(AssertionError):
    """A promise does not hold."""


@dataclass(slots=True)
class WorkerBook:
    id: WorkerId
    generation: GenerationId
    slot: int
    told: Told = "start"
    told_at_s: float = 0.0
    is_ready: bool = False
    is_healthy: bool = False
    has_stopped: bool = False
    """It acknowledged the latest order to stop."""
    is_gone: bool = False
    due_s: float = float("inf")
    """When it must have left or been killed."""
    leave_at_latest_s: float = float("inf")


@dataclass(slots=True)
class GenerationBook:
    id: GenerationId
    fingerprint: str = ""
    policy: Policy | None = None
    is_verified: bool = False
    may_spawn: bool = False
    has_no_route: bool = False
    has_met_clients: bool = False
    newest: int = 0
    """The newest worker there was when it first met clients: those after it are replacements, which need to start up alone."""
    taken: set[int] = field(default_factory=set)
    """Slots in which one of its workers was told to accept."""
    is_gone: bool = False


@dataclass(slots=True)
class UpdateBook:
    id: UpdateId
    request: RequestId
    generations: list[GenerationId]
    phase: str = ""
    result: str = ""
    had_canary: bool = False
    is_first: bool = False
    from_kept: bool = False
    """Back to workers that were kept."""
    is_past: bool = False
    """Another version has had all slots since: what memory holds was looked at anew before that one started."""


@dataclass(slots=True)
class Watch:
    world: World
    workers: dict[WorkerId, WorkerBook] = field(default_factory=dict)
    generations: dict[GenerationId, GenerationBook] = field(default_factory=dict)
    zygotes: dict[ZygoteId, GenerationId] = field(default_factory=dict)
    """The living as far as the core can know: ordered, not dropped, end not told. Value: whose code it imports."""
    ready_zygotes: set[ZygoteId] = field(default_factory=set)
    updates: dict[UpdateId, UpdateBook] = field(default_factory=dict)
    open_requests: set[RequestId] = field(default_factory=set)
    exchanges: dict[int, Carry] = field(default_factory=dict)
    """State on its way."""
    companions: dict[tuple[GenerationId, str], bool] = field(default_factory=dict)
    """Running once-only processes; True: told to end."""
    wanted: int = 0
    serving: GenerationId | None = None
    committed: GenerationId | None = None
    """The newest committed one: it is kept, not retiring, until the next commit."""
    ends: list[End] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    is_stopping: bool = False
    _ticks: tuple[float, int] = (0.0, 0)
    _starts: deque[float] = field(default_factory=deque)
    _last_numbers: dict[str, int] = field(default_factory=dict)
    _now_s: float = 0.0
    _asked: Event | None = None

    # --- one turn -------------------------------------------------------------------------------------------------

    def after(self, event: Event, effects: list[Effect], wake_s: float | None) -> None:
        """``effects`` and ``wake_s`` are what the core answered to ``event`` at the world's time."""
        self._now_s = self.world.now_s
        try:
            self._hear(event)
            for effect in effects:
                self._order(effect)
            self._check_accepting()
            self._check_state()
            self._check_commands()
            self._check_leaving()
            self._check_wake(event, wake_s)
            self._check_bounds()
        except Broken as broken:
            past = "\n".join(self.world.history[-120:])
            now = "\n".join(f"   -> {effect}" for effect in effects)
            raise Broken(f"{broken}\n--- history\n{past}\n--- now {self._now_s:.3f} {event}\n{now}") from None

    def fail(self, why: str) -> None:
        raise Broken(why)

    def need(self, holds: bool, why: str) -> None:
        if not holds:
            raise Broken(why)

    # --- events ---------------------------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        self._asked = None
        match event:
            case (
                UpdateAsked(request=request)
                | RollbackAsked(request=request)
                | ScaleAsked(request=request)
                | HoldAsked(request=request)
                | DrainAsked(request=request)
                | ReleaseAsked(request=request)
                | StopAsked(request=request)
            ):
                self._asked = event
                self.open_requests.add(request)
                self.is_stopping = self.is_stopping or isinstance(event, StopAsked)
            case Prepared(generation, _, fingerprint, policy):
                book = self._generation(generation)
                book.fingerprint, book.policy, book.may_spawn = fingerprint, policy, not policy.forks
            case Verified(generation, fingerprint):
                book = self._generation(generation)
                book.is_verified = book.is_verified or fingerprint == book.fingerprint
            case ZygoteReady(zygote, unsafe, policy):
                if zygote in self.zygotes:
                    self.ready_zygotes.add(zygote)
                    book = self._generation(self.zygotes[zygote])
                    book.policy = policy or book.policy
                    if unsafe:
                        self._generation(self.zygotes[zygote]).may_spawn = True
            case ZygoteFailed(zygote) | ZygoteExited(zygote):
                self._zygote_gone(zygote)
            case WorkerReady(worker):
                if worker in self.workers:
                    self.workers[worker].is_ready = True
            case WorkerFailed(worker, _, False) | WorkerExited(worker):
                if worker in self.workers:
                    self.workers[worker].is_gone = True
            case ProbeAnswered(worker, verdict):
                if worker in self.workers and verdict != "unhealthy":
                    self.workers[worker].is_healthy = True
                    if verdict == "no-route":  # it counts for all of its generation: none will be probed again
                        self._generation(self.workers[worker].generation).has_no_route = True
            case StoppedAccepting(worker):
                if worker in self.workers:
                    self.workers[worker].has_stopped = True
            case StateCarried(exchange):
                self.exchanges.pop(exchange, None)
            case CompanionExited(generation, name):
                self.companions.pop((generation, name), None)
            case _:
                pass

    # --- orders ---------------------------------------------------------------------------------------------------

    def _order(self, effect: Effect) -> None:
        if self.ends and not isinstance(effect, Answer | Note):
            self.fail(f"an order after the end: {effect}")
        match effect:
            case Opened(update, generation, request):
                self._take_request(request)
                self._fresh("update", update)
                is_known = generation in self.generations
                self.updates[update] = UpdateBook(
                    update,
                    request,
                    [generation],
                    is_first=effect.previous in {None, STAND_IN},
                    from_kept=is_known,
                )
                if is_known:
                    self._open_kept(self.generations[generation])
                else:
                    self._fresh("generation", generation)
                    self._generation(generation)
            case Entered(update, generation, phase):
                self._enter(update, generation, phase)
            case Closed():
                self._close(effect)
            case Answer(request, fault):
                self._take_request(request)
                if isinstance(self._asked, ScaleAsked) and fault is None and self.serving != STAND_IN:
                    self.wanted = self._asked.workers
            case StartZygote(zygote, generation):
                self._fresh("zygote", zygote)
                self.zygotes[zygote] = generation
            case DropZygote(zygote):
                self.need(zygote in self.zygotes, f"{effect}: it is gone already")
                self._zygote_gone(zygote)
            case StartWorker():
                self._start_worker(effect)
            case ProbeWorker(worker):
                book = self._living(worker, effect)
                self.need(book.is_ready, f"{effect}: it never said ready")
            case Accept(worker):
                self._accept(self._living(worker, effect))
            case StopAccepting(worker):
                book = self._living(worker, effect)
                self.need(book.told == "accept", f"{effect}: it was last told to {book.told}")
                self._tell(book, "stop")
                book.has_stopped = False
            case Carry(exchange, target, sources):
                self._fresh("exchange", exchange)
                for worker in (target, *sources):
                    self._living(worker, effect)
                self.exchanges[exchange] = effect
            case DropCarry(exchange):
                self.need(exchange in self.exchanges, f"{effect}: nothing is on its way")
                del self.exchanges[exchange]
            case Leave(worker, within_s):
                self._leave(self._living(worker, effect), within_s)
            case Kill(worker):
                book = self._living(worker, effect)
                self.need(book.told != "kill", f"{effect}: a second time")
                self._tell(book, "kill")
            case StartCompanion(generation, name):
                self._start_companion(generation, name)
            case StopCompanion(generation, name):
                self.need((generation, name) in self.companions, f"{effect}: it does not run")
                self.companions[generation, name] = True
            case StoodIn():
                self._stand_in(effect)
            case GenerationGone(generation):
                self._generation_gone(generation)
            case Prepare(generation) | Verify(generation) | RunHook(generation):
                self.need(generation in self.generations, f"{effect}: unknown generation")
            case Note(event, fields):
                self.notes[event] += 1
                wait_s = fields.get("wait_s")
                self.need(not isinstance(wait_s, float) or wait_s <= 30.0, f"{effect}: too long a wait")
            case End():
                self._end(effect)
            case _:
                pass

    def _fresh(self, kind: str, number: int) -> None:
        """Numbers are counted upwards and never reused."""
        self.need(number > self._last_numbers.get(kind, 0), f"{kind} {number} was used before")
        self._last_numbers[kind] = number

    def _take_request(self, request: RequestId) -> None:
        if request:
            self.need(request in self.open_requests, f"request {request} is answered twice")
            self.open_requests.discard(request)

    def _open_kept(self, generation: GenerationBook) -> None:
        """Only workers that were kept come back under their old number, and as if nobody had met them yet."""
        policy = self.generations[self.serving].policy if self.serving else None
        self.need(policy is not None and policy.keep == "workers", f"generation {generation.id} was not kept")
        generation.has_met_clients = False
        generation.taken.clear()
        for worker in self._workers_of(generation.id):
            self.need(worker.is_gone or worker.told in {"stop", "leave", "kill"}, f"worker {worker.id} never stopped")
            worker.is_healthy = False

    def _enter(self, update_id: UpdateId, generation_id: GenerationId, phase: str) -> None:
        self.need(update_id in self.updates, f"update {update_id} was never opened")
        update = self.updates[update_id]
        self.need(not update.result, f"update {update_id} entered {phase} after its end")
        update.phase = phase
        update.had_canary = update.had_canary or phase == "canary"
        if generation_id not in update.generations:
            self._generation(generation_id)
            update.generations.append(generation_id)
        generation = self.generations[generation_id]
        if phase in {"canary", "cut-over"} and not generation.has_met_clients:
            self._check_candidate(generation)
        if phase == "bake":
            self._go_over(generation_id)

    def _check_candidate(self, generation: GenerationBook) -> None:
        """Before the old slots are told to stop, every slot of the new generation can serve, and it is what it says. By slot, the
        first one can; the others are looked at when they begin."""
        assert generation.policy is not None
        self.need(generation.is_verified, f"generation {generation.id} cuts over with unverified files")
        kept = [u for u in self.updates.values() if u.from_kept and not u.result and u.generations[-1] == generation.id]
        slots = set(range(1 if self._is_by_slot() else generation.policy.workers))
        if kept:
            slots = {w.slot for w in self._workers_of(generation.id) if not w.is_gone and w.told == "stop"}
        for slot in slots:
            able = [w for w in self._workers_of(generation.id) if w.slot == slot and self._is_able(w, generation)]
            self.need(bool(able), f"generation {generation.id} cuts over and slot {slot} is not ready")

    def _is_able(self, worker: WorkerBook, generation: GenerationBook) -> bool:
        assert generation.policy is not None
        is_healthy = worker.is_healthy or generation.has_no_route or not generation.policy.has_health
        return worker.is_ready and is_healthy and not worker.is_gone

    def _go_over(self, generation: GenerationId) -> None:
        self._serve(generation)
        for update in self.updates.values():
            update.is_past = update.is_past or bool(update.result)

    def _serve(self, generation: GenerationId) -> None:
        policy = self.generations[generation].policy
        assert policy is not None
        self.serving, self.wanted = generation, policy.workers

    def _close(self, closed: Closed) -> None:
        self.need(closed.update in self.updates, f"{closed}: never opened")
        update = self.updates[closed.update]
        self.need(not update.result, f"{closed}: it was closed before as {update.result}")
        update.result = closed.result
        self.results[closed.result] += 1
        met = [g for g in update.generations if self.generations[g].has_met_clients]
        match closed.result:
            case "committed":
                if self.serving != closed.generation:
                    self._go_over(closed.generation)
                self._check_serves(closed, closed.generation)
                self.committed = closed.generation
            case "refused":
                self.need(not met, f"{closed}: its generation {met} has met clients")
            case "rolled-back":
                self.need(
                    closed.serving is not None and closed.serving != closed.generation, f"{closed}: back to what?"
                )
                assert closed.serving is not None
                self._serve(closed.serving)
                self._check_serves(closed, closed.serving)
            case "superseded" | "stopped":
                pass

    def _check_serves(self, closed: Closed, generation: GenerationId) -> None:
        """What is said to serve was told to accept, unless none of it lives any more; nothing else was."""
        self.need(closed.serving == generation, f"{closed}: not what serves")
        told = {w.generation for w in self._living_books() if w.told == "accept"}
        could = [w for w in self._workers_of(generation) if not w.is_gone and w.told in {"accept", "stop"}]
        self.need(told <= {generation}, f"{closed}: {told} accept")
        self.need(not could or generation in told, f"{closed}: none of its workers was told to accept")

    def _start_worker(self, order: StartWorker) -> None:
        self._fresh("worker", order.worker)
        generation = self._generation(order.generation)
        if order.zygote is None:
            self.need(generation.may_spawn, f"{order}: this generation forks")
        else:
            self.need(order.zygote in self.ready_zygotes, f"{order}: that zygote is not there or not ready")
            self._inherit(generation, self.generations[self.zygotes[order.zygote]])
        self.need(bool(order.pinned) and order.pinned == generation.fingerprint, f"{order}: not pinned to its files")
        self._check_room(order)
        self.workers[order.worker] = WorkerBook(order.worker, order.generation, order.slot, told_at_s=self._now_s)
        self._starts.append(self._now_s)

    def _stand_in(self, order: StoodIn) -> None:
        """Where people develop, when nothing of a version is left, and because of that alone: nobody can ask for it."""
        self.need(self.world.disk.policy.has_stand_in, f"{order}: there is none")
        self.need(self.serving != STAND_IN, f"{order}: it serves already")
        self.need(not self.is_stopping, f"{order}: the service stops")
        self.need(not isinstance(self._asked, RollbackAsked), f"{order}: it is no version to go back to")
        staying = {"start", "accept", "stop"}
        left = (
            [w.id for w in self._workers_of(self.serving) if not w.is_gone and w.told in staying]
            if self.serving
            else []
        )
        self.need(not left, f"{order}: workers {left} of what served are there")
        book = self._generation(STAND_IN)
        book.fingerprint, book.policy = STAND_IN_CODE.fingerprint, STAND_IN_CODE.policy
        book.is_verified, book.may_spawn, book.is_gone = True, True, False
        for update in self.updates.values():
            update.is_past = True
        self._serve(STAND_IN)

    def _check_room(self, order: StartWorker) -> None:
        """Where memory does not hold two versions, there is one worker more than slots, whichever way it goes. The first of a
        candidate starts in any case: otherwise nothing would ever go on."""
        taking = {u.generations[-1] for u in self.updates.values() if self._goes_by_slot(u) and u.phase != "bake"}
        if order.generation == self.serving:
            others = {g for g in taking if not self.generations[g].is_gone}
        else:
            others = {self.serving} if order.generation in taking and self.serving else set()
        of_both = {*others, order.generation}
        living = {(w.generation, w.slot) for w in self._living_books() if w.generation in of_both}
        is_first = all(generation != order.generation for generation, _ in living)
        if not others or is_first or (order.generation, order.slot) in living:
            return
        policies = [policy for g in of_both if (policy := self.generations[g].policy)]
        wanted = self._asked.workers if isinstance(self._asked, ScaleAsked) else self.wanted  # It is answered later.
        most = max(wanted, *(policy.workers for policy in policies)) + 1
        self.need(len(living) < most, f"{order}: {sorted(living)} live, and memory holds {most}")

    def _goes_by_slot(self, update: UpdateBook) -> bool:
        policy = self.generations[update.generations[-1]].policy
        is_over = update.result in {"committed", "superseded", "refused"}
        is_other = update.is_first or update.from_kept or update.is_past
        return not is_other and not is_over and policy is not None and bool(policy.by_slot)

    def _inherit(self, generation: GenerationBook, source: GenerationBook) -> None:
        """A rollback after the commit: the code is that of the zygote's generation."""
        if generation.policy is None:
            generation.policy, generation.fingerprint = source.policy, source.fingerprint
            generation.is_verified = source.is_verified
        self.need(generation.fingerprint == source.fingerprint, f"generation {generation.id} forks from other code")

    def _accept(self, worker: WorkerBook) -> None:
        generation = self.generations[worker.generation]
        self.need(worker.is_ready, f"worker {worker.id} is to accept and never said ready")
        self.need(worker.told in {"start", "stop"}, f"worker {worker.id} is to accept, last told to {worker.told}")
        self.need(generation.is_verified, f"worker {worker.id} is to accept, its files were never verified")
        is_new = not generation.has_met_clients or worker.id <= generation.newest
        if is_new or (self._is_by_slot() and worker.generation != self.serving and worker.slot not in generation.taken):
            self.need(self._is_able(worker, generation), f"worker {worker.id} is to accept and was never healthy")
        if not generation.has_met_clients:
            generation.has_met_clients, generation.newest = True, self._last_numbers["worker"]
        generation.taken.add(worker.slot)
        self._check_truth(worker, generation)
        coming = [e for e in self.exchanges.values() if e.how != "trial" and worker.id in {e.target, *e.sources}]
        self.need(not coming, f"worker {worker.id} is to accept, and state is on its way: {coming}")
        if not self._is_canary():
            self._check_others_stopped(worker)
        self._tell(worker, "accept")

    def _check_truth(self, worker: WorkerBook, generation: GenerationBook) -> None:
        """What the process has really imported is what its generation is said to be."""
        process = self.world.workers[worker.id]
        self.need(
            process.code.fingerprint == generation.fingerprint,
            f"worker {worker.id} runs {process.code.fingerprint}, its generation is {generation.fingerprint}",
        )

    def _check_others_stopped(self, worker: WorkerBook) -> None:
        """Everybody of another generation was told to stop, and said so or had 50 ms. By slot: everybody of this slot."""
        is_by_slot = self._is_by_slot()
        for other in self._living_books():
            if other.generation == worker.generation or other.told not in {"accept", "stop"}:
                continue
            if is_by_slot and other.slot != worker.slot:
                continue
            waited_s = self._now_s - other.told_at_s
            has_stopped = other.told == "stop" and (other.has_stopped or waited_s >= SWITCH_ACK_S - EPSILON_S)
            self.need(
                has_stopped, f"worker {worker.id} is to accept beside worker {other.id}, last told to {other.told}"
            )

    def _leave(self, worker: WorkerBook, within_s: float) -> None:
        policy = self.generations[worker.generation].policy
        assert policy is not None
        self.need(worker.told not in {"kill", "accept"}, f"worker {worker.id} is to leave, last told to {worker.told}")
        self._tell(worker, "leave")
        worker.leave_at_latest_s = self._now_s + within_s
        worker.due_s = self._now_s + within_s + policy.exit_s + KILL_GRACE_S

    def _tell(self, worker: WorkerBook, told: Told) -> None:
        allowed = {"leave": {"leave", "kill"}, "kill": {"kill"}}.get(worker.told)
        self.need(allowed is None or told in allowed, f"worker {worker.id} is told to {told} after {worker.told}")
        worker.told, worker.told_at_s = told, self._now_s

    def _start_companion(self, generation: GenerationId, name: str) -> None:
        policy = self.generations[generation].policy
        assert policy is not None
        self.need((generation, name) not in self.companions, f"process {name} of generation {generation} runs already")
        if name in policy.exclusive:
            others = [g for g, other in self.companions if other == name]
            self.need(not others, f"exclusive process {name} of generation {generation} starts beside {others}")
        self.companions[generation, name] = False

    def _generation_gone(self, generation: GenerationId) -> None:
        left = [w.id for w in self._workers_of(generation) if not w.is_gone]
        self.need(not left, f"generation {generation} is gone and its workers {left} live")
        self.need(not self.generations[generation].is_gone, f"generation {generation} is gone twice")
        self.generations[generation].is_gone = True

    def _end(self, end: End) -> None:
        self.need(not self.ends, "the service ends twice")
        self.ends.append(end)
        left = [w.id for w in self._living_books()]
        self.need(not left, f"the end, and workers {left} live")
        self.need(not self.zygotes, f"the end, and zygotes {self.zygotes} live")
        self.need(not self.companions, f"the end, and processes {self.companions} live")
        still_open = [u.id for u in self.updates.values() if not u.result]
        self.need(not still_open, f"the end, and updates {still_open} are open")
        self.need(not self.open_requests, f"the end, and requests {self.open_requests} wait")

    # --- after each turn ------------------------------------------------------------------------------------------

    def _check_accepting(self) -> None:
        told = {w.generation for w in self._living_books() if w.told == "accept"}
        is_mixed = self._is_canary() or self._is_by_slot()
        self.need(len(told) <= (2 if is_mixed else 1), f"generations {sorted(told)} were told to accept")
        slots = Counter((w.generation, w.slot) for w in self._living_books() if w.told == "accept")
        twice = [slot for slot, workers in slots.items() if workers > 1]
        self.need(not twice, f"two workers were told to accept in each (generation, slot) of {twice}")
        if is_mixed:
            return
        truly = {w.generation for w in self.world.accepting() if self._has_obeyed(w.id) and w.code.policy.parks}
        self.need(len(truly) <= 1, f"workers of generations {sorted(truly)} accept")

    def _check_state(self) -> None:
        """What somebody was served with is in one accepting worker, never in two."""
        seen: dict[int, WorkerId] = {}
        for worker in self.world.accepting():
            for change in worker.state if self._has_obeyed(worker.id) else ():
                self.need(change not in seen, f"workers {seen.get(change)} and {worker.id} both have state {change}")
                seen[change] = worker.id

    def _has_obeyed(self, worker: WorkerId) -> bool:
        """The world may not have come to its latest order yet."""
        book = self.workers[worker]
        has_had_time = max(book.told_at_s, self.world.workers[worker].busy_until_s) < self._now_s
        return book.told == "accept" or has_had_time

    def _check_commands(self) -> None:
        """A child of any program cannot stop accepting and begin again: its cut-over is the order to leave."""
        for worker in self._living_books():
            policy = self.generations[worker.generation].policy
            is_command = policy is not None and not policy.parks
            self.need(not (is_command and worker.told == "stop"), f"command {worker.id} is told to stop, not to leave")

    def _check_leaving(self) -> None:
        for worker in self._living_books():
            is_late = worker.told == "leave" and self._now_s > worker.due_s + EPSILON_S
            self.need(not is_late, f"worker {worker.id} should have left or been killed by {worker.due_s:.3f}")

    def _check_wake(self, event: Event, wake_s: float | None) -> None:
        if isinstance(event, Tick):
            at_s, count = self._ticks
            self._ticks = (self._now_s, count + 1) if at_s == self._now_s else (self._now_s, 1)
            self.need(self._ticks[1] <= TICKS_AT_ONCE_MAX, f"{self._ticks[1]} ticks at one instant")
            self.need(wake_s is None or wake_s > self._now_s - EPSILON_S, "a wake in the past, after a tick")
        while self._starts and self._starts[0] < self._now_s - 1.0:
            self._starts.popleft()
        bound = STARTS_A_SECOND_MAX * max(6, self.wanted)
        self.need(len(self._starts) <= bound, f"{len(self._starts)} workers started in one second")

    def _check_bounds(self) -> None:
        self.need(len(self.zygotes) <= ZYGOTES_MAX, f"zygotes {self.zygotes} live")
        staying = {w.generation for w in self._living_books() if w.told in {"start", "accept", "stop"}}
        # A generation with an open update is not on its way out, though all its workers may just have died or worn out.
        kept = (
            staying
            | {self.committed, self.serving}
            | {u.generations[-1] for u in self.updates.values() if not u.result}
        )
        unhurried = {
            w.generation
            for w in self._living_books()
            if w.told == "leave"
            and w.generation not in kept
            and w.leave_at_latest_s > self._now_s + HURRY_S + EPSILON_S
        }
        policy = self.generations[self.serving].policy if self.serving else None
        bound = policy.max_generations if policy else 3
        self.need(self.is_stopping or len(unhurried) <= bound, f"generations {unhurried} drain, at most {bound} may")

    def _is_canary(self) -> bool:
        """Two generations accept on purpose. A stop lets both go on for ``stop.delay``, also while the rest was about to follow."""
        canaries = [u for u in self.updates.values() if u.had_canary and u.result in {"", "stopped"}]
        return any(u.phase == "canary" or (self.is_stopping and u.phase == "cut-over") for u in canaries)

    def _is_by_slot(self) -> bool:
        """Two generations accept on purpose, each in its own slots, from the first slot that is taken to the last."""
        return any(
            u.phase in {"canary", "cut-over"} and self._goes_by_slot(u) and (not u.result or self.is_stopping)
            for u in self.updates.values()
        )

    # --- books ----------------------------------------------------------------------------------------------------

    def _generation(self, generation: GenerationId) -> GenerationBook:
        return self.generations.setdefault(generation, GenerationBook(generation))

    def _workers_of(self, generation: GenerationId) -> list[WorkerBook]:
        return [w for w in self.workers.values() if w.generation == generation]

    def _living_books(self) -> list[WorkerBook]:
        return [w for w in self.workers.values() if not w.is_gone]

    def _living(self, worker: WorkerId, effect: Effect) -> WorkerBook:
        """Orders go to workers whose end was not told yet. (That it has just died outside is nobody's fault.)"""
        self.need(worker in self.workers, f"{effect}: never started")
        self.need(not self.workers[worker].is_gone, f"{effect}: it is known to be gone")
        return self.workers[worker]

    def _zygote_gone(self, zygote: ZygoteId) -> None:
        self.zygotes.pop(zygote, None)
        self.ready_zygotes.discard(zygote)
