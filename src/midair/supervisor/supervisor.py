"""The supervisor: the loop around the core. Facts in, the core's orders out; each is begun here and its outcome is a new fact.

It owns the listening sockets, the control socket and the state; it never imports the application, never serves a request and
never waits for anything but the next event.
"""

from __future__ import annotations

import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, assert_never

import msgspec

import midair
from midair.config.load import RunSources
from midair.config.schema import Settings
from midair.control import words as control
from midair.core import effects, events
from midair.core.ids import GenerationId, RequestId, WorkerId
from midair.core.machine import new_service, next_wake_s, step
from midair.core.state import Role
from midair.errors import Fault
from midair.observe.counters import Cell
from midair.release.survey import Survey
from midair.sockets import words
from midair.sockets.listener import Listener
from midair.supervisor import fleet as fleets
from midair.supervisor.ledger import Ledger, Receipt
from midair.supervisor.loop import Loop, Timer
from midair.supervisor.offload import Offload
from midair.supervisor.outputs import Outputs
from midair.supervisor.probe import Probe
from midair.supervisor.processes import Processes
from midair.supervisor.release import Release, make_release, policy_of

FieldValue = str | int | float | bool | None


STACKS_SIGNAL = signal.SIGRTMIN + 11
"""The worker's side is ``worker/runtime.py``, which is not imported here: it is large."""
STACKS_AFTER_S = 0.3
STACKS_MAX_BYTES = 256 * 1024


class Prepared(msgspec.Struct):
    """What a look at the disk gave."""

    settings: Settings
    survey: Survey
    warnings: tuple[str, ...] = ()


class Supervisor:
    """One service. ``tell`` takes facts; everything else follows."""

    def __init__(
        self,
        loop: Loop,
        settings: Settings,
        sources: RunSources,
        listeners: Sequence[Listener],
        ambient: Mapping[str, str],
        outputs: Outputs,
        log: Callable[[str, Mapping[str, FieldValue]], None],
    ) -> None:
        """ambient: the environment that midair was started with. log: takes an event and its fields."""
        self.loop = loop
        self.settings = settings
        self.sources = sources
        self.listeners = list(listeners)
        self.ambient = dict(ambient)
        self.log = log
        self.outputs = outputs
        self.started_s = loop.clock.now_s()
        self.exit_code: int | None = None
        self.exit_fault: Fault | None = None
        self.processes = Processes()
        self.offload = Offload(loop, self.processes)
        self.service = new_service(policy_of(settings))
        self.releases: dict[GenerationId, Release] = {}
        self.ledger = Ledger(os.path.join(settings.state_dir, "receipts"), loop.clock, self.offload, log)
        self.fleet = fleets.Fleet(
            loop, self.processes, outputs, [each.socket for each in listeners], self.tell, self._process_said
        )
        self.fleet.on_imported = self._imported
        self.fleet.on_started = self._started
        self.fleet.on_left = self._left
        self.on_disk = ""
        """Version found on the disk by the last survey."""
        self.answered: Callable[[effects.Answer], None] = lambda effect: None
        self.progressed: Callable[[Receipt, str, str, Mapping[str, FieldValue]], None] = lambda r, e, p, f: None
        self.opened: Callable[[effects.Opened, Receipt], None] = lambda effect, receipt: None
        self.closed: Callable[[effects.Closed, Receipt], None] = lambda effect, receipt: None
        self.emptied: Callable[[GenerationId], None] = lambda generation: None
        self._facts: deque[events.Event] = deque()
        self._is_deciding = False
        self._wake: Timer | None = None
        self._probes: dict[WorkerId, Probe] = {}
        self._requests = 0

    # --- the loop around the core ---------------------------------------------------------------------------------

    def tell(self, event: events.Event) -> None:
        """A fact. Decided upon in order; a fact that comes up while orders are carried out waits its turn."""
        self._facts.append(event)
        if self._is_deciding:
            return
        self._is_deciding = True
        try:
            while self._facts:
                fact = self._facts.popleft()
                for effect in step(self.service, fact, self.loop.clock.now_s()):
                    self._begin(effect)
        finally:
            self._is_deciding = False
        self._set_alarm()

    def next_request(self) -> RequestId:
        self._requests += 1
        return RequestId(self._requests)

    def _set_alarm(self) -> None:
        at_s = next_wake_s(self.service)
        if self._wake and self._wake.callback and self._wake.at_s == at_s:
            return
        if self._wake:
            self._wake.cancel()
        self._wake = self.loop.call_at(at_s, lambda: self.tell(events.Tick())) if at_s is not None else None

    def _begin(self, effect: effects.Effect) -> None:
        """Carry out one order, or begin to. Nothing here waits."""
        match effect:
            case effects.Prepare():
                self._prepare(effect)
            case effects.Verify(generation):
                self._verify(generation)
            case effects.RunHook():
                self._run_hook(effect)
            case effects.StartZygote():
                self._start_zygote(effect)
            case effects.DropZygote(zygote):
                self.fleet.drop_zygote(zygote)
            case effects.StartWorker():
                self._start_worker(effect)
            case effects.ProbeWorker(worker, warm):
                self._probe(worker, warm=warm)
            case effects.Accept(worker):
                self.fleet.accept(worker)
            case effects.StopAccepting(worker):
                self.fleet.stop_accepting(worker)
            case effects.Leave(worker, within_s):
                self.fleet.leave(worker, within_s)
            case effects.Kill(worker):
                self.fleet.kill(worker)
            case effects.CountAnswers(generation):
                self._count_answers(generation)
            case effects.StartCompanion(generation, name):
                self.tell(events.CompanionExited(generation, name, "not built"))
            case effects.StopCompanion(generation, name):
                self.tell(events.CompanionExited(generation, name, "not built"))
            case effects.Opened():
                receipt = self.ledger.opened(effect, self.version_of(effect.previous))
                self._say_update(receipt, "update_started", by=effect.by, reason=effect.reason or None)
                self.opened(effect, receipt)
            case effects.Entered():
                self._entered(effect)
            case effects.Closed():
                self._closed(effect)
            case effects.Answer():
                self.answered(effect)
            case effects.GenerationGone(generation):
                self._generation_gone(generation)
            case effects.Note(event, fields):
                self.log(event, fields)
                about = fields.get("generation")
                if isinstance(about, int):
                    self._happened(about, event, fields)
            case effects.End(exit_code, fault):
                self.exit_code, self.exit_fault = exit_code, fault
                self.loop.stop()
            case _:
                assert_never(effect)

    # --- making a generation --------------------------------------------------------------------------------------

    def _prepare(self, effect: effects.Prepare) -> None:
        generation, pinned = effect.generation, effect.pinned
        sources, settings, ambient = self.sources, self.settings, self.ambient
        earlier = next((r.survey.interpreter for r in reversed(self.releases.values())), None)

        def look() -> Prepared:
            from midair.release.survey import survey

            now, warnings = settings, tuple[str, ...]()
            if effect.reread:
                loaded = sources.load()
                now, warnings = loaded.settings, loaded.warnings
            return Prepared(now, survey(now, generation, ambient, earlier=earlier), warnings)

        def done(outcome: Prepared | Fault) -> None:
            if isinstance(outcome, Fault):
                self.tell(events.PrepareFailed(generation, outcome))
                return
            self.on_disk = outcome.survey.version
            fingerprint = outcome.survey.fingerprint.value
            if pinned and fingerprint != pinned:
                why = f"its files are gone: on disk is version {outcome.survey.version}"
                hint = "put the files of that version back and run midair reload"
                self.tell(events.PrepareFailed(generation, Fault("rollback-files-gone", why, hint)))
                return
            if generation not in self.service.generations:
                return
            self._adopt(generation, outcome)
            version = outcome.survey.version
            self.tell(events.Prepared(generation, version, fingerprint, policy_of(outcome.settings)))

        self.offload.begin("reading the new version", look, Prepared, done)

    def _adopt(self, generation: GenerationId, prepared: Prepared) -> None:
        release = make_release(generation, prepared.settings, prepared.survey, self.loop.clock.now_s())
        release.warnings = [*prepared.warnings, *prepared.survey.warnings]
        self.releases[generation] = release
        receipt = self.ledger.of_generation(generation)
        if receipt is None:
            return
        receipt.version, receipt.fingerprint = release.version, prepared.survey.fingerprint.value
        receipt.warnings += release.warnings
        serving = self.releases.get(self.service.serving) if self.service.serving is not None else None
        if serving and serving.survey.fingerprint.value == receipt.fingerprint:
            receipt.note = f"unchanged: version {serving.version} serves already"
            self._say_update(receipt, "unchanged", serving=serving.generation)

    def _release(self, generation: GenerationId) -> Release:
        """The release of a generation. One that is a rollback to another has its code under its own number."""
        release = self.releases.get(generation)
        if release is None:
            update = self.service.candidate
            assert update is not None
            assert update.rollback_to is not None
            source = self.releases[update.rollback_to]
            survey = source.survey
            release = make_release(generation, source.settings, survey, self.loop.clock.now_s())
            self.releases[generation] = release
        return release

    def _fingerprint_of(self, release: Release, done: Callable[[str | Fault], None]) -> None:
        settings, ambient = release.settings, self.ambient
        generation, earlier = release.generation, release.survey.interpreter

        def look() -> str:
            from midair.release.survey import survey

            return survey(settings, generation, ambient, earlier=earlier).fingerprint.value

        self.offload.begin("reading the files once more", look, str, done)

    def _verify(self, generation: GenerationId) -> None:
        def done(outcome: str | Fault) -> None:
            fingerprint = outcome if isinstance(outcome, str) else f"unreadable: {outcome.message}"
            self.tell(events.Verified(generation, fingerprint))

        self._fingerprint_of(self._release(generation), done)

    def _run_hook(self, effect: effects.RunHook) -> None:
        self.tell(events.HookEnded(effect.generation, effect.hook, None))

    def _if_unchanged(self, release: Release, pinned: str, then: Callable[[Fault | None], None]) -> None:
        """Go on only if the files are still what the generation is pinned to."""

        def done(outcome: str | Fault) -> None:
            if isinstance(outcome, Fault):
                then(outcome)
            elif outcome != pinned:
                then(Fault("files-changed", f"the files of version {release.version} have changed since it started"))
            else:
                then(None)

        self._fingerprint_of(release, done)

    def _start_zygote(self, effect: effects.StartZygote) -> None:
        release = self._release(effect.generation)
        if not effect.pinned:
            self.fleet.start_zygote(effect.zygote, release)
            return

        def then(fault: Fault | None) -> None:
            if fault:
                self.tell(events.ZygoteFailed(effect.zygote, fault))
            elif effect.zygote in self.service.zygotes:
                self.fleet.start_zygote(effect.zygote, release)

        self._if_unchanged(release, effect.pinned, then)

    def _start_worker(self, effect: effects.StartWorker) -> None:
        release = self._release(effect.generation)
        generation = self.service.generations[effect.generation]
        if effect.zygote is not None:
            release.mode = "fork"
            self.fleet.start_worker(effect.worker, release, effect.slot, effect.zygote)
            return
        release.mode, release.why = "spawn", "; ".join(generation.why_spawns) or 'zygote = "never"'
        if generation.role is Role.CANDIDATE:
            self.fleet.start_worker(effect.worker, release, effect.slot, None)
            return

        def then(fault: Fault | None) -> None:
            if effect.worker not in self.service.workers:
                return
            if fault:
                self.tell(events.WorkerFailed(effect.worker, fault, exists=False))
            else:
                self.fleet.start_worker(effect.worker, release, effect.slot, None)

        self._if_unchanged(release, effect.pinned, then)

    # --- health and answers ---------------------------------------------------------------------------------------

    def _probe(self, worker_id: WorkerId, *, warm: bool) -> None:
        worker = self.fleet.workers.get(worker_id)
        if worker is None:
            return
        release = self._release(worker.generation)
        health = release.settings.health
        host = health.host or (self.listeners[0].actual if self.listeners else "localhost")
        paths = [*(health.warm if warm else ()), health.path]
        self._probe_next(worker_id, paths, host, health.timeout_s)

    def _probe_next(self, worker_id: WorkerId, paths: list[str], host: str, timeout_s: float) -> None:
        path, *rest = paths
        try:
            ours, theirs = socket.socketpair()
        except OSError as exc:
            self._probed(worker_id, "unhealthy", exc.strerror or str(exc))
            return

        def done(verdict: Literal["healthy", "unhealthy", "no-route"], detail: str) -> None:
            self._probes.pop(worker_id, None)
            if rest:
                self._probe_next(worker_id, rest, host, timeout_s)
            else:
                self._probed(worker_id, verdict, detail)

        with theirs:
            self.fleet.probe(worker_id, theirs)
        earlier = self._probes.pop(worker_id, None)
        if earlier:
            earlier.cancel()
        self._probes[worker_id] = Probe(self.loop, ours, path, host, timeout_s, done)

    def _probed(self, worker_id: WorkerId, verdict: Literal["healthy", "unhealthy", "no-route"], detail: str) -> None:
        worker = self.fleet.workers.get(worker_id)
        if worker is None:
            return
        self._happened(worker.generation, "probed", {"worker": worker_id, "verdict": verdict, "answer": detail})
        self.tell(events.ProbeAnswered(worker_id, verdict, detail))

    def _count_answers(self, generation: GenerationId) -> None:
        responses = errors = 0
        for worker in self.fleet.workers.values():
            if worker.generation == generation:
                cells = worker.page.cells
                responses += cells[Cell.REQUESTS]
                errors += cells[Cell.RESPONSES_5XX]
        self.tell(events.AnswersCounted(generation, responses, errors, 0.0))

    # --- what processes say ---------------------------------------------------------------------------------------

    def _imported(self, generation: GenerationId, word: words.Imported) -> None:
        release = self.releases.get(generation)
        if release:
            release.interface, release.import_s = word.interface, word.seconds
        self._happened(generation, "imported", {"interface": word.interface, "seconds": round(word.seconds, 4)})

    def _started(self, worker: fleets.Worker, word: words.Started) -> None:
        release = self.releases.get(worker.generation)
        if release:
            release.start_up_s = word.seconds
        fields: dict[str, FieldValue] = {"worker": worker.id, "slot": worker.slot, "seconds": round(word.seconds, 4)}
        self._happened(worker.generation, "worker_started", fields)

    def _left(self, worker: fleets.Worker, word: words.Left) -> None:
        if not word.cut:
            return
        self.log("worker_cut", {"worker": worker.id, "generation": worker.generation, "what": "; ".join(word.cut)})
        receipt = self.ledger.of_generation(worker.generation)
        if receipt:
            receipt.cut += word.cut
            self.ledger.write(receipt)

    def _process_said(self, generation: int, slot: int, event: str, fields: Mapping[str, FieldValue]) -> None:
        self.log(event, {"generation": generation, "slot": slot, **fields})

    # --- updates, told to people ----------------------------------------------------------------------------------

    def _entered(self, effect: effects.Entered) -> None:
        receipt = self.ledger.entered(effect)
        if receipt is None:
            return
        at_s = round(receipt.phases[-1].at_s, 3)
        if effect.phase == "ready":
            self._say_update(receipt, "candidate_ready", ready_after_s=at_s)
        elif effect.phase == "cut-over":
            self._say_update(receipt, "cut_over", previous=receipt.previous_generation, since_start_s=at_s)
        else:
            self._say_update(receipt, "phase_entered", phase=effect.phase)
        self.progressed(receipt, "phase", effect.phase, {"generation": effect.generation, "version": effect.version})

    def _closed(self, effect: effects.Closed) -> None:
        failed = effect.result in {"refused", "rolled-back"}
        last_lines = self.outputs.last_lines(effect.generation) if failed else []
        receipt = self.ledger.closed(effect, self.version_of(effect.serving), last_lines)
        if receipt is None:
            return
        if effect.result == "committed":
            release = self._release(effect.generation)
            self.settings = release.settings
        fault = effect.fault
        event = "update_done" if effect.result == "committed" else f"update_{effect.result.replace('-', '_')}"
        self._say_update(
            receipt,
            event,
            code=fault.code if fault else None,
            error=fault.message if fault else effect.note or None,
            hint=(fault.hint or None) if fault else None,
            detail=(fault.detail or None) if fault else None,
            duration_s=round(receipt.took_s, 3),
            serving=self.version_of(effect.serving) or None,
        )
        self.closed(effect, receipt)

    def _generation_gone(self, generation: GenerationId) -> None:
        self.emptied(generation)
        for old in [g for g in self.releases if g not in self.service.generations]:
            self.releases.pop(old).close()

    def _say_update(self, receipt: Receipt, event: str, **fields: FieldValue) -> None:
        base: dict[str, FieldValue] = {"update": receipt.number, "generation": receipt.generation}
        if receipt.version:
            base["version"] = receipt.version
        self.log(event, base | {key: value for key, value in fields.items() if value is not None})

    def _happened(self, generation: int, event: str, fields: Mapping[str, FieldValue]) -> None:
        receipt = self.ledger.happened(generation, event, dict(fields))
        if receipt and not receipt.result:
            self.progressed(receipt, event, "", fields)

    def version_of(self, generation: GenerationId | None) -> str:
        known = self.service.generations.get(generation) if generation is not None else None
        return known.version if known else ""

    def has_workers(self, generation: GenerationId) -> bool:
        return any(worker.generation == generation for worker in self.fleet.workers.values())

    # --- looking inside -------------------------------------------------------------------------------------------

    def collect_stacks(
        self, generation: GenerationId, slot: int, done: Callable[[list[control.WorkerStacks]], None]
    ) -> None:
        """What the threads and tasks of some workers stand in; a worker that hangs tells its threads all the same."""
        wanted = [
            w for w in self.fleet.workers.values() if w.generation == generation and slot in {-1, w.slot} and w.pid
        ]
        if not wanted:
            done([])
            return
        tasks: dict[WorkerId, str] = {}
        for worker in wanted:
            os.lseek(worker.stacks_fd, 0, os.SEEK_SET)
            os.ftruncate(worker.stacks_fd, 0)
            worker.on_stacks = _keep(tasks, worker.id)
            self.fleet.signal(worker.id, STACKS_SIGNAL)
            self.fleet.ask_stacks(worker.id)

        def collect() -> None:
            done([_stacks_of(worker, tasks.get(worker.id, "")) for worker in wanted])

        self.loop.call_later(STACKS_AFTER_S, collect)

    def describe_config(self, diff: bool, done: Callable[[control.ConfigReport], None]) -> None:
        """The running settings and, if asked, what the file on disk would change."""
        settings, sources = self.settings, self.sources

        def look() -> control.ConfigReport:
            from midair.config.changes import compare_with_file, values

            changes, fault = compare_with_file(settings, sources) if diff else ([], None)
            return control.ConfigReport(values=values(settings, sources.origins), changes=tuple(changes), fault=fault)

        def answer(outcome: control.ConfigReport | Fault) -> None:
            done(control.ConfigReport(values=(), fault=outcome) if isinstance(outcome, Fault) else outcome)

        self.offload.begin("reading the configuration", look, control.ConfigReport, answer)

    # --- status ---------------------------------------------------------------------------------------------------

    def status(self) -> control.StatusReport:
        """How the service is, for people and scripts."""
        service, now_s = self.service, self.loop.clock.now_s()
        going_on = service.candidate or service.baking
        serving = self.version_of(service.serving)
        warnings = []
        if self.on_disk and serving and self.on_disk != serving:
            warnings.append(f"serving {serving}, on disk {self.on_disk}: a restart would start {self.on_disk}")
        return control.StatusReport(
            name=self.settings.name,
            folder=self.settings.folder,
            target=self.settings.app or " ".join(self.settings.command),
            pid=os.getpid(),
            midair=midair.__version__,
            uptime_s=now_s - self.started_s,
            state=self._state(),
            serving=service.serving or 0,
            version=serving,
            on_disk=self.on_disk,
            workers=service.wanted,
            generations=tuple(self._generation_status(g, now_s) for g in self._shown_generations()),
            hold=control.HoldStatus(reason=service.hold.reason, by=service.hold.by) if service.hold else None,
            update=control.UpdateStatus(
                update=going_on.id,
                phase=going_on.phase,
                generation=going_on.generation,
                version=self.version_of(going_on.generation),
                age_s=now_s - going_on.began_s,
                by=going_on.asked.by,
                reason=going_on.asked.reason,
            )
            if going_on
            else None,
            last=tuple(self.ledger.line(receipt) for receipt in self.ledger.latest(5)),
            binds=tuple(listener.actual for listener in self.listeners),
            metrics=self.settings.metrics.address,
            warnings=tuple(warnings),
        )

    def _state(self) -> str:
        service = self.service
        if service.stopping:
            return "stopping"
        if service.serving is None:
            return "starting"
        if not any(w.state == "serving" for w in self.fleet.workers.values()):
            return "failing"
        return "updating" if service.candidate or service.baking else "serving"

    def _shown_generations(self) -> list[GenerationId]:
        return sorted(g.id for g in self.service.generations.values() if g.role is not Role.GONE)

    def _generation_status(self, number: GenerationId, now_s: float) -> control.GenerationStatus:
        generation = self.service.generations[number]
        release = self.releases.get(number)
        return control.GenerationStatus(
            number=number,
            version=generation.version,
            role=generation.role.value,
            mode=release.mode if release else "",
            why=release.why if release else "",
            workers=tuple(self._worker_status(w, now_s) for w in self.fleet.workers.values() if w.generation == number),
            age_s=now_s - release.born_s if release else 0.0,
            note=generation.runs_short and f"runs short: {generation.runs_short}",
        )

    def _worker_status(self, worker: fleets.Worker, now_s: float) -> control.WorkerStatus:
        cells = worker.page.cells
        return control.WorkerStatus(
            id=worker.id,
            slot=worker.slot,
            pid=worker.pid,
            state=worker.state,
            connections=cells[Cell.OPEN],
            active=cells[Cell.ACTIVE],
            requests=cells[Cell.REQUESTS],
            rss_bytes=_resident_bytes(worker.pid),
            age_s=now_s - worker.started_s,
        )


def _keep(texts: dict[WorkerId, str], worker: WorkerId) -> Callable[[str], None]:
    def keep(text: str) -> None:
        texts[worker] = text

    return keep


def _stacks_of(worker: fleets.Worker, tasks: str) -> control.WorkerStacks:
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
