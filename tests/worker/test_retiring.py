"""A retiring worker lets its clients go without losing a request: the next answer says close, silence ends after a grace."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from midair.observe.counters import Cell
from midair.worker.asgi import Receive, Scope, Send
from tests.worker.serving import Client, Held, Served, echo, get, hello, post, serving, until


async def idle_client(served: Served) -> Client:
    client = await served.connect()
    assert (await client.ask(get())).header("connection") is None
    return client


async def test_a_request_that_came_before_the_grace_was_over_is_answered_even_if_nobody_has_read_it_yet() -> None:
    async with serving(hello, drain_idle_grace_s=5) as served:
        client = await idle_client(served)
        (connection,) = served.server.connections
        served.server.drain()
        client.send(get())  # goes to the kernel at once; the loop has had no turn to read it
        connection.on_deadline(connection.deadline_s + 1)
        response = await client.response()
        assert (response.body, response.header("connection")) == (b"hello", "close")
        assert await client.end() == b""
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_DRAINED) == 1


async def test_the_same_holds_for_the_keep_alive_time_out() -> None:
    async with serving(hello) as served:
        client = await idle_client(served)
        (connection,) = served.server.connections
        client.send(get())
        connection.on_deadline(connection.deadline_s + 1)
        assert (await client.response()).header("connection") is None


async def test_a_loop_that_was_busy_over_the_whole_grace_serves_what_came_meanwhile() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/block":
            time.sleep(0.3)  # noqa: ASYNC251 - the fault that is tested
        await hello(scope, receive, send)

    async with serving(app, drain_idle_grace_s=0.1) as served:
        blocker, client = await idle_client(served), await idle_client(served)
        served.server.drain()
        blocker.send(get("/block"))
        client.send(get())
        for each in (blocker, client):
            assert (await each.response()).body == b"hello"


async def test_clients_that_ask_in_the_moment_of_the_drain_all_get_their_answers() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    answered = closed = 0

    async def live(client: Client) -> None:
        """Asks until told to go; a request that was sent must be answered."""
        nonlocal answered, closed
        while True:
            await asyncio.sleep(chance.random() * 0.02)
            response = await client.ask(chance.choice([get(), post(b"a" * 30_000)]))
            assert response.status == 200
            answered += 1
            if response.header("connection") == "close":
                assert await client.end() == b""
                closed += 1
                return

    async with serving(echo, drain_idle_grace_s=2) as served:
        clients = [await idle_client(served) for _ in range(60)]
        asking = [asyncio.create_task(live(client)) for client in clients]
        await until(lambda: answered > 300)
        served.server.stop_accepting()
        served.server.drain()
        await asyncio.gather(*asking)
        assert closed == 60
        for client in clients:
            await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_DRAINED) == 60
        assert served.count(Cell.REQUESTS) == answered + 60


async def test_the_grace_begins_with_the_drain_and_with_each_answer_it_is_over() -> None:
    async with serving(hello, timeout_keep_alive_s=0.05, drain_idle_grace_s=30) as served:
        client = await served.connect()
        await until(lambda: len(served.server.connections) == 1)
        served.server.drain()
        (connection,) = served.server.connections
        assert connection.deadline_s - connection.opened_s > 29
        assert (await client.ask(get())).header("connection") == "close"
        assert await client.end() == b""


async def test_a_request_in_flight_may_take_longer_than_the_grace() -> None:
    app = Held()
    async with serving(app, drain_idle_grace_s=0.05) as served:
        client = await served.connect()
        client.send(get())
        await app.arrived()
        served.server.drain()
        asyncio.get_running_loop().call_later(0.3, app.go.set)
        response = await client.response()
        assert (response.body, response.header("connection")) == (b"hello", "close")


async def test_an_upload_that_began_before_the_drain_is_taken_whole() -> None:
    async with serving(echo, drain_idle_grace_s=0.05) as served:
        client = await served.connect()
        client.send(get("/", "Content-Length: 10", method="POST") + b"hello")
        await until(lambda: bool(served.server.running))
        served.server.drain()
        await asyncio.sleep(0.2)
        client.send(b"world")
        response = await client.response()
        assert (response.body, response.header("connection")) == (b"helloworld", "close")


async def test_what_the_client_still_sends_after_the_last_answer_does_not_reset_it() -> None:
    async with serving(hello) as served:
        client = await idle_client(served)
        served.server.drain()
        client.send(get())
        response_head = await client.head()
        assert dict(response_head[1])["connection"] == "close"
        client.send(get("/too-late") * 100)
        assert await client.reader.readexactly(5) == b"hello"
        assert await client.end() == b""


@pytest.mark.parametrize("requests", [1, 3])
async def test_a_head_that_is_half_there_has_its_own_time(requests: int) -> None:
    async with serving(hello, drain_idle_grace_s=0.05, timeout_head_s=5) as served:
        client = await served.connect()
        whole = get() * requests
        client.send(whole[:-3])
        await until(lambda: served.count(Cell.REQUESTS) == requests - 1 and bool(served.server.connections))
        (connection,) = served.server.connections
        await until(connection.reader.has_unread)
        served.server.drain()
        await asyncio.sleep(0.2)
        client.send(whole[-3:])
        responses = [await client.response() for _ in range(requests)]
        assert [response.header("connection") for response in responses][-1] == "close"
