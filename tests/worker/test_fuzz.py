"""Any requests, whole or damaged, cut anywhere: each is served once or refused, and nothing is served that was not sent.

Two models say what was sent: the reference reading beside this file, and h11, which is asked about what is not damaged.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import h11
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from midair.observe.counters import Cell, Page
from midair.worker.asgi import Receive, Scope, Send
from midair.worker.connection import Connection
from midair.worker.server import Server
from midair.worker.settings import ServeSettings
from tests.worker import reference
from tests.worker.reference import Message
from tests.worker.serving import respond

SAME_TURNS = 12
"""Of the loop, without a change: the application pauses for less."""
TURNS_MAX = 2000
"""Of the loop, for everything that was sent to be served or refused."""


class Wire(asyncio.Transport):
    """The client's end of a connection: takes what is written, and delivers nothing while reading is paused."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.written = b""
        self.is_paused = self.has_ended = self.is_lost = False

    def write(self, data: Any) -> None:
        assert not self.has_ended, "written behind the end"
        self.written += bytes(data)

    def write_eof(self) -> None:
        self.has_ended = True

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.is_lost

    def pause_reading(self) -> None:
        assert not self.is_paused
        self.is_paused = True

    def resume_reading(self) -> None:
        assert self.is_paused
        self.is_paused = False

    def close(self) -> None:
        if not self.is_lost:
            self.is_lost = self.has_ended = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    abort = close


class Recorder:
    """An application that takes its time; ``served``: what it got as a whole."""

    def __init__(self, pauses: list[int]) -> None:
        self.served: list[Message] = []
        self._pauses = pauses or [0]
        self._calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._calls += 1
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += bytes(message["body"])
            if not message["more_body"]:
                break
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self.served.append(Message(scope["method"].encode(), target, tuple(scope["headers"]), body))
        for _ in range(self._pauses[self._calls % len(self._pauses)]):
            await asyncio.sleep(0)
        await respond(send, b"ok", headers=[(b"content-length", b"2")])


@dataclass
class Played:
    """What came of a stream of bytes."""

    served: list[Message]
    statuses: list[int]
    is_ended: bool
    """We have said our last word."""


async def play(pieces: list[bytes], pauses: list[int]) -> Played:
    """Deliver the pieces, then the end of the stream. Nothing may be left over, and the books must balance."""
    app = Recorder(pauses)
    page = Page.create("fuzz")
    server = Server(app, ServeSettings(access_log=False), page, {}, loop=asyncio.get_running_loop())
    server._choose_tasks()
    connection = Connection(server, page, ("127.0.0.1", 1), ("127.0.0.1", 2))
    page.cells[Cell.ACCEPTED] += 1
    page.cells[Cell.OPEN] += 1
    wire = Wire(connection)
    connection.connection_made(wire)
    for number, piece in enumerate(pieces):
        await _until(lambda: not wire.is_paused or wire.has_ended)
        if wire.has_ended:
            break
        connection.data_received(piece)
        for _ in range(pauses[number % len(pauses)] if pauses else 0):
            await asyncio.sleep(0)
    await _settle(lambda: (len(wire.written), connection.reader.unread_bytes, connection.phase, len(server.running)))
    is_ended = wire.has_ended
    if not wire.is_lost and not connection.eof_received():
        wire.close()
    await _settle(lambda: (len(wire.written), connection.phase, len(server.running)))
    wire.close()
    await _until(lambda: not server.connections)
    server.close()
    cells = page.cells
    assert cells[Cell.OPEN] == cells[Cell.ACTIVE] == cells[Cell.APPLICATION_ERRORS] == 0
    assert sum(cells[cell] for cell in Cell if cell.name.startswith("CLOSED_")) == 1
    return Played(app.served, _statuses(wire.written), is_ended)


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(TURNS_MAX):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it hangs")


async def _settle(look: Callable[[], object]) -> None:
    """Turn the loop until nothing changes any more."""
    seen, same = look(), 0
    for _ in range(TURNS_MAX):
        await asyncio.sleep(0)
        seen, same = (seen, same + 1) if look() == seen else (look(), 0)
        if same == SAME_TURNS:
            return
    raise AssertionError("it never comes to rest")


def _statuses(written: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", written)]


# ----------------------------------------------------------------------------------------------------- what is sent

tokens = st.sampled_from([b"X-A", b"Accept", b"cookie", b"X_b", b"User-Agent"])
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10).map(str.encode)
fields = st.lists(st.tuples(tokens, values), max_size=3)
targets = st.sampled_from([b"/", b"/a?b=c", b"/caf%C3%A9", b"//x", b"/" + b"a" * 90])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from(reference.METHODS[:3]))
    lines = [b"%b: %b" % each for each in draw(fields)]
    body = draw(st.binary(max_size=30))
    framing = draw(st.sampled_from(["none", "none", "length", "chunked", "trailers"]))
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing != "none":
        lines.append(b"Transfer-Encoding: chunked")
        cut = draw(st.integers(0, len(body)))
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:]) if part)
        body += b"0\r\n" + (b"X-Sum: 1\r\nHost: evil\r\n" if framing == "trailers" else b"") + b"\r\n"
    else:
        body = b""
    if draw(st.integers(0, 9)) == 0:
        lines.append(draw(st.sampled_from([b"Connection: close", b"Connection: keep-alive"])))
    version = b"1.0" if draw(st.integers(0, 14)) == 0 and framing not in ("chunked", "trailers") else b"1.1"
    head = b"\r\n".join([b"%b %b HTTP/%b" % (method, draw(targets), version), b"Host: a", *lines, b"", b""])
    return head + body


LOADED = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"0", b"5", b",", b";", b"\r\n\r\n", b"\xff"]


@st.composite
def damaged(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A stream, and the same with up to three wounds."""
    stream = hurt = b"".join(draw(st.lists(requests(), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(hurt)))
        until = min(len(hurt), at + draw(st.integers(0, 3)))
        hurt = hurt[:at] + draw(st.sampled_from([b"", *LOADED]) | st.binary(max_size=3)) + hurt[until:]
    return stream, hurt


def cut(stream: bytes, draw: Callable[[Any], Any]) -> list[bytes]:
    way = draw(st.sampled_from(["whole", "anywhere", "bytes"]))
    if way == "bytes":
        return [bytes([byte]) for byte in stream]
    places = draw(st.lists(st.integers(0, len(stream)), max_size=10)) if way == "anywhere" else []
    return [stream[a:b] for a, b in pairwise(sorted({0, *places, len(stream)}))]


def run(stream: bytes, data: st.DataObject) -> Played:
    pieces = cut(stream, data.draw)
    pauses = data.draw(st.lists(st.integers(0, 6), max_size=4))
    loop = data.draw(st.sampled_from([asyncio.SelectorEventLoop, uvloop.Loop]))
    with asyncio.Runner(loop_factory=cast(Any, loop)) as runner:
        return runner.run(play(pieces, pauses))


# ------------------------------------------------------------------------------------------------------ what comes of it

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
long = settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(stream: bytes, data: st.DataObject) -> None:
    wanted = reference.read(stream)
    played = run(stream, data)
    assert played.served[: len(wanted.messages)] == wanted.messages
    if wanted.is_unsure:
        return
    assert played.served == wanted.messages
    assert played.statuses[: len(wanted.messages)] == [200] * len(wanted.messages)
    if wanted.is_refused:
        assert len(played.statuses) == len(wanted.messages) + 1
        assert 400 <= played.statuses[-1] < 600
    if wanted.is_refused or wanted.is_over:
        assert played.is_ended


@quick
@given(st.lists(requests(), min_size=1, max_size=5), st.data())
def test_whatever_is_sent_is_served_once_and_in_order(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(messages)
    wanted = reference.read(stream)
    assert wanted.messages == _by_h11(stream)
    assert (wanted.is_refused, wanted.is_unsure) == (False, False)
    check(stream, data)


@quick
@given(damaged(), st.data())
def test_what_is_damaged_is_served_as_it_reads_or_refused(streams: tuple[bytes, bytes], data: st.DataObject) -> None:
    check(streams[1], data)


@pytest.mark.soak
@long
@given(damaged(), st.data())
def test_what_is_damaged_is_served_as_it_reads_or_refused_for_long(
    streams: tuple[bytes, bytes], data: st.DataObject
) -> None:
    check(streams[1], data)


@quick
@given(st.binary(max_size=200), st.data())
def test_noise_is_neither_served_nor_an_error(noise: bytes, data: st.DataObject) -> None:
    assert len(run(noise, data).served) == len(reference.read(noise).messages)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "midair.error")


def _by_h11(stream: bytes) -> list[Message]:
    """What h11 reads, up to the request that ends the connection."""
    found: list[Message] = []
    ours = h11.Connection(h11.SERVER)
    ours.receive_data(stream)
    while True:
        request = ours.next_event()
        if not isinstance(request, h11.Request):
            return found
        body = b""
        while isinstance(event := ours.next_event(), h11.Data):
            body += bytes(event.data)
        headers = tuple((bytes(name), bytes(value)) for name, value in request.headers)
        found.append(Message(bytes(request.method), bytes(request.target), headers, body))
        is_kept = request.http_version == b"1.0" and (b"connection", b"keep-alive") in headers
        if is_kept:
            # h11 does not keep connections of HTTP/1.0; we do, for whoever asks for it.
            rest = ours.trailing_data[0]
            return found + _by_h11(bytes(rest))
        ours.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        ours.send(h11.EndOfMessage())
        if ours.our_state is not h11.DONE:
            return found
        ours.start_next_cycle()
