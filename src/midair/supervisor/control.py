"""The control socket: whoever may asks, and is answered; whoever may not is told so. Garbage gets an error and costs nothing.

One request a connection. Reading and acting are separate rights, given by the kernel's word on who is at the other end. No
peer can hold anything up: what it sends, what it does not read, and how long it takes for either is bounded, then it is hung
up on. Connections that have not asked anything yet make room for new ones, and other users than the service's own have a
share of them only: whoever operates the service gets through, whatever they do.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from midair.control import words
from midair.control.framing import REQUEST_MAX_BYTES, FrameDecoder, FramingError, decode_request, encode_answer
from midair.core import effects, events
from midair.core.ids import GenerationId, RequestId
from midair.errors import DONE, FAILED, HELD, REFUSED, Fault, MidairError
from midair.observe.capture import Line
from midair.supervisor.estate import FieldValue
from midair.supervisor.holding import Holders
from midair.supervisor.ledger import Receipt, StepTime
from midair.supervisor.loop import Loop, Timer
from midair.supervisor.recent import ROWS_MAX, Row, time_s
from midair.supervisor.reporting import Reporting
from midair.supervisor.supervisor import Supervisor

CONNECTIONS_MAX = 64
"""Commands that may be connected at once. For one more, the connection that has asked nothing for the longest time is hung up on;
if all have asked, the new one is told to come again."""
OTHERS_MAX = 32
"""Of these, connections of users that are neither root nor the service's own."""
USER_MAX = 8
"""And of one such user."""
OTHERS_PER_S = 50
"""And how many of them in a second: an answer costs little, and they are many who could ask."""
OUT_MAX_BYTES = 8 * 1024 * 1024
"""Two of the longest answers. A peer that lets more pile up does not read."""
ALL_OUT_MAX_BYTES = 32 * 1024 * 1024
"""The same of all peers together: beyond, the one with the most is hung up on."""
TAKEN_WITHIN_S = 10.0
"""A peer that takes nothing of what waits for it for this long does not read, either."""
REQUEST_WITHIN_S = 10.0
BEHIND_MAX_BYTES = 64 * 1024
"""What a peer may send after its request: it is read away."""
ACCEPTS_PER_TURN = 16
"""Faster than anybody connects, and a quarter of CONNECTIONS_MAX: who is in has its turn before it could have to give way."""
ACCEPT_AGAIN_S = 0.5
"""After an accept that failed for want of descriptors or memory: the listener stays readable, and would be asked at each turn."""
COMPLAINTS_MAX = 10
"""Lines about refusals and nonsense in COMPLAINTS_PER_S; the next line says how many were left out."""
COMPLAINTS_PER_S = 60.0
REASON_MAX = 1000
"""Characters of a reason that are kept: it stands in receipts, of which many are sent at a time."""
PROGRESS_KEPT = 400
WATCHED_UPDATES = 8
LINES_MAX_BYTES = 3 * 1024 * 1024
"""As JSON, of an answer that may have 4 MiB."""
SO_PEERGROUPS = 59

ACTING = (
    words.Reload,
    words.Rollback,
    words.Scale,
    words.Hold,
    words.Release,
    words.Drain,
    words.Upgrade,
    words.Stop,
)


class NoSuchUpdate(MidairError):
    """There is no receipt of an update of this number."""

    code = "no-receipt"
    hint = "midair history lists them"

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no update {number}")


class Peer:
    """One connection."""

    def __init__(self, server: ControlServer, connection: socket.socket) -> None:
        self._server = server
        self._loop = server.loop
        self.connection = connection
        connection.setblocking(False)
        pid, self.uid, self.gid = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self.pid = pid
        self._decoder = FrameDecoder(REQUEST_MAX_BYTES)
        self._out = bytearray()
        self._is_ending = False
        self.is_open = True
        self.has_asked = False
        self.when_closed: list[Callable[[], None]] = []
        self._behind = 0
        self._timer: Timer | None = self._loop.call_later(REQUEST_WITHIN_S, self._is_silent)
        self._loop.on_readable(connection.fileno(), self._read)

    @property
    def who(self) -> str:
        """For receipts: ``uid 1000 (anna)``."""
        try:
            return f"uid {self.uid} ({pwd.getpwuid(self.uid).pw_name})"
        except KeyError:
            return f"uid {self.uid}"

    @property
    def is_own(self) -> bool:
        """root, or the service's own user: either could end the service anyway."""
        return self.uid in {0, os.getuid()}

    @property
    def waiting_bytes(self) -> int:
        return len(self._out)

    def groups(self) -> set[int]:
        try:
            data = self.connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * 65536)
        except OSError:
            return {self.gid}
        return {self.gid, *struct.unpack(f"{len(data) // 4}I", data)}

    def descriptor(self) -> int:
        """For the next image of the supervisor, which answers in our place; -1: nobody listens any more."""
        return self.connection.fileno() if self.is_open and not self._out else -1

    def _read(self) -> None:
        try:
            data = self.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        if self.has_asked:
            self._behind += len(data)  # One request a connection; the rest is read away.
            if self._behind > BEHIND_MAX_BYTES:
                self.close()
            return
        try:
            frames = self._decoder.feed(data)
            if not frames:
                return
            request = decode_request(frames[0])
        except FramingError as error:
            self._server.complain("garbage", "control_garbage", {"uid": self.uid, "error": str(error)[:200]})
            self.has_asked = True
            self.end(words.Refused(fault=error.fault(), exit_code=error.exit_code))
            return
        self.has_asked = True
        self._stop_waiting()
        self._server.asked(self, request)

    def send(self, answer: words.AnyAnswer) -> None:
        """An answer that cannot be sent (it is too long, or has in it what is no text) is a refusal that says so."""
        if not self.is_open or self._is_ending:
            return
        try:
            self._out += encode_answer(answer)
        except (FramingError, UnicodeEncodeError) as error:
            fault = Fault(
                "unanswerable", f"the answer cannot be sent: {error}", "midair logs and the receipt's file may tell"
            )
            self._out += encode_answer(words.Refused(fault=fault))
            self._is_ending = True
        if len(self._out) > OUT_MAX_BYTES:
            self.reads_nothing()
            return
        self._flush()
        self._server.make_room()

    def end(self, answer: words.AnyAnswer) -> None:
        """The last answer: hang up once it is out."""
        self.send(answer)
        self._is_ending = True
        if self.is_open and not self._out:
            self.close()

    def _is_silent(self) -> None:
        self._server.refused("silent")
        self.close()

    def reads_nothing(self) -> None:
        """Hang up: what waits for it waits in our memory."""
        self._server.refused("unread")
        self.close()

    def turn_away(self) -> None:
        """Say that there is no room, and hang up."""
        self._server.refused("too_many")
        fault = Fault("too-many-connections", "too many are connected to the control socket", "try again in a moment")
        self.end(words.Refused(fault=fault))
        self.close()

    def _stop_waiting(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        try:
            sent = self.connection.send(self._out)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._out[:sent]
        if sent or not self._out:
            self._stop_waiting()
        if self._out and self._timer is None:
            self._timer = self._loop.call_later(TAKEN_WITHIN_S, self.reads_nothing)
        self._loop.on_writable(self.connection.fileno(), self._flush if self._out else None)
        if self._is_ending and not self._out:
            self.close()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._stop_waiting()
            self._loop.forget(self.connection.fileno())
            self.connection.close()
            self._server.forget(self)
            for tell in self.when_closed:
                tell()


class Watcher:
    """Somebody who waits for the end of an update."""

    def __init__(self, peer: Peer, wait: words.Wait, *, wants_rollback: bool = False) -> None:
        self.peer = peer
        self.wait = wait
        self.wants_rollback = wants_rollback
        """For it, "rolled back" is success."""
        self.outcome: words.Outcome | None = None
        """The end is known; it waits for the old generation's last connection."""
        self.until_gone = 0


class ControlServer:
    """Answers on one listening Unix socket."""

    def __init__(self, loop: Loop, supervisor: Supervisor, listener: socket.socket) -> None:
        self.loop = loop
        self._supervisor = supervisor
        self._estate = supervisor.estate
        self._reporting = Reporting(supervisor.estate, supervisor.accounts)
        self._holders = Holders(supervisor.estate, self._reporting)
        self._listener = listener
        self._peers: dict[Peer, None] = {}
        """In the order in which they came."""
        self._waiting: dict[RequestId, tuple[Peer, words.Request]] = {}
        self._watchers: dict[int, list[Watcher]] = {}
        self._progress: dict[int, list[words.Progress]] = {}
        self._until_the_end: list[Peer] = []
        """Who asked for the stop."""
        self.refused: Callable[[str], None] = supervisor.accounts.refused
        self.say: Callable[[str, Mapping[str, FieldValue]], None] = supervisor.estate.say
        self.upgrade: Callable[[Peer, words.Upgrade], None] = lambda peer, request: peer.end(
            words.Refused(fault=Fault("not-built", "upgrade is not available"), exit_code=FAILED)
        )
        self._came: deque[float] = deque(maxlen=OTHERS_PER_S)
        """When the last of other users were let in."""
        self._complaints: deque[float] = deque(maxlen=COMPLAINTS_MAX)
        self._left_out = 0
        supervisor.answered.append(self._answered)
        supervisor.opened.append(self._opened)
        supervisor.closed.append(self._closed)
        supervisor.estate.on_progress = self._progressed
        supervisor.emptied = self._emptied
        loop.on_readable(listener.fileno(), self._accept)

    # --- connections ----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return  # Nobody there any more.
            except OSError:
                self.loop.on_readable(self._listener.fileno(), None)
                self.loop.call_later(ACCEPT_AGAIN_S, self._accept_again)
                return
            self._let_in(Peer(self, connection))

    def _let_in(self, peer: Peer) -> None:
        self._peers[peer] = None
        if not self._has_room(peer):
            peer.turn_away()

    def _accept_again(self) -> None:
        if self._listener.fileno() >= 0:
            self.loop.on_readable(self._listener.fileno(), self._accept)

    def _has_room(self, new: Peer) -> bool:
        """Whether the new peer may stay. Whoever has asked nothing yet gives way, oldest first: one that means to ask does so
        at once, and is read in the turn after its accept."""
        if not new.is_own:
            others = [peer for peer in self._peers if not peer.is_own]
            same = [peer for peer in others if peer.uid == new.uid]
            now_s = self.loop.clock.now_s()
            is_fast = len(self._came) == OTHERS_PER_S and now_s - self._came[0] < 1.0
            if is_fast or len(others) > OTHERS_MAX or len(same) > USER_MAX:
                return False
            self._came.append(now_s)
        if len(self._peers) <= CONNECTIONS_MAX:
            return True
        silent = next((peer for peer in self._peers if not peer.has_asked and peer is not new), None)
        if silent:
            silent.turn_away()
        return silent is not None

    def make_room(self) -> None:
        """Bound what all peers together let wait."""
        if sum(peer.waiting_bytes for peer in self._peers) > ALL_OUT_MAX_BYTES:
            max(self._peers, key=lambda peer: peer.waiting_bytes).reads_nothing()

    def complain(self, why: str, event: str, fields: Mapping[str, FieldValue]) -> None:
        """Count it, and say it unless much of the kind was said a moment ago: the log is not theirs to fill."""
        self.refused(why)
        now_s = self.loop.clock.now_s()
        if len(self._complaints) == COMPLAINTS_MAX and now_s - self._complaints[0] < COMPLAINTS_PER_S:
            self._left_out += 1
            return
        self._complaints.append(now_s)
        self.say(event, {**fields, "left_out": self._left_out} if self._left_out else fields)
        self._left_out = 0

    def adopt(self, connection: socket.socket) -> Peer:
        """A connection that the image before this one left unanswered."""
        peer = Peer(self, connection)
        peer.has_asked = True
        self._peers[peer] = None
        return peer

    def forget(self, peer: Peer) -> None:
        self._peers.pop(peer, None)
        for watchers in self._watchers.values():
            watchers[:] = [w for w in watchers if w.peer is not peer]
        for request in [r for r, (p, _) in self._waiting.items() if p is peer]:
            del self._waiting[request]

    def close(self) -> None:
        """At the end: whoever still listens gets end of file."""
        self.loop.forget(self._listener.fileno())
        self._listener.close()
        for peer in self._until_the_end:
            peer.end(words.Outcome(update=0, result="stopped", exit_code=DONE))
        for peer in list(self._peers):
            peer.close()

    def may(self, peer: Peer, request: words.Request) -> bool:
        """root and the service's own user may all; members of the named groups what their group may."""
        if peer.is_own:
            return True
        control = self._estate.settings.control
        names = control.operators if isinstance(request, ACTING) else (*control.operators, *control.readers)
        return bool(peer.groups() & _gids(names))

    # --- requests -------------------------------------------------------------------------------------------------

    def asked(self, peer: Peer, request: words.Request) -> None:
        home = self._estate.settings.folder
        if isinstance(request, ACTING) and request.folder not in {"", home}:
            name = self._estate.settings.name
            why = f"the service {name!r} that runs here is that of {home}, not of {request.folder}"
            hint = f"give this folder's service a name of its own, or say --name {name} if you mean that one"
            peer.end(words.Refused(fault=Fault("other-folder", why, hint)))
            return
        if not self.may(peer, request):
            what = type(request).__name__.lower()
            self.complain("not_allowed", "control_refused", {"uid": peer.uid, "asked": what})
            hint = "ask as the service's own user or as root, or have your group named in control.operators"
            peer.end(words.Refused(fault=Fault("not-allowed", f"{peer.who} may not {what}", hint)))
            return
        try:
            self._do(peer, _shortened(request))
        except MidairError as error:
            peer.end(words.Refused(fault=error.fault(), exit_code=error.exit_code))

    def _do(self, peer: Peer, request: words.Request) -> None:
        match request:
            case words.Status():
                self._reporting.status(request, peer.end)
            case words.Config():
                self._config(peer, request)
            case words.History(limit=limit):
                receipts = tuple(
                    self._estate.ledger.line(r) for r in self._estate.ledger.latest(max(1, min(limit, 200)))
                )
                peer.end(words.HistoryReport(receipts=receipts))
            case words.Receipt(number=number):
                self._receipt(peer, number)
            case words.Logs():
                self._logs(peer, request)
            case words.Stacks():
                self._stacks(peer, request)
            case words.WhyAlive():
                self._why_alive(peer, request)
            case words.Metrics():
                self._metrics(peer, request)
            case words.Watch():
                self._watch(peer, request)
            case words.Upgrade():
                self.upgrade(peer, request)
            case _:
                self._act(peer, request)

    def _act(
        self,
        peer: Peer,
        request: words.Reload | words.Rollback | words.Scale | words.Hold | words.Release | words.Drain | words.Stop,
    ) -> None:
        if isinstance(request, words.Drain):
            self._supervisor.move_all_now()
        number = self._supervisor.next_request()
        self._waiting[number] = (peer, request)
        self._supervisor.tell(self._event(number, peer, request))

    def _event(
        self,
        number: RequestId,
        peer: Peer,
        request: words.Reload | words.Rollback | words.Scale | words.Hold | words.Release | words.Drain | words.Stop,
    ) -> events.Event:
        match request:
            case words.Reload():
                return events.UpdateAsked(
                    number,
                    peer.who,
                    request.reason,
                    reread=request.update == "config",
                    force=request.force,
                    now=request.now,
                    expect=request.expect,
                    no_rollback=request.no_rollback,
                    drain_rate_per_s=request.drain_rate_per_s,
                    traceparent=request.traceparent,
                    tracestate=request.tracestate,
                )
            case words.Rollback():
                return events.RollbackAsked(
                    number, peer.who, request.reason, request.now, request.traceparent, request.tracestate
                )
            case words.Scale():
                return events.ScaleAsked(number, request.workers, peer.who)
            case words.Hold():
                return events.HoldAsked(number, peer.who, request.reason, request.for_s)
            case words.Release():
                return events.ReleaseAsked(number, peer.who)
            case words.Drain(within_s=within_s):
                return events.DrainAsked(number, peer.who, within_s)
            case words.Stop():
                return events.StopAsked(number, peer.who, request.force)

    def _receipt(self, peer: Peer, number: int) -> None:
        receipt = self._estate.ledger.get(number)
        if receipt is None:
            hint = "midair history lists them"
            peer.end(words.Refused(fault=Fault("no-receipt", f"there is no receipt {number or ''}".strip(), hint)))
            return
        document = msgspec.Raw(msgspec.json.encode(receipt))
        peer.end(words.ReceiptReport(number=receipt.number, document=document))

    def _logs(self, peer: Peer, request: words.Logs) -> None:
        """What is kept, then what comes. No line is in both, and none between: numbers tell."""
        lines = self._kept_lines(request)
        newest = max([request.after, *(line.number for line in lines)])
        peer.send(fitting(lines[-request.limit :]))
        if not request.follow:
            peer.end(words.Done())
        if not peer.is_open or not request.follow:
            return
        wanted = self._of_update(request.update) if request.update else request.generation

        def follow(line: Line, stream: str) -> None:
            number = self._estate.recent.last
            if wanted in {0, line.generation} and number > newest:
                peer.send(words.LogLines(lines=(_line(line.generation, line.slot, stream, number, line.text),)))

        def follow_events(row: Row) -> None:
            if _is_about(row, wanted, request.update) and row.number > newest:
                peer.send(words.LogLines(lines=(_event_line(row),)))

        followers, events = self._estate.outputs.followers, self._estate.recent.followers
        followers.append(follow)
        peer.when_closed.append(lambda: followers.remove(follow))
        if request.events:
            events.append(follow_events)
            peer.when_closed.append(lambda: events.remove(follow_events))

    def _kept_lines(self, request: words.Logs) -> list[words.LogLine]:
        """Lines and events in their order."""
        outputs, recent = self._estate.outputs, self._estate.recent
        wanted = self._of_update(request.update) if request.update else request.generation
        generations = [wanted] if wanted else self._living_generations()
        lines = [
            _line(generation, row.slot, row.stream, row.number, row.text)
            for generation in generations
            for row in outputs.rows(generation)
        ]
        if request.events:
            events = recent.latest(ROWS_MAX)
            lines += [_event_line(row) for row in events if _is_about(row, wanted, request.update)]
        return sorted((line for line in lines if line.number > request.after), key=lambda line: line.number)

    def _of_update(self, number: int) -> int:
        """The generation that an update brought, or was to bring."""
        receipt = self._estate.ledger.get(number)
        if receipt is None:
            raise NoSuchUpdate(number)
        return receipt.generation

    def _living_generations(self) -> list[int]:
        """Those that have processes; of one whose lines came before its first process, or are kept after its last, no more."""
        service = self._estate.service
        candidate = {service.candidate.generation} if service.candidate else set()
        living = {worker.generation for worker in self._estate.everybody()} | candidate
        return [generation for generation in self._estate.outputs.generations() if generation in living]

    def _stacks(self, peer: Peer, request: words.Stacks) -> None:
        generation = request.generation or self._estate.service.serving or 0

        def done(stacks: list[words.WorkerStacks]) -> None:
            if not stacks:
                fault = Fault("no-worker", f"generation {generation} has no such worker", "midair status lists them")
                peer.end(words.Refused(fault=fault))
            else:
                peer.end(words.StacksReport(workers=tuple(stacks)))

        self._reporting.collect_stacks(GenerationId(generation), request.slot, done)

    def _why_alive(self, peer: Peer, request: words.WhyAlive) -> None:
        generation = self._holders.chosen(request.generation)
        if generation is None:
            fault = Fault(
                "no-generation",
                f"there is no generation {request.generation or ''}".strip(),
                "midair status lists them",
            )
            peer.end(words.Refused(fault=fault))
        else:
            self._holders.ask(generation, peer.end)

    def _metrics(self, peer: Peer, request: words.Metrics) -> None:
        snapshot = self._supervisor.accounts.snapshot()
        if request.form == "figures":
            peer.end(words.FiguresReport(snapshot=snapshot))
        else:
            from midair.observe.exposition import exposition

            peer.end(words.MetricsReport(text=exposition(snapshot)))

    def _config(self, peer: Peer, request: words.Config) -> None:
        self._reporting.describe_config(request.diff, peer.end)

    # --- updates watched ------------------------------------------------------------------------------------------

    def _watch(self, peer: Peer, request: words.Watch) -> None:
        going_on = self._estate.service.candidate or self._estate.service.baking
        number = request.update or (going_on.id if going_on else 0)
        receipt = self._estate.ledger.get(number) if number else None
        if receipt is None:
            peer.end(words.Refused(fault=Fault("no-update", "no update is going on")))
            return
        peer.send(words.Accepted(update=number))
        for progress in self._progress.get(number, []):
            if progress.number > request.after:
                peer.send(progress)
        watcher = Watcher(peer, request.wait)
        if receipt.result:
            self._conclude(watcher, receipt, self.outcome(receipt))
        else:
            self._watchers.setdefault(number, []).append(watcher)

    def _opened(self, effect: effects.Opened, receipt: Receipt) -> None:
        self._progress[effect.update] = []
        while len(self._progress) > WATCHED_UPDATES:
            del self._progress[next(iter(self._progress))]
        waiting = self._waiting.pop(effect.request, None)
        if waiting is None:
            return
        peer, request = waiting
        if isinstance(request, words.Reload):
            receipt.steps = [
                StepTime(step=each.step, at_s=each.time_s - receipt.began, took_s=each.took_s) for each in request.steps
            ]
        peer.send(words.Accepted(update=effect.update))
        wait = request.wait if isinstance(request, words.Reload | words.Rollback) else "commit"
        if wait == "none":
            serving = self._estate.service.serving or 0
            outcome = words.Outcome(
                update=effect.update, result="unknown", exit_code=DONE, receipt=receipt.number, generation=serving
            )
            peer.end(outcome)
            return
        self._watchers.setdefault(effect.update, []).append(Watcher(peer, wait))

    def _progressed(self, receipt: Receipt, event: str, phase: str, fields: Mapping[str, FieldValue]) -> None:
        kept = self._progress.get(receipt.number)
        if kept is None:
            return
        progress = words.Progress(
            update=receipt.number,
            number=kept[-1].number + 1 if kept else 1,
            event=event,
            phase=phase,
            since_s=self.loop.clock.now_s() - receipt.began_s,
            time_s=self.loop.clock.wall_s(),
            fields=dict(fields),
        )
        if len(kept) >= PROGRESS_KEPT:
            del kept[0]
        kept.append(progress)
        for watcher in self._watching(receipt):
            watcher.peer.send(progress)

    def _watching(self, receipt: Receipt) -> list[Watcher]:
        """Who looks on at this update, those included who know how it ended and wait for the old connections."""
        drained = self._watchers.get(-receipt.previous_generation, [])
        return [
            *self._watchers.get(receipt.number, []),
            *(each for each in drained if each.outcome and each.outcome.update == receipt.number),
        ]

    def _closed(self, effect: effects.Closed, receipt: Receipt) -> None:
        outcome = self.outcome(receipt)
        for watcher in self._watchers.pop(effect.update, []):
            self._conclude(watcher, receipt, outcome)

    def _conclude(self, watcher: Watcher, receipt: Receipt, outcome: words.Outcome) -> None:
        if watcher.wants_rollback and receipt.result in {"rolled-back", "refused"}:
            outcome = msgspec.structs.replace(outcome, exit_code=DONE, fault=None)
        previous = GenerationId(receipt.previous_generation)
        if watcher.wait == "drained" and receipt.result == "committed" and self._estate.has_workers(previous):
            watcher.outcome, watcher.until_gone = outcome, previous
            self._watchers.setdefault(-previous, []).append(watcher)
        else:
            watcher.peer.end(outcome)

    def _emptied(self, generation: GenerationId) -> None:
        for watcher in self._watchers.pop(-generation, []):
            if watcher.outcome:
                watcher.peer.end(watcher.outcome)

    def outcome(self, receipt: Receipt) -> words.Outcome:
        return words.Outcome(
            update=receipt.number,
            result=msgspec.convert(receipt.result, words.Result),
            exit_code=receipt.exit_code,
            fault=receipt.fault,
            receipt=receipt.number,
            generation=receipt.serving_generation,
            version=receipt.serving_version,
            previous=receipt.previous_version,
            duration_s=receipt.took_s,
        )

    def _answered(self, effect: effects.Answer) -> None:
        """A request was carried out or refused at once."""
        waiting = self._waiting.pop(effect.request, None)
        if waiting is None:
            return
        peer, request = waiting
        if effect.fault:
            code = {"held": HELD, "superseded": REFUSED, "rollback-barred": REFUSED, "usage": 2}.get(
                effect.fault.code, FAILED
            )
            peer.end(words.Refused(fault=effect.fault, exit_code=code))
        elif isinstance(request, words.Rollback) and effect.update is not None:
            peer.send(words.Accepted(update=effect.update, note=effect.text))
            watcher = Watcher(peer, "commit", wants_rollback=True)
            self._watchers.setdefault(effect.update, []).append(watcher)
        elif isinstance(request, words.Stop):
            peer.send(words.Accepted(update=0, note=effect.text))
            self._until_the_end.append(peer)
        else:
            peer.end(words.Done(note=effect.text))


def fitting(lines: Sequence[words.LogLine]) -> words.LogLines:
    """As many of the last of them as fit into an answer."""
    kept: deque[words.LogLine] = deque()
    left = LINES_MAX_BYTES
    for line in reversed(lines):
        left -= len(msgspec.json.encode(line))
        if left < 0:
            break
        kept.appendleft(line)
    return words.LogLines(lines=tuple(kept), dropped=len(lines) - len(kept))


def _line(generation: int, slot: int, stream: str, number: int, text: str) -> words.LogLine:
    return words.LogLine(
        time_s=time_s(number), generation=generation, slot=slot, text=text, stream=stream, number=number
    )


def _event_line(row: Row) -> words.LogLine:
    """midair's own; its generation is the one that it is about, if any."""
    about = row.fields.get("generation")
    return words.LogLine(
        time_s=time_s(row.number),
        generation=about if isinstance(about, int) else 0,
        slot=-1,
        text=row.event.replace("_", " "),
        number=row.number,
        event=row.event,
        level=row.level,
        fields=row.fields,
    )


def _is_about(row: Row, generation: int, update: int) -> bool:
    """Whether an event belongs to this generation or update; 0: to any."""
    if not generation:
        return True
    return row.fields.get("generation") == generation or (update != 0 and row.fields.get("update") == update)


def _shortened(request: words.Request) -> words.Request:
    """With a reason of at most REASON_MAX characters."""
    reason = getattr(request, "reason", "")
    if len(reason) <= REASON_MAX:
        return request
    return msgspec.structs.replace(request, reason=f"{reason[:REASON_MAX]}…")


def _gids(names: tuple[str, ...]) -> set[int]:
    found = set()
    for name in names:
        try:
            found.add(grp.getgrnam(name).gr_gid)
        except KeyError:
            continue  # A group that does not exist has no members.
    return found
