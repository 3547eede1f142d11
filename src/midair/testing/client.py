"""The strict client: asks all the time, never asks twice, and counts every answer.

An update "with nothing lost" is a claim about clients, so a client decides it. This one works on raw sockets, as
libraries that pool and retry would hide exactly what is looked for. Its rule about keep-alive connections: a request
that was written and did not get a whole, right answer has failed, whatever the reason. Only a connection that the
service had closed *before* anything was written is a reconnect and nobody's failure.

    async with Client("http://127.0.0.1:8000", Load(connections=50, think_s=0.2), Load("/slow?s=2")) as client:
        ...                      # update the service
    assert client.report.failed == 0, client.report.summary()

``BackgroundClient`` is the same in a thread, for code that is not asynchronous. In a process of its own:
``python -m midair.testing.client --url http://127.0.0.1:8000 --for 10 --json``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import socket
import ssl
import sys
import urllib.parse
from dataclasses import dataclass, field
from typing import Literal

from midair.testing.background import Background
from midair.testing.report import Answer, Report
from midair.testing.response import BrokenAnswer, Response, Wire, read_chunks, read_head, read_response
from midair.testing.tls import TlsWire

AFTER_FAILURE_S = 0.02
"""Pause of a connection after a failure, so that a service that is down is asked, not flooded."""

SEED = 20240229
"""Think times are drawn from this seed: two runs ask in the same rhythm."""


class ClientTrouble(Exception):
    """The client's own machine failed it (no descriptors, no free ports): the run says nothing about the service."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect."""

    family: socket.AddressFamily
    address: tuple[str, int] | str
    host: str
    """What the Host header says."""
    tls: ssl.SSLContext | None = None
    """Whom it believes, and the certificate that it shows; None: no TLS."""

    @classmethod
    def parse(cls, url: str, tls: ssl.SSLContext | None = None) -> Target:
        """From ``http://127.0.0.1:8000``, ``https://[::1]:8000`` or ``unix:/run/x.sock``. Raises ValueError.

        tls: for https; default: whom this machine believes.
        """
        if url.startswith("unix:"):
            return cls(socket.AF_UNIX, url.removeprefix("unix:"), "localhost")
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError(f"neither http(s)://HOST:PORT nor unix:PATH: {url}")
        family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
        if parts.scheme == "http":
            return cls(family, (parts.hostname, parts.port or 80), parts.netloc)
        return cls(family, (parts.hostname, parts.port or 443), parts.netloc, tls or ssl.create_default_context())

    async def connect(self) -> Wire:
        """A new connection. Raises OSError as the kernel says."""
        sock = socket.socket(self.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if self.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().sock_connect(sock, self.address)
            if self.tls is None:
                return Wire(sock)
            wire = TlsWire(sock, self.tls, self.address[0])
            await wire.shake_hands()
        except BaseException:
            sock.close()
            raise
        return wire


Expect = Literal["version", "echo", "any", "events"]


@dataclass(frozen=True, slots=True)
class Load:
    """One way of asking, on a number of connections at once.

    Every connection is either a closed loop (asks, waits for the answer, thinks for ``think_s`` on average, asks
    again) or, with ``rate_per_s``, paced: all connections together ask so often, and a late answer counts its
    lateness as latency, as whoever waits does.
    """

    path: str = "/"
    connections: int = 1
    keep_alive: bool = True
    """False: a new connection for each request."""
    think_s: float = 0.0
    think_max_s: float = 0.0
    """Above 0: it thinks anything between ``think_s`` and this, all equally likely."""
    rate_per_s: float = 0.0
    body_bytes: int = 0
    """Above 0: POST a body of so many random bytes."""
    expect: Expect = "version"
    """What a right answer is, besides 2xx: ``version`` says its version in a JSON body or in ``x-version``; ``echo``
    is the body that was sent; ``events`` is an event stream numbered from 0 without a gap; ``any`` is anything."""
    timeout_s: float = 10.0
    """A request's limit, connecting included; for event streams the limit between two events."""
    limit: int = 0
    """Requests a connection asks at most; 0: until the client stops."""

    @classmethod
    def posts(cls, path: str = "/echo", *, body_bytes: int = 64 * 1024, connections: int = 1) -> Load:
        return cls(path, connections, body_bytes=body_bytes, expect="echo")

    @classmethod
    def streams(cls, path: str = "/stream", *, connections: int = 1) -> Load:
        return cls(path, connections, expect="events")


@dataclass(frozen=True, slots=True)
class _Question:
    """One request as it is sent. A server that mixes up connections answers with somebody else's ``nonce``."""

    nonce: str
    body: bytes
    data: bytes

    @classmethod
    def make(cls, load: Load, host: str, nonce: int) -> _Question:
        body = random.Random(nonce).randbytes(load.body_bytes)
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{'POST' if body else 'GET'} {load.path} HTTP/1.1\r\nHost: {host}\r\nX-Nonce: {nonce}\r\n{length}\r\n"
        return cls(str(nonce), body, head.encode() + body)


@dataclass(slots=True)
class _Connection:
    """One connection's place in its load: what it has open and when it asks next."""

    load: Load
    number: int
    draw: random.Random
    wire: Wire | None = None
    asked: int = 0
    next_at_s: float = field(default=0.0)

    def close(self) -> None:
        if self.wire is not None:
            self.wire.close()
            self.wire = None


class Client:
    """Asks from ``async with`` on until it is left; requests in flight are then waited for, not cut.

    ``report`` is the running count. Raises ClientTrouble at the end if the client's own machine failed it.
    """

    def __init__(self, url: str | Target, *loads: Load) -> None:
        self.target = url if isinstance(url, Target) else Target.parse(url)
        self.loads = loads or (Load(),)
        self.report = Report()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._nonce = 0

    async def __aenter__(self) -> Client:
        self.report = Report()
        loop = asyncio.get_running_loop()
        for load in self.loads:
            for number in range(load.connections):
                connection = _Connection(load, number, random.Random(SEED + number))
                # Spread over the first interval: 50 connections that ask in step are one burst, not a load.
                spread = 1 / load.rate_per_s if load.rate_per_s else load.think_s / load.connections
                connection.next_at_s = loop.time() + number * spread
                serve = self._stream if load.expect == "events" else self._ask_on
                self._tasks.append(asyncio.create_task(serve(connection)))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def stop_asking(self) -> None:
        """Ask no more; answers in flight still count."""
        self._stopping.set()

    async def stop(self) -> None:
        """Ask no more, wait for the answers in flight, close. Raises what went wrong on our side."""
        self.stop_asking()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        self.report.finish()
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def until_done(self) -> None:
        """Wait until every connection has asked its ``limit``."""
        await asyncio.wait(self._tasks)

    async def _ask_on(self, connection: _Connection) -> None:
        try:
            while await self._is_turn(connection):
                connection.asked += 1
                is_usable = await self._ask(connection)
                if not is_usable:
                    connection.close()
                self._set_next_turn(connection, AFTER_FAILURE_S if not is_usable else 0.0)
        finally:
            connection.close()

    def _set_next_turn(self, connection: _Connection, pause_s: float) -> None:
        load, now_s = connection.load, asyncio.get_running_loop().time()
        if load.rate_per_s:
            connection.next_at_s += load.connections / load.rate_per_s
        else:
            least_s, most_s = (
                (load.think_s, load.think_max_s) if load.think_max_s else (0.5 * load.think_s, 1.5 * load.think_s)
            )
            connection.next_at_s = now_s + max(pause_s, connection.draw.uniform(least_s, most_s))

    async def _is_turn(self, connection: _Connection) -> bool:
        """Wait until this connection asks next; False when it asks no more."""
        if self._stopping.is_set() or (connection.load.limit and connection.asked >= connection.load.limit):
            return False
        pause_s = connection.next_at_s - asyncio.get_running_loop().time()
        if pause_s > 0:
            try:
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            except TimeoutError:
                pass
        else:
            # An answer that is there already leaves no turn to the other connections: one of them would do all the asking.
            await asyncio.sleep(0)
        return not self._stopping.is_set()

    async def _ask(self, connection: _Connection) -> bool:
        """Ask once and book the answer. True: it was right, and the connection may go on as it is."""
        load, clock = connection.load, asyncio.get_running_loop().time
        if not self._is_still_open(connection):
            return False
        question, began_s, version = self._question(load), clock(), ""
        try:
            async with asyncio.timeout(load.timeout_s):
                wire = connection.wire = connection.wire or await self._connect()
                await wire.send(question.data)
                response = await read_response(wire)
            version = response.head.headers.get("x-version", "")
            version = _judge(response, load.expect, question)
        except BrokenAnswer as broken:
            self.report.note_failure(broken.answer, load.path, broken.detail, version)
            return False
        except OSError as error:  # TimeoutError is one of them
            self.report.note_failure(_answer_for(error), load.path, repr(error))
            return False
        self.report.note_ok(version, clock() - (connection.next_at_s if load.rate_per_s else began_s))
        if response.head.closes:
            self.report.planned_reconnects += 1
        if response.head.closes or not load.keep_alive:
            connection.close()
        return True

    def _is_still_open(self, connection: _Connection) -> bool:
        """Look at a kept connection right before writing. False: it broke, and that was booked."""
        if connection.wire is None:
            return True
        try:
            news = connection.wire.look()
        except OSError as error:
            self.report.note_failure(_answer_for(error), connection.load.path, f"between two requests: {error!r}")
            return False
        if news:
            self.report.note_failure(Answer.WRONG_BODY, connection.load.path, f"bytes not asked for: {news!r}")
            return False
        if news == b"":
            self.report.reconnects += 1
            connection.close()
        return True

    async def _connect(self) -> Wire:
        wire = await self.target.connect()
        self.report.connections += 1
        return wire

    def _question(self, load: Load) -> _Question:
        self._nonce += 1
        return _Question.make(load, self.target.host, self._nonce)

    async def _stream(self, connection: _Connection) -> None:
        """Keep an event stream open, again and again, until the client stops."""
        try:
            while await self._is_turn(connection):
                connection.asked += 1
                ended_by_us = await self._follow(connection)
                connection.close()
                if ended_by_us:
                    return
                connection.next_at_s = asyncio.get_running_loop().time() + AFTER_FAILURE_S
        finally:
            connection.close()

    async def _follow(self, connection: _Connection) -> bool:
        """One stream from its request to its end, booked as one answer. True: we left it, the client stops."""
        load, events, question = connection.load, _Events(), self._question(connection.load)
        try:
            async with asyncio.timeout(load.timeout_s) as limit:
                wire = connection.wire = await self._connect()
                await wire.send(question.data)
                reading = asyncio.create_task(self._read_events(wire, events, question, load, limit))
                leaving = asyncio.create_task(self._until_left(events))
                try:
                    await asyncio.wait((reading, leaving), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    leaving.cancel()
                    was_reading = reading.cancel()
                    await asyncio.wait((reading,))
                if not was_reading:
                    reading.result()
        except BrokenAnswer as broken:
            self.report.note_failure(broken.answer, load.path, f"after {events.count} events: {broken.detail}")
            return False
        except OSError as error:
            self.report.note_failure(_answer_for(error), load.path, f"after {events.count} events: {error!r}")
            return False
        finally:
            self.report.streams_open -= events.opened.is_set()
        self.report.note_ok(events.version, None)
        return was_reading

    async def _until_left(self, events: _Events) -> None:
        # A stream that has been asked for is owed its first event, also when the client stops.
        await self._stopping.wait()
        await events.opened.wait()

    async def _read_events(
        self, wire: Wire, events: _Events, question: _Question, load: Load, limit: asyncio.Timeout
    ) -> None:
        head = await read_head(wire)
        _judge(Response(head, b""), "any", question)
        text, clock = b"", asyncio.get_running_loop().time
        async for chunk in read_chunks(wire, head):
            *whole, text = (text + chunk).split(b"\n\n")
            for event in whole:
                events.take(event)
            self.report.events += len(whole)
            if whole and not events.opened.is_set():
                self.report.streams_open += 1
                events.opened.set()
            limit.reschedule(clock() + load.timeout_s)


@dataclass(slots=True)
class _Events:
    """An event stream so far: ``data: {"n": 0, "version": …}``, numbered without a gap."""

    count: int = 0
    version: str = ""
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, event: bytes) -> None:
        """Check the next event. Raises BrokenAnswer."""
        try:
            data = json.loads(event.partition(b"data: ")[2])
            number, version = data["n"], str(data["version"])
        except (ValueError, KeyError, TypeError):
            raise BrokenAnswer(Answer.WRONG_BODY, f"not an event: {event[:80]!r}") from None
        if number != self.count:
            raise BrokenAnswer(Answer.WRONG_BODY, f"event {number} came where {self.count} was due")
        self.count += 1
        self.version = self.version or version


def _judge(response: Response, expect: Expect, question: _Question) -> str:
    """The version that answered. Raises BrokenAnswer if the response is not what was asked for."""
    head = response.head
    version = head.headers.get("x-version", "")
    if head.status >= 500:
        raise BrokenAnswer(Answer.SERVER_ERROR, f"{head.status}: {response.body[:120]!r}")
    if not 200 <= head.status < 300:
        raise BrokenAnswer(Answer.OTHER_STATUS, f"{head.status}: {response.body[:120]!r}")
    if (nonce := head.headers.get("x-nonce", question.nonce)) != question.nonce:
        raise BrokenAnswer(Answer.WRONG_BODY, f"the answer to request {nonce} came to request {question.nonce}")
    if expect == "echo" and response.body != question.body:
        raise BrokenAnswer(Answer.WRONG_BODY, f"sent {len(question.body)} bytes, got {len(response.body)} other ones")
    if expect == "version":
        version = version or _named_version(response.body)
        if not version:
            raise BrokenAnswer(Answer.WRONG_BODY, f"names no version: {response.body[:120]!r}")
    return version


def _named_version(body: bytes) -> str:
    try:
        named = json.loads(body)
    except ValueError:
        return ""
    return str(named.get("version", "")) if isinstance(named, dict) else ""


def _answer_for(error: OSError) -> Answer:
    """The class of a failed system call. Raises ClientTrouble for what is not the service's doing."""
    match error:
        case ConnectionRefusedError() | FileNotFoundError():  # the latter: the Unix socket is gone
            return Answer.REFUSED
        case ssl.SSLError():  # no handshake, or something that is no TLS
            return Answer.RESET
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
            return Answer.RESET
        case TimeoutError():
            return Answer.TIMED_OUT
        case _:
            raise ClientTrouble(f"the client itself failed: {error!r}") from error


class BackgroundClient(Background[Report]):
    """A Client on a thread of its own, for tests and programs that block.

    ``with BackgroundClient(url, Load(...)) as client:`` asks until the block is left; ``client.report`` may be read
    all the while. Leaving raises ClientTrouble if the client's own machine failed it.
    """

    def __init__(self, url: str | Target, *loads: Load) -> None:
        super().__init__(lambda: Client(url, *loads))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m midair.testing.client", description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="http://HOST:PORT, https://HOST:PORT or unix:PATH")
    parser.add_argument("--ca-certs", metavar="FILE", help="https: the authority that is believed")
    parser.add_argument("--path", default="/", help="default: /")
    parser.add_argument(
        "--for",
        dest="for_s",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="Ctrl-C or SIGTERM ends it sooner, with its report",
    )
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--think", type=float, default=0.0, metavar="SECONDS", help="mean pause between two requests")
    parser.add_argument("--rate", type=float, default=0.0, metavar="PER_SECOND", help="paced, all connections together")
    parser.add_argument("--new-connections", action="store_true", help="a new connection for each request")
    parser.add_argument("--post", type=int, default=0, metavar="BYTES", help="POST random bodies")
    parser.add_argument("--expect", choices=("version", "echo", "any", "events"), default="version")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="limit of one request")
    parser.add_argument("--limit", type=int, default=0, metavar="REQUESTS", help="requests a connection; 0: no limit")
    parser.add_argument("--json", action="store_true", help="the report as JSON on standard output")
    return parser


async def _run_for(target: Target, load: Load, for_s: float) -> Report:
    async with Client(target, load) as client:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, client.stop_asking)
        try:
            await asyncio.wait_for(client.until_done(), for_s)
        except TimeoutError:
            pass
    return client.report


def main(words: list[str] | None = None) -> int:
    """Run one load and print its report, at Ctrl-C or SIGTERM too. 0: nothing failed, 1: something failed or nothing was asked."""
    args = _parser().parse_args(words)
    load = Load(
        path=args.path,
        connections=args.connections,
        keep_alive=not args.new_connections,
        think_s=args.think,
        rate_per_s=args.rate,
        body_bytes=args.post,
        expect=args.expect,
        timeout_s=args.timeout,
        limit=args.limit,
    )
    tls = ssl.create_default_context(cafile=args.ca_certs) if args.ca_certs else None
    report = asyncio.run(_run_for(Target.parse(args.url, tls), load, args.for_s))
    print(json.dumps(report.as_dict()) if args.json else report.summary())
    return 1 if report.failed or not report.ok else 0


if __name__ == "__main__":
    sys.exit(main())
