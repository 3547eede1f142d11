"""A simulated outside for the update machine: what the real supervisor's shell, the kernel and the disk would do.

It carries out the core's orders with delays and faults drawn from one source of chance, and hands back the facts that
the shell would report, on a clock of its own. It knows the truth that the core only hears about: which processes live,
which of them accept, what each has imported. So the core can be checked against the outside instead of against itself;
nothing here may be taken from ``midair.core.state``.

    world = World(random.Random(seed), disk=Code("v1"))
    world.report(UpdateAsked(RequestId(1), "start"))
    while (event := world.next_event(next_wake_s(service), until_s=60.0)) is not None:
        for effect in step(service, event, world.now_s):
            world.carry_out(effect)

Same source of chance, same calls: same history. Not thread-safe; nothing in it waits.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, assert_never

from midair.core.effects import (
    Accept,
    Answer,
    Carry,
    Closed,
    CountAnswers,
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
    SayNotReady,
    StartCompanion,
    StartWorker,
    StartZygote,
    StoodIn,
    StopAccepting,
    StopCompanion,
    Verify,
)
from midair.core.events import (
    AnswersCounted,
    Carries,
    CompanionExited,
    Event,
    HookEnded,
    Prepared,
    PrepareFailed,
    ProbeAnswered,
    StateCarried,
    StoppedAccepting,
    Tick,
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
from midair.core.ids import STAND_IN, GenerationId, WorkerId, ZygoteId
from midair.core.policy import Policy
from midair.errors import Fault

Defect = Literal[
    "import-fails",
    "import-exits",
    "import-hangs",
    "unsafe-to-fork",
    "start-fails",
    "start-exits",
    "start-hangs",
    "unhealthy",
    "no-route",
    "sick-later",
    "dies-later",
    "errors",
    "refuses-state",
    "spoils-state",
]
"""What can be wrong with a version, each in one way."""


@dataclass(frozen=True, slots=True)
class Code:
    """What lies on the disk: one version of the application with its settings."""

    fingerprint: str
    policy: Policy = field(default_factory=Policy)
    defect: Defect | None = None
    carries: Carries = ""
    at_import: Policy | None = None
    """What the application itself sets when it is imported; None: nothing."""

    @property
    def version(self) -> str:
        return f"version of {self.fingerprint}"


STAND_IN_CODE = Code("stand-in", Policy(has_health=False, forks=False))
"""Midair's own: it lies on no disk that people change."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How often the outside goes wrong, as shares of 1; ``…_every_s`` are mean intervals, 0 is never."""

    survey_fails: float = 0.0
    hook_fails: float = 0.0
    fork_fails: float = 0.0
    start_fails: float = 0.0
    """The application's own start-up, once: a database that is away."""
    start_hangs: float = 0.0
    probe_fails: float = 0.0
    ack_late: float = 0.0
    ack_lost: float = 0.0
    leave_ignored: float = 0.0
    carry_fails: float = 0.0
    carry_hangs: float = 0.0
    told_twice: float = 0.0
    """Old news comes once more, later."""
    worker_killed_every_s: float = 0.0
    zygote_killed_every_s: float = 0.0
    worn_every_s: float = 0.0
    companion_dies_every_s: float = 0.0
    delay_max_s: float = 0.05
    """Most things take up to this; one in ten takes up to twenty times as long."""


NO_FAULTS = Faults()


class Impossible(AssertionError):
    """The core ordered something that makes no sense outside: a number used twice, a worker that never was."""


@dataclass(slots=True)
class SimulatedWorker:
    id: WorkerId
    generation: GenerationId
    slot: int
    code: Code
    """What it has imported, which is not always what its generation is said to be."""
    lives: bool = True
    has_started: bool = False
    """Before that it hears nothing but a signal: it imports, or waits for a database."""
    accepts: bool = False
    leaves: bool = False
    has_accepted: bool = False
    holds: bool = False
    """It begins no request: its state stands still."""
    state: set[int] = field(default_factory=set)
    """What it has in memory: one number for each time that a worker served anybody."""
    busy_until_s: float = 0.0
    """Orders to one worker arrive in their order."""


@dataclass(slots=True)
class SimulatedZygote:
    id: ZygoteId
    generation: GenerationId
    code: Code
    is_ready: bool = False


Happening = Callable[[], Event | None]


class World:
    """``now_s`` is monotonic seconds; ``disk`` is what a survey or an import finds now."""

    def __init__(self, chance: random.Random, disk: Code, faults: Faults = NO_FAULTS) -> None:
        self.now_s = 1000.0
        self.disk = disk
        self.faults = faults
        self.workers: dict[WorkerId, SimulatedWorker] = {}
        """Every process that was ever made, the living and the dead."""
        self.zygotes: dict[ZygoteId, SimulatedZygote] = {}
        """The living."""
        self.companions: set[tuple[GenerationId, str]] = set()
        """The living."""
        self.history: list[str] = []
        self._chance = chance
        self._count = itertools.count()
        self._coming: list[tuple[float, int, Happening]] = []
        self._used: set[object] = set()
        self._called_off: set[WorkerId] = set()
        self._dropped: set[int] = set()
        self._last_change = 0
        self._given_up: set[object] = set()
        """Workers whose state was said to be lost: what they still change is lost, too."""
        self.lost: set[int] = set()
        """State that died with the process that had it, or whose loss was said."""
        self._schedule_misfortunes()

    # --- time -----------------------------------------------------------------------------------------------------

    def next_event(self, wake_s: float | None, until_s: float) -> Event | None:
        """Advance the clock to the next fact, or to ``wake_s`` (a Tick), or to ``until_s`` (None)."""
        while True:
            next_s = self._coming[0][0] if self._coming else float("inf")
            if wake_s is not None and wake_s <= min(next_s, until_s):
                self.now_s = max(self.now_s, wake_s)
                return self._told(Tick())
            if next_s > until_s:
                self.now_s = max(self.now_s, until_s)
                return None
            at_s, _, happen = heapq.heappop(self._coming)
            self.now_s = max(self.now_s, at_s)
            if event := happen():
                return self._told(event)

    def after(self, delay_s: float, happen: Happening) -> None:
        """Let something happen later; it may report a fact."""
        self._at(self.now_s + delay_s, happen)

    def report(self, event: Event, after_s: float = 0.0) -> None:
        self.after(after_s, lambda: event)

    def _at(self, at_s: float, happen: Happening) -> None:
        heapq.heappush(self._coming, (at_s, next(self._count), happen))

    def heal(self) -> None:
        """From now on nothing goes wrong any more; what is broken already stays broken."""
        self.faults = NO_FAULTS

    def _told(self, event: Event) -> Event:
        self.history.append(f"{self.now_s:.3f} {event}")
        if not isinstance(event, Tick) and self._happens(self.faults.told_twice) and _is_news(event):
            self.report(event, self._delay_s() * 5)
        return event

    def _happens(self, share: float) -> bool:
        return share > 0 and self._chance.random() < share

    def _delay_s(self) -> float:
        most_s = self.faults.delay_max_s
        return self._chance.random() * most_s * (20.0 if self._chance.random() < 0.1 else 1.0)

    # --- what people and bad luck do --------------------------------------------------------------------------------

    def deploy(self, code: Code) -> None:
        self.disk = code
        self.history.append(f"{self.now_s:.3f} on disk: {code.fingerprint} {code.defect or ''}")

    def kill_worker(self, worker_id: WorkerId) -> None:
        """``kill -9`` from outside, at any moment."""
        worker = self.workers[worker_id]
        if worker.lives:
            self._end(worker)
            self.report(WorkerExited(worker_id, "SIGKILL"), self._delay_s())

    def kill_zygote(self, zygote_id: ZygoteId) -> None:
        if self.zygotes.pop(zygote_id, None):
            self.report(ZygoteExited(zygote_id, "SIGKILL"), self._delay_s())

    def living(self) -> list[SimulatedWorker]:
        return [worker for worker in self.workers.values() if worker.lives]

    def accepting(self) -> list[SimulatedWorker]:
        return [worker for worker in self.living() if worker.accepts]

    def _schedule_misfortunes(self) -> None:
        faults = self.faults
        for every_s, strike in (
            (faults.worker_killed_every_s, self._strike_worker),
            (faults.zygote_killed_every_s, self._strike_zygote),
            (faults.worn_every_s, self._wear_worker),
            (faults.companion_dies_every_s, self._strike_companion),
        ):
            if every_s:
                self._again_and_again(every_s, strike)

    def _again_and_again(self, every_s: float, strike: Happening) -> None:
        def happen() -> Event | None:
            if self.faults is NO_FAULTS:
                return None
            self._again_and_again(every_s, strike)
            return strike()

        self.after(self._chance.random() * 2 * every_s, happen)

    def _strike_worker(self) -> Event | None:
        if living := self.living():
            self.kill_worker(self._chance.choice(living).id)
        return None

    def _strike_zygote(self) -> Event | None:
        if self.zygotes:
            self.kill_zygote(self._chance.choice(sorted(self.zygotes)))
        return None

    def _wear_worker(self) -> Event | None:
        if accepting := self.accepting():
            worker = self._chance.choice(accepting)
            return WorkerWorn(worker.id, "served enough", hangs=self._chance.random() < 0.3)
        return None

    def _strike_companion(self) -> Event | None:
        if not self.companions:
            return None
        generation, name = self._chance.choice(sorted(self.companions))
        self.companions.discard((generation, name))
        return CompanionExited(generation, name, "SIGKILL")

    # --- orders ---------------------------------------------------------------------------------------------------

    def carry_out(self, effect: Effect) -> None:
        """Begin one order. Its outcome comes back from ``next_event``, sooner or later or never."""
        self.history.append(f"{self.now_s:.3f}    -> {effect}")
        match effect:
            case Prepare():
                self.after(self._delay_s(), lambda: self._survey(effect))
            case Verify(generation):
                self.after(self._delay_s(), lambda: Verified(generation, self.disk.fingerprint))
            case RunHook():
                self.after(self._delay_s(), lambda: self._hook(effect))
            case StartZygote():
                self._start_zygote(effect)
            case DropZygote(zygote):
                self._drop_zygote(zygote)
            case StartWorker():
                self._start_worker(effect)
            case ProbeWorker(worker):
                self._order(worker, self._probe)
            case Accept(worker):
                self._order(worker, self._accept)
            case StopAccepting(worker, holds):
                self._order(worker, lambda told: self._stop_accepting(told, holds=holds))
            case Carry():
                self._carry(effect)
            case DropCarry(exchange):
                self._dropped.add(exchange)
            case Note("state_lost" | "state_refused", fields):
                self.lost.update(range(self._last_change + 1))
                self._given_up.add(fields.get("worker"))
            case SayNotReady(worker):
                self._known(worker)
            case Leave(worker, within_s):
                self._order(worker, lambda told: self._leave(told, within_s))
            case Kill(worker):
                self._known(worker)
                self._kill(worker)
            case CountAnswers(generation):
                self.after(self._delay_s(), lambda: self._count_answers(generation))
            case StartCompanion(generation, name):
                self._start_companion(generation, name)
            case StopCompanion(generation, name):
                self.after(self._delay_s(), lambda: self._stop_companion(generation, name))
            case Opened() | Entered() | Closed() | Answer() | StoodIn() | GenerationGone() | Note() | End():
                pass
            case _:
                assert_never(effect)

    def _survey(self, order: Prepare) -> Event:
        code = self.disk
        if order.pinned and order.pinned != code.fingerprint:
            return PrepareFailed(order.generation, Fault("files-changed", "the files are not that version any more"))
        if self._happens(self.faults.survey_fails):
            return PrepareFailed(order.generation, Fault("survey-failed", "a file vanished while it was read"))
        return Prepared(order.generation, code.version, code.fingerprint, code.policy)

    def _hook(self, order: RunHook) -> Event:
        fails = self._happens(self.faults.hook_fails)
        return HookEnded(order.generation, order.hook, Fault("hook-failed", "exit 1") if fails else None)

    # --- zygotes --------------------------------------------------------------------------------------------------

    def _start_zygote(self, order: StartZygote) -> None:
        self._use_once(("zygote", order.zygote))
        if order.pinned and order.pinned != self.disk.fingerprint:
            fault = Fault("files-changed", "the files are not that version any more")
            self.report(ZygoteFailed(order.zygote, fault), self._delay_s())
            return
        zygote = SimulatedZygote(order.zygote, order.generation, self.disk)
        self.zygotes[zygote.id] = zygote

        def read() -> Event | None:
            # The files are read somewhere between the order and the word "ready".
            zygote.code = self.disk
            if zygote.code.defect != "import-hangs":
                self.after(self._delay_s(), lambda: self._imported(zygote, order.pinned))
            return None

        self.after(self._delay_s(), read)

    def _imported(self, zygote: SimulatedZygote, pinned: str) -> Event | None:
        if zygote.id not in self.zygotes:
            return None
        if pinned and {zygote.code.fingerprint, self.disk.fingerprint} != {pinned}:
            return self._zygote_fails(zygote, Fault("files-changed", "the files changed while they were imported"))
        if zygote.code.defect == "import-fails":
            return self._zygote_fails(zygote, Fault("import-failed", "ImportError"))
        if zygote.code.defect == "import-exits":
            del self.zygotes[zygote.id]
            return ZygoteExited(zygote.id, "exit 0")
        zygote.is_ready = True
        unsafe = ("a thread runs",) if zygote.code.defect == "unsafe-to-fork" else ()
        return ZygoteReady(zygote.id, unsafe, zygote.code.at_import)

    def _zygote_fails(self, zygote: SimulatedZygote, fault: Fault) -> Event:
        del self.zygotes[zygote.id]
        self.report(ZygoteExited(zygote.id, "exit 1"), self._delay_s())
        return ZygoteFailed(zygote.id, fault)

    def _drop_zygote(self, zygote: ZygoteId) -> None:
        self._known_zygote(zygote)
        self.after(self._delay_s(), lambda: self.kill_zygote(zygote))

    # --- workers --------------------------------------------------------------------------------------------------

    def _start_worker(self, order: StartWorker) -> None:
        self._use_once(("worker", order.worker))
        if order.zygote is not None:
            self._known_zygote(order.zygote)
        self.after(self._delay_s(), lambda: self._fork(order))

    def _fork(self, order: StartWorker) -> Event | None:
        if order.worker in self._called_off:
            return WorkerExited(order.worker, "SIGKILL")
        if order.generation == STAND_IN:
            code = STAND_IN_CODE
        elif order.zygote is None:
            code = self.disk
            if code.fingerprint != order.pinned:
                return WorkerFailed(order.worker, Fault("files-changed", "the files changed since"), exists=False)
        else:
            zygote = self.zygotes.get(order.zygote)
            if zygote is None:
                return WorkerFailed(order.worker, Fault("zygote-exited", "nobody there to fork"), exists=False)
            code = zygote.code
        if self._happens(self.faults.fork_fails):
            return WorkerFailed(order.worker, Fault("fork-failed", "Resource temporarily unavailable"), exists=False)
        worker = SimulatedWorker(order.worker, order.generation, order.slot, code)
        self.workers[worker.id] = worker
        spawned_as = order.pinned if order.zygote is None and code is not STAND_IN_CODE else ""
        self.after(self._delay_s(), lambda: self._start_up(worker, spawned_as))
        return None

    def _start_up(self, worker: SimulatedWorker, spawned_as: str) -> Event | None:
        if not worker.lives:
            return None
        defect = worker.code.defect
        if spawned_as and self.disk.fingerprint != spawned_as:
            return self._worker_fails(worker, Fault("files-changed", "the files changed while they were imported"))
        if spawned_as and defect == "import-fails":
            return self._worker_fails(worker, Fault("import-failed", "ImportError"))
        if defect == "start-fails" or self._happens(self.faults.start_fails):
            return self._worker_fails(worker, Fault("startup-failed", "RuntimeError"))
        if defect == "start-exits" or (spawned_as and defect == "import-exits"):
            self._end(worker)
            return WorkerExited(worker.id, "exit 0")
        if defect == "start-hangs" or (spawned_as and defect == "import-hangs"):
            return None
        if self._happens(self.faults.start_hangs):
            return None
        if not worker.code.policy.parks:
            worker.accepts = worker.has_accepted = True  # A command serves as soon as it can.
        worker.has_started = True
        return WorkerReady(worker.id, worker.code.carries if worker.code.policy.parks else "")

    def _worker_fails(self, worker: SimulatedWorker, fault: Fault) -> Event:
        self._end(worker)
        self.report(WorkerExited(worker.id, "exit 1"), self._delay_s())
        return WorkerFailed(worker.id, fault)

    def _kill(self, worker: WorkerId) -> None:
        if worker in self.workers:
            self.kill_worker(worker)
        else:
            self._called_off.add(worker)  # The order to fork it is still on its way.

    def _order(self, worker_id: WorkerId, obey: Callable[[SimulatedWorker], Event | None]) -> None:
        """An order reaches its worker after those before it, if it still lives then."""
        self._known(worker_id)
        worker = self.workers.get(worker_id)
        if worker is None or not worker.lives:
            return  # It has just died; the news is on its way.
        worker.busy_until_s = max(worker.busy_until_s, self.now_s + self._delay_s() / 10)
        self._at(worker.busy_until_s, lambda: obey(worker) if worker.lives else None)

    def _probe(self, worker: SimulatedWorker) -> Event | None:
        defect = worker.code.defect
        verdict: Literal["healthy", "unhealthy", "no-route"] = "healthy"
        if defect == "no-route":
            verdict = "no-route"
        is_sick = defect == "unhealthy" or (defect == "sick-later" and worker.has_accepted)
        if is_sick or self._happens(self.faults.probe_fails):
            verdict = "unhealthy"
        self.report(ProbeAnswered(worker.id, verdict, "503" if verdict == "unhealthy" else ""), self._delay_s())
        return None

    def _accept(self, worker: SimulatedWorker) -> None:
        if worker.leaves:
            raise Impossible(f"worker {worker.id} is to accept and was told to leave")
        worker.accepts = worker.has_accepted = True
        worker.holds = False
        self._change(worker)
        if worker.code.defect == "dies-later":
            self.after(self._chance.random() * 2.0, lambda: self._die(worker))

    def _die(self, worker: SimulatedWorker) -> Event | None:
        if not worker.lives:
            return None
        self._end(worker)
        return WorkerExited(worker.id, "SIGSEGV")

    def _end(self, worker: SimulatedWorker) -> None:
        worker.lives = worker.accepts = False
        self.lost |= worker.state

    def _stop_accepting(self, worker: SimulatedWorker, *, holds: bool) -> None:
        worker.holds = holds
        if worker.code.policy.parks:
            worker.accepts = False
        if not self._happens(self.faults.ack_lost):
            late_s = 0.2 * self._chance.random() if self._happens(self.faults.ack_late) else 0.0
            self.report(StoppedAccepting(worker.id), self._delay_s() / 10 + late_s)

    def _leave(self, worker: SimulatedWorker, within_s: float) -> None:
        if not worker.has_started:
            return
        worker.accepts, worker.leaves = False, True
        if self._happens(self.faults.leave_ignored):
            return
        busy_s = self._chance.random() * within_s
        self.report(WorkerDrained(worker.id), busy_s)

        def leave() -> Event | None:
            if not worker.lives:
                return None
            worker.lives = worker.accepts = False
            return WorkerExited(worker.id, "exit 0")

        self.after(busy_s + self._delay_s(), leave)

    def _count_answers(self, generation: GenerationId) -> Event:
        workers = [w for w in self.workers.values() if w.generation == generation and w.has_accepted]
        responses = self._chance.randrange(0, 60) if workers else 0
        errors = responses if any(w.code.defect == "errors" for w in workers) else self._chance.randrange(3)
        return AnswersCounted(generation, responses, min(errors, responses), 0.0)

    # --- state --------------------------------------------------------------------------------------------------------

    def _change(self, worker: SimulatedWorker) -> None:
        """Somebody was served, and what the worker has in memory is something else now."""
        if worker.code.carries and worker.code.policy.parks:
            self._last_change += 1
            worker.state.add(self._last_change)
            if worker.id in self._given_up:
                self.lost.add(self._last_change)

    def _carry(self, order: Carry) -> None:
        self._use_once(("exchange", order.exchange))
        self._known(order.target)
        if self._happens(self.faults.carry_hangs):
            return
        brought: set[int] = set()
        waiting = set(order.sources)

        def ended(source: WorkerId) -> None:
            waiting.discard(source)
            if not waiting:
                self._order(order.target, lambda target: self._import(order, target, brought))

        for source in order.sources:
            self._ask_state(order, self.workers[source], brought, ended)
        if not order.sources:
            ended(order.target)

    def _ask_state(
        self, order: Carry, worker: SimulatedWorker, brought: set[int], ended: Callable[[WorkerId], None]
    ) -> None:
        """As other orders, after those before it; but the end of the worker is an answer, too."""
        worker.busy_until_s = max(worker.busy_until_s, self.now_s + self._delay_s() / 10)
        self._at(worker.busy_until_s, lambda: self._export(order, worker, brought, ended))

    def _export(
        self, order: Carry, worker: SimulatedWorker, brought: set[int], ended: Callable[[WorkerId], None]
    ) -> None:
        if worker.lives:
            if order.how != "trial" and worker.code.carries == "moves" and not worker.holds and not worker.leaves:
                raise Impossible(f"the state of worker {worker.id} is taken while it changes")
            brought |= worker.state
        ended(worker.id)

    def _import(self, order: Carry, target: SimulatedWorker, brought: set[int]) -> Event | None:
        if order.exchange in self._dropped:
            return None
        defect = target.code.defect
        spoils = defect == "refuses-state" or (defect == "spoils-state" and order.how != "trial")
        if spoils or self._happens(self.faults.carry_fails):
            return StateCarried(order.exchange, Fault("carry-restore", "ValueError"))
        if order.how == "take" and target.accepts:
            raise Impossible(f"worker {target.id} serves already and begins with other state")
        if order.how == "join":
            target.state |= brought
        elif order.how != "trial" and (brought or not order.sources):
            target.state = set(brought)
        return StateCarried(order.exchange)

    # --- once-only processes ----------------------------------------------------------------------------------------

    def _start_companion(self, generation: GenerationId, name: str) -> None:
        if (generation, name) in self.companions:
            raise Impossible(f"process {name} of generation {generation} runs already")
        self.companions.add((generation, name))

    def _stop_companion(self, generation: GenerationId, name: str) -> Event | None:
        if (generation, name) not in self.companions:
            return None  # It has just died; the news is on its way.
        self.companions.discard((generation, name))
        return CompanionExited(generation, name, "exit 0")

    # --- sense ----------------------------------------------------------------------------------------------------

    def _use_once(self, number: object) -> None:
        if number in self._used:
            raise Impossible(f"{number} is used twice")
        self._used.add(number)

    def _known(self, worker: WorkerId) -> None:
        if ("worker", worker) not in self._used:
            raise Impossible(f"worker {worker} never was")

    def _known_zygote(self, zygote: ZygoteId) -> None:
        if ("zygote", zygote) not in self._used:
            raise Impossible(f"zygote {zygote} never was")


def _is_news(event: Event) -> bool:
    """Facts about one worker or zygote: the only ones that can come late or twice without anybody's asking again."""
    return isinstance(event, WorkerReady | WorkerExited | WorkerDrained | WorkerFailed | ZygoteExited | ZygoteFailed)
