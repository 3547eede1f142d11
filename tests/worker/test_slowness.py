"""Clients that are slow on purpose: an upload that hardly comes, an answer that nobody takes."""

from __future__ import annotations

import asyncio
import logging

import pytest

from midair.observe.counters import Cell
from midair.worker.asgi import Receive, Scope, Send
from midair.worker.connection import BODY_PACE_BYTES
from tests.worker.serving import Held, echo, get, hello, post, respond, serving, until, whole_body
from tests.worker.test_bounds import deaf_client

CHUNKED = "Transfer-Encoding: chunked"
WITHIN_S = 0.15


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """An application here fails on purpose."""
    caplog.set_level(logging.CRITICAL, "midair.error")


@pytest.mark.parametrize("begun", [b"", b"a" * 100])
@pytest.mark.parametrize("framing", ["Content-Length: 1000", CHUNKED])
async def test_an_upload_that_stands_still_is_answered_408(framing: str, begun: bytes) -> None:
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        while message["type"] == "http.request":
            message = await receive()
        told.append(message["type"])

    async with serving(app, timeout_body_s=WITHIN_S) as served:
        client = await served.connect()
        client.send(get("/", framing, method="POST") + (b"64\r\n" + begun if framing == CHUNKED else begun))
        response = await client.response()
        assert (response.status, response.header("connection")) == (408, "close")
        assert await client.end() == b""
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_REFUSED) == 1
    assert told == ["http.disconnect"]


async def test_a_byte_now_and_then_is_no_progress() -> None:
    async with serving(echo, timeout_body_s=WITHIN_S) as served:
        client = await served.connect()
        client.send(get("/", "Content-Length: 100000", method="POST"))
        answer = asyncio.create_task(client.response())
        while not answer.done():
            client.send(b"a")
            await asyncio.sleep(0.01)
        assert (await answer).status == 408


async def test_an_upload_that_keeps_its_pace_may_take_as_long_as_it_likes() -> None:
    async with serving(echo, timeout_body_s=0.5) as served:
        client = await served.connect()
        pieces = 50
        client.send(get("/", f"Content-Length: {pieces * BODY_PACE_BYTES}", method="POST"))
        for _ in range(pieces):
            client.send(b"a" * BODY_PACE_BYTES)
            await asyncio.sleep(0.02)
        assert len((await client.response()).body) == pieces * BODY_PACE_BYTES


async def test_a_client_that_waits_for_us_is_not_slow() -> None:
    app = Held(echo)
    async with serving(app, timeout_body_s=0.05) as served:
        waiting = await served.connect()  # for our 100 Continue
        waiting.send(get("/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        held_up = await served.connect()  # by an application that takes nothing
        held_up.send(post(b"a" * 500_000))
        await app.arrived(2)
        await asyncio.sleep(0.3)
        app.go.set()
        assert (await waiting.head())[0] == 100
        waiting.send(b"hello")
        assert (await waiting.response()).body == b"hello"
        assert len((await held_up.response()).body) == 500_000


async def test_a_conversation_may_be_as_slow_as_both_like() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"go on", "more_body": True})
        await send({"type": "http.response.body", "body": await whole_body(receive)})

    async with serving(app, timeout_body_s=0.05) as served:
        client = await served.connect()
        client.send(get("/", CHUNKED, method="POST"))
        await client.head()
        for _ in range(10):
            client.send(b"1\r\na\r\n")
            await asyncio.sleep(0.03)
        client.send(b"0\r\n\r\n")
        assert (await client.reader.readuntil(b"0\r\n\r\n")).endswith(b"a\r\naaaaaaaaaa\r\n0\r\n\r\n")


async def test_without_a_limit_an_upload_may_stand_still() -> None:
    async with serving(echo, timeout_body_s=0.0) as served:
        client = await served.connect()
        client.send(get("/", "Content-Length: 2", method="POST") + b"a")
        await asyncio.sleep(0.3)
        client.send(b"b")
        assert (await client.response()).body == b"ab"


async def test_the_next_request_of_a_connection_has_its_time_anew() -> None:
    async with serving(echo, timeout_body_s=1.0) as served:
        client = await served.connect()
        for _ in range(3):
            client.send(get("/", "Content-Length: 2", method="POST") + b"a")
            await asyncio.sleep(0.4)
            client.send(b"b")
            assert (await client.response()).body == b"ab"


# -------------------------------------------------------------------------------------------------------- slow readers


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"a" * 100_000, "more_body": True})


async def test_who_takes_nothing_of_an_answer_is_cut_off() -> None:
    async with serving(endless, timeout_send_s=0.3) as served:
        sock = deaf_client(served)
        await asyncio.get_running_loop().sock_sendall(sock, get())
        await until(lambda: served.count(Cell.ACCEPTED) == 1)
        await served.empty()
        assert served.count(Cell.CLOSED_REFUSED) == 1
        assert served.count(Cell.APPLICATION_ERRORS) == 0
        sock.close()


async def test_who_reads_nothing_of_a_response_that_broke_off_is_let_go() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a" * 20_000_000, "more_body": True})
        raise RuntimeError("in the midst of it")

    async with serving(app, linger_s=0.2) as served:
        sock = deaf_client(served)
        await asyncio.get_running_loop().sock_sendall(sock, get())
        await until(lambda: served.count(Cell.ACCEPTED) == 1)
        await served.empty()
        assert served.count(Cell.CLOSED_ERROR) == 1
        sock.close()


async def test_who_reads_slowly_but_reads_is_not() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"a" * 20_000_000)

    async with serving(app, timeout_send_s=0.6) as served:
        sock = deaf_client(served)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, get())
        for _ in range(25):
            await asyncio.sleep(0.05)
            await loop.sock_recv(sock, 1 << 20)
        assert served.count(Cell.CLOSED_REFUSED) == 0
        assert len(served.server.connections) == 1
        sock.close()


async def test_an_answer_that_nobody_waits_to_send_has_no_limit_of_its_own() -> None:
    # The application is at rest between two events of a stream: that is no slowness of the client's.
    app = Held(hello)
    async with serving(app, timeout_send_s=0.1) as served:
        client = await served.connect()
        client.send(get())
        await app.arrived()
        await asyncio.sleep(0.4)
        app.go.set()
        assert (await client.response()).body == b"hello"
