"""How the service is, for people and scripts: status, stacks, configuration. Looks, changes nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import NamedTuple

import midair
from midair.control import words as control
from midair.core import backoff
from midair.core.ids import STAND_IN, GenerationId, WorkerId
from midair.core.policy import KILL_GRACE_S
from midair.core.state import Generation, Role
from midair.errors import Fault
from midair.observe.counters import LATENCY_BOUNDS_S, Cell
from midair.supervisor import members
from midair.supervisor.accounts import Accounts
from midair.supervisor.commands import Command
from midair.supervisor.estate import Estate
from midair.supervisor.outside import processor_s

STACKS_SIGNAL = signal.SIGRTMIN + 11
"""The worker's side is ``worker/runtime.py``, which is not imported here: it is large."""
STACKS_AFTER_S = 0.3
LOOK_S = 2.0
"""A status is not worth waiting longer for a slow disk."""
STACKS_MAX_BYTES = 256 * 1024


class _Wanted(NamedTuple):
    """Stacks that somebody asked for."""

    generation: GenerationId
    slot: int
    only: frozenset[WorkerId] | None


class Reporting:
    """Answers from what is known, and from the workers themselves."""

    def __init__(self, estate: Estate, accounts: Accounts) -> None:
        self._estate = estate
        self._accounts = accounts
        self._is_collecting = False
        self._stacks_asked: list[tuple[_Wanted, Callable[[list[control.WorkerStacks]], None]]] = []
        self._is_looking = False
        self._wait_for_look: list[tuple[control.Status, Callable[[control.StatusReport], None]]] = []
        """Who asked while a look went on that had begun before: the next one is for all of them."""

    def status(self, asked: control.Status, done: Callable[[control.StatusReport], None]) -> None:
        """How the service is, for people and scripts; what is on the disk is looked up first, if that is asked for: in a child,
        and one at a time, however many ask."""
        if not asked.look:
            done(self._status(asked.events))
        elif self._is_looking:
            self._wait_for_look.append((asked, done))
        else:
            self._look_for([(asked, done)])

    def _look_for(self, wanted: list[tuple[control.Status, Callable[[control.StatusReport], None]]]) -> None:
        serving = self._estate.service.serving
        release = self._estate.releases.get(serving) if serving else None  # A stand-in's files are no version's.
        if release is None:
            self._tell(wanted)
            return
        self._is_looking = True
        settings, survey, ambient = release.settings, release.survey, self._estate.ambient

        def look() -> str:
            from midair.release.survey import survey as look_at

            return look_at(settings, release.generation, ambient, earlier=survey.interpreter).version

        def looked(outcome: str | Fault) -> None:
            # A disk that does not answer, or a version that has no name yet: the last one known is what we say.
            self._estate.on_disk = self._estate.on_disk if isinstance(outcome, Fault) else outcome
            self._is_looking = False
            self._tell(wanted)
            if self._wait_for_look:
                waiting, self._wait_for_look = self._wait_for_look, []
                self._look_for(waiting)

        self._estate.offload.begin("looking at the disk", look, str, looked, limit_s=LOOK_S)

    def _tell(self, wanted: list[tuple[control.Status, Callable[[control.StatusReport], None]]]) -> None:
        for asked, done in wanted:
            done(self._status(asked.events))

    def _status(self, events: int) -> control.StatusReport:
        service, now_s = self._estate.service, self._estate.loop.clock.now_s()
        going_on = service.candidate or service.baking
        serving = self._estate.version_of(service.serving)
        return control.StatusReport(
            name=self._estate.settings.name,
            folder=self._estate.settings.folder,
            target=self._estate.settings.target,
            pid=os.getpid(),
            midair=midair.__version__,
            uptime_s=now_s - self._estate.started_s,
            state=self._state(),
            serving=service.serving or 0,
            version=serving,
            on_disk=self._estate.on_disk,
            back=self._back(),
            workers=service.wanted,
            generations=tuple(self._generation_status(g, now_s) for g in self._shown_generations()),
            hold=self._hold(now_s),
            update=control.UpdateStatus(
                update=going_on.id,
                phase=going_on.phase,
                generation=going_on.generation,
                version=self._estate.version_of(going_on.generation),
                age_s=now_s - going_on.began_s,
                by=going_on.asked.by,
                reason=going_on.asked.reason,
                left_s=self._left_s("bake", now_s) if going_on is service.baking else 0.0,
            )
            if going_on
            else None,
            moving=self._estate.moving(),
            last=tuple(self._estate.ledger.line(receipt) for receipt in self._estate.ledger.latest(5)),
            binds=tuple(each.actual for each in (*self._estate.listeners, *self._estate.commands.stored)),
            metrics=self._estate.served_at.get("metrics", ""),
            admin=self._estate.served_at.get("admin", ""),
            events=tuple(each.line() for each in self._estate.recent.latest(events)),
            rss_bytes=_resident_bytes(os.getpid()),
            processor_s=processor_s(os.getpid()),
            latency_bounds_s=LATENCY_BOUNDS_S,
            store=self._estate.stored(),
            warnings=self._warnings(),
        )

    def _hold(self, now_s: float) -> control.HoldStatus | None:
        hold = self._estate.service.hold
        return control.HoldStatus(reason=hold.reason, by=hold.by, left_s=self._left_s("hold", now_s)) if hold else None

    def _left_s(self, timer: str, now_s: float) -> float:
        return max(0.0, self._estate.service.timers.get(timer, now_s) - now_s)

    def _back(self) -> str:
        """Where ``core/requests.py`` would go."""
        service = self._estate.service
        number, bars = service.previous, bool(service.rollback_barred)
        if service.baking:
            number, bars = service.committed, service.baking.asked.no_rollback
        return "" if bars or number == STAND_IN else self._estate.version_of(number)

    def _warnings(self) -> tuple[str, ...]:
        unwritten = self._estate.ledger.trouble
        memory = (f"receipts are in memory alone, and end with the supervisor: {unwritten}",) if unwritten else ()
        return (*memory, *self._unasked())

    def _unasked(self) -> tuple[str, ...]:
        """What serves without anybody's request."""
        service = self._estate.service
        before = service.before
        serving = service.generations.get(service.serving) if service.serving is not None else None
        if before is None or serving is None or serving.fingerprint == before.fingerprint:
            return ()
        what = f"version {before.version} served until the supervisor was killed; {serving.version} was on disk"
        return (f"{what} and serves since, though nobody has asked for it",)

    def _state(self) -> str:
        service = self._estate.service
        if service.stopping:
            return "stopping"
        if service.serving is None:
            return "starting"
        if not any(w.state == "serving" for w in self._estate.everybody()):
            return "failing"
        if service.candidate or service.baking:
            return "updating"
        return "waiting" if service.serving == STAND_IN else "serving"

    def _shown_generations(self) -> list[GenerationId]:
        return sorted(g.id for g in self._estate.service.generations.values() if g.role is not Role.GONE)

    def _generation_status(self, number: GenerationId, now_s: float) -> control.GenerationStatus:
        service = self._estate.service
        generation = service.generations[number]
        release = self._estate.releases.get(number)
        sums = self._accounts.of_generation(number)
        deaths = backoff.recent(generation.deaths_s, now_s)
        return control.GenerationStatus(
            number=number,
            version=generation.version,
            role="stand-in" if number == STAND_IN else generation.role.value,
            folder=release.survey.home if release else "",
            mode=release.mode if release else "",
            why=release.why if release else "",
            workers=(
                *(self._worker_status(w, now_s) for w in self._estate.fleet.workers.values() if w.generation == number),
                *(
                    self._command_status(c, now_s)
                    for c in self._estate.commands.workers.values()
                    if c.generation == number
                ),
            ),
            age_s=now_s - release.born_s if release else 0.0,
            note=generation.runs_short and f"runs short: {generation.runs_short}",
            requests=sums.counts.get("requests", 0),
            errors=sums.counts.get("responses_5xx", 0),
            latency_buckets=tuple(sums.latency_buckets),
            kept_s=self._left_s("warm", now_s) if generation.role is Role.PARKED and not service.baking else 0.0,
            deaths=len(deaths),
            last_death=generation.last_fault.message if deaths and generation.last_fault else "",
            is_crash_loop=len(deaths) >= backoff.CRASH_LOOP,
            next_start_s=self._next_start_s(generation, now_s),
        )

    def _next_start_s(self, generation: Generation, now_s: float) -> float | None:
        mine = (f"replace:{generation.id}:", f"zygote:{generation.id}")
        due = [at_s for name, at_s in self._estate.service.timers.items() if name.startswith(mine)]
        return max(0.0, min(due) - now_s) if due else None

    def _worker_status(self, worker: members.Worker, now_s: float) -> control.WorkerStatus:
        cells = worker.page.cells
        return control.WorkerStatus(
            id=worker.id,
            slot=worker.slot,
            pid=worker.pid,
            state="hung" if self._hangs(worker, now_s) else worker.state,
            connections=cells[Cell.OPEN],
            active=cells[Cell.ACTIVE],
            streams=cells[Cell.STREAMS],
            websockets=cells[Cell.WEBSOCKETS],
            requests=cells[Cell.REQUESTS],
            rss_bytes=_resident_bytes(worker.pid),
            processor_s=processor_s(worker.pid),
            age_s=now_s - worker.started_s,
            ends_in_s=ends_in_s(self._estate, worker.id, now_s),
        )

    def _hangs(self, worker: members.Worker, now_s: float) -> bool:
        """Its event loop has stood still for so long that the log says so, too."""
        beat_ns, warn_s = worker.page.cells[Cell.BEAT_NS], self._estate.settings.worker.hang_warn_s
        is_looked_at = worker.id in self._estate.debugged
        return bool(beat_ns and warn_s) and not is_looked_at and now_s - beat_ns / 1e9 > warn_s

    def _command_status(self, child: Command, now_s: float) -> control.WorkerStatus:
        """Of its connections nothing is known: it accepts them itself."""
        return control.WorkerStatus(
            id=child.id,
            slot=child.slot,
            pid=child.pid,
            state=child.state,
            said=child.said,
            rss_bytes=_resident_bytes(child.pid),
            processor_s=processor_s(child.pid),
            age_s=now_s - child.started_s,
            ends_in_s=ends_in_s(self._estate, child.id, now_s),
        )

    # --- looking inside -----------------------------------------------------------------------------------------

    def collect_stacks(
        self,
        generation: GenerationId,
        slot: int,
        done: Callable[[list[control.WorkerStacks]], None],
        *,
        only: frozenset[WorkerId] | None = None,
    ) -> None:
        """What the threads and tasks of some workers stand in; a worker that hangs tells its threads all the same.

        only: of these workers; None: of all that slot and generation name. One collection at a time: it interrupts the
        workers. Who asks for the same while one goes on shares the next.
        """
        self._stacks_asked.append((_Wanted(generation, slot, only), done))
        if not self._is_collecting:
            self._collect_next()

    def _collect_next(self) -> None:
        wanted = self._stacks_asked[0][0]
        told = [done for asked, done in self._stacks_asked if asked == wanted]
        self._stacks_asked = [each for each in self._stacks_asked if each[0] != wanted]
        self._is_collecting = True

        def collected(stacks: list[control.WorkerStacks]) -> None:
            self._is_collecting = False
            for done in told:
                done(stacks)
            if self._stacks_asked and not self._is_collecting:
                self._collect_next()

        self._collect(*wanted, collected)

    def _collect(
        self,
        generation: GenerationId,
        slot: int,
        only: frozenset[WorkerId] | None,
        done: Callable[[list[control.WorkerStacks]], None],
    ) -> None:
        wanted = [
            w
            for w in self._estate.fleet.workers.values()
            if w.generation == generation and slot in {-1, w.slot} and w.pid and (only is None or w.id in only)
        ]
        if not wanted:
            done([])
            return
        tasks: dict[WorkerId, str] = {}
        for worker in wanted:
            os.lseek(worker.stacks_fd, 0, os.SEEK_SET)
            os.ftruncate(worker.stacks_fd, 0)
            worker.on_stacks = _keep(tasks, worker.id)
            self._estate.fleet.signal(worker.id, STACKS_SIGNAL)
            self._estate.fleet.ask_stacks(worker.id)

        def collect() -> None:
            done([_stacks_of(worker, tasks.get(worker.id, "")) for worker in wanted])

        self._estate.loop.call_later(STACKS_AFTER_S, collect)

    def describe_config(self, diff: bool, done: Callable[[control.ConfigReport], None]) -> None:
        """The running settings and, if asked, what the file on disk would change."""
        settings, sources = self._estate.settings, self._estate.sources

        def look() -> control.ConfigReport:
            from midair.config.changes import compare_with_file, values

            changes, fault = compare_with_file(settings, sources) if diff else ([], None)
            return control.ConfigReport(values=values(settings, sources.origins), changes=tuple(changes), fault=fault)

        def answer(outcome: control.ConfigReport | Fault) -> None:
            done(control.ConfigReport(values=(), fault=outcome) if isinstance(outcome, Fault) else outcome)

        self._estate.offload.begin("reading the configuration", look, control.ConfigReport, answer)


def ends_in_s(estate: Estate, worker: WorkerId, now_s: float) -> float | None:
    """When what a worker that leaves still has is cut; None: no limit is set."""
    known = estate.service.workers.get(worker)
    due_s = estate.service.timers.get(f"kill:{worker}")
    if known is None or due_s is None:
        return None
    return max(0.0, due_s - estate.service.generations[known.generation].policy.exit_s - KILL_GRACE_S - now_s)


def _keep(texts: dict[WorkerId, str], worker: WorkerId) -> Callable[[str], None]:
    def keep(text: str) -> None:
        texts[worker] = text

    return keep


def _stacks_of(worker: members.Worker, tasks: str) -> control.WorkerStacks:
    worker.on_stacks = None
    threads = b""
    if worker.stacks_fd >= 0:
        threads = os.pread(worker.stacks_fd, STACKS_MAX_BYTES, 0)
    text = threads.decode(errors="replace")
    if tasks:
        text += "\nTasks:\n" + tasks
    elif text:
        text += "\nThe event loop did not answer: it is busy or stands still.\n"
    return control.WorkerStacks(generation=worker.generation, slot=worker.slot, pid=worker.pid, text=text)


def _resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
