"""WebSockets and streams move in the midst of a call: the application is entered anew and goes on, or nothing has happened."""

from __future__ import annotations

import asyncio
import itertools
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ProtocolError
from websockets.frames import Frame, Opcode

import midair
from midair.observe.counters import Cell
from midair.sockets import passing
from midair.worker import frozen, moving
from midair.worker.asgi import Asgi, Receive, Scope, Send
from midair.worker.deflate import WINDOW_BITS, Deflate, DeflateState
from midair.worker.moving import Source, Target
from tests.worker.serving import Client, get, until
from tests.worker.test_moving import Move
from tests.worker.test_moving import moving as two_workers

ENTER_S = 0.2


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "ENTER_S", ENTER_S)


class Counting:
    """Counts the messages of each WebSocket, in memory that it carries: ``name count: text``."""

    def __init__(self, name: str, **choice: Any) -> None:
        self.name, self.choice = name, choice
        self.greeted = 0
        self.ends: list[tuple[bool, int]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": self.choice.get("subprotocol")})
        carried = {key: value for key, value in self.choice.items() if key != "subprotocol"}
        session = midair.carry_on(scope, {"count": 0}, **carried)
        if not session.is_resumed:
            self.greeted += 1
        while (message := await receive())["type"] == "websocket.receive":
            session.value["count"] += 1
            await send({"type": "websocket.send", "text": f"{self.name} {session.value['count']}: {message['text']}"})
        self.ends.append((session.has_moved, message["code"]))


async def plain_echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Knows nothing of carrying."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"plain {message['text']}"})


async def opened(move: Move, **options: Any) -> ClientConnection:
    host, port = move.old.listener_address
    return await connect(f"ws://{host}:{port}/", proxy=None, **options)


async def asked(client: ClientConnection, text: str) -> str:
    await client.send(text)
    return str(await client.recv())


@asynccontextmanager
async def one_socket(
    old: Asgi, new: Asgi, *, has_target: bool = True, **options: Any
) -> AsyncIterator[tuple[Move, ClientConnection]]:
    async with two_workers(old, new, has_target=has_target) as move, await opened(move, **options) as client:
        yield move, client


async def moved(move: Move, count: int = 1) -> None:
    move.source.grant_all()
    await until(lambda: move.moved == count)


async def test_a_websocket_goes_on_where_it_was() -> None:
    old, new = Counting("old"), Counting("new")
    async with one_socket(old, new) as (move, client):
        assert await asked(client, "a") == "old 1: a"
        await moved(move)
        assert await asked(client, "b") == "new 2: b"
        assert (old.greeted, new.greeted) == (1, 0)
        assert move.new.count(Cell.WEBSOCKETS) == 1
        await until(lambda: bool(old.ends))
        assert old.ends == [(True, 1012)]
        assert move.old.count(Cell.WEBSOCKETS) == move.old.count(Cell.OPEN) == 0
    assert new.ends == [(False, 1000)]


async def test_who_carries_nothing_stays_where_it_is() -> None:
    async with one_socket(plain_echo, Counting("new")) as (move, client):
        move.source.grant_all()
        assert await asked(client, "a") == "plain a"
        await asyncio.sleep(0.05)
        assert move.moved == 0
        assert await asked(client, "b") == "plain b"


async def test_an_application_that_is_at_work_is_waited_for() -> None:
    go, at_work = asyncio.Event(), asyncio.Event()

    class Slow(Counting):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async def slowly() -> Any:
                message = await receive()
                if message.get("text") == "slow":
                    at_work.set()
                    await go.wait()
                return message

            await super().__call__(scope, slowly, send)

    async with one_socket(Slow("old"), Counting("new")) as (move, client):
        await client.send("slow")
        await at_work.wait()
        move.source.grant_all()
        await client.send("next")
        await asyncio.sleep(0.02)
        assert move.moved == 0
        go.set()
        assert [await client.recv(), await client.recv()] == ["old 1: slow", "old 2: next"]
        await until(lambda: move.moved == 1)
        assert await asked(client, "b") == "new 3: b"


async def test_it_goes_there_and_back() -> None:
    async with one_socket(Counting("old"), Counting("new")) as (move, client):
        await asked(client, "a")
        await moved(move)
        assert await asked(client, "b") == "new 2: b"
        move.old.server.resume()
        ours, theirs = passing.pair()
        back = move.new.server.source = Source(move.new.server, ours, lambda source, why, is_declined: None)
        target = Target(move.old.server, theirs, lambda target: None)
        back.grant_all()
        await until(lambda: move.new.count(Cell.HANDED_OVER) == 1)
        assert await asked(client, "c") == "old 3: c"
        back.close()
        target.close()


async def test_http_connections_and_websockets_move_side_by_side() -> None:
    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        await (Counting("ws") if scope["type"] == "websocket" else plain_http)(scope, receive, send)

    async def plain_http(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"http"})

    async with two_workers(both, both) as move:
        sockets = [await opened(move) for _ in range(30)]
        clients = [await move.old.connect() for _ in range(30)]
        for client in clients:
            assert (await client.ask(get())).body == b"http"
        await moved(move, 60)
        for number, socket in enumerate(sockets):
            assert await asked(socket, str(number)) == f"ws 1: {number}"
            await socket.close()
        for client in clients:
            assert (await client.ask(get())).body == b"http"


# ------------------------------------------------------------------------------------------------------ bytes on the way


def frame(text: str, *, fin: bool = True, opcode: int = 1, rsv1: bool = False, data: bytes | None = None) -> bytes:
    """A client's frame with the mask 0."""
    payload = text.encode() if data is None else data
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([first, 0xFE]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 0xFF]) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


async def raw_socket(move: Move, *headers: str) -> Client:
    client = await move.old.connect()
    client.send(get("/", *UPGRADE, *headers))
    assert (await client.response()).status == 101
    return client


async def text_of(client: Client) -> str:
    head = await client.reader.readexactly(2)
    size = head[1]
    if size == 126:
        size = int.from_bytes(await client.reader.readexactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await client.reader.readexactly(8), "big")
    payload = await client.reader.readexactly(size)
    assert head[0] == 0x81, (head, payload[:100])
    return payload.decode()


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 9, 100])
async def test_the_start_of_a_frame_travels(cut: int) -> None:
    async with two_workers(Counting("old"), Counting("new")) as move:
        client = await raw_socket(move)
        data = frame("x" * 200)
        client.send(data[:cut])
        [connection] = move.old.server.connections
        await until(lambda: connection.page.cells[Cell.BYTES_IN] >= len(get("/", *UPGRADE)) + cut)
        await moved(move)
        client.send(data[cut:])
        assert await text_of(client) == "new 1: " + "x" * 200


async def test_a_message_in_parts_is_waited_for() -> None:
    async with two_workers(Counting("old"), Counting("new")) as move:
        client = await raw_socket(move)
        client.send(frame("one ", fin=False))
        [connection] = move.old.server.connections
        await until(lambda: not connection.is_movable())
        move.source.grant_all()
        await asyncio.sleep(0.02)
        assert move.moved == 0
        client.send(frame("two", opcode=0))
        assert await text_of(client) == "old 1: one two"
        await until(lambda: move.moved == 1)


async def test_a_large_start_of_a_frame_travels_too() -> None:
    async with two_workers(Counting("old"), Counting("new")) as move:
        client = await raw_socket(move)
        data = frame("x" * 300_000)
        client.send(data[:200_000])
        [connection] = move.old.server.connections
        await until(lambda: connection.page.cells[Cell.BYTES_IN] >= 200_000)
        await moved(move)
        client.send(data[200_000:])
        assert await text_of(client) == "new 1: " + "x" * 300_000


async def test_a_large_state_travels() -> None:
    def app(name: str) -> Asgi:
        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            session = midair.carry_on(scope, {"notes": ""})
            while (message := await receive())["type"] == "websocket.receive":
                session.value["notes"] += message["text"]
                await send({"type": "websocket.send", "text": f"{name} {len(session.value['notes'])}"})

        return application

    async with one_socket(app("old"), app("new")) as (move, client):
        assert await asked(client, "x" * 1_000_000) == "old 1000000"
        await moved(move)
        assert await asked(client, "y") == "new 1000001"


async def test_the_window_of_compressed_messages_travels() -> None:
    async with two_workers(Counting("old"), Counting("new")) as move:
        client = await raw_socket(move, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
        compressor = zlib.compressobj(wbits=-WINDOW_BITS)

        def deflated(text: str) -> bytes:
            data = compressor.compress(text.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
            return frame("", rsv1=True, data=data[:-4])

        async def inflated() -> str:
            head = await client.reader.readexactly(2)
            return decompressor.decompress(await client.reader.readexactly(head[1]) + b"\0\0\xff\xff").decode()

        decompressor = zlib.decompressobj(wbits=-15)
        text = "the quick brown fox jumps over the lazy dog"
        client.send(deflated(text))
        assert await inflated() == f"old 1: {text}"
        await moved(move)
        again = deflated(text)
        assert len(again) < 20, "the client refers to its window"
        client.send(again)
        decompressor = zlib.decompressobj(wbits=-15, zdict=f"old 1: {text}".encode())
        assert await inflated() == f"new 2: {text}"


def test_without_its_window_a_decoder_could_not_go_on() -> None:
    """That the test above can fail."""
    compressor = zlib.compressobj(wbits=-WINDOW_BITS)

    def deflated(text: bytes) -> Frame:
        data = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return Frame(Opcode.TEXT, data[:-4], rsv1=True)

    deflate = Deflate(False, False, WINDOW_BITS, WINDOW_BITS)
    deflate.decode(deflated(b"the quick brown fox"))
    state = deflate.freeze()
    again = deflated(b"the quick brown fox")
    assert Deflate.thaw(state).decode(again).data == b"the quick brown fox"
    forgetful = DeflateState(**{field: getattr(state, field) for field in state.__struct_fields__ if field != "window"})
    with pytest.raises(ProtocolError):
        Deflate.thaw(forgetful).decode(again)


@given(messages=st.lists(st.binary(max_size=9000), max_size=6), moves=st.sets(st.integers(0, 6)))
def test_a_decoder_goes_on_after_any_messages(messages: list[bytes], moves: set[int]) -> None:
    compressor = zlib.compressobj(wbits=-WINDOW_BITS)
    deflate = Deflate(False, False, WINDOW_BITS, WINDOW_BITS)
    for number, message in enumerate(messages):
        if number in moves:
            deflate = Deflate.thaw(deflate.freeze())
        data = compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert deflate.decode(Frame(Opcode.BINARY, data[:-4], rsv1=True)).data == message


# ------------------------------------------------------------------------------------------------------------- others send


def pushing(name: str) -> Asgi:
    """Numbers each push; two tasks of the application use the WebSocket."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        session = midair.carry_on(scope, {"next": 0})

        async def push() -> None:
            while True:
                session.value["next"] += 1
                await send({"type": "websocket.send", "text": f"{name} {session.value['next']}"})
                await asyncio.sleep(0.001)

        pushes = asyncio.create_task(push())
        while (await receive())["type"] != "websocket.disconnect":
            pass
        pushes.cancel()

    return application


async def test_a_task_that_pushes_leaves_no_gap_and_repeats_nothing() -> None:
    async with one_socket(pushing("old"), pushing("new")) as (move, client):
        assert await client.recv() == "old 1"
        move.source.grant_all()
        seen = [str(await client.recv()) for _ in range(100)]
        assert [int(text.split()[1]) for text in seen] == list(range(2, 102))
        assert {text.split()[0] for text in seen[-50:]} == {"new"}


# ---------------------------------------------------------------------------------------------------- the new one declines


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("on purpose")


async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close"})


async def greets(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "hello"})


async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (plain_echo, "carry_on"),
        (greets, "websocket.send"),
        (returns, "returned"),
        (raises, "on purpose"),
        (refuses, "websocket.close"),
        (hangs, "within"),
        (Counting("new", version=2), "version 1"),
        (Counting("new", restore=json.loads), "cannot be taken"),
        (Counting("new", subprotocol="other"), "other"),
    ],
)
async def test_what_the_new_version_does_not_go_on_with_stays(new: Asgi, why: str) -> None:
    async with one_socket(Counting("old"), new) as (move, client):
        await asked(client, "a")
        move.source.grant_all()
        await until(lambda: bool(move.stays))
        assert why in move.stays[0]
        assert await asked(client, "b") == "old 2: b"
        await asyncio.sleep(0.02)
        assert len(move.stays) == 1, "it is not offered again"
        assert move.moved == move.new.count(Cell.ADOPTED) == move.new.count(Cell.OPEN) == 0


async def test_only_those_that_it_declines_stay() -> None:
    new = Counting("new")

    async def some(scope: Scope, receive: Receive, send: Send) -> None:
        await (plain_echo if scope["path"] == "/odd" else new)(scope, receive, send)

    async with two_workers(Counting("old"), some) as move:
        host, port = move.old.listener_address
        paths = ["/odd" if number % 2 else "/even" for number in range(10)]
        clients = [await connect(f"ws://{host}:{port}{path}", proxy=None) for path in paths]
        for client in clients:
            await asked(client, "a")
        await moved(move, 5)
        await until(lambda: bool(move.stays))
        for path, client in zip(paths, clients, strict=True):
            assert await asked(client, "b") == ("old 2: b" if path == "/odd" else "new 2: b")
            await client.close()


async def test_a_newer_version_may_take_an_older_state() -> None:
    def restored(data: Any) -> dict[str, int]:
        return {"count": data["count"] * 10}

    async with one_socket(Counting("old"), Counting("new", version=2, accepts=(1,), restore=restored)) as (
        move,
        client,
    ):
        await asked(client, "a")
        await moved(move)
        assert await asked(client, "b") == "new 11: b"


async def test_an_export_that_fails_keeps_the_websocket() -> None:
    fails = False

    def export() -> dict[str, int]:
        if fails:
            raise ValueError("on purpose")
        return {"count": 0}

    async with one_socket(Counting("old", export=export), Counting("new")) as (move, client):
        await asked(client, "a")
        fails = True
        move.source.grant_all()
        await until(lambda: move.old.count(Cell.OPEN) == 1)
        assert await asked(client, "b") == "old 2: b"
        assert move.moved == 0


async def test_a_target_that_dies_gives_back_what_it_has_not_acknowledged() -> None:
    async with one_socket(pushing("old"), pushing("new"), has_target=False) as (move, client):
        passing.send(move.other_end, frozen.encode(frozen.Welcome(formats=frozen.FORMATS)))
        assert await client.recv() == "old 1"
        move.source.grant_all()
        [connection] = move.old.server.connections
        await until(lambda: not connection.is_movable() and move.source._batch != [])
        move.other_end.close()
        numbers = [int(str(await client.recv()).split()[1]) for _ in range(20)]
        assert numbers == list(range(2, 22))


async def test_a_pong_to_the_old_worker_counts_at_the_new_one() -> None:
    async with two_workers(Counting("old"), Counting("new"), ws_ping_interval_s=0.1, ws_ping_timeout_s=0.4) as move:
        client = await raw_socket(move)
        head = await client.reader.readexactly(2)
        payload = await client.reader.readexactly(head[1])
        assert head[0] == 0x89
        await moved(move)
        client.send(frame("", opcode=0xA, data=payload))
        head = await client.reader.readexactly(2)
        assert head[0] == 0x89, "the next ping, not the end"
        assert await client.reader.readexactly(head[1]) != payload


# --------------------------------------------------------------------------------------------------------------- streams


def streaming(
    name: str, *, headers: tuple[tuple[bytes, bytes], ...] = (), status: int = 200, last: int = 1 << 30
) -> Asgi:
    """Events without end, numbered; what was sent is carried."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/events":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": name.encode()})
            return
        sent = midair.carry_on(scope, 0)
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        while sent.value < last:
            await send({"type": "http.response.body", "body": f"{name} {sent.value}\n".encode(), "more_body": True})
            sent.value += 1
            await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": b""})

    return application


async def events(client: Client, count: int) -> list[tuple[str, int]]:
    seen = []
    for _ in range(count):
        size = int(await client.reader.readuntil(b"\r\n"), 16)
        name, number = (await client.reader.readexactly(size)).decode().split()
        assert await client.reader.readexactly(2) == b"\r\n"
        seen.append((name, int(number)))
    return seen


async def test_a_stream_goes_on_without_gap_or_repeat_and_the_connection_after_it() -> None:
    async with two_workers(streaming("old"), streaming("new", last=80)) as move:
        client = await move.old.connect()
        client.send(get("/events"))
        assert (await client.head())[0] == 200
        first = await events(client, 20)
        assert move.old.count(Cell.STREAMS) == 1
        move.source.grant_all()
        rest = await events(client, 60)
        assert [number for _, number in first + rest] == list(range(80))
        assert (move.old.count(Cell.STREAMS), move.new.count(Cell.STREAMS)) == (0, 1)
        assert (first[0][0], rest[-1][0]) == ("old", "new")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"0\r\n\r\n"
        assert (await client.ask(get("/next"))).body == b"new"
        assert move.new.count(Cell.ACTIVE) == 0
        # The stream is one answer, counted where it began.
        assert (move.old.count(Cell.REQUESTS), move.new.count(Cell.REQUESTS)) == (1, 1)
        assert move.new.count(Cell.RESPONSES_ADOPTED) == 1


async def test_a_pipelined_request_behind_a_stream_travels_with_it() -> None:
    async with two_workers(streaming("old"), streaming("new", last=50)) as move:
        client = await move.old.connect()
        client.send(get("/events") + get("/next"))
        await client.head()
        await events(client, 5)
        await moved(move)
        await events(client, 45)
        assert await client.reader.readuntil(b"\r\n\r\n") == b"0\r\n\r\n"
        assert (await client.response()).body == b"new"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (streaming("old", headers=((b"content-encoding", b"gzip"),)), streaming("new")),
        (streaming("old"), streaming("new", status=201)),
        (streaming("old"), streaming("new", headers=((b"content-length", b"100"),))),
        (streaming("old"), raises),
        (streaming("old"), returns),
    ],
)
async def test_a_stream_that_cannot_go_on_elsewhere_stays(old: Asgi, new: Asgi) -> None:
    async with two_workers(old, new) as move:
        client = await move.old.connect()
        client.send(get("/events"))
        await client.head()
        await events(client, 5)
        move.source.grant_all()
        seen = await events(client, 60)
        assert seen == [("old", number) for number in range(5, 65)]
        assert move.moved == 0


async def test_a_slow_reader_moves_when_it_has_read() -> None:
    """What is not written yet keeps a connection, and is not forgotten for it."""

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x" * 20_000_000})

    async with two_workers(large, large) as move:
        client = await move.old.connect()
        client.send(get())
        [connection] = move.old.server.connections
        await client.head()
        await until(lambda: connection.is_resting() and not connection.is_movable())
        move.source.grant_all()
        await client.reader.readexactly(20_000_000)
        await until(lambda: move.moved == 1)


# ----------------------------------------------------------------------------------------------------------- any moment


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_messages_split_anywhere_survive_moves_at_any_moment(data: st.DataObject) -> None:
    """The model: every message is answered once and in order, with the count going up by one each time."""
    texts = data.draw(st.lists(st.text(max_size=200), min_size=1, max_size=8))
    stream = b"".join(frame(text) for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    moves = data.draw(st.sets(st.integers(0, len(cuts)), max_size=3))
    pauses = data.draw(st.lists(st.integers(0, 12), min_size=len(cuts) + 1, max_size=len(cuts) + 1))

    async def play() -> None:
        async with two_workers(Counting("old"), Counting("new")) as move:
            client = await raw_socket(move)
            for number, (start, end) in enumerate(itertools.pairwise([0, *cuts, len(stream)])):
                if number in moves:
                    move.source.grant_all()
                client.send(stream[start:end])
                for _ in range(pauses[number]):
                    await asyncio.sleep(0)
            for number, text in enumerate(texts, 1):
                assert (await text_of(client)).partition(" ")[2] == f"{number}: {text}"

    with asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(play(), 10))


# ------------------------------------------------------------------------------------------------------- the application's side


def test_without_midair_nothing_happens() -> None:
    session = midair.carry_on({"type": "websocket"}, {"count": 0})
    assert (session.value, session.is_resumed, session.has_moved) == ({"count": 0}, False, False)
    assert midair.carry_on({"type": "http", "extensions": {}}, 7).value == 7


class Unsendable:
    pass


@pytest.mark.parametrize("value", [Unsendable(), {"a": Unsendable()}, lambda: None])
async def test_what_is_no_plain_data_is_told_at_once(value: Any) -> None:
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with pytest.raises(TypeError) as caught:
            midair.carry_on(scope, value)
        told.append(str(caught.value))

    async with one_socket(app, app) as (_, client):
        with pytest.raises(ConnectionClosed):
            await client.recv()
    assert "plain data" in told[0]


async def test_a_connection_is_carried_once() -> None:
    raised: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        midair.carry_on(scope, 1)
        try:
            midair.carry_on(scope, 1)
        except RuntimeError as exc:
            raised.append(exc)

    async with one_socket(app, app) as (_, client):
        with pytest.raises(ConnectionClosed):
            await client.recv()
    assert len(raised) == 1
