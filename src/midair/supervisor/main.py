"""The life of a supervisor: take the name, bind, serve, clean up. What ``midair run`` ends in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from msgspec.structs import replace

import midair
from midair.config.load import RunSources
from midair.config.places import make_private_base
from midair.config.schema import Settings
from midair.control import words
from midair.control.place import control_socket, short_path
from midair.core import events
from midair.core.ids import GenerationId, UpdateId
from midair.errors import FAILED, Fault, WorldError
from midair.observe.capture import Line
from midair.observe.log import Format, Log
from midair.observe.sink import Sink
from midair.sockets.address import parse
from midair.sockets.bind import Opened, PortInUse, find_kept, open_listeners, open_own
from midair.sockets.listener import Listener, adopt
from midair.supervisor.attendant import Attend, Attendant
from midair.supervisor.clock import SystemClock
from midair.supervisor.control import ControlServer, Peer
from midair.supervisor.document import Document, read
from midair.supervisor.estate import FieldValue
from midair.supervisor.ledger import Receipt
from midair.supervisor.loop import Loop
from midair.supervisor.outputs import Outputs
from midair.supervisor.processes import become_subreaper
from midair.supervisor.returned import Returned, take_back
from midair.supervisor.signals import Signals
from midair.supervisor.supervisor import Supervisor
from midair.supervisor.upgrade import Requester, Upgrader, conclude, enter
from midair.systemd.journal import Journal, NoJournal, encoder, is_journal

BIND_RETRY_S = 6.0
"""A killed supervisor's workers close their listeners within this time."""
BIND_AGAIN_S = 0.1
LOCK_FILE = "lock"
CONTROL_BACKLOG = 512
"""Commands that may wait for the supervisor's next turn; one more is told at once that it is busy."""


class NameTaken(WorldError):
    """Another supervisor runs under this name."""

    code = "name-taken"

    def __init__(self, name: str, folder: str) -> None:
        super().__init__(
            f"a service named {name!r} runs already ({folder})",
            hint="midair status shows it; start another one with --name, or update this one with midair reload",
        )


class NoPlace(WorldError):
    """The runtime folder cannot be made."""

    code = "no-runtime-folder"
    hint = "set runtime_dir, or make the folder and give it to this user"


def run(settings: Settings, sources: RunSources, attend: Attend | None = None) -> int:
    """Run the service until it is stopped; return the exit code. Raises WorldError when it cannot begin.

    attend: makes who asks for the first update, and lives beside the service; None: it starts by itself.
    """
    lock = take_name(settings)
    try:
        returned = take_back(os.environ, os.getpid(), settings)
        listeners = bind(settings, returned)
        life: _Life | None = None
        try:
            life = _Life(settings, sources, listeners, lock, open_control(settings), attend)
            return life.begin(returned)
        finally:
            _close(listeners, life)
    finally:
        os.close(lock)


def resume(fd: int) -> Callable[[], int]:
    """Take over what the document in the memfd ``fd`` says; return what then lives on and gives the exit code.

    Until that is called, nothing was decided, and the image before could still go on from the same document.
    """
    os.set_inheritable(fd, False)
    state = read(fd)
    for each in state.fds():
        os.set_inheritable(each, False)
    # In the mode that they have: a command child may have set another, and relies on it.
    listeners = [
        adopt(
            each.fd,
            each.name,
            each.typed,
            file=each.file,
            is_blocking=os.get_blocking(each.fd),
            is_passed=each.is_passed,
        )
        for each in state.listeners
    ]
    os.close(fd)
    control = socket.socket(fileno=state.control_fd)
    life = _Life(state.settings, state.sources, listeners, state.lock_fd, control)
    life.adopt(state)

    def live() -> int:
        try:
            return life.resume(state)
        finally:
            _close(listeners, life)
            os.close(state.lock_fd)

    return live


def _close(listeners: list[Listener], life: _Life | None) -> None:
    """At the end. A Unix socket that systemd keeps for the next process keeps its file, too: clients find it there."""
    for listener in listeners:
        if life and life.outlives(listener):
            listener.socket.close()
        else:
            listener.close()


def take_name(settings: Settings) -> int:
    """Make the runtime folder and lock it: one service a name. Returns the lock's descriptor."""
    folder = settings.runtime_dir
    is_open = bool(settings.control.operators or settings.control.readers)
    try:
        make_private_base(folder, os.geteuid())
        os.makedirs(folder, mode=0o755 if is_open else 0o700, exist_ok=True)
        lock = os.open(os.path.join(folder, LOCK_FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise NoPlace(f"the folder {folder} cannot be used: {exc.strerror}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(lock)
        raise NameTaken(settings.name, folder) from exc
    return lock


def _open(settings: Settings, returned: Returned) -> Opened:
    kept = [each for _, each in returned.of_use("bind")]
    if settings.is_command and settings.listener == "own":
        # Those of slot 0. The other slots' follow when the first generation starts.
        return Opened(tuple(_open_own(settings, kept)))
    return open_listeners(
        settings.bind,
        folder=settings.folder,
        backlog=settings.serve.backlog,
        socket_mode=settings.socket_mode,
        socket_owner=settings.socket_owner,
        is_blocking=settings.is_command,
        kept=kept,
        taken=returned.taken,
    )


def _open_own(settings: Settings, kept: list[Listener]) -> Iterator[Listener]:
    for number, typed in enumerate(settings.bind, 1):
        name = "web" if number == 1 else f"web{number}"
        found = find_kept(parse(typed), kept)
        yield replace(found, name=name) if found else open_own(typed, 1, name=name, backlog=settings.serve.backlog)[0]


def bind(settings: Settings, returned: Returned) -> list[Listener]:
    """All listeners, those that systemd has kept first; a port that the workers of a killed supervisor still hold is waited for,
    a few seconds."""
    deadline_s = time.monotonic() + BIND_RETRY_S
    is_told = False
    while True:
        try:
            opened = _open(settings, returned)
        except PortInUse as error:
            if time.monotonic() > deadline_s:
                raise
            if not is_told:  # It may have taken a while to find out who has it.
                is_told = True
                print(f"midair: {error}; trying for {BIND_RETRY_S:g} s", file=sys.stderr, flush=True)
            time.sleep(BIND_AGAIN_S)
            continue
        for address in opened.ignored:
            print(f"midair: {address} is not bound: sockets were passed in its place", file=sys.stderr)
        return list(opened.listeners)


def open_control(settings: Settings) -> socket.socket:
    """The control socket, listening. The folder is ours by its lock, so whatever lies there is stale."""
    path = control_socket(settings.runtime_dir)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    is_open = bool(settings.control.operators or settings.control.readers)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        old_mask = os.umask(0o177)
        try:
            with short_path(path) as short:
                listener.bind(short)
        finally:
            os.umask(old_mask)
        # With groups configured everybody may knock; the kernel tells who it is, and the answer depends on that.
        os.chmod(path, 0o666 if is_open else 0o600)
        listener.listen(CONTROL_BACKLOG)
    except OSError as exc:
        listener.close()
        raise NoPlace(f"the control socket {path} cannot be made: {exc.strerror}") from exc
    return listener


class _Life:
    """One image of a supervisor: the loop, what it holds, and how it ends."""

    def __init__(
        self,
        settings: Settings,
        sources: RunSources,
        listeners: list[Listener],
        lock: int,
        control: socket.socket,
        attend: Attend | None = None,
    ) -> None:
        self._attendant: Attendant | None = None
        self._settings = settings
        self._loop = Loop(SystemClock())
        self._sink, self._log = _make_log(settings, self._loop)
        self._outputs = outputs = Outputs(self._loop, self._pass_on, is_inherited=settings.log.output == "inherit")
        self._supervisor = Supervisor(self._loop, settings, sources, listeners, os.environ, outputs, self._say)
        self._control = ControlServer(self._loop, self._supervisor, control)
        self._upgrader = Upgrader(self._supervisor.estate, lock, control.fileno(), self._supervisor.rooms)
        self._upgrader.on_leaving = self._write_out
        self._upgrader.traced = self._supervisor.tracing.begin_within
        self._upgrader.on_number = self._supervisor.keeping.decided
        self._supervisor.accounts.lines_dropped = lambda: self._sink.dropped_total
        self._control.upgrade = self._upgrade_asked
        self._supervisor.settled = lambda settings: self._log.show(settings.log.level)
        self._interrupts = 0
        self._has_terminal = _has_terminal()
        if attend:
            self._attendant = attend(self._supervisor, self._write_line)
            self._supervisor.finish, self._supervisor.hurried = self._attendant.finish, self._attendant.hurry

    def begin(self, returned: Returned) -> int:
        """Start the service and live until it ends; return the exit code.

        returned: what systemd has kept since the process before; the listeners in it were taken already.
        """
        supervisor, estate = self._supervisor, self._supervisor.estate
        highest = estate.ledger.restore()
        estate.service.last_update, estate.service.last_generation = UpdateId(highest), GenerationId(highest)
        python = ".".join(map(str, sys.version_info[:3]))
        self._say("supervisor_started", {"pid": os.getpid(), "midair": midair.__version__, "python": python})
        for listener in estate.listeners:
            self._say("listening", {"address": listener.actual, "name": listener.name})
        supervisor.keeping.begin(returned)
        with self._signals():
            supervisor.endpoints.ensure()
            supervisor.tracing.ensure()
            if self._attendant:
                self._attendant.begin()
            else:
                # By force if holds and quarantines came back: nothing serves, and what is on disk is better than nothing.
                force = returned.state is not None
                supervisor.tell(events.UpdateAsked(supervisor.next_request(), "start", force=force))
            return self._live()

    def outlives(self, listener: Listener) -> bool:
        """Whether a listener is kept at systemd."""
        return self._supervisor.keeping.holds(listener)

    def adopt(self, state: Document) -> None:
        """Take over what the image before this one held."""
        self._supervisor.adopt(state)
        self._upgrader.as_typed = state.as_typed or self._upgrader.as_typed

    def resume(self, state: Document) -> int:
        """Go on where the image before this one left; return the exit code. Signals are blocked until all is in place."""
        supervisor, estate = self._supervisor, self._supervisor.estate
        with self._signals():
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            estate.processes.reap()  # Whoever died meanwhile.
            supervisor.endpoints.ensure()
            supervisor.tracing.ensure()
            supervisor.keeping.ask()  # An older midair may have had no such room.
            self._tell_upgraded(state)
            if state.then_update and not state.has_failed:
                supervisor.tell(events.UpdateAsked(supervisor.next_request(), "SIGUSR2"))
            supervisor.tell(events.Tick())
            return self._live()

    def _signals(self) -> contextlib.closing[Signals]:
        os.chdir("/")
        become_subreaper()
        numbers = [*_mapping(self._settings), signal.SIGCHLD, *(self._attendant.signals if self._attendant else ())]
        return contextlib.closing(Signals(self._loop, numbers, self._on_signal))

    def _live(self) -> int:
        supervisor = self._supervisor
        try:
            self._loop.run()
        finally:
            self._end()
        return supervisor.exit_code if supervisor.exit_code is not None else FAILED

    def _write_out(self) -> None:
        self._sink.flush()

    def _end(self) -> None:
        supervisor, estate = self._supervisor, self._supervisor.estate
        if self._attendant:
            self._attendant.end()
        supervisor.keeping.end()
        estate.fleet.close()
        estate.commands.close()
        for pid in estate.processes.pids:
            estate.processes.kill(pid)
        estate.outputs.drain()
        if supervisor.exit_fault:
            fault = supervisor.exit_fault
            print(f"error: {fault.message}", file=sys.stderr)
            if fault.detail:
                print(fault.detail.rstrip(), file=sys.stderr)
            if fault.hint:
                print(f"hint: {fault.hint}", file=sys.stderr)
            if fault.more:
                print(f"more: {fault.more}", file=sys.stderr)
        self._say("supervisor_stopped", {"uptime_s": round(self._loop.clock.now_s() - estate.started_s, 3)})
        self._control.close()
        self._sink.close()
        try:
            os.unlink(control_socket(self._settings.runtime_dir))
        except OSError:
            pass  # Somebody cleaned up already.

    # --- upgrade --------------------------------------------------------------------------------------------------

    def _upgrade_asked(self, peer: Peer, request: words.Upgrade) -> None:
        def refused(receipt: Receipt) -> None:
            peer.end(self._control.outcome(receipt))

        requester = Requester(peer.descriptor, refused)
        answer = self._cannot_upgrade() or self._upgrader.ask(
            peer.who,
            request.reason,
            then_update=False,
            requester=requester,
            traceparent=request.traceparent,
            tracestate=request.tracestate,
        )
        if isinstance(answer, Fault):
            peer.end(words.Refused(fault=answer))
        else:
            peer.send(words.Accepted(update=answer.number))

    def _cannot_upgrade(self) -> Fault | None:
        if self._attendant is None:
            return None
        # Who lives beside it is not handed on: nothing depends on a service that is being developed.
        return Fault("upgrade-developing", "midair dev is not upgraded in place", "end it, and start it again")

    def _upgrade_signalled(self, name: str) -> None:
        answer = self._cannot_upgrade() or self._upgrader.ask(name, "", then_update=True)
        if isinstance(answer, Fault):
            self._say("upgrade_refused", {"error": answer.message})

    def _tell_upgraded(self, state: Document) -> None:
        """The new image says that it lives; or the old one again, that the new one could not."""
        estate = self._supervisor.estate
        receipt = estate.ledger.get(state.upgrade)
        if receipt is None:
            return
        now_s = self._loop.clock.now_s()
        fault = (
            Fault("upgrade-undone", f"the new midair could not go on: {state.has_failed}") if state.has_failed else None
        )
        enter(receipt, "resume", now_s)
        conclude(estate, receipt, fault)
        if fault is None:
            silent_s = round(now_s - state.left_s, 3)
            fields: dict[str, FieldValue] = {"update": receipt.number, "silent_s": silent_s, "before": state.midair}
            self._say("supervisor_resumed", {**fields, "midair": midair.__version__})
        for fd in state.requesters:
            peer = self._control.adopt(socket.socket(fileno=fd))
            peer.end(self._control.outcome(receipt))

    # --- signals --------------------------------------------------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._supervisor.estate.processes.reap()
            return
        if self._attendant and number in self._attendant.signals:
            self._attendant.signalled(number)
            return
        action = _mapping(self._supervisor.estate.settings).get(number, "ignore")
        if number == signal.SIGHUP and self._has_terminal and not _has_terminal():
            action = "stop"  # The terminal is gone, and with it whoever ran us: not a request for an update.
        name = signal.Signals(number).name
        self._say("signal_received", {"signal": name, "action": action})
        if action == "stop" and number == signal.SIGINT:
            self._interrupts += 1
            action = "quit" if self._interrupts > 1 else "stop"
        for event in self._events(action, name):
            self._supervisor.tell(event)

    def _events(self, action: str, name: str) -> list[events.Event]:
        supervisor = self._supervisor
        request = supervisor.next_request()
        match action:
            case "reload":
                return [events.UpdateAsked(request, name)]
            case "update":
                return [events.UpdateAsked(request, name, reread=False)]
            case "upgrade":
                self._upgrade_signalled(name)
                return []
            case "stop":
                return [events.StopAsked(request, name)]
            case "quit":
                return [events.StopAsked(request, name, at_once=True)]
            case "worker+":
                return [events.ScaleAsked(request, supervisor.estate.service.wanted + 1, name)]
            case "worker-":
                return [events.ScaleAsked(request, max(1, supervisor.estate.service.wanted - 1), name)]
            case _:
                return []

    # --- log ------------------------------------------------------------------------------------------------------

    def _say(self, event: str, fields: Mapping[str, FieldValue]) -> None:
        self._outputs.recent.note(event, fields)
        if self._attendant is None or self._attendant.passes(event, fields):
            self._log.say(event, **fields)

    def _pass_on(self, line: Line, stream: str) -> None:
        version = self._supervisor.estate.version_of(GenerationId(line.generation))
        prefix = self._attendant.prefix(line) if self._attendant else None
        self._log.pass_on(line, version=version or None, prefix=prefix)

    def _write_line(self, text: str) -> None:
        self._sink.write(f"{text}\n".encode(errors="backslashreplace"))


def _has_terminal() -> bool:
    """Whether a terminal controls this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _mapping(settings: Settings) -> dict[int, str]:
    chosen = settings.signals
    return {
        signal.SIGHUP: chosen.hup,
        signal.SIGUSR1: chosen.usr1,
        signal.SIGUSR2: chosen.usr2,
        signal.SIGTERM: chosen.term,
        signal.SIGINT: chosen.int,
        signal.SIGQUIT: chosen.quit,
        signal.SIGTTIN: chosen.ttin,
        signal.SIGTTOU: chosen.ttou,
    }


def _make_log(settings: Settings, loop: Loop) -> tuple[Sink, Log]:
    is_terminal = os.isatty(2)
    form: Format
    node = settings.log.node or socket.gethostname()
    if journal := _journal(settings):
        sink, form, encode = Sink(journal, loop.on_writable), "journal", encoder(settings.name)
    else:
        sink = Sink(2, loop.on_writable)
        wants_words = settings.log.format == "console" or (settings.log.format == "auto" and is_terminal)
        form, encode = "console" if wants_words else "json", None
    is_coloured = is_terminal and "NO_COLOR" not in os.environ
    log = Log(sink, format=form, level=settings.log.level, is_coloured=is_coloured, bound={"node": node}, encode=encode)
    return sink, log


def _journal(settings: Settings) -> Journal | None:
    """The journal, where the log goes there. `midair dev` speaks to whoever sits at it."""
    is_meant = settings.log.format == "journal" or (settings.log.format == "auto" and is_journal(os.environ, 2))
    if not is_meant or settings.is_dev:
        return None
    try:
        return Journal()
    except NoJournal as exc:
        print(f"midair: {exc}; the log goes to standard error", file=sys.stderr)
        return None
