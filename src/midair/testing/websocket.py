"""The strict client for WebSockets: numbered messages on long-lived connections, and every irregularity counted.

A WebSocket that outlives an update must not notice: no message may be lost, repeated or overtaken, and what the server
keeps for the connection must be there still. The service says what this client can check, in texts of JSON:

    client: {"n": 7, "text": "…"}     service: {"n": 7, "text": "…", "count": 8, "version": "2"}
                                      service, of its own accord: {"push": 31, "version": "2"}
                                      service, once a connection: {"hello": "1"}

``count`` is how many messages the service has had on this connection, kept in its memory; pushes are numbered from 0. A
connection that ends before the client closes it is broken; the client opens another one, and never repeats a message.
Compressed, each text repeats words of the one before, so it can be read only with the window that the service had.

    async with WebSocketClient("http://127.0.0.1:8000", Sockets(connections=500)) as client:
        ...                      # update the service
    assert client.report.wrong == 0, client.report.summary()

``BackgroundWebSockets`` is the same on a thread of its own.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import cast

import uvloop

from midair.testing.background import Background
from midair.testing.client import AFTER_FAILURE_S, SEED, ClientTrouble, Target
from midair.testing.frames import (
    CLOSE,
    FIN,
    PING,
    PONG,
    RSV1,
    TEXT,
    BrokenFrame,
    Deflater,
    Reader,
    accept_key,
    agreed_parameters,
    close_frame,
    frame,
)
from midair.testing.report import FAILURES_KEPT, Report
from midair.testing.response import BrokenAnswer, Head, read_head

WORD_BYTES = 20
"""Of random text in each message; the next message repeats it."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """One way of talking, on a number of connections at once. Each sends, on average, every ``think_s`` seconds."""

    path: str = "/"
    connections: int = 1
    think_s: float = 0.5
    """Drawn anew each time, between a half and one and a half of it."""
    is_compressed: bool = False
    """Demand permessage-deflate, and keep the window from message to message."""
    has_pushes: bool = False
    """The service says something of its own accord, more often than ``timeout_s``."""
    timeout_s: float = 10.0
    """For a handshake, an answer, the next push, and the answer to a close frame."""
    limit: int = 0
    """Messages that a connection sends at most; 0: until the client stops."""


@dataclass(slots=True)
class SocketReport:
    """The running count. Written by one client; may be read from another thread at any time."""

    opened: int = 0
    """Connections."""
    sent: int = 0
    answered: int = 0
    """Messages whose answer was the right one."""
    pushes: int = 0
    moves: int = 0
    """Times that a connection went on with another version."""
    refused: int = 0
    """Handshakes that failed."""
    broken: int = 0
    """Connections that ended before we closed them, or on which something came that is no WebSocket."""
    lost: int = 0
    """Messages without an answer."""
    repeated: int = 0
    """Answers that had been there already."""
    out_of_order: int = 0
    """Answers that overtook another one."""
    altered: int = 0
    """Answers with another text, or to what was never asked."""
    counter_gaps: int = 0
    """Answers whose count is not the number of messages: the service has forgotten, or has counted one twice."""
    push_gaps: int = 0
    """Pushes whose number is not the next, and times that none came."""
    greeted_again: int = 0
    """Greetings beyond the first of a connection: the service took it for a new one."""
    heard_by: dict[str, int] = field(default_factory=dict)
    """How many connections each version has spoken to, in the order in which the versions were first heard."""
    failures: list[str] = field(default_factory=list)
    latencies_s: array[float] = field(default_factory=lambda: array("d"))

    @property
    def wrong(self) -> int:
        """Everything that should not have happened."""
        return sum(getattr(self, name) for name in WRONG)

    def note(self, kind: str, detail: str) -> None:
        """Count one irregularity. kind: a name in WRONG."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append(f"{kind}: {detail}")

    def percentile_s(self, percent: float) -> float:
        """The latency that ``percent`` of the right answers did not exceed; 0 without answers."""
        return Report(latencies_s=self.latencies_s).percentile_s(percent)

    def summary(self) -> str:
        """A few lines for a person; the first failures one by one."""
        counts = ", ".join(
            f"{getattr(self, each.name)} {each.name.replace('_', ' ')}"
            for each in fields(self)
            if isinstance(getattr(self, each.name), int)
        )
        latency = f"p99 {self.percentile_s(99) * 1e3:.1f} ms, max {self.percentile_s(100) * 1e3:.1f} ms"
        return "\n".join([f"{counts}; {latency}; heard by {dict(self.heard_by)}", *self.failures[:10]])


WRONG = (
    "refused",
    "broken",
    "lost",
    "repeated",
    "out_of_order",
    "altered",
    "counter_gaps",
    "push_gaps",
    "greeted_again",
)


class Link(asyncio.Protocol):
    """An open WebSocket. ``heard`` is called with each message; ``over`` says why it ended, "" if both had closed it."""

    def __init__(self, reader: Reader, deflater: Deflater | None) -> None:
        self._reader, self._deflater = reader, deflater
        self._heard: Callable[[bytes], None] | None = None
        self._transport: asyncio.Transport
        self._has_closed = False
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, target: Target, path: str, *, is_compressed: bool) -> Link:
        """Connect and shake hands; ``begin`` follows. Raises OSError, BrokenAnswer, BrokenFrame."""
        key = base64.b64encode(os.urandom(16)).decode()
        offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" if is_compressed else ""
        wire = await target.connect()
        try:
            await wire.send(
                f"GET {path} HTTP/1.1\r\nHost: {target.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}\r\n".encode()
            )
            link = cls._agreed(await read_head(wire, is_upgrade=True), key, is_compressed)
            link._reader.feed(bytes(wire.buffer))
            await asyncio.get_running_loop().create_connection(lambda: link, sock=wire.sock)
        except BaseException:
            wire.close()
            raise
        return link

    @classmethod
    def _agreed(cls, head: Head, key: str, is_compressed: bool) -> Link:
        if head.status != 101 or head.headers.get("sec-websocket-accept") != accept_key(key):
            raise BrokenFrame(f"{head.status} to the handshake: {head.headers}")
        said = head.headers.get("sec-websocket-extensions", "")
        if bool(said) != is_compressed:
            raise BrokenFrame(f"compression is {is_compressed}, and was agreed upon as {said!r}")
        if not is_compressed:
            return cls(Reader(), None)
        parameters = agreed_parameters(said)
        ours, theirs = (int(parameters.get(f"{side}_max_window_bits") or 15) for side in ("client", "server"))
        reader = Reader(theirs, is_forgetful="server_no_context_takeover" in parameters)
        return cls(reader, Deflater(ours, is_forgetful="client_no_context_takeover" in parameters))

    def begin(self, heard: Callable[[bytes], None]) -> None:
        """Pass messages on from now on; those that have come already at once."""
        self._heard = heard
        self.data_received(b"")

    def send(self, text: str) -> None:
        """Does nothing once the link is over."""
        if self.over.done():
            return
        if self._deflater is None:
            self._transport.write(frame(TEXT, text.encode(), key=os.urandom(4)))
        else:
            data = self._deflater.compress(text.encode())
            self._transport.write(frame(TEXT, data, flags=FIN | RSV1, key=os.urandom(4)))

    def close(self) -> None:
        """Send our close frame. The link is over when the service has answered it."""
        self._has_closed = True
        if not self.over.done():
            self._transport.write(close_frame(1000))

    def end(self, why: str) -> None:
        """It is over, if it was not already."""
        if not self.over.done():
            self.over.set_result(why)
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._heard is None:
            return
        try:
            while not self.over.done() and (found := self._reader.next()) is not None:
                if found.opcode == PING:
                    self._transport.write(frame(PONG, found.payload, key=os.urandom(4)))
                elif found.opcode == CLOSE:
                    is_answer = self._has_closed and found.code == 1000
                    self.end("" if is_answer else f"the service closed it with {found.code}")
                elif found.opcode != PONG:
                    self._heard(found.payload)
        except BrokenFrame as broken:
            self.end(repr(broken))

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(repr(exc) if exc is not None else "the connection ended without a close frame")


class _Conversation:
    """One connection's books, from its handshake to its end."""

    def __init__(self, link: Link, load: Sockets, report: SocketReport, draw: random.Random) -> None:
        self.link = link
        self._load, self._report, self._draw = load, report, draw
        self._clock = asyncio.get_running_loop().time
        self._open: dict[int, tuple[str, float]] = {}
        """Messages without an answer: their text, and when they were sent."""
        self.sent = 0
        self._word = ""
        self._pushes = 0
        self._pushed_at_s = self._clock()
        self._greetings = 0
        self._version = ""
        self.is_quiet = asyncio.Event()
        """Every message has its answer."""
        self.is_quiet.set()

    def is_overdue(self, now_s: float) -> bool:
        """The oldest message without an answer waits longer than it should."""
        return bool(self._open) and now_s - next(iter(self._open.values()))[1] > self._load.timeout_s

    def say(self, now_s: float) -> None:
        """Send the next message."""
        word = self._draw.randbytes(WORD_BYTES).hex()
        text, self._word = f"{self._word} {word}", word
        number, self.sent = self.sent, self.sent + 1
        self._open[number] = text, now_s
        self.is_quiet.clear()
        self._report.sent += 1
        self.link.send(json.dumps({"n": number, "text": text}))

    def hear(self, payload: bytes) -> None:
        """Judge what the service has said."""
        now_s = self._clock()
        try:
            said = json.loads(payload)
            if "push" in said:
                self._pushed(said["push"], now_s)
            elif "hello" in said:
                self._greeted()
            else:
                self._answered(said["n"], said["text"], said["count"], now_s)
            self._named(str(said.get("version", said.get("hello"))))
        except (ValueError, KeyError, TypeError):
            self._report.note("altered", f"not of this conversation: {payload[:80]!r}")
        if self._load.has_pushes and now_s - self._pushed_at_s > self._load.timeout_s:
            self._report.note("push_gaps", f"no push for {now_s - self._pushed_at_s:.1f} s")
            self._pushed_at_s = now_s

    def _answered(self, number: int, text: str, count: int, now_s: float) -> None:
        report = self._report
        if number not in self._open:
            report.note("repeated" if 0 <= number < self.sent else "altered", f"message {number} of {self.sent}")
            return
        first = next(iter(self._open))
        wanted, sent_s = self._open.pop(number)
        if number != first:
            report.note("out_of_order", f"the answer to {number} before the one to {first}")
        if text != wanted:
            report.note("altered", f"message {number}: {text!r}, not {wanted!r}")
        if count != number + 1:
            report.note("counter_gaps", f"message {number + 1} was counted as {count}")
        if number == first and text == wanted and count == number + 1:
            report.answered += 1
            report.latencies_s.append(now_s - sent_s)
        if not self._open:
            self.is_quiet.set()

    def _pushed(self, number: int, now_s: float) -> None:
        if number == self._pushes:
            self._report.pushes += 1
        else:
            self._report.note("push_gaps", f"push {number} where {self._pushes} was due")
        self._pushes, self._pushed_at_s = number + 1, now_s

    def _greeted(self) -> None:
        self._greetings += 1
        if self._greetings > 1:
            self._report.note("greeted_again", f"after {self.sent} messages")

    def _named(self, version: str) -> None:
        if version != self._version:
            heard_by = self._report.heard_by
            heard_by[version] = heard_by.get(version, 0) + 1
            self._report.moves += bool(self._version)
            self._version = version

    def over(self) -> None:
        """The connection has ended: what has no answer will not get one."""
        for number in self._open:
            self._report.note("lost", f"message {number} of {self.sent}")
        self._open.clear()
        self.is_quiet.set()


class WebSocketClient:
    """Talks from ``async with`` on until it is left; then waits for the answers in flight and closes in order."""

    def __init__(self, url: str | Target, *loads: Sockets) -> None:
        self.target = url if isinstance(url, Target) else Target.parse(url)
        self.loads = loads or (Sockets(),)
        self.report = SocketReport()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> WebSocketClient:
        for load in self.loads:
            for number in range(load.connections):
                draw = random.Random(SEED + number)
                self._tasks.append(asyncio.create_task(self._keep_talking(load, draw)))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Send no more, wait for the answers in flight, close. Raises what went wrong on our side."""
        self._stopping.set()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def until_done(self) -> None:
        """Wait until every connection has sent its ``limit``, and is closed."""
        await asyncio.wait(self._tasks)

    async def _keep_talking(self, load: Sockets, draw: random.Random) -> None:
        # Spread over the first interval, as in the client for HTTP.
        await self._pause(draw.uniform(0, load.think_s))
        is_done = False
        while not is_done and not self._stopping.is_set():
            try:
                is_done = await self._talk_once(load, draw)
            except (OSError, BrokenFrame, BrokenAnswer) as error:
                self.report.note("refused", repr(_not_ours(error)))
            if not is_done:
                await self._pause(AFTER_FAILURE_S)

    async def _talk_once(self, load: Sockets, draw: random.Random) -> bool:
        """One connection from its handshake to its end. True: it ended as we wanted. Raises what refused it."""
        async with asyncio.timeout(load.timeout_s):
            link = await Link.open(self.target, load.path, is_compressed=load.is_compressed)
        self.report.opened += 1
        talk = _Conversation(link, load, self.report, draw)
        link.begin(talk.hear)
        try:
            await self._speak(talk, load, draw)
            why = await self._close(talk, load)
        finally:
            link.end("we left")
            talk.over()
        if why:
            self.report.note("broken", f"after {talk.sent} messages: {why}")
        return not why

    async def _speak(self, talk: _Conversation, load: Sockets, draw: random.Random) -> None:
        """Send messages until all are sent, or the client stops, or the link is over."""
        clock, over = asyncio.get_running_loop().time, talk.link.over
        while not self._stopping.is_set() and not over.done() and not (load.limit and talk.sent >= load.limit):
            if talk.is_overdue(clock()):
                talk.link.end(f"no answer within {load.timeout_s} s")
                return
            talk.say(clock())
            await self._pause(draw.uniform(0.5, 1.5) * load.think_s)

    async def _close(self, talk: _Conversation, load: Sockets) -> str:
        """All is said: wait for the last answers, close, wait for the service to close too. Why it is not in order."""
        quiet = asyncio.create_task(talk.is_quiet.wait())
        await asyncio.wait((quiet, talk.link.over), timeout=load.timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not quiet.done():
            talk.link.end(f"no answer within {load.timeout_s} s")
        quiet.cancel()
        talk.link.close()
        await asyncio.wait((talk.link.over,), timeout=load.timeout_s)
        return talk.link.over.result() if talk.link.over.done() else "our close frame was not answered"

    async def _pause(self, pause_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), pause_s)
        except TimeoutError:
            pass


def _not_ours(error: Exception) -> Exception:
    """The error, if it may be the service's. Raises ClientTrouble for what is the client's own machine's."""
    if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError | FileNotFoundError):
        raise ClientTrouble(f"the client itself failed: {error!r}") from error
    return error


class BackgroundWebSockets(Background[SocketReport]):
    """A WebSocketClient on a thread of its own; ``report`` may be read all the while."""

    def __init__(self, url: str | Target, *loads: Sockets) -> None:
        # 500 connections with ten pushes a second each are 5,000 messages a second to look at.
        super().__init__(lambda: WebSocketClient(url, *loads), uvloop.new_event_loop)
