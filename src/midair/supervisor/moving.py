"""Live connections follow the service to the version that serves: who gives them to whom, and how many by now.

A reconciler: whatever happens, the next look compares who should take over from whom (``core/succession.py``) with the
channels that there are, and mends the difference; a worker that dies, a newer version, a rollback and a recycled worker are
all the same to it. The pace (``core/pace.py``) is one for the whole service, and held back while the new side fails
(``restraint.py``). The sockets themselves go from worker to worker: only the two ends of a channel pass through here.
"""

from __future__ import annotations

import msgspec

from midair.config.schema import Settings
from midair.core.ids import GenerationId, WorkerId
from midair.core.pace import AT_ONCE, UNPACED, Pace
from midair.core.state import Worker
from midair.core.succession import RETIRING, heir, successor, taking_slots
from midair.observe.counters import Cell
from midair.sockets import passing, words
from midair.supervisor import members
from midair.supervisor.accounts import Accounts
from midair.supervisor.estate import Estate, FieldValue
from midair.supervisor.loop import Timer
from midair.supervisor.passage import Passage, Trip
from midair.supervisor.pulse import Pulse
from midair.supervisor.restraint import Restraint
from midair.supervisor.restraint import State as RestraintState

LOOK_EVERY_S = 0.02
"""While connections are moving: at 5 % a second of 2,000 that is two at a time."""
MARGIN_S = 1.0
"""A generation that has to be gone moves what is left so long before."""


class State(msgspec.Struct, kw_only=True):
    """The room's, on its way to the next image of the supervisor."""

    routes: dict[int, int] = {}
    drained: list[int] = []
    declined: list[tuple[int, int]] = []
    target: int | None = None
    pace: Pace | None = None
    restraint: RestraintState = msgspec.field(default_factory=RestraintState)
    trip: Trip | None = None


class Moving:
    """Carries connections over, one look after the other, as long as there are any to carry."""

    def __init__(self, estate: Estate, accounts: Accounts, pulse: Pulse) -> None:
        self._estate = estate
        self._restraint = Restraint(estate, accounts, pulse)
        self._passage = Passage(estate, accounts, self._restraint)
        self._routes: dict[WorkerId, WorkerId] = {}
        self._drained: set[WorkerId] = set()
        self._declined: set[tuple[WorkerId, WorkerId]] = set()
        self._target: GenerationId | None = None
        """Where connections went at the latest look."""
        self._pace: Pace | None = None
        self._timer: Timer | None = None

    def migrates(self, worker: WorkerId) -> bool:
        """Whether its connections will be handed over when it accepts no more; else it has to let them end."""
        service = self._estate.service
        known = service.workers.get(worker)
        generation = service.generations.get(known.generation) if known else None
        return generation is not None and generation.policy.migrates and not service.stopping

    def spread_s(self, within_s: float) -> float:
        """Over how long the WebSockets that do not move are closed: at the pace of ``drain.rate``, in half of the time at most;
        over all of it when the service stops, since nothing else will come of them."""
        if self._estate.service.stopping:
            return within_s
        return min(1.0 / self._estate.settings.drain.rate_per_s, within_s / 2)

    def hurry(self) -> None:
        """What moves moves all at once from now on, until the next cut-over."""
        if self._pace:
            self._pace.rate_per_s = UNPACED
            self.look_soon()

    def look_soon(self) -> None:
        """Something has changed: who serves, who accepts, who lives."""
        if self._timer is None:
            self._timer = self._estate.loop.call_later(0.0, self._look)

    def began_to_accept(self, worker: WorkerId) -> None:
        """It serves (again): it gives nothing away any more."""
        self._routes.pop(worker, None)
        self._drained.discard(worker)
        self._forget_grant(worker)

    def ended(self, worker: members.Worker) -> None:
        """Its process is gone, and with it the channels that led there or came from there."""
        now_s = self._estate.loop.clock.now_s()
        self._routes = {source: target for source, target in self._routes.items() if worker.id not in {source, target}}
        self._declined = {pair for pair in self._declined if worker.id not in pair}
        self._drained.discard(worker.id)
        if self._pace:
            self._pace.gone(worker.id, now_s)
        if not self._has_connections():
            # At once: who waits for the end of its generation is to hear of its last connections before that.
            self._keep_pace([], self._loads(), now_s)
        self.look_soon()

    def heard(self, worker: members.Worker, word: words.Moved | words.Stays | words.HandOverEnded) -> None:
        """How much of a grant was used; that an application does not go on with a connection; that a target takes nothing more."""
        if isinstance(word, words.Stays):
            self._say_stays(worker, word)
            return
        if isinstance(word, words.Moved):
            if self._pace:
                self._pace.answered(worker.id, word.count, self._estate.loop.clock.now_s())
        elif self._routes.get(worker.id) == word.target:
            del self._routes[worker.id]
            if word.is_declined:
                self._declined.add((worker.id, WorkerId(word.target)))
                fields: dict[str, FieldValue] = {"worker": worker.id, "target": word.target, "why": word.why}
                self._estate.say("handover_ended", {"generation": worker.generation, **fields})
        self.look_soon()

    def _say_stays(self, worker: members.Worker, word: words.Stays) -> None:
        fields: dict[str, FieldValue] = {"worker": worker.id, "target": word.target, "why": word.why}
        self._estate.say("connections_stay", {"generation": worker.generation, **fields})
        serving = self._estate.service.serving
        if serving is not None:
            self._estate.happened(serving, "connections_stay", fields)
            self._estate.ledger.happened_after(serving, "connections_stay", dict(fields))

    def _loads(self) -> dict[WorkerId, int]:
        """Open connections, by worker."""
        return {worker.id: worker.page.cells[Cell.OPEN] for worker in self._estate.fleet.workers.values()}

    def _has_connections(self) -> bool:
        """Some worker that accepts no more has any left."""
        loads = self._loads()
        return any(loads.get(each.id) for each in self._estate.service.workers.values() if each.state in RETIRING)

    # --- one look ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._timer = None
        service, now_s = self._estate.service, self._estate.loop.clock.now_s()
        loads = self._loads()
        waiting: list[tuple[WorkerId, int]] = []
        for worker in sorted(service.workers.values(), key=lambda each: (each.generation, each.slot)):
            is_retiring = worker.state in RETIRING and worker.id in loads
            if is_retiring and self._is_routed(worker, loads) and loads[worker.id]:
                waiting.append((worker.id, loads[worker.id]))
        self._keep_pace(waiting, loads, now_s)
        if waiting:
            self._grant(waiting, loads, now_s)
            self._timer = self._estate.loop.call_later(LOOK_EVERY_S, self._look)

    def _is_routed(self, worker: Worker, loads: dict[WorkerId, int]) -> bool:
        """See to it that the worker gives its connections to the right one; whether it does."""
        target = successor(self._estate.service, worker, loads)
        known = self._routes.get(worker.id)
        if target == "wait":
            return False
        if target == "drain" or (worker.id, target) in self._declined:
            self._drain(worker.id)
            return False
        if known is not None and known in loads and self._takes_over(known, worker):
            return True  # A slot's own worker may be back by now; moving on would gain nothing.
        return self._connect(worker.id, WorkerId(target))

    def _takes_over(self, target: WorkerId, source: Worker) -> bool:
        service = self._estate.service
        known = service.workers.get(target)
        return known is not None and known.generation == heir(service, source) and known.state not in RETIRING

    def _connect(self, source: WorkerId, target: WorkerId) -> bool:
        workers = self._estate.fleet.workers
        giver, taker = workers[source].link, workers[target].link
        if giver is None or taker is None:
            return False
        try:
            one, other = passing.pair()
        except OSError as exc:
            self._estate.say(
                "worker_trouble", {"worker": source, "what": f"no channel for connections: {exc.strerror}"}
            )
            return False
        with one, other:
            taker.send(words.TakeOver(source=source), [other.fileno()])
            giver.send(words.HandOver(target=target), [one.fileno()])
        self._routes[source] = target
        self._forget_grant(source)
        return True

    def _forget_grant(self, worker: WorkerId) -> None:
        # A grant of everything has no answer: it ends with its channel.
        if self._pace and self._pace.granted.get(worker) == AT_ONCE:
            del self._pace.granted[worker]

    def _drain(self, worker: WorkerId) -> None:
        link = self._estate.fleet.workers[worker].link
        self._routes.pop(worker, None)
        if worker not in self._drained and link:
            self._drained.add(worker)
            link.send(words.Drain())

    # --- pace -------------------------------------------------------------------------------------------------------

    def _keep_pace(self, waiting: list[tuple[WorkerId, int]], loads: dict[WorkerId, int], now_s: float) -> None:
        """A new cut-over counts anew who is not on the version that takes over; so do the first to move after nobody did."""
        total, target = sum(count for _, count in waiting), self._taking_over()
        left = self._not_there_yet(total, loads)
        is_over = not left and not (self._pace and any(part != AT_ONCE for part in self._pace.granted.values()))
        is_cut_over = self._target != target
        is_update = is_cut_over or self._is_update(waiting)
        if self._pace and (is_over or is_cut_over):
            self._passage.ended(self._pace, left, now_s)
        if is_cut_over:
            self._restraint.cut_over(self._target, is_back=self._is_back())
        elif is_over and self._pace:
            self._restraint.ended()
        if is_over:
            self._pace = None
        elif self._pace is None and total:
            self._pace = Pace(self._rate(is_update=is_update), left, now_s)
        elif self._pace and is_cut_over:
            self._pace.rate_per_s, self._pace.at_cut_over = self._rate(is_update=is_update), left
            self._pace.busiest = 0
        self._target = target
        if self._pace and self._passage.trip is None and target is not None:
            self._passage.began(target, self._pace, now_s, is_update=is_update)

    def _taking_over(self) -> GenerationId | None:
        """Where connections go now."""
        taking = taking_slots(self._estate.service)
        return taking.generation if taking else self._estate.service.serving

    def _not_there_yet(self, waiting: int, loads: dict[WorkerId, int]) -> int:
        """Slot by slot, those of slots that were not taken yet count, too: the whole way takes as long as otherwise."""
        service = self._estate.service
        if taking_slots(service) is None:
            return waiting
        return max(
            waiting, sum(loads.get(w.id, 0) for w in service.workers.values() if w.generation == service.serving)
        )

    def _is_back(self) -> bool:
        """The version that takes over now is older than the one that did when we looked last."""
        target = self._taking_over()
        return self._target is not None and target is not None and target < self._target

    def _is_update(self, waiting: list[tuple[WorkerId, int]]) -> bool:
        """Connections come from another version, and not only from a worker that was recycled."""
        workers, target = self._estate.service.workers, self._taking_over()
        return any(workers[worker].generation != target for worker, _ in waiting)

    def _rate(self, *, is_update: bool) -> float:
        """Share a second: that of a roll-back on the way to an older version; else as whoever asked for the version said."""
        target, settings = self._taking_over(), self._settings()
        generation = self._estate.service.generations.get(target) if target is not None else None
        if self._is_back():
            return settings.rollback.rate_per_s
        if generation and generation.asked_rate_per_s and is_update:
            return generation.asked_rate_per_s
        return settings.drain.rate_per_s

    def _settings(self) -> Settings:
        """Those of the version that takes over, which need not be committed yet."""
        target = self._taking_over()
        release = self._estate.releases.get(target) if target is not None else None
        return release.settings if release else self._estate.settings

    def _grant(self, waiting: list[tuple[WorkerId, int]], loads: dict[WorkerId, int], now_s: float) -> None:
        assert self._pace is not None
        left = self._not_there_yet(sum(count for _, count in waiting), loads)
        hurried = [worker for worker, count in waiting if self._must_hurry(worker, count, now_s)]
        for worker in hurried:
            if self._pace.granted.get(worker) != AT_ONCE:
                self._pace.granted[worker] = AT_ONCE
                self._send(worker, words.Grant(is_all=True))
        for worker, count in self._pace.grant(now_s, waiting, share=self._share(waiting, left, now_s)):
            self._send(worker, words.Grant(is_all=True) if count == AT_ONCE else words.Grant(count=count))
        self._passage.goes_on(self._pace, left, now_s)

    def _share(self, waiting: list[tuple[WorkerId, int]], left: int, now_s: float) -> float:
        """How much of the pace the new side can take. Who asked for everything at once gets that."""
        assert self._pace is not None
        target = self._taking_over()
        if target is None or self._pace.rate_per_s >= UNPACED or not self._is_update(waiting):
            return 1.0
        return self._restraint.share(target, self._settings().drain.halt_at_share, left, now_s)

    def _must_hurry(self, worker: WorkerId, count: int, now_s: float) -> bool:
        """At the pace it would not be over before it is ended; and what is not over then is cut."""
        assert self._pace is not None
        if self._estate.service.workers[worker].carries == "moves":
            return (
                True  # Its slot's state is there already: what it still serves would change a copy that nobody reads.
            )
        ends_s = self._estate.service.timers.get(f"kill:{worker}")
        if ends_s is None:
            return False
        exit_s = self._estate.service.generations[self._estate.service.workers[worker].generation].policy.exit_s
        return ends_s - exit_s - now_s < self._pace.left_s(count) + 2 * MARGIN_S

    def _send(self, worker: WorkerId, word: words.Grant) -> None:
        link = self._estate.fleet.workers[worker].link
        if link:
            link.send(word)

    # --- over an upgrade ----------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return ""

    def freeze(self) -> tuple[bytes, list[int]]:
        state = State(
            routes={int(source): int(target) for source, target in self._routes.items()},
            drained=list(self._drained),
            declined=list(self._declined),
            target=self._target,
            pace=self._pace,
            restraint=self._restraint.state,
            trip=self._passage.trip,
        )
        return msgspec.msgpack.encode(state), []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        known = msgspec.msgpack.decode(state, type=State)
        self._routes = {WorkerId(source): WorkerId(target) for source, target in known.routes.items()}
        self._drained = {WorkerId(worker) for worker in known.drained}
        self._declined = {(WorkerId(source), WorkerId(target)) for source, target in known.declined}
        self._target = GenerationId(known.target) if known.target is not None else None
        self._pace = known.pace
        self._restraint.state = known.restraint
        self._passage.trip = known.trip
        self.look_soon()
