"""Updates as traces: who tells a collector of them, and what is known of that. A child exports; here is only its link.

An update's identifiers are in its receipt from the start. When the receipt is closed, and whenever something follows, the child
gets it, and says what the collector has taken: that is written into the receipt, so that the next supervisor knows what is left
to tell.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping

import msgspec

from midair.config.schema import Settings
from midair.core import backoff
from midair.core.effects import Opened
from midair.core.ids import GenerationId
from midair.release.environment import NEVER_PASSED
from midair.sockets import passing
from midair.supervisor.accounts import Accounts
from midair.supervisor.estate import Estate, FieldValue
from midair.supervisor.ledger import Receipt
from midair.supervisor.processes import Program
from midair.traces import context, destination, naming, words
from midair.traces.updates import hook_span
from midair.worker.settings import Traced

LINK_FD = 3
NAME = "traces"
"""How the child is called where its output is passed on."""
AGAIN_MAX = 8
"""Updates of before that may have gone on after what was told of them (a drain, a late hook), when a child starts."""
WAITING_MAX = 200
"""Receipts that may wait for a child that does not read: as many as are kept in memory."""


class Kept(msgspec.Struct, kw_only=True):
    """As it gets over an upgrade. The link's descriptor travels beside it."""

    pid: int = 0
    begun: words.Begin | None = None
    deaths_s: list[float] = []
    told: dict[int, tuple[int, int]] = {}


class Tracing:
    """Who exports, and what it was told."""

    def __init__(self, estate: Estate, accounts: Accounts) -> None:
        self._estate = estate
        self._accounts = accounts
        self._node = estate.settings.log.node or socket.gethostname()
        # Once, while nobody waits: what an installation has does not change below a running process.
        looks = destination.needs_looking(estate.settings, estate.ambient)
        self._has_extra = looks and destination.is_installed()
        self.pid = 0
        self._children = 0
        """How many there have been: the end of one before is no news."""
        self._link: socket.socket | None = None
        self._begun: words.Begin | None = None
        """What the child was told first."""
        self._deaths_s: list[float] = []
        self._waiting: dict[int, Receipt] = {}
        self._told: dict[int, tuple[int, int]] = {}
        """How much had followed an update when it was told: its events, and the generations that had gone."""
        self._is_unusable = False

    # --- what others ask ------------------------------------------------------------------------------------------

    def traced(self, settings: Settings, variables: Mapping[str, str]) -> Traced | None:
        """How processes with these settings and in this environment are named in telemetry, and what of theirs is traced."""
        return destination.traced(settings, variables, self._node, has_extra=self._has_extra)

    def begin(self, effect: Opened) -> context.Trace:
        """The span that an update is from now on."""
        return self.begin_within(effect.traceparent, effect.tracestate)

    def begin_within(self, traceparent: str, tracestate: str) -> context.Trace:
        return context.begin(context.read(traceparent, tracestate), is_on=self._wanted() is not None)

    def of_hook(self, generation: GenerationId, hook: str) -> dict[str, str]:
        """Variables by which a hook knows that it runs within an update's trace."""
        receipt = self._estate.ledger.of_generation(generation)
        return context.variables(receipt.trace, hook_span(hook)) if receipt else {}

    def changed(self, receipt: Receipt) -> None:
        """An update has ended, or something has followed."""
        now = (len(receipt.events), len(receipt.gone))
        if self._link is None or not self._is_to_be_told(receipt) or self._told.get(receipt.number) == now:
            return
        self._told[receipt.number] = now
        while len(self._told) > WAITING_MAX:
            del self._told[next(iter(self._told))]
        self._waiting[receipt.number] = receipt
        if len(self._waiting) > WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        self._flush()

    # --- the child ------------------------------------------------------------------------------------------------

    def ensure(self) -> None:
        """Have told what the settings want told. At the start, after an upgrade, and when the settings have changed."""
        wanted = self._wanted()
        if wanted != self._begun:
            self._is_unusable = False
            self._end()
        if wanted is not None and not self.pid and not self._is_unusable:
            self._start(wanted)
        self._tell_of_before()

    def _wanted(self) -> words.Begin | None:
        estate = self._estate
        where = destination.destination(estate.settings, estate.ambient, has_extra=self._has_extra)
        if where is None:
            return None
        service = naming.service_name(estate.ambient, estate.settings.name)
        return words.Begin(destination=where, service=service, node=self._node)

    def _start(self, begin: words.Begin) -> None:
        estate = self._estate
        environment = {key: value for key, value in estate.ambient.items() if key not in NEVER_PASSED}
        ours, theirs = passing.pair()
        fds: list[int] = []
        try:
            stdout, stderr = estate.outputs.open(0, -1, name=NAME)
            fds += [stdout, stderr]
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            fds.append(null)
            places = {0: null, 1: stdout, 2: stderr, LINK_FD: theirs.fileno()}
            argv = [sys.executable, "-P", "-m", words.MODULE, str(LINK_FD)]
            self.pid = estate.processes.start(Program(argv, environment, "/", places), self._when_exited())
        except OSError as exc:
            how, exited = f"it could not be started: {exc.strerror or exc}", self._when_exited()
            ours.close()
            self._begun = begin
            estate.loop.call_soon(lambda: exited(how))
            return
        finally:
            theirs.close()
            for fd in fds:
                os.close(fd)
        self._begun, self._told = begin, {}
        self._listen(ours)
        with contextlib.suppress(OSError):  # It could not be executed: its end tells.
            passing.send(ours, words.encode(begin))
        estate.say("traces_sent", {"to": begin.destination.url, "pid": self.pid})

    def _tell_of_before(self) -> None:
        """What the collector may not have yet."""
        known = [receipt for receipt in self._estate.ledger.export() if self._is_to_be_told(receipt)]
        for place, receipt in enumerate(known):
            if not receipt.trace.exported or place >= len(known) - AGAIN_MAX:
                self.changed(receipt)

    def _is_to_be_told(self, receipt: Receipt) -> bool:
        return bool(receipt.result) and receipt.trace.is_exported

    def _listen(self, link: socket.socket) -> None:
        self._link = link
        self._estate.loop.on_readable(link.fileno(), self._read)

    def _end(self) -> None:
        """The child ends with its link."""
        self._begun, self._children = None, self._children + 1
        self._waiting.clear()
        if self._link is not None:
            self._estate.loop.forget(self._link.fileno())
            self._link.close()
            self._link = None
        if self.pid:
            self._estate.processes.signal(self.pid, signal.SIGTERM)  # It may stand in an export.
            self.pid = 0

    def _flush(self) -> None:
        while self._waiting and self._link is not None:
            number, receipt = next(iter(self._waiting.items()))
            fd = os.memfd_create("midair:receipt", os.MFD_CLOEXEC)
            try:
                os.write(fd, msgspec.json.encode(receipt))
                passing.send(self._link, words.encode(words.Changed(update=number)), (fd,))
            except BlockingIOError:
                self._estate.loop.on_writable(self._link.fileno(), self._flush)
                return
            except (OSError, passing.DescriptorsInFlight):
                pass  # It is gone, which its end tells; or the machine is short of descriptors, and an upgrade tells it again.
            finally:
                os.close(fd)
            del self._waiting[number]
        if self._link is not None:
            self._estate.loop.on_writable(self._link.fileno(), None)

    def _read(self) -> None:
        while self._link is not None:
            try:
                message = passing.receive(self._link)
            except BlockingIOError:
                return
            except OSError:
                message = None
            if message is None:
                self._estate.loop.forget(self._link.fileno())
                self._link.close()
                self._link = None
                return
            message.close()
            try:
                self._heard(words.from_child(message.data))
            except msgspec.MsgspecError:
                continue  # Of another midair.

    def _heard(self, word: words.FromChild) -> None:
        estate = self._estate
        counted = self._accounts.counted.spans
        match word:
            case words.Exported(update=number, spans=spans, new=new):
                counted["exported"] += new
                receipt = estate.ledger.get(number) if number else None
                if receipt is not None and receipt.trace.exported < spans:
                    receipt.trace = msgspec.structs.replace(receipt.trace, exported=spans)
                    estate.ledger.write(receipt)
            case words.Dropped(update=number, spans=spans):
                counted["dropped"] += spans
            case words.Failing(error=error):
                estate.say("traces_failing", {"error": error, "to": self._url})
            case words.Recovered(failed_s=failed_s):
                estate.say("traces_recovered", {"failed_s": failed_s, "to": self._url})
            case words.Unusable(error=error, hint=hint):
                self._is_unusable = True
                fields: dict[str, FieldValue] = {"error": error, "hint": hint or None}
                estate.say("traces_unavailable", fields)

    @property
    def _url(self) -> str:
        return self._begun.destination.url if self._begun else ""

    def _when_exited(self) -> Callable[[str], None]:
        self._children += 1
        number = self._children
        return lambda how: self._exited(number, how)

    def _exited(self, number: int, how: str) -> None:
        if number != self._children:
            return
        self.pid = 0
        if self._estate.service.stopping or self._begun is None or self._is_unusable:
            return
        now_s = self._estate.loop.clock.now_s()
        self._deaths_s, wait_s = backoff.after_death(self._deaths_s, now_s)
        self._estate.say("traces_died", {"how": how, "again_in_s": wait_s})
        self._estate.loop.call_later(wait_s, self.ensure)

    # --- over an upgrade ------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return ""

    def freeze(self) -> tuple[bytes, list[int]]:
        told = {number: as_of for number, as_of in self._told.items() if number not in self._waiting}
        kept = Kept(pid=self.pid, begun=self._begun, deaths_s=self._deaths_s, told=told)
        return msgspec.msgpack.encode(kept), [self._link.fileno()] if self._link else []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        if self._link is not None:
            return  # The execve failed: nothing was lost.
        kept = msgspec.msgpack.decode(state, type=Kept)
        self._deaths_s, self._begun, self._told = kept.deaths_s, kept.begun, kept.told
        for fd in fds:
            link = socket.socket(fileno=fd)
            link.setblocking(False)
            self._listen(link)
        if kept.pid:
            self.pid = kept.pid
            self._estate.processes.adopt(kept.pid, self._when_exited())
