"""The supervisor re-executes itself in place: same PID, children stay children, sockets and state by descriptor.

    asked -> quiet -> preflight -> frozen -> execve -> (new image) thawed -> answered
               |          |                    |            `- it cannot: execve the way back, same document
               |          |                    `- execve failed: thaw here, report
               |          `- refused: nothing has happened
               `- not before a candidate is over its cut-over, and no child of ours owes an answer

Signals are blocked from the freezing to the new image's handlers: without that a SIGHUP in between killed the master in 5 of
20 trials, with it none was lost (HANDOVER, bet 2). Workers serve all along; whoever connects to the control socket meanwhile
waits in its queue.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct, field

import midair
from midair.core.ids import UpdateId
from midair.core.state import WorkerState
from midair.errors import FAILED, REFUSED, Fault
from midair.supervisor import document
from midair.supervisor.estate import Estate, FieldValue
from midair.supervisor.ledger import PhaseTime, Receipt
from midair.supervisor.processes import Program
from midair.traces.context import Trace

PREFLIGHT_S = 30.0
QUIET_WITHIN_S = 90.0
"""A candidate has 60 s to get ready; longer than this nobody waits for an upgrade."""
LOOK_AGAIN_S = 0.05
RESUME_WORD = "_resume"


class Room(Protocol):
    """A part of the supervisor with state of its own that must get over an upgrade."""

    def busy(self) -> str:
        """Why it cannot be frozen now; empty: it can."""

    def freeze(self) -> tuple[bytes, list[int]]:
        """Its state, and the descriptors that it keeps open for the next image. It does nothing any more."""

    def thaw(self, state: bytes, fds: list[int]) -> None:
        """Go on, in the new image or (if ``execve`` failed) in this one."""


class Requester(Struct):
    """Somebody who waits for the answer."""

    descriptor: Callable[[], int]
    """Of the connection; -1 if it was closed."""
    refused: Callable[[Receipt], None]
    """Takes the receipt if the upgrade came to nothing."""


class Asked(Struct):
    """An upgrade that waits for its moment."""

    receipt: Receipt
    then_update: bool
    deadline_s: float
    requesters: list[Requester] = field(default_factory=list)


def _as_typed() -> list[str]:
    script = sys.argv[0]
    if os.path.isabs(script) and os.access(script, os.X_OK) and not script.endswith("__main__.py"):
        return [script]
    return [sys.executable, "-m", "midair"]


def _resolved() -> list[str]:
    folder, name = os.path.split(sys.executable)
    # Not the interpreter itself: in an environment it is a link, and under its own name it would not find the environment.
    python = os.path.join(os.path.realpath(folder), name)
    here = os.path.dirname(os.path.dirname(os.path.realpath(midair.__file__)))
    start = f"import sys; sys.path.insert(0, {here!r}); from midair.__main__ import main; sys.exit(main())"
    return [python, "-c", start]


AS_TYPED = _as_typed()
"""How this image was started, without its arguments: what an upgrade executes, so that a swapped link is seen."""

RESOLVED = _resolved()
"""The same with all links written out: the way back. Taken when the image starts; at the upgrade the link is swapped already."""


class Upgrader:
    """Carries out upgrades, one at a time."""

    def __init__(self, estate: Estate, lock_fd: int, control_fd: int, rooms: dict[str, Room]) -> None:
        self._estate = estate
        self._lock_fd = lock_fd
        self._control_fd = control_fd
        self._rooms = rooms
        self._asked: Asked | None = None
        self.as_typed = AS_TYPED
        """An image that went back was started by its resolved command, and gets this from the document."""
        self.traced: Callable[[str, str], Trace] = lambda traceparent, tracestate: Trace()
        """Says which span an upgrade is that was asked for within this context."""
        self.on_number: Callable[[], None] = lambda: None
        """Called when an upgrade has got its number, before anybody hears of it."""
        self.on_leaving: Callable[[], None] = lambda: None
        """Called right before ``execve``: write out what is buffered."""

    def ask(
        self,
        by: str,
        reason: str,
        *,
        then_update: bool,
        requester: Requester | None = None,
        traceparent: str = "",
        tracestate: str = "",
    ) -> Receipt | Fault:
        """Begin an upgrade, or join the one that goes on: it has not read the new code yet, or is about to execute it.

        If it succeeds nobody here is left to tell: the new image answers whoever waits.
        """
        estate = self._estate
        if self._asked:
            self._asked.then_update |= then_update
            self._asked.requesters += [requester] if requester else []
            return self._asked.receipt
        if estate.service.stopping:
            return Fault("stopping", "the service is stopping")
        estate.service.last_update = UpdateId(estate.service.last_update + 1)
        self.on_number()
        now_s = estate.loop.clock.now_s()
        receipt = Receipt(
            number=estate.service.last_update,
            generation=0,
            by=by,
            reason=reason or "upgrade of midair itself",
            began=estate.loop.clock.wall_s(),
            began_s=now_s,
            version=estate.version_of(estate.service.serving),
            previous_version=estate.version_of(estate.service.serving),
            serving_generation=estate.service.serving or 0,
            serving_version=estate.version_of(estate.service.serving),
            phases=[PhaseTime(phase="quiet", at_s=0.0)],
            trace=self.traced(traceparent, tracestate),
        )
        estate.ledger.add(receipt)
        self._asked = Asked(receipt, then_update, now_s + QUIET_WITHIN_S, [requester] if requester else [])
        estate.say("upgrade_started", {"update": receipt.number, "by": by, "midair": midair.__version__})
        estate.loop.call_soon(self._when_quiet(self._preflight))
        return receipt

    # --- waiting for the moment -----------------------------------------------------------------------------------

    def busy(self) -> str:
        """Why the supervisor cannot be frozen at this moment; empty: it can."""
        estate = self._estate
        if estate.service.candidate or estate.service.switch:
            return "an update is before its cut-over"
        if any(worker.state is WorkerState.PROBING for worker in estate.service.workers.values()):
            return "a worker is asked for its health"  # On the way from slot to slot; nobody would hear its answer.
        if estate.offload.running:
            return "a file is being read or written"
        if estate.processes.owed:
            return "a worker is being forked"
        return estate.fleet.busy() or next((why for room in self._rooms.values() if (why := room.busy())), "")

    def _when_quiet(self, then: Callable[[], None]) -> Callable[[], None]:
        def look() -> None:
            asked = self._asked
            if asked is None:
                return
            why = self.busy()
            if not why:
                then()
            elif self._estate.loop.clock.now_s() > asked.deadline_s:
                self._refuse(Fault("upgrade-busy", f"the supervisor did not get quiet: {why}"))
            else:
                self._estate.loop.call_later(LOOK_AGAIN_S, look)

        return look

    # --- preflight ------------------------------------------------------------------------------------------------

    def _preflight(self) -> None:
        """Let the new code read today's state, in a child that does nothing else."""
        self._enter("preflight")
        estate = self._estate
        fd = document.write(self._describe([]))
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        program = Program(
            [*self.as_typed, RESUME_WORD, "--check", "3"], os.environ, "/", {0: null, 1: write, 2: write, 3: fd}
        )
        said = bytearray()

        def on_readable() -> None:
            try:
                data = os.read(read, 65536)
            except BlockingIOError:
                return
            said.extend(data[: max(0, 65536 - len(said))])
            if not data:
                estate.loop.forget(read)

        def on_exit(how: str) -> None:
            timer.cancel()
            on_readable()
            estate.loop.forget(read)
            os.close(read)
            if self._asked is None:
                return
            if how == "exit 0":
                estate.loop.call_soon(self._when_quiet(self._go))
            else:
                text = said.decode(errors="replace").strip()
                why = f"the new midair failed its preflight ({how})"
                self._refuse(
                    Fault("upgrade-preflight", why, "mend the installation and run midair upgrade", text[-4000:])
                )

        try:
            pid = estate.processes.start(program, on_exit)
        except OSError as exc:
            self._refuse(Fault("upgrade-preflight", f"the new midair cannot be started: {exc.strerror}"))
            return
        finally:
            for each in (fd, null, write):
                os.close(each)
        timer = estate.loop.call_later(PREFLIGHT_S, lambda: estate.processes.kill(pid))
        estate.loop.on_readable(read, on_readable)

    # --- the leap -------------------------------------------------------------------------------------------------

    def _go(self) -> None:
        estate, asked = self._estate, self._asked
        assert asked is not None
        self._enter("execve")
        handled = {number for number in signal.valid_signals() if number not in {signal.SIGKILL, signal.SIGSTOP}}
        signal.pthread_sigmask(signal.SIG_BLOCK, handled)
        # A signal that the C level took before the block stands in the wake-up pipe: two turns take it in. It may ask for
        # an update, and then this is not the moment.
        estate.loop.turn_now()
        estate.loop.turn_now()
        if self.busy() or estate.service.stopping:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            estate.loop.call_soon(self._when_quiet(self._go))
            return
        state = self._describe([fd for each in asked.requesters if (fd := each.descriptor()) >= 0])
        fd = document.write(state)
        self.on_leaving()
        for each in [*state.fds(), fd]:
            os.set_inheritable(each, True)
        command = [*self.as_typed, RESUME_WORD, str(fd)]
        try:
            os.execve(command[0], command, os.environ)
        except OSError as exc:
            for each in [*state.fds(), fd]:
                os.set_inheritable(each, False)
            os.close(fd)
            for name, room in self._rooms.items():
                room.thaw(state.rooms[name], state.room_fds[name])
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            self._refuse(Fault("upgrade-exec", f"{command[0]} cannot be executed: {exc.strerror}"))

    def _describe(self, requesters: list[int]) -> document.Document:
        estate, asked = self._estate, self._asked
        assert asked is not None
        # The preflight reads a copy while everything goes on: only the leap freezes the rooms.
        is_leap = asked.receipt.phases[-1].phase == "execve"
        frozen = {name: room.freeze() for name, room in self._rooms.items()} if is_leap else {}
        return document.Document(
            midair=midair.__version__,
            settings=estate.settings,
            sources=estate.sources,
            ambient=estate.ambient,
            service=estate.service,
            started_s=estate.started_s,
            left_s=estate.loop.clock.now_s(),
            way_back=RESOLVED,
            as_typed=self.as_typed,
            lock_fd=self._lock_fd,
            control_fd=self._control_fd,
            listeners=[
                document.ListenerState(
                    fd=each.fd, name=each.name, typed=each.typed, file=each.file, is_passed=each.is_passed
                )
                for each in estate.listeners
            ],
            releases=[release.export() for release in estate.releases.values()],
            fleet=estate.fleet.export(),
            outputs=estate.outputs.export(),
            receipts=estate.ledger.export(),
            upgrade=asked.receipt.number,
            then_update=asked.then_update,
            requesters=requesters,
            on_disk=estate.on_disk,
            rooms={name: state for name, (state, _) in frozen.items()},
            room_fds={name: fds for name, (_, fds) in frozen.items()},
        )

    # --- the end of it --------------------------------------------------------------------------------------------

    def _enter(self, phase: str) -> None:
        assert self._asked is not None
        enter(self._asked.receipt, phase, self._estate.loop.clock.now_s())

    def _refuse(self, fault: Fault) -> None:
        asked, self._asked = self._asked, None
        if asked:
            conclude(self._estate, asked.receipt, fault)
            for each in asked.requesters:
                each.refused(asked.receipt)


def enter(receipt: Receipt, phase: str, now_s: float) -> None:
    """Note the phase of an upgrade in its receipt."""
    at_s = now_s - receipt.began_s
    if receipt.phases:
        receipt.phases[-1].took_s = at_s - receipt.phases[-1].at_s
    receipt.phases.append(PhaseTime(phase=phase, at_s=at_s))


def conclude(estate: Estate, receipt: Receipt, fault: Fault | None) -> None:
    """Close an upgrade's receipt, in the old image (refused) or in the new one."""
    now_s = estate.loop.clock.now_s()
    receipt.took_s = now_s - receipt.began_s
    receipt.phases[-1].took_s = receipt.took_s - receipt.phases[-1].at_s
    receipt.result, receipt.fault = ("refused", fault) if fault else ("committed", None)
    receipt.exit_code = 0 if fault is None else REFUSED if estate.service.serving is not None else FAILED
    estate.ledger.write(receipt)
    if fault:
        fields: dict[str, FieldValue] = {
            "update": receipt.number,
            "error": fault.message,
            "detail": fault.detail or None,
        }
        estate.say("upgrade_refused", fields)
