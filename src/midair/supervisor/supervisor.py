"""The supervisor: the loop around the core. Facts in, the core's orders out; each is begun here and its outcome is a new fact.

It owns the listening sockets, the control socket and the state; it never imports the application, never serves a request and
never waits for anything but the next event.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import assert_never

import msgspec

from midair.config.load import RunSources
from midair.config.schema import Settings
from midair.core import effects, events
from midair.core.ids import GenerationId, RequestId
from midair.core.machine import new_service, next_wake_s, step
from midair.errors import Fault
from midair.observe.metrics import ProcessFigures
from midair.sockets import words
from midair.sockets.listener import Listener
from midair.supervisor import fleet as fleets
from midair.supervisor import members
from midair.supervisor.accounts import Accounts
from midair.supervisor.carrying import Carrying
from midair.supervisor.commands import Command, Commands, own_listeners
from midair.supervisor.companions import Companions
from midair.supervisor.document import Document
from midair.supervisor.endpoints import Endpoints
from midair.supervisor.errands import Errands
from midair.supervisor.estate import Estate, FieldValue, Say
from midair.supervisor.following import Following
from midair.supervisor.health import Health
from midair.supervisor.keeping import Keeping
from midair.supervisor.ledger import Ledger, Receipt
from midair.supervisor.loop import Loop, Timer
from midair.supervisor.moving import Moving
from midair.supervisor.notices import Notices
from midair.supervisor.offload import Offload
from midair.supervisor.outputs import Outputs
from midair.supervisor.pages import Pages
from midair.supervisor.preparing import Preparing
from midair.supervisor.processes import Processes
from midair.supervisor.pulse import Pulse
from midair.supervisor.release import Release, adopt_release, policy_of
from midair.supervisor.tracing import Tracing
from midair.supervisor.upgrade import Room
from midair.supervisor.warm import Warm

QUOTED = frozenset({"bake-died", "bake-errors", "bake-unhealthy", "not-ready", "worker-exited", "zygote-exited"})
"""Why an update failed, where the application itself may have said more: its last words are quoted."""


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
        say: Say,
    ) -> None:
        """ambient: the environment that midair was started with. say: takes an event of the log and its fields."""
        processes = Processes()
        offload = Offload(loop, processes)
        sockets = [each.socket for each in listeners]
        own = own_listeners(listeners) if settings.listener == "own" and settings.is_command else None
        self.estate = Estate(
            loop=loop,
            settings=settings,
            sources=sources,
            ambient=dict(ambient),
            listeners=list(listeners),
            processes=processes,
            offload=offload,
            outputs=outputs,
            ledger=Ledger(os.path.join(settings.state_dir, "receipts"), settings.receipts, loop, offload, say),
            fleet=fleets.Fleet(loop, processes, outputs, sockets, self.tell, self._process_said),
            commands=Commands(loop, processes, outputs, listeners, settings.runtime_dir, self.tell, say, own),
            service=new_service(policy_of(settings)),
            tell=self.tell,
            say=say,
            started_s=loop.clock.now_s(),
            recent=outputs.recent,
        )
        fleet = self.estate.fleet
        fleet.on_imported, fleet.on_started, fleet.on_left = self._imported, self._started, self._left
        self.estate.commands.on_started = self._command_ready
        self.estate.commands.on_ended = lambda command, how: self.accounts.ended(command.id, how)
        self.estate.commands.wanted = lambda: self.estate.service.wanted
        self.exit_code: int | None = None
        self.exit_fault: Fault | None = None
        self.answered: list[Callable[[effects.Answer], None]] = []
        self.opened: list[Callable[[effects.Opened, Receipt], None]] = []
        self.closed: list[Callable[[effects.Closed, Receipt], None]] = []
        """Who hears of the end of an update, in this order."""
        self.settled: Callable[[Settings], None] = lambda settings: None
        """Takes the settings of a version that was committed: they count from now on."""
        self.emptied: Callable[[GenerationId], None] = lambda generation: None
        self.finish: Callable[[Callable[[], None]], None] = lambda then: then()
        """Told that the service has ended, and calls what it is given when nobody else has anything left to do."""
        self.hurried: Callable[[], None] = lambda: None
        """Told that somebody wants the end now."""
        self.accounts = Accounts(self.estate)
        fleet.on_ended = self._worker_ended
        self.endpoints = Endpoints(self.estate)
        self.tracing = Tracing(self.estate, self.accounts)
        self.estate.traced = self.tracing.traced
        self.estate.ledger.on_written = self.tracing.changed
        self._warm = Warm(fleet, say)
        self._preparing = Preparing(self.estate, self._warm)
        fleet.on_zygote = self._preparing.zygote_imported
        self._health = Health(self.estate)
        self._pulse = Pulse(self.estate, self.accounts)
        self._errands = Errands(self.estate, self.tracing.of_hook)
        self._companions = Companions(self.estate)
        self.accounts.beside = self._beside
        self._notices = Notices(self.estate)
        self._following = Following(self.estate)
        self._moving = Moving(self.estate, self.accounts, self._pulse)
        fleet.on_moving = self._moving.heard
        self._carrying = Carrying(self.estate)
        fleet.on_state = self._carrying.heard
        self.pages = Pages(self.estate)
        fleet.on_pages = self.pages.counted
        fleet.borrowed = lambda: [each.socket for each in self.estate.commands.stored]
        self._facts: deque[events.Event] = deque()
        self._is_deciding = False
        self._wake: Timer | None = None
        self._requests = 0
        self.rooms: dict[str, Room] = {
            "commands": self.estate.commands,
            "accounts": self.accounts,
            "carrying": self._carrying,
            "companions": self._companions,
            "disk": self._preparing.scout,
            "hooks": self._errands,
            "metrics": self.endpoints,
            "moving": self._moving,
            "notices": self._notices,
            "recent": self.estate.recent,
            "traces": self.tracing,
        }
        """Parts with state of their own that must get over an upgrade, by name."""
        self.keeping = Keeping(self.estate, self.endpoints)
        self.rooms["store"] = self.keeping

    def adopt(self, state: Document) -> None:
        """Take over what the image before this one held. Decides nothing; the next fact does."""
        estate = self.estate
        estate.service = state.service
        estate.ambient = state.ambient
        estate.started_s, estate.on_disk = state.started_s, state.on_disk
        for each in state.releases:
            estate.releases[GenerationId(each.generation)] = adopt_release(each)
        estate.ledger.adopt(state.receipts)
        estate.outputs.adopt(state.outputs)
        estate.fleet.adopt(state.fleet)
        for name, room in self.rooms.items():
            if name in state.rooms:
                room.thaw(state.rooms[name], state.room_fds.get(name, []))

    # --- the loop around the core ---------------------------------------------------------------------------------

    def tell(self, event: events.Event) -> None:
        """A fact. Decided upon in order; a fact that comes up while orders are carried out waits its turn."""
        self._facts.append(event)
        if self._is_deciding:
            return
        self._is_deciding = True
        try:
            while self._facts:
                self._decide(self._facts.popleft())
        finally:
            self._is_deciding = False
        self._set_alarm()

    def _decide(self, fact: events.Event) -> None:
        service = self.estate.service
        was_stopping = service.stopping is not None
        orders = step(service, fact, self.estate.loop.clock.now_s())
        self.keeping.decided()
        for effect in orders:
            self._begin(effect)
        if service.stopping is None:
            return
        self._notices.stopping()
        if isinstance(fact, events.StopAsked) and (fact.at_once or was_stopping):
            self._companions.kill_all()
            self._errands.kill()
            self.hurried()

    def next_request(self) -> RequestId:
        self._requests += 1
        return RequestId(self._requests)

    def move_all_now(self) -> None:
        """Connections on their way to the serving version have had time enough."""
        self._moving.hurry()

    def _set_alarm(self) -> None:
        at_s = next_wake_s(self.estate.service)
        if self._wake and self._wake.callback and self._wake.at_s == at_s:
            return
        if self._wake:
            self._wake.cancel()
        self._wake = self.estate.loop.call_at(at_s, lambda: self.tell(events.Tick())) if at_s is not None else None

    def _begin(self, effect: effects.Effect) -> None:
        """Carry out one order, or begin to. Nothing here waits."""
        match effect:
            case effects.Prepare():
                self._preparing.prepare(effect)
            case effects.Verify(generation):
                self._preparing.verify(generation)
            case effects.RunHook():
                self._errands.run(effect)
            case effects.StartZygote():
                self._preparing.start_zygote(effect)
            case effects.DropZygote(zygote):
                self.estate.fleet.drop_zygote(zygote)
            case effects.StartWorker():
                self._preparing.start_worker(effect)
            case effects.ProbeWorker(worker, warm):
                self._health.probe(worker, warm=warm)
            case effects.Accept(worker):
                self.estate.fleet_of(worker).accept(worker)
                self._moving.began_to_accept(worker)
                self._carrying.began_to_accept(worker)
                self._moving.look_soon()
            case effects.StopAccepting(worker, holds):
                is_moving = self._moving.migrates(worker)
                self.estate.fleet_of(worker).stop_accepting(worker, is_moving=is_moving, is_holding=holds)
                self._moving.look_soon()
            case effects.Carry():
                self._carrying.carry(effect)
            case effects.DropCarry(exchange):
                self._carrying.drop(exchange)
            case effects.SayNotReady(worker):
                self.estate.fleet_of(worker).say_not_ready(worker)
            case effects.Leave(worker, within_s):
                is_moving, spread_s = self._moving.migrates(worker), self._moving.spread_s(within_s)
                self.estate.fleet_of(worker).leave(worker, within_s, is_moving=is_moving, spread_s=spread_s)
                self._moving.look_soon()
            case effects.Kill(worker):
                self.estate.fleet_of(worker).kill(worker)
            case effects.CountAnswers(generation):
                self._pulse.count_answers(generation)
            case effects.StartCompanion(generation, name):
                self._companions.start(generation, name)
            case effects.StopCompanion(generation, name):
                self._companions.stop(generation, name)
            case effects.Opened():
                previous = self.estate.version_of(effect.previous)
                receipt = self.estate.ledger.opened(effect, previous, self.tracing.begin(effect))
                self.accounts.opened(receipt)
                self.estate.say_update(receipt, "update_started", by=effect.by, reason=effect.reason or None)
                self._notices.opened(effect)
                self.pages.building()
                for each in self.opened:
                    each(effect, receipt)
            case effects.Entered():
                self._entered(effect)
            case effects.Closed():
                self._closed(effect)
            case effects.Answer():
                for told in self.answered:
                    told(effect)
            case effects.StoodIn():
                self._stood_in(effect)
            case effects.GenerationGone(generation):
                self._generation_gone(generation)
            case effects.Note(event, fields):
                self.accounts.noted(effect)
                self.estate.say(event, fields)
                about = fields.get("generation")
                if isinstance(about, int):
                    self.estate.happened(about, event, fields)
            case effects.End(exit_code, fault):
                self.exit_code, self.exit_fault = exit_code, fault
                self._errands.finish(lambda: self.finish(self.estate.loop.stop))
            case _:
                assert_never(effect)

    # --- what processes say ---------------------------------------------------------------------------------------

    def _imported(self, generation: GenerationId, word: words.Imported) -> None:
        release = self.estate.releases.get(generation)
        if release:
            release.interface, release.import_s = word.interface, word.seconds
        self.accounts.imported(generation)
        fields: dict[str, FieldValue] = {"interface": word.interface, "seconds": round(word.seconds, 4)}
        if release and release.why:
            fields["why"] = release.why  # What it was forked from.
        self.estate.happened(generation, "imported", fields)

    def _started(self, worker: members.Worker, word: words.Started) -> None:
        release = self.estate.releases.get(worker.generation)
        if release:
            release.start_up_s = word.seconds
        self.pages.started(worker)
        fields: dict[str, FieldValue] = {"worker": worker.id, "slot": worker.slot, "seconds": round(word.seconds, 4)}
        self.estate.happened(worker.generation, "worker_started", fields)

    def _command_ready(self, command: Command, seconds: float) -> None:
        fields: dict[str, FieldValue] = {"worker": command.id, "slot": command.slot, "seconds": round(seconds, 4)}
        self.estate.happened(command.generation, "worker_started", fields)

    def _beside(self) -> Iterator[ProcessFigures]:
        """Processes that are no worker and nothing that workers are forked from."""
        for each in self._companions.running.values():
            yield ProcessFigures(kind="companion", pid=each.pid, generation=str(each.generation))
        if self.endpoints.pid:
            yield ProcessFigures(kind="endpoints", pid=self.endpoints.pid)
        if self.tracing.pid:
            yield ProcessFigures(kind="traces", pid=self.tracing.pid)

    def _worker_ended(self, worker: members.Worker, how: str) -> None:
        self.accounts.ended(worker.id, how)
        self.accounts.worker_ended(worker, how)
        self._moving.ended(worker)
        self._carrying.ended(worker)
        self.pages.ended(worker)

    def _left(self, worker: members.Worker, word: words.Left) -> None:
        if not word.cut:
            return
        self.estate.say(
            "worker_cut", {"worker": worker.id, "generation": worker.generation, "what": "; ".join(word.cut)}
        )
        receipt = self.estate.ledger.of_generation(worker.generation)
        if receipt:
            receipt.cut += word.cut
            self.estate.ledger.write(receipt)

    def _process_said(self, generation: int, slot: int, event: str, fields: Mapping[str, FieldValue]) -> None:
        self.estate.say(event, {"generation": generation, "slot": slot, **fields})

    # --- updates, told to people ----------------------------------------------------------------------------------

    def _entered(self, effect: effects.Entered) -> None:
        receipt = self.estate.ledger.entered(effect)
        if receipt is None:
            return
        self._notices.entered(effect)
        at_s = round(receipt.phases[-1].at_s, 3)
        if effect.phase == "ready":
            self.estate.say_update(receipt, "candidate_ready", ready_after_s=at_s)
        elif effect.phase == "cut-over":
            self._pulse.sample()
            self.pages.compiled(effect.generation)
            self.estate.say_update(receipt, "cut_over", previous=receipt.previous_generation, since_start_s=at_s)
        else:
            self.estate.say_update(receipt, "phase_entered", phase=effect.phase)
        self.estate.on_progress(
            receipt, "phase", effect.phase, {"generation": effect.generation, "version": effect.version}
        )

    def _closed(self, effect: effects.Closed) -> None:
        failed = effect.result in {"refused", "rolled-back"}
        last_lines = self.estate.outputs.last_lines(effect.generation) if failed else []
        # In the log its own lines stand already.
        told = msgspec.structs.replace(effect, fault=self._quoting(effect.fault, effect.generation))
        receipt = self.estate.ledger.closed(told, self.estate.version_of(effect.serving), last_lines)
        if receipt is None:
            return
        if effect.result == "committed":
            release = self._preparing.release_of(effect.generation)
            self.estate.settings = release.settings
            self.estate.ledger.bounds = release.settings.receipts
            generation = self.estate.service.generations.get(effect.generation)
            self._warm.committed(release, generation.zygote if generation else None)
            self._remember_served(release)
            self.settled(release.settings)
            self.tracing.ensure()
        fault = effect.fault
        self._tell_pages(effect)
        event = "update_done" if effect.result == "committed" else f"update_{effect.result.replace('-', '_')}"
        self.estate.say_update(
            receipt,
            event,
            code=fault.code if fault else None,
            error=fault.message if fault else effect.note or None,
            hint=(fault.hint or None) if fault else None,
            detail=(fault.detail or None) if fault else None,
            duration_s=round(receipt.took_s, 3),
            serving=self.estate.version_of(effect.serving) or None,
        )
        self.accounts.closed(effect, receipt)
        self._notices.closed(effect, receipt)
        self._following.closed(effect, receipt)
        for each in self.closed:
            each(effect, receipt)

    def _quoting(self, fault: Fault | None, generation: GenerationId) -> Fault | None:
        """With what the application itself said, where that is why."""
        if fault is None or fault.detail or fault.code not in QUOTED:
            return fault
        return msgspec.structs.replace(fault, detail=self.estate.outputs.last_words(generation))

    def _tell_pages(self, effect: effects.Closed) -> None:
        if effect.fault and effect.result in {"refused", "rolled-back"}:
            self.pages.failed(effect.fault)
        elif effect.result == "committed":
            self.pages.compiled(effect.generation)

    def _stood_in(self, effect: effects.StoodIn) -> None:
        fault = effect.fault
        if fault is None or effect.generation is None:
            return
        # A worker that had served says nothing of its end, but may have printed something.
        fault = msgspec.structs.replace(
            fault, detail=fault.detail or "\n".join(self.estate.outputs.last_lines(effect.generation))
        )
        fields: dict[str, FieldValue] = {"generation": effect.generation, "version": effect.version}
        self.estate.say("stand_in_serves", {**fields, "error": fault.message, "detail": fault.detail or None})
        self.pages.failed(fault)

    def _remember_served(self, release: Release) -> None:
        """What the program gave counts from now on: at the next look at the disk, and where people ask."""
        sources = self.estate.sources
        origins = release.origins or sources.origins
        self.estate.sources = msgspec.structs.replace(sources, served=release.served, origins=origins)

    def _generation_gone(self, generation: GenerationId) -> None:
        self.accounts.generation_gone(generation)
        self.emptied(generation)
        for old in [g for g in self.estate.releases if g not in self.estate.service.generations]:
            self.estate.releases.pop(old).close()
