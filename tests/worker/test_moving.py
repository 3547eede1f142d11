"""Connections move from one worker to another: at any moment, with nothing lost, and back if the other cannot take them."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midair.observe.counters import Cell
from midair.sockets import passing
from midair.worker import frozen
from midair.worker.asgi import Asgi, Receive, Scope, Send
from midair.worker.moving import BATCH, Source, Target
from tests.worker.serving import Client, Held, Served, get, listen, post, respond, serving, until, whole_body


def answering(name: str) -> Asgi:
    """Answers with its name, the path and the body."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole_body(receive)
        await respond(send, f"{name} {scope['path']} ".encode() + body)

    return application


@dataclass
class Move:
    """An old worker and a new one with a channel between them."""

    old: Served
    new: Served
    source: Source
    target: Target | None
    other_end: socket.socket
    ended: list[str] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)
    used: list[int] = field(default_factory=list)

    def go(self, count: int) -> None:
        self.source.grant(count, self.used.append)

    @property
    def moved(self) -> int:
        return self.old.count(Cell.HANDED_OVER)


@asynccontextmanager
async def moving(
    old: Asgi, new: Asgi, *, listener: socket.socket | None = None, has_target: bool = True, **choice: Any
) -> AsyncIterator[Move]:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(serving(old, listener, **choice))
        second = await stack.enter_async_context(serving(new, **choice))
        ours, theirs = passing.pair()
        ended: list[str] = []
        stays: list[str] = []

        def on_end(source: Source, why: str, is_declined: bool) -> None:
            first.server.source = None
            ended.append(why)

        source = first.server.source = Source(first.server, ours, on_end, stays.append)
        target = Target(second.server, theirs, lambda target: None) if has_target else None
        yield (move := Move(first, second, source, target, theirs, ended, stays))
        for client in first.clients:
            await client.close()
        if source is first.server.source:
            source.close()
        if move.target:
            move.target.close()
        else:
            theirs.close()
        first.assert_books_balance()
        second.assert_books_balance()


async def begin(move: Move, count: int = 1) -> list[Client]:
    """Clients that the old worker has answered."""
    clients = [await move.old.connect() for _ in range(count)]
    for client in clients:
        assert (await client.ask(get("/1"))).body == b"old /1 "
    move.old.server.stop_accepting()
    return clients


async def test_an_idle_connection_moves_and_its_client_notices_nothing() -> None:
    async with moving(answering("old"), answering("new")) as move:
        [client] = await begin(move)
        move.source.grant_all()
        await until(lambda: move.moved == 1)
        assert (await client.ask(get("/2"))).body == b"new /2 "
        assert move.new.count(Cell.ADOPTED) == 1
        assert move.old.count(Cell.OPEN) == 0


@pytest.mark.parametrize("unix", [False, True])
async def test_many_connections_move_in_batches_while_their_clients_ask(unix: bool, tmp_path: Any) -> None:
    listener = listen(socket.AF_UNIX, str(tmp_path / "s")) if unix else None
    async with moving(answering("old"), answering("new"), listener=listener) as move:
        clients = await begin(move, 3 * BATCH + 7)

        async def ask(client: Client) -> list[bytes]:
            bodies: list[bytes] = []
            while not bodies or bodies[-1] != b"new /2 ":
                bodies.append((await client.ask(get("/2"))).body)
            return bodies

        asking = [asyncio.ensure_future(ask(client)) for client in clients]
        move.source.grant_all()
        for bodies in await asyncio.gather(*asking):
            assert set(bodies) <= {b"old /2 ", b"new /2 "}
        await until(lambda: move.moved == len(clients))
        assert move.new.count(Cell.ADOPTED) == len(clients)


async def test_a_busy_connection_moves_when_its_response_is_written() -> None:
    held = Held(answering("old"))
    async with moving(held, answering("new")) as move:
        client = await move.old.connect()
        client.send(get("/slow"))
        await until(lambda: len(held.calls) == 1)
        move.old.server.stop_accepting()
        move.source.grant_all()
        for _ in range(10):
            await asyncio.sleep(0)
        assert move.moved == 0
        held.go.set()
        assert (await client.response()).body == b"old /slow "
        await until(lambda: move.moved == 1)
        assert (await client.ask(get("/2"))).body == b"new /2 "


async def test_half_a_head_travels() -> None:
    async with moving(answering("old"), answering("new")) as move:
        [client] = await begin(move)
        client.send(b"GET /ha")
        await until(lambda: any(c.reader.unread_bytes for c in move.old.server.connections))
        move.source.grant_all()
        await until(lambda: move.moved == 1)
        client.send(b"lf HTTP/1.1\r\nHost: test\r\n\r\n")
        assert (await client.response()).body == b"new /half "


def asked_by(name: str) -> Asgi:
    """Answers with its name, and both ends of the connection as it is told them."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, f"{name} {scope['client']} {scope['server']}".encode())

    return application


@pytest.mark.parametrize("half", [b"", get("/2")[:10]])
async def test_the_address_that_the_proxy_protocol_told_travels(half: bytes) -> None:
    ends = "('192.0.2.1', 56324) ('198.51.100.2', 443)"
    async with moving(asked_by("old"), asked_by("new"), proxy_protocol=True) as move:
        client = await move.old.connect()
        client.send(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n" + get("/1") + half)
        assert (await client.response()).body == f"old {ends}".encode()
        move.source.grant_all()
        await until(lambda: move.moved == 1)
        assert (await client.ask(get("/2")[len(half) :])).body == f"new {ends}".encode()


async def test_whom_the_proxy_did_not_tell_is_not_believed_after_the_move_either() -> None:
    async with moving(asked_by("old"), asked_by("new"), proxy_protocol=True) as move:
        client = await move.old.connect()
        client.send(b"PROXY UNKNOWN\r\n" + get("/1"))
        before = (await client.response()).body
        move.source.grant_all()
        await until(lambda: move.moved == 1)
        after = (await client.ask(get("/2", "X-Forwarded-For: 192.0.2.1"))).body
        assert after == before.replace(b"old", b"new")


async def test_a_connection_whose_header_has_not_come_stays_until_it_has() -> None:
    async with moving(asked_by("old"), asked_by("new"), proxy_protocol=True) as move:
        client = await move.old.connect()
        client.send(b"PROXY TCP4 192.0.2.1 ")
        move.source.grant_all()
        await until(lambda: move.old.count(Cell.BYTES_IN) > 0)
        assert move.moved == 0
        client.send(b"198.51.100.2 56324 443\r\n")
        await until(lambda: move.moved == 1)
        assert (await client.ask(get("/2"))).body.startswith(b"new ('192.0.2.1', 56324)")


async def test_a_pipeline_is_answered_in_order_by_both() -> None:
    held = Held(answering("old"))
    async with moving(held, answering("new")) as move:
        client = await move.old.connect()
        client.send(get("/1") + post(b"body", "/2") + get("/3")[:9])
        await until(lambda: len(held.calls) == 1)
        move.source.grant_all()
        held.go.set()
        client.send(get("/3")[9:])
        answers = [(await client.response()).body for _ in range(3)]
        assert [answer.split(b" ", 1)[1] for answer in answers] == [b"/1 ", b"/2 body", b"/3 "]
        await until(lambda: move.moved == 1)


async def test_an_upload_is_answered_by_who_began_it() -> None:
    async with moving(answering("old"), answering("new")) as move:
        [client] = await begin(move)
        request = post(b"x" * 100_000, "/up")
        client.send(request[:50_000])
        await until(lambda: move.old.count(Cell.ACTIVE) == 1)
        move.source.grant_all()
        client.send(request[50_000:])
        assert (await client.response()).body == b"old /up " + b"x" * 100_000
        await until(lambda: move.moved == 1)
        assert (await client.ask(get("/2"))).body == b"new /2 "


async def test_no_more_move_than_were_granted() -> None:
    async with moving(answering("old"), answering("new")) as move:
        await begin(move, 20)
        move.go(7)
        await until(lambda: move.used == [7] and move.moved > 0)
        assert move.moved == 7
        move.go(100)
        await until(lambda: len(move.used) == 2)
        assert move.used == [7, 13]


async def test_a_grant_that_cannot_be_used_lapses() -> None:
    held = Held(answering("old"))
    async with moving(held, answering("new")) as move:
        client = await move.old.connect()
        client.send(get())
        await until(lambda: len(held.calls) == 1)
        move.go(1)
        await until(lambda: move.used == [0])
        held.go.set()
        assert (await client.response()).status == 200
        for _ in range(20):
            await asyncio.sleep(0)
        assert move.moved == 0


# ---------------------------------------------------------------------------------------------------------------- faults


async def test_nothing_is_sent_to_who_does_not_read_the_format() -> None:
    async with moving(answering("old"), answering("new"), has_target=False) as move:
        [client] = await begin(move)
        move.source.grant_all()
        passing.send(move.other_end, frozen.encode(frozen.Welcome(formats=(99,))))
        await until(lambda: bool(move.ended))
        assert "format" in move.ended[0]
        assert (await client.ask(get("/2"))).body == b"old /2 "


async def test_a_target_that_dies_before_it_answers_gives_everything_back() -> None:
    async with moving(answering("old"), answering("new"), has_target=False) as move:
        clients = await begin(move, 5)
        passing.send(move.other_end, frozen.encode(frozen.Welcome(formats=frozen.FORMATS)))
        move.source.grant_all()
        await until(lambda: all(not c.is_movable() for c in move.old.server.connections))
        for client in clients:
            client.send(get("/2"))  # read by nobody yet
        move.other_end.close()
        assert {(await client.response()).body for client in clients} == {b"old /2 "}
        assert move.moved == 0


async def test_a_target_that_hangs_holds_one_batch_and_nobody_else() -> None:
    async with moving(answering("old"), answering("new"), has_target=False) as move:
        clients = await begin(move, 2 * BATCH)
        passing.send(move.other_end, frozen.encode(frozen.Welcome(formats=frozen.FORMATS)))
        move.source.grant_all()
        await until(lambda: sum(not c.is_movable() for c in move.old.server.connections) == BATCH)
        for client in clients:
            client.send(get("/2"))
        await until(lambda: move.old.count(Cell.REQUESTS) == 3 * BATCH)
        move.other_end.close()
        assert {(await client.response()).body for client in clients} == {b"old /2 "}


async def test_a_target_without_descriptors_gives_them_back_and_takes_them_later() -> None:
    async with moving(answering("old"), answering("new")) as move:
        clients = await begin(move, 4)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = [socket.socket() for _ in range(1)]
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest[0].fileno() + 2, hard))
            move.source.grant_all()
            for _ in range(20):
                await asyncio.sleep(0)
            assert move.moved == 0
            assert (await clients[0].ask(get("/2"))).body == b"old /2 "
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            lowest[0].close()
        await until(lambda: move.moved == 4)
        assert {(await client.ask(get("/3"))).body for client in clients} == {b"new /3 "}


async def test_a_channel_that_is_full_is_tried_again() -> None:
    """Nobody reads for a while: the batch goes on being served here, and moves when there is room."""
    async with moving(answering("old"), answering("new"), has_target=False) as move:
        clients = await begin(move, 3)
        passing.send(move.other_end, frozen.encode(frozen.Welcome(formats=frozen.FORMATS)))
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while filled < 1000:
                passing.send(move.source._channel, b"x" * 30_000)
                filled += 1
        assert 0 < filled < 1000
        move.source.grant_all()
        await asyncio.sleep(0.02)
        for client in clients:
            assert (await client.ask(get("/2"))).body == b"old /2 "
        for _ in range(filled):
            passing.receive(move.other_end)
        move.target = Target(move.new.server, move.other_end, lambda target: None)
        await until(lambda: move.moved == 3)
        assert {(await client.ask(get("/3"))).body for client in clients} == {b"new /3 "}


async def test_a_surprise_in_the_target_leaves_everything_with_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    async with moving(answering("old"), answering("new")) as move:
        clients = await begin(move, 5)
        enter, entered = move.new.server.enter, 0

        def surprising(sock: socket.socket, state: frozen.Frozen) -> Any:
            nonlocal entered
            entered += 1
            if entered == 3:
                raise RuntimeError("on purpose")
            return enter(sock, state)

        monkeypatch.setattr(move.new.server, "enter", surprising)
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        move.source.grant_all()
        await until(lambda: bool(move.ended))
        assert {(await client.ask(get("/2"))).body for client in clients} == {b"old /2 "}
        assert move.moved == move.new.count(Cell.ADOPTED) == move.new.count(Cell.OPEN) == 0


async def test_a_source_that_died_takes_nothing_with_it_that_was_acknowledged() -> None:
    async with moving(answering("old"), answering("new")) as move:
        [client] = await begin(move)
        move.source.grant_all()
        await until(lambda: move.moved == 1)
        move.source.close()
        assert (await client.ask(get("/2"))).body == b"new /2 "


async def test_who_takes_a_batch_without_being_able_to_say_so_lets_it_go() -> None:
    async with moving(answering("old"), answering("new"), has_target=False) as move:
        [client] = await begin(move)
        ours, theirs = passing.pair()
        target = Target(move.new.server, theirs, lambda target: None)
        [connection] = move.old.server.connections
        state = connection.freeze()
        assert state is not None
        client.send(get("/2"))  # in the kernel's hands: whoever reads it has to answer it
        batch = frozen.Batch(format=frozen.FORMAT, connections=(state,))
        passing.send(ours, frozen.encode(batch), [connection.fileno()])
        ours.close()  # the old worker thinks that it is gone, and keeps what it has
        await until(lambda: not target.is_open)
        connection.thaw()
        assert (await client.response()).body == b"old /2 "
        assert move.new.count(Cell.OPEN) == move.new.count(Cell.ADOPTED) == 0


async def test_a_client_that_leaves_on_the_way_is_counted_once() -> None:
    async with moving(answering("old"), answering("new")) as move:
        clients = await begin(move, 30)
        move.source.grant_all()
        for client in clients[::2]:
            client.reset()
        await until(lambda: move.old.count(Cell.OPEN) == 0)
        for client in clients[1::2]:
            await client.close()
        await until(lambda: move.new.count(Cell.OPEN) == 0)
        assert move.moved == move.new.count(Cell.ADOPTED)


async def test_it_goes_there_and_back() -> None:
    async with moving(answering("old"), answering("new")) as move:
        [client] = await begin(move)
        move.source.grant_all()
        await until(lambda: move.moved == 1)
        assert (await client.ask(get("/2"))).body == b"new /2 "
        move.old.server.resume()
        ours, theirs = passing.pair()
        back = move.new.server.source = Source(move.new.server, ours, lambda source, why, is_declined: None)
        target = Target(move.old.server, theirs, lambda target: None)
        back.grant_all()
        await until(lambda: move.new.count(Cell.HANDED_OVER) == 1)
        assert (await client.ask(get("/3"))).body == b"old /3 "
        back.close()
        target.close()


# ----------------------------------------------------------------------------------------------------------- any moment


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_pipelined_requests_split_anywhere_survive_moves_at_any_moment(data: st.DataObject) -> None:
    """The model: the client receives one answer for each request, in order, each from one of the two."""
    paths = [f"/{number}" for number in range(data.draw(st.integers(1, 6)))]
    stream = b"".join(post(b"b" * 9, path) if number % 2 else get(path) for number, path in enumerate(paths))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    moves = data.draw(st.lists(st.integers(0, len(cuts)), max_size=3))
    pauses = data.draw(st.lists(st.integers(0, 12), min_size=len(cuts) + 1, max_size=len(cuts) + 1))

    async def play() -> None:
        async with moving(answering("old"), answering("new")) as move:
            client = await move.old.connect()
            for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(stream)], strict=True)):
                if number in moves:
                    move.source.grant_all()
                client.send(stream[start:end])
                for _ in range(pauses[number]):
                    await asyncio.sleep(0)
            for path in paths:
                body = (await client.response()).body
                assert body.split(b" ")[1].decode() == path

    with asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(play(), 10))
