"""The command children of a service: any program, started as systemd would start it. Orders in, facts out; no decision.

    starting ── ready ── serving ── leaving ── (gone)
        by READY=1,      by Accept   by SIGTERM, in the end the core's Kill
        a probe, a delay

A command serves as soon as it accepts on the sockets that it inherits: Accept changes a word in the status, StopAccepting
nothing at all. Its cut-over is the SIGTERM of Leave, sent once and to the process alone: a second one makes many servers drop
what they have. What is left in its process group when it has ended gets SIGTERM, too, and SIGKILL a little later: old code
that goes on accepting beside the new would be worse than anything it could still finish.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct, field

from midair.config.schema import Settings
from midair.core.events import Event, WorkerExited, WorkerFailed, WorkerReady
from midair.core.ids import GenerationId, WorkerId
from midair.errors import Fault, MidairError
from midair.lending.order import Order
from midair.sockets.address import TcpAddress, parse
from midair.sockets.bind import open_own
from midair.sockets.heirs import VARIABLE
from midair.sockets.listener import Listener, adopt
from midair.supervisor.family import is_of
from midair.supervisor.heirs import Heirs, HeirState
from midair.supervisor.listening import Changed, OwnListeners, Watched
from midair.supervisor.loop import Loop, Timer
from midair.supervisor.processes import Processes, Program
from midair.supervisor.readiness import PRIVATE_NAME, Readiness, check_apart, read_readiness
from midair.supervisor.release import Release
from midair.systemd.notify import Inbox, Notification

FieldValue = str | int | float | bool | None

FIRST_FD = 3
"""SD_LISTEN_FDS_START."""
REMIND_AFTER_S = 5.0
"""After that long without READY=1 the log says what is waited for: a first start may wait five minutes."""
LOOK_EVERY_S = 1.0
"""How often listeners are compared with how they were. It costs three system calls a listener."""
STORED_MAX = 16
"""Sockets of programs that bind for themselves: a port for HTTP, one for a debugger, one for figures. More is a program that
counts up."""
QUIET_S = 1.0
"""In development, a program that is at rest for that long and listens nowhere is ready: a queue's consumer, a command line."""
LEFTOVERS_S = 5.0
"""What a child leaves behind in its group has this long between SIGTERM and SIGKILL."""
DETAIL_LINES = 20
NO_RETRY = {"exit 126", "exit 127"}
"""The program is not there or cannot be executed: asking again will not mend that."""

NOT_READY_HINT = (
    "it says READY=1 to NOTIFY_SOCKET when it can serve (sd_notify); for a program that does not, set health.probe to "
    '"listener:/PATH", "http://HOST:PORT/PATH", "tcp://HOST:PORT" or "delay:SECONDS"'
)


class Outputs(Protocol):
    """Where children print to, and what they printed last."""

    def open(self, generation: int, slot: int) -> tuple[int, int]: ...
    def tail(self, generation: int) -> list[tuple[int, str, str]]: ...


class Command(Struct):
    """One child."""

    id: WorkerId
    generation: GenerationId
    slot: int
    started_s: float
    probe: str
    """``health.probe``, as configured."""
    program: str
    pid: int = 0
    state: str = "starting"
    """For people: starting, ready, serving, leaving; stopping if it says so itself."""
    said: str = ""
    """Its STATUS."""
    health: str = ""
    """Address of its private health socket."""
    has_left: bool = False
    """It was told to go."""
    leaves_at: int = signal.SIGTERM
    """The signal that tells it."""
    is_lent: bool = False
    """It binds for itself, and is lent sockets."""
    inbox: Inbox | None = None
    readiness: Readiness = field(default_factory=lambda: Readiness("notify"))
    timers: list[Timer] = field(default_factory=list)
    has_strangers: bool = False
    """Somebody else wrote to its NOTIFY_SOCKET; said once."""


class CommandState(msgspec.Struct, kw_only=True):
    """A child on its way to the next image of the supervisor."""

    id: int
    generation: int
    slot: int
    pid: int
    started_s: float
    state: str
    probe: str
    program: str
    said: str = ""
    inbox: str = ""
    health: str = ""
    has_left: bool = False
    leaves_at: int = signal.SIGTERM
    is_lent: bool = False


class OwnState(msgspec.Struct, kw_only=True):
    slot: int
    name: str
    typed: str


class State(msgspec.Struct, kw_only=True):
    """The room's. Descriptors travel beside it: of each inbox, of each own listener, of each stored one, of each
    channel to an heir."""

    children: list[CommandState] = []
    own: list[OwnState] = []
    stored: list[str] = []
    """Names of listeners that programs have opened."""
    heirs: list[HeirState] = []


class Commands:
    """All command children."""

    def __init__(
        self,
        loop: Loop,
        processes: Processes,
        outputs: Outputs,
        listeners: Sequence[Listener],
        runtime_dir: str,
        tell: Callable[[Event], None],
        say: Callable[[str, Mapping[str, FieldValue]], None],
        own: OwnListeners | None = None,
    ) -> None:
        """tell: takes facts. say: takes an event of the log. own: with ``listener = "own"``."""
        self._loop = loop
        self._processes = processes
        self._outputs = outputs
        self._listeners = list(listeners)
        self._runtime_dir = runtime_dir
        self._tell = tell
        self._say = say
        self._own = own
        self.stored: list[Listener] = []
        """Listeners that programs which bind for themselves have opened: of all that follow."""
        self._watched = Watched(listeners)
        self._look: Timer | None = None
        self._leftovers: set[int] = set()
        self.workers: dict[WorkerId, Command] = {}
        self._heirs = Heirs(loop, self.workers, say)
        self.wanted: Callable[[], int] = lambda: 0
        """How many slots the service has now."""
        self.on_started: Callable[[Command, float], None] = lambda command, seconds: None
        """Takes who is ready, and after how long (seconds)."""
        self.on_ended: Callable[[Command, str], None] = lambda command, how: None
        """Its process is gone."""
        self.on_listeners: Callable[[], None] = lambda: None
        """Called when there are other listeners than before."""
        self.more: Callable[[Release], dict[str, str]] = lambda release: {}
        """More variables for the programs of a release."""

    # --- starting -------------------------------------------------------------------------------------------------

    def start_worker(self, worker_id: WorkerId, release: Release, slot: int) -> None:
        """Start the program (→ WorkerReady or WorkerFailed, in the end WorkerExited)."""
        settings = release.settings
        program = os.path.basename(settings.command[0])
        try:
            now_s, probe = self._loop.clock.now_s(), settings.health.probe
            readiness = read_readiness(probe)
            check_apart(readiness, [each.actual for each in self._listeners])
            child = Command(worker_id, release.generation, slot, now_s, probe, program, readiness=readiness)
            child.is_lent = settings.listener == "lent"
            # The lender hears SIGTERM, and tells the program in its way.
            child.leaves_at = signal.SIGTERM if child.is_lent else signal.Signals[f"SIG{settings.exit.signal}"]
            self._execute(child, release)
        except MidairError as error:
            self._never_was(worker_id, error.fault())
        except OSError as exc:
            hint = "look at the limits on processes, open files and memory (ulimit -u, ulimit -n, memory.max)"
            self._never_was(worker_id, Fault("no-process", f"no process could be made: {exc.strerror or exc}", hint))
        else:
            self.workers[worker_id] = child
            self._await(child)
            self._look_later()

    def _execute(self, child: Command, release: Release) -> None:
        listeners = self._passed_to(child, release.settings.workers)
        self._watched.watch(listeners)
        self.on_listeners()
        passed = [(each.name, each.fd) for each in listeners]
        opened: list[int] = []
        private: socket.socket | None = None
        channel: socket.socket | None = None
        child.inbox = Inbox(os.path.join(self._runtime_dir, f"notify.{child.id}"))
        try:
            channel = self._heirs.open(child.id)
            if child.readiness.kind == "listener":
                private = _private_listener()
                host, port = private.getsockname()
                child.health = f"{host}:{port}"
                passed.append((PRIVATE_NAME, private.fileno()))
            opened += [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)]
            opened += self._outputs.open(release.generation, child.slot)
            fds = dict(enumerate(opened)) | {FIRST_FD + number: fd for number, (_, fd) in enumerate(passed)}
            fds[FIRST_FD + len(passed)] = channel.fileno()
            environment = release.survey.environment.variables | {
                "MIDAIR_VERSION": release.version,
                "MIDAIR_GENERATION": str(release.generation),
                "MIDAIR_SLOT": str(child.slot),
                "NOTIFY_SOCKET": child.inbox.address,
                VARIABLE: str(FIRST_FD + len(passed)),
                **release.named(child.slot),
                **self.more(release),
            }
            program = Program(
                _order(release.settings).argv() if child.is_lent else release.settings.command,
                environment,
                release.survey.folder,
                fds,
                [name for name, _ in passed],
                death_signal=signal.SIGTERM,
            )
            child.pid = self._processes.start(program, lambda how: self._ended(child, how))
        except BaseException:
            child.inbox.close()
            self._heirs.close(child.id)
            raise
        finally:
            # Ours is closed: from now on the private socket lives and dies with the child.
            for each in (private, channel):
                if each:
                    each.close()
            for fd in opened:
                os.close(fd)

    @property
    def own(self) -> list[tuple[int, Listener]]:
        """Slot and listener (``listener = "own"``) of all slots but the first."""
        return self._own.export() if self._own else []

    @property
    def more_listeners(self) -> list[Listener]:
        """Those that are not the service's from its start."""
        return [*(each for _, each in self.own), *self.stored]

    def take_back(self, own: Sequence[tuple[int, Listener]], stored: Sequence[Listener]) -> None:
        """Go on with what an earlier process had. Before anything is started."""
        if self._own and own:
            self._own.adopt(own)
        self.stored = list(stored)
        self._watched.watch(self.more_listeners)

    def _passed_to(self, child: Command, count: int = 1) -> list[Listener]:
        return [*self._listeners_of(child.slot, count), *(self.stored if child.is_lent else ())]

    def _listeners_of(self, slot: int, count: int = 1) -> Sequence[Listener]:
        """count: workers of the generation; it matters for the first one alone."""
        return self._own.of_slot(slot, count) if self._own else self._listeners

    def _await(self, child: Command) -> None:
        """Wait for it to be ready, in the way that was configured."""
        assert child.inbox is not None
        self._loop.on_readable(child.inbox.fd, lambda: self._hear(child))
        if child.readiness.is_asked:
            self._loop.call_soon(lambda: self._tell_ready(child))  # The core asks then, until the answer is good.
        elif child.readiness.kind == "delay":
            child.timers.append(self._loop.call_later(child.readiness.delay_s, lambda: self._is_ready(child)))
        else:
            # Its last words, should it never say more than this.
            fault = Fault("not-ready", f"{child.program} did not say READY=1", NOT_READY_HINT)
            self._tell(WorkerFailed(child.id, fault))
            child.timers.append(self._loop.call_later(REMIND_AFTER_S, lambda: self._remind(child)))

    def _never_was(self, worker_id: WorkerId, fault: Fault) -> None:
        self._loop.call_soon(lambda: self._tell(WorkerFailed(worker_id, fault, exists=False)))

    def _remind(self, child: Command) -> None:
        self._say(
            "ready_awaited",
            {**_about(child), "for_s": REMIND_AFTER_S, "what": "READY=1", "hint": NOT_READY_HINT},
        )

    # --- hearing --------------------------------------------------------------------------------------------------

    def _hear(self, child: Command) -> None:
        if child.inbox is None:
            return
        for notification in child.inbox.receive(keeps=child.is_lent):
            is_strange = is_of(notification.pid, child.pid) is False
            for fd in notification.fds:
                if is_strange or not self._store(fd):
                    os.close(fd)
            if is_strange:
                self._heard_stranger(child, notification)
            else:
                self._heard(child, notification)

    def _heard(self, child: Command, notification: Notification) -> None:
        if notification.status is not None:
            child.said = notification.status
        if notification.error:
            child.said = notification.error
        if notification.is_stopping:
            child.state = "stopping"
        if notification.is_ready and child.readiness.kind == "notify":
            self._is_ready(child)

    def _store(self, fd: int) -> bool:
        """Keep a listener for all that follow; whether it is one."""
        if len(self.stored) >= STORED_MAX:
            return False
        number = len(self._listeners) + len(self.stored) + 1
        try:
            listener = adopt(fd, "web" if number == 1 else f"web{number}", is_blocking=os.get_blocking(fd))
        except (MidairError, OSError):
            return False
        self.stored.append(listener)
        self._watched.watch([listener])
        self.on_listeners()
        self._say("listening", {"address": listener.actual, "name": listener.name})
        return True

    def _heard_stranger(self, child: Command, notification: Notification) -> None:
        if not child.has_strangers:
            child.has_strangers = True
            self._say("notify_ignored", {**_about(child), "pid": notification.pid})

    def _is_ready(self, child: Command) -> None:
        if child.state == "starting":
            child.state = "ready"
            self._tell_ready(child)

    def _tell_ready(self, child: Command) -> None:
        if child.id not in self.workers or child.has_left:
            return
        self._cancel(child)
        self._heirs.read(child.id)  # What it takes over was said before: known when the one before it leaves.
        self.on_started(child, self._loop.clock.now_s() - child.started_s)
        self._check_listeners([child])
        self._tell(WorkerReady(child.id))

    # --- ending ---------------------------------------------------------------------------------------------------

    def _ended(self, child: Command, how: str) -> None:
        self._hear(child)  # Its last words come before its end.
        self.on_ended(child, how)
        del self.workers[child.id]
        self._heirs.close(child.id)
        self._cancel(child)
        if child.inbox:
            self._loop.forget(child.inbox.fd)
            child.inbox.close()
            child.inbox = None
        self._end_leftovers(child.pid)
        self._check_listeners([child])
        self._tell(WorkerFailed(child.id, self._fault_of(child, how)))
        self._tell(WorkerExited(child.id, how))
        self._loop.call_soon(self._give_up_unused)

    def _fault_of(self, child: Command, how: str) -> Fault:
        when = "before it was ready" if child.state == "starting" else f"while it was {child.state}"
        lines = [text for slot, _, text in self._outputs.tail(child.generation) if slot == child.slot]
        detail = "\n".join(lines[-DETAIL_LINES:])
        if child.state == "starting" and how in NO_RETRY:
            last = lines[-1] if lines else how
            why = last.partition(" could not be started: ")[2] or last
            return Fault("command-failed", f"{child.program} could not be started: {why}", detail=detail)
        message = f"{child.program} (slot {child.slot}) ended {when}: {how}"
        return Fault("worker-exited", message, "see its own lines: midair logs", detail)

    def _end_leftovers(self, group: int) -> None:
        # The number cannot belong to another group while this one has members, and it was reaped in this very turn.
        if self._processes.signal_left(group, signal.SIGTERM):
            self._leftovers.add(group)
            self._loop.call_later(LEFTOVERS_S, lambda: self._kill_leftovers(group))

    def _kill_leftovers(self, group: int) -> None:
        if group in self._leftovers:
            self._leftovers.discard(group)
            self._processes.signal_left(group, signal.SIGKILL)

    def _give_up_unused(self) -> None:
        """Close our copies of the own listeners of slots that nobody has or will have."""
        if not self._own or self.wanted() == 0:
            return
        used = {child.slot for child in self.workers.values() if not child.has_left}
        for slot in self._own.slots:
            if slot and slot >= self.wanted() and slot not in used:
                self._own.give_up(slot)
                # Kept at systemd it would still get its share of clients.
                self.on_listeners()

    def _cancel(self, child: Command) -> None:
        for timer in child.timers:
            timer.cancel()
        child.timers.clear()

    # --- orders ---------------------------------------------------------------------------------------------------

    def accept(self, worker_id: WorkerId) -> None:
        """It accepts already; from now on it counts as serving."""
        child = self.workers.get(worker_id)
        if child and child.state in {"starting", "ready"}:
            child.state = "serving"
            self._heirs.look_soon()

    def stop_accepting(self, worker_id: WorkerId, *, is_moving: bool, is_holding: bool) -> None:
        """It cannot be told apart from leaving: ``leave`` follows."""

    def say_not_ready(self, worker_id: WorkerId) -> None:
        """It answers its own probes."""

    def leave(self, worker_id: WorkerId, within_s: float, *, is_moving: bool, spread_s: float) -> None:
        """SIGTERM or ``exit.signal``, once. ``within_s`` is the core's to keep: it kills. The rest is the program's business."""
        child = self.workers.get(worker_id)
        if child is None or child.has_left:
            return
        child.has_left = True
        child.state = "leaving"
        self._processes.signal(child.pid, child.leaves_at)
        self._heirs.look_soon()
        self._loop.call_soon(self._give_up_unused)  # The core may have the new number of slots only after this turn.

    def kill(self, worker_id: WorkerId) -> None:
        """SIGKILL, to it and its group."""
        child = self.workers.get(worker_id)
        if child:
            child.has_left = True
            self._heirs.look_soon()
            self._processes.kill(child.pid)

    def signal(self, worker_id: WorkerId, number: int) -> None:
        child = self.workers.get(worker_id)
        if child:
            self._processes.signal(child.pid, number)

    def way_to(self, worker_id: WorkerId) -> tuple[TcpAddress, str] | None:
        """Where and which path its health is asked; an empty path: only whether somebody accepts there."""
        child = self.workers.get(worker_id)
        if child is None or not child.readiness.is_asked:
            return None
        if child.readiness.address:
            return child.readiness.address, child.readiness.path
        address = parse(child.health)
        assert isinstance(address, TcpAddress)
        return address, child.readiness.path

    # --- what children do to their listeners -----------------------------------------------------------------------

    def _look_later(self) -> None:
        if self._look is None:
            self._look = self._loop.call_later(LOOK_EVERY_S, self._look_now)

    def _look_now(self) -> None:
        self._look = None
        moving = [child for child in self.workers.values() if child.state != "serving"]
        self._check_listeners(moving or list(self.workers.values()))
        self._give_up_unused()
        if self.workers:
            self._look_later()

    def _check_listeners(self, suspects: Sequence[Command]) -> None:
        """Say what has happened to a listener since the last look, and who is likely to have done it."""
        for changed in self._watched.look():
            able = self._holding(changed.listener, suspects)
            self._say(self._event_of(changed, able), {**_blame(able), **_what(changed)})

    def _holding(self, listener: Listener, children: Iterable[Command]) -> list[Command]:
        return [child for child in children if any(each is listener for each in self._passed_to(child))]

    def _event_of(self, changed: Changed, suspects: Sequence[Command]) -> str:
        if changed.change == "shut":
            return "listener_shut" if changed.is_mended else "listener_lost"
        sharing = [*self._holding(changed.listener, self.workers.values()), *suspects]
        # With one generation alone it is a fact to know; with another beside it, that one may be hurt.
        return "listener_mode_changed" if len({child.generation for child in sharing}) > 1 else "listener_mode_set"

    # --- over a re-execution (a Room of supervisor/upgrade.py) ----------------------------------------------------

    def busy(self) -> str:
        return "a command is starting" if any(c.state == "starting" for c in self.workers.values()) else ""

    def freeze(self) -> tuple[bytes, list[int]]:
        own = self.own
        heirs, channels = self._heirs.freeze()
        state = State(
            children=[_export(child) for child in self.workers.values()],
            own=[OwnState(slot=slot, name=each.name, typed=each.typed) for slot, each in own],
            stored=[each.name for each in self.stored],
            heirs=heirs,
        )
        fds = [child.inbox.fd if child.inbox else -1 for child in self.workers.values()]
        for fd in fds:
            self._loop.forget(fd)
        if self._look:
            self._look.cancel()
            self._look = None
        return msgspec.msgpack.encode(state), [
            *fds,
            *(each.fd for _, each in own),
            *(each.fd for each in self.stored),
            *channels,
        ]

    def thaw(self, state: bytes, fds: list[int]) -> None:
        known = msgspec.msgpack.decode(state, type=State)
        for each, fd in zip(known.children, fds, strict=False):  # The listeners' follow.
            child = self.workers.get(WorkerId(each.id)) or self._adopt(each, fd)
            if child.inbox:
                self._loop.on_readable(child.inbox.fd, _hearing(self._hear, child))
        rest = fds[len(known.children) :]
        if self._own and not self._own.export():
            own = zip(known.own, rest[: len(known.own)], strict=True)
            self._own.adopt([(each.slot, _adopt_own(fd, each)) for each, fd in own])
            self._watched.watch([each for _, each in self._own.export()])
        rest = rest[len(known.own) :]
        if not self.stored:
            self.stored = [
                adopt(fd, name, is_blocking=os.get_blocking(fd)) for name, fd in zip(known.stored, rest, strict=False)
            ]
            self._watched.watch(self.stored)
        self._heirs.thaw(known.heirs, rest[len(known.stored) :])
        self._look_later()

    def _adopt(self, each: CommandState, fd: int) -> Command:
        child = Command(
            WorkerId(each.id),
            GenerationId(each.generation),
            each.slot,
            each.started_s,
            each.probe,
            each.program,
            each.pid,
            each.state,
            each.said,
            each.health,
            each.has_left,
            each.leaves_at,
            each.is_lent,
            Inbox.adopt(fd, each.inbox) if fd >= 0 else None,
            read_readiness(each.probe),
        )
        self.workers[child.id] = child
        self._processes.adopt(child.pid, lambda how: self._ended(child, how))
        return child

    def close(self) -> None:
        """At the end of the service."""
        self._heirs.end()
        for group in list(self._leftovers):
            self._kill_leftovers(group)
        for child in self.workers.values():
            if child.inbox:
                child.inbox.close()
        if self._own:
            self._own.close()
        for listener in self.stored:
            listener.close()


def _order(settings: Settings) -> Order:
    """What the lender is told."""
    return Order(
        settings.command,
        settings.exit.signal,
        QUIET_S if settings.is_dev else 0.0,
        settings.is_dev and not settings.dev.rerun,
    )


def own_listeners(first: Sequence[Listener]) -> OwnListeners:
    """Listeners for each slot, of which those of slot 0 are open already."""
    return OwnListeners(first, lambda each, count: open_own(each.actual, count, name=each.name, joins=True))


def _private_listener() -> socket.socket:
    """Listens on a loopback port that nobody else knows. Blocking, as systemd passes them."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=16)
    listening.setblocking(True)
    return listening


def _about(child: Command) -> dict[str, FieldValue]:
    return {"generation": child.generation, "slot": child.slot, "worker": child.id}


def _blame(suspects: Sequence[Command]) -> dict[str, FieldValue]:
    """One is named in the fields of its own; of several, all are."""
    if len(suspects) == 1:
        return {**_about(suspects[0]), "program": suspects[0].program, "pid": suspects[0].pid}
    return {
        "suspects": ", ".join(f"{each.program} {each.generation}.{each.slot} (pid {each.pid})" for each in suspects)
    }


def _what(changed: Changed) -> dict[str, FieldValue]:
    if changed.change == "shut":
        return {"listener": changed.listener.actual}
    return {"listener": changed.listener.actual, "mode": changed.change}


def _adopt_own(fd: int, each: OwnState) -> Listener:
    return adopt(fd, each.name, each.typed, is_blocking=os.get_blocking(fd))


def _hearing(hear: Callable[[Command], None], child: Command) -> Callable[[], None]:
    return lambda: hear(child)


def _export(child: Command) -> CommandState:
    return CommandState(
        id=child.id,
        generation=child.generation,
        slot=child.slot,
        pid=child.pid,
        started_s=child.started_s,
        state=child.state,
        probe=child.probe,
        program=child.program,
        said=child.said,
        inbox=child.inbox.address if child.inbox else "",
        health=child.health,
        has_left=child.has_left,
        leaves_at=child.leaves_at,
        is_lent=child.is_lent,
    )
