"""A worker whose state is taken begins no request: what is under way ends, what comes waits, moves on or is let go again."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from midair.observe.counters import Cell
from midair.worker.asgi import Asgi, Receive, Scope, Send
from tests.worker.serving import Client, Held, get, post, serving, until
from tests.worker.test_moving import answering, begin, moving

TURNS = 30


async def turns(count: int = TURNS) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Counting:
    """Counts the requests that are begun."""

    def __init__(self, then: Asgi) -> None:
        self.begun = 0
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        await self._then(scope, receive, send)


async def test_an_idle_connection_waits_and_is_let_go_again() -> None:
    counting = Counting(answering("old"))
    async with serving(counting) as served:
        client = await served.connect()
        await client.ask(get("/1"))
        served.server.hold()
        client.send(get("/2"))
        await turns()
        assert counting.begun == 1
        served.server.resume()
        assert (await client.response()).body == b"old /2 "


async def test_what_is_under_way_ends_and_the_next_in_the_pipeline_waits() -> None:
    held = Held(answering("old"))
    async with serving(held) as served:
        client = await served.connect()
        client.send(get("/1") + get("/2"))
        await held.arrived()
        served.server.hold()
        assert served.server.requests_running() == 1
        held.go.set()
        assert (await client.response()).body == b"old /1 "
        await turns()
        assert (len(held.calls), served.server.requests_running()) == (1, 0)
        served.server.resume()
        assert (await client.response()).body == b"old /2 "


async def test_a_body_under_way_is_read_to_its_end() -> None:
    async with serving(answering("old")) as served:
        client = await served.connect()
        whole = post(b"b" * 2000, "/1")
        client.send(whole[:-1000])
        await until(lambda: served.server.requests_running() == 1)
        served.server.hold()
        client.send(whole[-1000:])
        assert (await client.response()).body == b"old /1 " + b"b" * 2000


async def test_a_connection_that_was_just_accepted_waits_too() -> None:
    counting = Counting(answering("old"))
    async with serving(counting) as served:
        client = await served.connect()
        client.send(get("/1"))
        served.server.hold()
        await turns()
        assert counting.begun == 0
        served.server.resume()
        assert (await client.response()).body == b"old /1 "


async def test_draining_lets_go_what_nobody_takes() -> None:
    async with serving(answering("old")) as served:
        client = await served.connect()
        await client.ask(get("/1"))
        served.server.hold()
        client.send(get("/2"))
        served.server.drain()
        response = await client.response()
        assert (response.body, response.header("connection")) == (b"old /2 ", "close")


async def test_a_client_that_has_sent_its_last_is_answered_here() -> None:
    """It cannot move any more: the end of its stream would be read by nobody."""
    held = Held(answering("old"))
    async with serving(held) as served:
        client = await served.connect()
        client.send(get("/1") + get("/2"))
        client.writer.write_eof()
        await held.arrived()
        await turns()
        served.server.hold()
        held.go.set()
        assert [(await client.response()).body, (await client.response()).body] == [b"old /1 ", b"old /2 "]


async def test_all_that_is_held_moves_and_nothing_is_begun_here() -> None:
    counting = Counting(answering("old"))
    async with moving(counting, answering("new")) as move:
        clients = await begin(move, 60)
        move.old.server.hold()
        for client in clients:
            client.send(get("/2"))
        await turns()
        move.source.grant_all()
        for client in clients:
            assert (await client.response()).body == b"new /2 "
        assert counting.begun == 60
        await until(lambda: move.moved == 60)


async def test_a_slow_reader_moves_when_it_has_read() -> None:
    """Something left to write hinders the move, and no event tells when it is gone."""
    async with moving(Large(), answering("new")) as move:
        client = await move.old.connect()
        move.old.server.stop_accepting()
        client.send(get("/1"))
        await until(lambda: move.old.count(Cell.REQUESTS) == 1 and not move.old.server.running)
        move.old.server.hold()
        client.send(get("/2"))
        move.source.grant_all()
        assert len((await client.response()).body) == LARGE
        assert (await client.response()).body == b"new /2 "


LARGE = 8 << 20


class Large:
    """Its answer does not fit into the socket's buffers, and it does not wait for the client."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % LARGE)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * LARGE})


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_pipelines_split_anywhere_and_held_at_any_moment_are_answered_in_order(data: st.DataObject) -> None:
    """The model: answers in order, from the old worker up to the hold, then all from where they went on."""
    paths = [f"/{number}" for number in range(data.draw(st.integers(1, 6)))]
    stream = b"".join(post(b"b" * 9, path) if number % 2 else get(path) for number, path in enumerate(paths))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    at = data.draw(st.integers(0, len(cuts)))
    moves = data.draw(st.booleans())
    pauses = data.draw(st.lists(st.integers(0, 12), min_size=len(cuts) + 1, max_size=len(cuts) + 1))

    async def play() -> None:
        counting = Counting(answering("old"))
        async with moving(counting, answering("new")) as move:
            client: Client = await move.old.connect()
            begun = 0
            for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(stream)], strict=True)):
                if number == at:
                    move.old.server.hold()
                    await turns(2)  # A request that is begun has a task, and that runs in the loop's next turn.
                    begun = counting.begun
                client.send(stream[start:end])
                await turns(pauses[number])
            assert counting.begun == begun
            move.source.grant_all() if moves else move.old.server.resume()
            who = [(await client.response()).body.split(b" ")[0] for _ in paths]
            assert who == [b"old"] * begun + [b"new" if moves else b"old"] * (len(paths) - begun)

    with asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(play(), 10))
