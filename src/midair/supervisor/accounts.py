"""What is counted over the life of the service: by workers in their pages, by the supervisor in ``Counted``.

Counters never go backwards. A worker that ends leaves its figures to its generation; a generation whose last worker has left
leaves them to the service (``midair_service_*``) and its own series end: whoever adds up generations uses those. It holds over
an upgrade of the supervisor, too; a stop and a start begin again at nought, which ``rate()`` understands.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

import midair
from midair.core import effects
from midair.core.ids import GenerationId, WorkerId
from midair.core.state import COMING, Role, WorkerState
from midair.core.strain import Figures
from midair.core.succession import RETIRING
from midair.observe.counters import Cell
from midair.observe.metrics import (
    ENDS,
    PHASE_BOUNDS_S,
    PHASES,
    REFUSALS,
    REPLACED,
    RESULTS,
    SPANS,
    STATES,
    DevFigures,
    Durations,
    GenerationFigures,
    MetricsSnapshot,
    ProcessFigures,
    QueueFigures,
)
from midair.sockets.queue import queue_of
from midair.supervisor import books
from midair.supervisor.books import Sums
from midair.supervisor.estate import Estate
from midair.supervisor.ledger import Receipt
from midair.supervisor.members import Worker

NOT_LOADING = frozenset({"called-off", "no-process", "no-memory", "fork-failed"})
"""Ends of a candidate before its import was complete that say nothing about the code."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Counted(msgspec.Struct):
    """Everything that is kept. Updates are those that were to replace a version: a first start is none."""

    updates: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(RESULTS, 0))
    durations: Durations = msgspec.field(default_factory=Durations)
    phases: dict[str, Durations] = msgspec.field(
        default_factory=lambda: {phase: Durations(bounds_s=PHASE_BOUNDS_S) for phase in PHASES}
    )
    update_began_s: float = 0.0
    last_update_s: float = 0.0
    load_errors: int = 0
    worker_ends: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(REPLACED, 0))
    ends: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(ENDS, 0))
    crash_loops: int = 0
    control_refusals: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(REFUSALS, 0))
    spans: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(SPANS, 0))
    """Of updates."""
    log_lines_dropped: int = 0
    """By the images of the supervisor before this one."""
    ended: dict[int, Sums] = msgspec.field(default_factory=dict)
    """Workers that have ended, of generations that have not."""
    gone: Sums = msgspec.field(default_factory=Sums)
    """Generations that are gone."""


class Accounts:
    """Counts, and says how much."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self.counted = Counted()
        self.dev: DevFigures | None = None
        """Set by whoever develops."""
        self.lines_dropped: Callable[[], int] = lambda: 0
        """Set by whoever owns the log."""
        self.beside: Callable[[], Iterable[ProcessFigures]] = lambda: ()
        """Says which processes there are besides workers and what they are forked from. Set by whoever knows them."""

    # --- what happens ---------------------------------------------------------------------------------------------

    def ended(self, worker: WorkerId, how: str) -> None:
        """A worker of either kind is gone. how: as ``processes.describe`` says it."""
        known = self._estate.service.workers.get(worker)
        self.counted.ends[why_ended(known.state if known else None, how)] += 1

    def worker_ended(self, worker: Worker, how: str) -> None:
        """Take in its last figures. Its page is not needed any more after this."""
        sums = self.counted.ended.setdefault(worker.generation, Sums())
        sums.add_worker(worker.page.snapshot(), worker.page.latency_buckets(), how)

    def generation_gone(self, generation: GenerationId) -> None:
        """Note when it was, and close its books: into the receipt of the update that replaced it or gave it up; and into the
        service's sums."""
        if receipt := self._receipt_for(generation):
            receipt.gone[str(generation)] = self._estate.loop.clock.now_s() - receipt.began_s
            self._estate.ledger.write(receipt)
        sums = self.counted.ended.pop(generation, None)
        if sums is None:
            return
        self.counted.gone.add(sums)
        closed, wrong = books.close(sums)
        if wrong:
            self._estate.say("books_unbalanced", {"generation": generation, "books": wrong})
        if receipt and wrong:
            receipt.warnings.append(f"the books of generation {generation} do not balance: {wrong}")
        if receipt:
            receipt.books[str(generation)] = closed
            self._estate.ledger.write(receipt)

    def _receipt_for(self, generation: GenerationId) -> Receipt | None:
        ledger = self._estate.ledger
        replaced = (r for r in ledger.latest(50) if r.previous_generation == generation)
        by = next((r for r in replaced if r.result in {"committed", ""}), None)
        return by or ledger.of_generation(generation)

    def opened(self, receipt: Receipt) -> None:
        """An update began."""
        if receipt.previous_generation:
            self.counted.update_began_s = receipt.began

    def closed(self, effect: effects.Closed, receipt: Receipt) -> None:
        """An update ended."""
        counted = self.counted
        if effect.result == "committed":
            counted.load_errors = 0
        elif effect.result == "refused" and self._was_not_imported(effect, receipt):
            counted.load_errors = 1
        if not receipt.previous_generation:
            return
        counted.updates[effect.result] = counted.updates.get(effect.result, 0) + 1
        for each in receipt.phases:
            if each.took_s is not None and each.phase in counted.phases:
                counted.phases[each.phase].observe(each.took_s)
        if effect.result == "committed":
            counted.durations.observe(receipt.took_s)
            counted.last_update_s = self._estate.loop.clock.wall_s()

    def _was_not_imported(self, effect: effects.Closed, receipt: Receipt) -> bool:
        """Whether it was the application's import that failed. A command imports nothing that we know of."""
        release = self._estate.releases.get(effect.generation)
        if release is None or release.settings.is_command or release.interface:
            return False
        has_begun = bool(receipt.phases) and receipt.phases[-1].phase == "start"
        return has_begun and effect.fault is not None and effect.fault.code not in NOT_LOADING

    def imported(self, generation: GenerationId) -> None:
        """By a zygote, or by a worker that imports by itself; also by one that replaces another of the serving version."""
        candidate = self._estate.service.candidate
        if candidate and candidate.generation == generation:
            self.counted.load_errors = 0

    def noted(self, note: effects.Note) -> None:
        """A change of state that the core tells."""
        ends = self.counted.worker_ends
        if note.event == "worker_died":
            ends["died"] += 1
        elif note.event == "worker_replaced":
            old = self._estate.service.workers.get(note.fields.get("worker"))  # type: ignore[call-overload]
            ends["hung" if old is not None and old.hangs else "worn"] += 1
        elif note.event == "crash_loop":
            self.counted.crash_loops += 1

    def refused(self, why: str) -> None:
        """Somebody was turned away at the control socket."""
        self.counted.control_refusals[why] += 1

    # --- how much -------------------------------------------------------------------------------------------------

    def of_generation(self, generation: GenerationId) -> Sums:
        """All that it has counted, by workers that live and that have ended. With ``NOW``: how it is with the living."""
        sums = Sums()
        if (ended := self.counted.ended.get(generation)) is not None:
            sums.add(ended)
            for name in ("open", "lost", "requests_lost"):
                sums.counts.pop(name, None)
        for worker in self._estate.fleet.workers.values():
            if worker.generation == generation:
                sums.add(_figures_of(worker))
        return sums

    def _total(self) -> dict[str, int]:
        """Of every worker that ever was."""
        total = Sums()
        total.add(self.counted.gone)
        for ended in self.counted.ended.values():
            total.add(ended)
        for worker in self._estate.fleet.workers.values():
            total.add(_figures_of(worker))
        return total.counts

    def handed_over(self) -> int:
        """Connections that any worker ever gave to another."""
        counted = [self.counted.gone, *self.counted.ended.values()]
        living = (worker.page.cells[Cell.HANDED_OVER] for worker in self._estate.fleet.workers.values())
        return sum(sums.counts.get("handed_over", 0) for sums in counted) + sum(living)

    def figures(self, generation: GenerationId) -> Figures:
        """How it has answered so far; errors are 5xx, and exceptions that broke a response off.

        An exception mostly is a 500 as well, and frameworks answer 500 and let it out besides. Which of them were the same
        answer is not known, so the larger figure counts: never an answer twice, at worst half of a mixture unseen.
        """
        sums = self.of_generation(generation)
        counts = sums.counts
        answers = counts.get("requests", 0)
        errors = max(counts.get("responses_5xx", 0), counts.get("application_errors", 0))
        return Figures(
            at_s=self._estate.loop.clock.now_s(),
            answers=answers,
            errors=min(answers, errors),
            active=counts.get("active", 0),
            adopted=counts.get("responses_adopted", 0),
            finished=tuple(sums.latency_buckets),
        )

    def dropped_ever(self) -> int:
        """Lines that the log has dropped, in this image of the supervisor and in those before it."""
        return self.counted.log_lines_dropped + self.lines_dropped()

    def snapshot(self) -> MetricsSnapshot:
        estate, counted = self._estate, self.counted
        service = estate.service
        serving = estate.version_of(service.serving)
        generations = [self._figures(g.id) for g in service.generations.values() if g.role is not Role.GONE]
        moving = estate.moving()
        return MetricsSnapshot(
            midair=midair.__version__,
            python=platform.python_version(),
            started_s=estate.loop.clock.wall_s() - (estate.loop.clock.now_s() - estate.started_s),
            updates=counted.updates,
            durations=counted.durations,
            phases=counted.phases,
            update_began_s=counted.update_began_s,
            last_update_s=counted.last_update_s,
            load_errors=counted.load_errors,
            is_updating=bool(service.candidate or service.baking),
            is_held=service.hold is not None,
            is_behind_disk=bool(estate.on_disk and serving and estate.on_disk != serving),
            wanted_workers=service.wanted,
            worker_ends=counted.worker_ends,
            ends=counted.ends,
            crash_loops=counted.crash_loops,
            log_lines_dropped=self.dropped_ever(),
            control_refusals=counted.control_refusals,
            spans=self._spans(),
            certificate_not_after_s=self._certificate_not_after_s(),
            supervisor_resident_bytes=resident_bytes(os.getpid()),
            totals=self._total(),
            drain_left=sum(each.connections["draining"] for each in generations),
            drain_rate_per_s=moving.per_s * moving.share if moving else 0.0,
            drain_oldest_s=self._drain_oldest_s(),
            queues=self._queues(),
            processes=tuple(self._processes()),
            generations=tuple(generations),
            dev=self.dev,
        )

    def _spans(self) -> dict[str, dict[str, int]]:
        totals = self._total()
        return {
            "updates": self.counted.spans,
            "requests": {became: totals.get(f"spans_{became}", 0) for became in SPANS},
        }

    def _drain_oldest_s(self) -> float:
        stopped = [w.stopped_s for w in self._retiring() if w.page.cells[Cell.OPEN] and w.stopped_s]
        return self._estate.loop.clock.now_s() - min(stopped) if stopped else 0.0

    def _retiring(self) -> Iterator[Worker]:
        for worker in self._estate.fleet.workers.values():
            known = self._estate.service.workers.get(worker.id)
            if known and known.state in RETIRING:
                yield worker

    def _queues(self) -> dict[str, QueueFigures]:
        found: dict[str, QueueFigures] = {}
        for listener in (*self._estate.listeners, *self._estate.commands.more_listeners):
            queue = queue_of(listener.socket)
            if queue is None:
                continue
            # Several sockets share an address where each command has its own.
            before = found.get(listener.actual, QueueFigures(waiting=0, limit=0))
            found[listener.actual] = QueueFigures(
                waiting=before.waiting + queue.waiting, limit=before.limit + queue.limit
            )
        return found

    def _processes(self) -> Iterator[ProcessFigures]:
        estate = self._estate
        yield ProcessFigures(kind="supervisor", pid=os.getpid())
        for base in estate.fleet.bases():
            yield ProcessFigures(kind="base", pid=base.pid)
        for zygote in estate.fleet.zygotes.values():
            yield ProcessFigures(kind="zygote", pid=zygote.pid, generation=str(zygote.generation))
        for worker in estate.everybody():
            yield ProcessFigures(kind="worker", pid=worker.pid, generation=str(worker.generation))
        yield from self.beside()

    def _certificate_not_after_s(self) -> int:
        """The earliest end of a certificate that new connections are shown; 0: none is shown."""
        workers = [w for w in self._estate.fleet.workers.values() if w.generation == self._estate.service.serving]
        return min((found for w in workers if (found := w.page.cells[Cell.TLS_NOT_AFTER_S])), default=0)

    def _figures(self, generation: GenerationId) -> GenerationFigures:
        known = self._estate.service.generations[generation]
        sums = self.of_generation(generation)
        workers = [w.pid for w in self._estate.everybody() if w.generation == generation]
        zygotes = [z.pid for z in self._estate.fleet.zygotes.values() if z.generation == generation]
        return GenerationFigures(
            generation=generation,
            version=known.version,
            role=known.role.value,
            workers=len(workers),
            counts=sums.counts,
            latency_buckets=tuple(sums.latency_buckets),
            connections=self._connections(generation),
            resident_bytes=sum(resident_bytes(pid) for pid in workers + zygotes if pid),
        )

    def _connections(self, generation: GenerationId) -> dict[str, int]:
        """How many do what, by ``metrics.STATES``."""
        found = dict.fromkeys(STATES, 0)
        retiring = {worker.id for worker in self._retiring()}
        for worker in self._estate.fleet.workers.values():
            if worker.generation == generation:
                for state, count in connections_of(worker.page.cells, is_draining=worker.id in retiring).items():
                    found[state] += count
        return found

    # --- over an upgrade ------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return ""

    def freeze(self) -> tuple[bytes, list[int]]:
        return msgspec.msgpack.encode(msgspec.structs.replace(self.counted, log_lines_dropped=self.dropped_ever())), []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        self.counted = msgspec.msgpack.decode(state, type=Counted)
        # Where the execve failed this image counts on, and has its own lines in the sum.
        self.counted.log_lines_dropped -= self.lines_dropped()


def _figures_of(worker: Worker) -> Sums:
    """What a living worker has counted so far."""
    return Sums(1, worker.page.snapshot(), worker.page.latency_buckets())


def connections_of(cells: Mapping[Cell, int] | memoryview, *, is_draining: bool) -> dict[str, int]:
    """What a worker's connections do, by ``metrics.STATES``. Cells may be a moment apart; nothing gets below 0."""
    if is_draining:
        return {"draining": cells[Cell.OPEN]}
    websockets, streams = cells[Cell.WEBSOCKETS], cells[Cell.STREAMS]
    active = max(0, cells[Cell.ACTIVE] - streams)
    idle = max(0, cells[Cell.OPEN] - active - streams - websockets)
    return {"idle": idle, "active": active, "websocket": websockets, "stream": streams}


def why_ended(state: WorkerState | None, how: str) -> str:
    """left, died, killed or failed: how a worker that was in this state has ended.

    >>> why_ended(WorkerState.LEAVING, "exit 0"), why_ended(WorkerState.ACCEPTING, "exit 0")
    ('left', 'died')
    """
    if state is WorkerState.KILLED:
        return "killed"
    if state is None or state in COMING:
        return "failed"
    return "left" if state is WorkerState.LEAVING and how == books.GRACEFUL else "died"


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0
