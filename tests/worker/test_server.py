"""The seam that the worker's host holds: accept and stop, adopt, drain and resume, cut; and the books over all of it."""

from __future__ import annotations

import asyncio
import logging
import random
import resource
import socket

import pytest

from midair.observe.counters import Cell
from midair.worker.asgi import Receive, Scope, Send
from tests.worker.serving import Client, Held, echo, get, hello, listen, post, respond, serving, until


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The applications here fail on purpose."""
    caplog.set_level(logging.CRITICAL, "midair.error")


async def client_on(sock: socket.socket) -> Client:
    sock.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=sock)
    return Client(reader, writer)


# ---------------------------------------------------------------------------------------------------- accept and stop


async def test_nothing_accepted_is_dropped_by_stop_accepting() -> None:
    async with serving(hello) as served:
        clients = [await served.connect() for _ in range(50)]
        for client in clients:
            client.send(get())
        await until(lambda: served.count(Cell.ACCEPTED) >= 1)
        served.server.stop_accepting()
        accepted = served.count(Cell.ACCEPTED)
        for _ in range(20):
            await asyncio.sleep(0)
        assert served.count(Cell.ACCEPTED) == accepted
        await until(lambda: served.count(Cell.REQUESTS) == accepted)
        # The others wait in the kernel's queue for whoever accepts next.
        served.server.accept([served.listener])
        assert [(await client.response()).status for client in clients] == [200] * 50


async def test_the_listener_stays_the_callers_and_goes_on_queueing() -> None:
    async with serving(hello) as served:
        served.server.stop_accepting()
        client = await served.connect()
        client.send(get())
        sock, _ = await asyncio.get_running_loop().sock_accept(served.listener)
        assert served.count(Cell.ACCEPTED) == 0
        served.server.adopt(sock)
        assert (await client.response()).status == 200
        assert served.count(Cell.ADOPTED) == 1


async def test_a_listener_that_does_not_listen_yet_is_made_to_and_a_backlog_is_not_shrunk() -> None:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    async with serving(hello, bound) as served:
        assert (await (await served.connect()).ask(get())).status == 200


async def test_several_listeners_are_served() -> None:
    other = listen()
    async with serving(hello) as served:
        served.server.accept([other])
        reader, writer = await asyncio.open_connection(*other.getsockname())
        client = Client(reader, writer)
        assert (await client.ask(get())).status == 200
        await client.close()
        assert (await (await served.connect()).ask(get())).status == 200
    other.close()


async def test_no_descriptor_left_means_waiting_and_not_spinning() -> None:
    said: list[str] = []
    async with serving(hello) as served:
        served.server._report = said.append
        served.server.stop_accepting()
        served.server.accept([served.listener])
        client = await served.connect()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        fill = socket.socket()
        resource.setrlimit(resource.RLIMIT_NOFILE, (fill.fileno() - 1, hard))
        try:
            if served.count(Cell.ACCEPTED) == 0:
                await until(lambda: bool(said))
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(said) <= 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            fill.close()
        assert (await client.ask(get())).status == 200


# --------------------------------------------------------------------------------------------------------------- adopt


async def test_a_probe_is_answered_and_counted_nowhere() -> None:
    ours, theirs = socket.socketpair()
    async with serving(hello) as served:
        served.server.adopt(theirs, counted=False)
        client = await client_on(ours)
        assert (await client.ask(get())).status == 200
        await client.close()
        await served.empty()
        assert all(value == 0 for value in served.page.snapshot().values())
        assert sum(served.page.latency_buckets()) == 0


async def test_an_adopted_connection_that_is_already_gone_is_in_the_books() -> None:
    async with serving(hello) as served:
        ours, theirs = socket.socketpair()
        ours.close()
        served.server.adopt(theirs)
        await served.empty()
        assert served.count(Cell.ADOPTED) == served.count(Cell.CLOSED_BY_CLIENT) == 1


# ----------------------------------------------------------------------------------------------------- drain and resume


async def test_draining_the_next_response_says_close() -> None:
    app = Held()
    async with serving(app) as served:
        idle, busy = await served.connect(), await served.connect()
        busy.send(get())
        await app.arrived()
        await until(lambda: served.count(Cell.ACCEPTED) == 2)
        served.server.stop_accepting()
        served.server.drain()
        app.go.set()
        for client, request in ((busy, b""), (idle, get())):
            response = await client.ask(request)
            assert (response.status, response.header("connection")) == (200, "close")
            assert await client.end() == b""
            await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_DRAINED) == 2


async def test_draining_a_pipeline_is_answered_to_its_end() -> None:
    app = Held()
    async with serving(app) as served:
        client = await served.connect()
        client.send(get() * 5)
        await app.arrived()
        served.server.drain()
        app.go.set()
        responses = [await client.response() for _ in range(5)]
        assert [response.header("connection") for response in responses] == [None] * 4 + ["close"]


async def test_draining_an_idle_connection_has_its_grace() -> None:
    async with serving(hello, drain_idle_grace_s=0.1) as served:
        client = await served.connect()
        await client.ask(get())
        served.server.drain()
        assert await client.end() == b""
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_DRAINED) == 1


async def test_resume_undoes_drain() -> None:
    async with serving(hello, drain_idle_grace_s=0.1) as served:
        client = await served.connect()
        await client.ask(get())
        told: list[int] = []
        served.server.drain()
        served.server.when_empty(lambda: told.append(1))
        served.server.resume()
        await asyncio.sleep(0.3)
        response = await client.ask(get())
        assert response.header("connection") is None
        await client.close()
        await until(lambda: not served.server.connections)
        assert told == []


async def test_emptiness_is_told_once_and_even_if_it_is_so_already() -> None:
    async with serving(hello) as served:
        told: list[int] = []
        served.server.when_empty(lambda: told.append(1))
        await until(lambda: bool(told))
        await (await served.connect()).ask(get())
        assert told == [1]


# --------------------------------------------------------------------------------------------------------------- idle


async def test_without_connections_no_timer_goes_on_and_the_next_answer_has_the_present_date() -> None:
    async with serving(hello, linger_s=0.08) as served:
        await (client := await served.connect()).ask(get())
        await client.close()
        await until(lambda: served.server._sweep is None)
        served.server.starts.tick(0.0)  # as if it had been asleep since 1970
        response = await (await served.connect()).ask(get())
        assert "1970" not in str(response.header("date"))
        assert served.server._sweep is not None, "time-outs count again"


# ------------------------------------------------------------------------------------------------------ about to stop


async def test_before_a_stop_the_ready_path_is_a_503_and_all_else_is_served() -> None:
    async with serving(hello, ready_path="/up") as served:
        client = await served.connect()
        assert (await client.ask(get("/up"))).body == b"hello"
        served.server.say_not_ready()
        assert (await client.ask(get())).body == b"hello"
        refusal = await client.ask(get("/up?verbose"))
        assert (refusal.status, refusal.header("connection")) == (503, "close")
        assert (await (await served.connect()).ask(get())).body == b"hello"


# ------------------------------------------------------------------------------------------------------------------ cut


async def test_cut_ends_all_and_names_what_it_ended() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] == "/begun":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.Event().wait()
        finally:
            ended.append(scope["path"])

    async with serving(app) as served:
        idle, waiting, begun = [await served.connect() for _ in range(3)]
        waiting.send(get("/waiting"))
        begun.send(get("/begun"))
        await begun.head()
        await until(lambda: len(served.server.running) == 2 and served.count(Cell.ACCEPTED) == 3)
        lines = served.server.cut()
        assert sorted(line.split()[1:3] for line in lines) == [["GET", "/begun"], ["GET", "/waiting"]]
        assert (await waiting.response()).status == 503
        assert await waiting.end() == await idle.end() == b""
        assert await begun.end() == b"1\r\nx\r\n"
        for client in (idle, waiting, begun):
            await client.close()
        await served.empty()
        assert sorted(ended) == ["/begun", "/waiting"]
        assert served.count(Cell.CLOSED_CUT) == 3
        assert served.count(Cell.REQUESTS_CUT) == 2
        assert served.count(Cell.APPLICATION_ERRORS) == 0


async def test_what_is_accepted_just_before_the_cut_is_cut_too() -> None:
    async with serving(hello) as served:
        ours, theirs = socket.socketpair()
        served.server.adopt(theirs)
        served.server.cut()
        client = await client_on(ours)
        assert await client.end() == b""
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_CUT) == 1


async def test_clients_that_are_cut_and_do_not_go_are_in_the_books_when_the_process_ends() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    async with serving(app) as served:
        slow = await served.connect()
        slow.send(get())
        await until(lambda: len(served.server.running) == 1)
        served.server.cut()
        assert (await slow.response()).status == 503
        await until(lambda: not served.server.running)
        assert served.count(Cell.OPEN) == 1, "it may still read what it was told"
        served.server.abandon()
        await until(lambda: served.count(Cell.OPEN) == 0)
        assert served.count(Cell.CLOSED_CUT) == 1


# ---------------------------------------------------------------------------------------------------------------- books


async def test_the_books_balance_whatever_clients_do() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/raise":
                raise ValueError("on purpose")
            case "/break":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                raise ValueError("on purpose")
            case "/late":
                await asyncio.sleep(0.01)
            case _:
                pass
        await echo(scope, receive, send)

    async with serving(app, timeout_keep_alive_s=0.2, linger_s=0.1, body_max_bytes=100) as served:

        async def live() -> None:
            client = await served.connect()
            for _ in range(chance.randrange(4)):
                path = chance.choice(["/", "/raise", "/break", "/late"])
                client.send(
                    chance.choice([get(path), get(path, "Connection: close"), post(b"abc", path), b"junk\r\n\r\n"])
                )
                if chance.random() < 0.6:
                    try:
                        await client.response()
                    except (asyncio.IncompleteReadError, ConnectionError):
                        break
            match chance.randrange(4):
                case 0:
                    client.reset()
                case 1:
                    await client.close()
                case 2:
                    try:
                        client.writer.write_eof()
                    except (OSError, RuntimeError):  # Closed meanwhile; uvloop says so by the latter.
                        pass
                case _:
                    pass  # left open: for a time-out, or the end

        for _ in range(8):
            await asyncio.gather(*(live() for _ in range(25)))
            served.assert_books_balance()
        served.server.stop_accepting()
        served.server.drain()
        await asyncio.sleep(0.05)
        served.assert_books_balance()


async def test_each_reason_has_its_cell() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x")

    async with serving(app, timeout_keep_alive_s=0.05) as served:
        client = await served.connect()
        await client.ask(get())
        await client.close()
        await until(lambda: served.count(Cell.CLOSED_BY_CLIENT) == 1)
        client = await served.connect()
        await client.ask(get("/", "Connection: close"))
        await client.close()
        await until(lambda: served.count(Cell.CLOSED_AFTER_RESPONSE) == 1)
        client = await served.connect()
        await client.ask(b"junk\r\n\r\n")
        await client.close()
        await until(lambda: served.count(Cell.CLOSED_REFUSED) == 1)
        client = await served.connect()
        await client.end()
        await client.close()
        await until(lambda: served.count(Cell.CLOSED_IDLE) == 1)
        assert served.count(Cell.ACCEPTED) == 4


# ------------------------------------------------------------------------------------------------------------ what they do


async def test_answers_are_counted_by_the_class_of_their_status() -> None:
    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, status=int(scope["path"][1:]))

    async with serving(told) as served:
        client = await served.connect()
        for status in (200, 204, 299, 301, 304, 404, 500, 599):
            await client.ask(get(f"/{status}"))
        classes = (Cell.RESPONSES_1XX, Cell.RESPONSES_3XX, Cell.RESPONSES_4XX, Cell.RESPONSES_5XX)
        assert [served.count(cell) for cell in (Cell.REQUESTS, *classes)] == [8, 0, 2, 1, 2]


async def test_a_response_in_pieces_is_a_stream_until_its_end_or_that_of_its_client() -> None:
    """``serving`` checks at the end of each test here that none is left."""
    go_on = asyncio.Event()

    async def pieces(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"b"})

    async with serving(pieces) as served:
        staying, leaving = await served.connect(), await served.connect()
        staying.send(get())
        leaving.send(get())
        await until(lambda: served.count(Cell.STREAMS) == 2)
        leaving.reset()
        await until(lambda: served.count(Cell.STREAMS) == 1)
        go_on.set()
        assert (await staying.response()).body == b"ab"
        assert served.count(Cell.STREAMS) == 0
