"""Corners of HTTP/1.1 over real sockets, on both event loops: ends that cross, bodies that nobody reads, hostile bytes."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any

import pytest

from midair.observe.counters import Cell
from midair.worker.asgi import Receive, Scope, Send
from tests.worker.serving import Held, echo, get, hello, post, respond, serving, until, whole_body

CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The applications here fail on purpose."""
    caplog.set_level(logging.CRITICAL, "midair.error")


# ------------------------------------------------------------------------------------------------------ ends that cross


@pytest.mark.parametrize("length", [[], [(b"content-length", b"1")]])
async def test_an_application_that_closes_is_heard_however_it_delimits_its_body(length: list[Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x", headers=[*length, (b"connection", b"close")])

    async with serving(app) as served:
        client = await served.connect()
        response = await client.ask(get())
        assert (response.header("connection"), response.body) == ("close", b"x")
        assert await client.end() == b""


async def test_a_pipeline_is_answered_whenever_the_client_shuts_its_write_side() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/1":
            # As if the end of the stream were read between this answer and the next request of the pipeline.
            (connection,) = served.server.connections
            served.server.loop.call_soon(lambda: keeps_open.append(connection.eof_received()))
        await respond(send, scope["path"].encode())

    keeps_open: list[bool] = []
    async with serving(app) as served:
        client = await served.connect()
        client.send(b"".join(get(f"/{n}") for n in (1, 2, 3)))
        assert [(await client.response()).body for _ in range(3)] == [b"/1", b"/2", b"/3"]
        assert await client.end() == b""
        assert keeps_open == [True]


async def test_half_a_request_and_the_end_of_the_stream_is_an_end_and_no_error() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        client.send(get()[:-2])
        client.writer.write_eof()
        assert await client.end() == b""
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_BY_CLIENT) == 1


@pytest.mark.parametrize("size", [10, 200_000])
async def test_a_client_that_leaves_after_its_upload_is_told_to_the_application(size: int) -> None:
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert len(await whole_body(receive)) == size
        told.append("body")
        told.append((await receive())["type"])

    async with serving(app) as served:
        client = await served.connect()
        client.send(post(b"a" * size))
        await until(lambda: told == ["body"])
        await client.close()
        await served.empty()
        assert told == ["body", "http.disconnect"]
        assert served.count(Cell.APPLICATION_ERRORS) == 1  # it returned without a response


async def test_sending_to_a_client_that_left_ends_the_application_and_is_no_error_of_it() -> None:
    raised: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"a" * 50_000, "more_body": True})
                await asyncio.sleep(0)
        except OSError as exc:
            raised.append(type(exc).__name__)
            raise

    async with serving(app) as served:
        client = await served.connect()
        client.send(get())
        await client.head()
        client.reset()
        await served.empty()
        assert raised == ["ClientDisconnected"]
        assert served.count(Cell.APPLICATION_ERRORS) == 0


async def test_an_answer_is_not_destroyed_by_what_the_client_still_sends() -> None:
    async with serving(echo, body_max_bytes=1000, linger_s=0.5) as served:
        client = await served.connect()
        client.send(get("/", "Content-Length: 5000000", method="POST") + b"a" * 5_000_000)
        # Read slowly: the answer must still be there when the client comes to it.
        await until(lambda: not served.server.connections or _is_lingering(served.server.connections))
        assert (await client.response()).status == 413
        await client.end()


def _is_lingering(connections: Any) -> bool:
    (connection,) = connections
    return connection.reason is not None and not connection.transport.is_reading()


# -------------------------------------------------------------------------------------------- bodies that nobody reads


async def test_an_early_answer_says_close_when_the_rest_of_the_upload_is_long() -> None:
    async with serving(hello, linger_s=0.1) as served:
        client = await served.connect()
        response = await client.ask(get("/", "Content-Length: 50000000", method="POST"))
        assert (response.status, response.header("connection")) == (200, "close")
        assert await client.end() == b""


async def test_an_early_answer_to_a_chunked_upload_keeps_the_connection_if_the_rest_is_short() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        response = await client.ask(get("/", CHUNKED, method="POST") + b"3\r\nabc\r\n")
        assert (response.status, response.header("connection")) == (200, None)
        client.send(b"3\r\nabc\r\n0\r\n\r\n" + get())
        assert (await client.response()).body == b"hello"


async def test_an_upload_that_breaks_its_framing_after_the_answer_ends_the_connection_silently() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        assert (await client.ask(get("/", CHUNKED, method="POST"))).status == 200
        client.send(b"nonsense\r\n" + get())
        assert await client.end() == b""


async def test_pipelined_requests_with_bodies_keep_to_their_own() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        chunked = get("/", CHUNKED, method="POST") + b"3\r\ntwo\r\n0\r\nX-Sum: 1\r\n\r\n"
        client.send(post(b"one") + chunked + get() + post(b"four") + chunked)
        assert [(await client.response()).body for _ in range(5)] == [b"one", b"two", b"", b"four", b"two"]


async def test_a_body_that_comes_with_its_expect_needs_no_100() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        response = await client.ask(post(b"hello", "/", "Expect: 100-continue") + get())
        assert (response.status, response.header("connection"), response.body) == (200, None, b"hello")
        assert (await client.response()).status == 200


async def test_an_expect_that_is_too_large_is_refused_before_it_is_sent() -> None:
    async with serving(echo, body_max_bytes=10) as served:
        client = await served.connect()
        assert (await client.ask(post(b"", "/", "Expect: 100-continue").replace(b": 0", b": 11"))).status == 413
        assert await client.end() == b""


async def test_http_1_0_gets_no_100_and_no_chunks() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"transfer-encoding", b"chunked")]})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"!"})

    async with serving(app) as served:
        client = await served.connect()
        client.send(get("/", "Content-Length: 2", "Expect: 100-continue", method="POST", version="1.0"))
        client.send(b"hi")
        response = await client.response()
        assert (response.status, response.header("transfer-encoding"), response.body) == (200, None, b"hi!")


async def test_head_of_a_streamed_response_sends_its_framing_and_nothing_more() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with serving(app) as served:
        client = await served.connect()
        head = await client.ask(get(method="HEAD"), head_only=True)
        assert head.header("transfer-encoding") == "chunked"
        assert (await client.ask(get())).body == b"abcabcabc"


async def test_a_response_refused_by_us_may_be_mended_by_the_application() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        broken = [(b"content-length", b"5"), (b"server", b"mine"), (b"x", b"a\r\nb")]
        with pytest.raises(RuntimeError):
            await send({"type": "http.response.start", "status": 200, "headers": broken})
        await respond(send, b"mended", headers=[(b"content-length", b"6")])

    async with serving(app) as served:
        response = await (await served.connect()).ask(get())
        assert (response.status, response.body, response.header("server")) == (200, b"mended", "midair")


# ------------------------------------------------------------------------------------------------------------- context

USER = contextvars.ContextVar("user", default="nobody")


async def test_no_request_sees_what_another_has_put_into_a_context_variable() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(USER.get())
        USER.set(scope["path"])
        await respond(send, await whole_body(receive))

    async with serving(app) as served:
        client = await served.connect()
        client.send(get("/1") + get("/2") + post(b"a" * 1_000_000, "/3") + get("/4"))
        for _ in range(4):
            await client.response()
        await client.ask(post(b"a" * 1_000_000, "/5"))
        await client.ask(get("/6"))
    assert seen == ["nobody"] * 6


# ------------------------------------------------------------------------------------------------------------- hostile

SMUGGLED = get("/smuggled")
SMUGGLING = {
    "length beside chunked": get("/", "Content-Length: 5", CHUNKED, method="POST") + b"0\r\n\r\n",
    "two lengths": get("/", "Content-Length: 0", f"Content-Length: {len(SMUGGLED)}", method="POST"),
    "folded coding": get("/", "Transfer-Encoding:\r\n chunked", method="POST") + b"0\r\n\r\n",
    "obscured coding": get("/", "Transfer-Encoding: \x0bchunked", "Content-Length: 0", method="POST"),
    "space before the colon": get("/", f"Content-Length : {len(SMUGGLED)}", method="POST"),
    "bare LF ends the head": get().replace(b"\r\n\r\n", b"\n\n"),
    "bare LF ends a line": b"POST / HTTP/1.1\nHost: a\nContent-Length: 0\r\n\r\n",
    "bare LF in a chunk size": get("/", CHUNKED, method="POST") + b"0\n\n",
    "chunk size in two ways": get("/", CHUNKED, method="POST") + b"0x10\r\n0\r\n\r\n",
    "chunk extension with a bare LF": get("/", CHUNKED, method="POST") + b"1;a\nb\r\nx\r\n0\r\n\r\n",
    "chunk longer than its size": get("/", CHUNKED, method="POST") + b"1\r\nxx\r\n0\r\n\r\n",
    "coding in HTTP/1.0": get("/", CHUNKED, method="POST", version="1.0") + b"0\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
async def test_nothing_behind_an_ambiguous_request_is_served(name: str) -> None:
    app = _Recorder()
    async with serving(app) as served:
        client = await served.connect()
        client.send(SMUGGLING[name] + SMUGGLED)
        response = await client.response()
        assert (response.status, response.header("connection")) == (400, "close")
        assert await client.end() == b""
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_REFUSED) == 1
    assert "/smuggled" not in app.paths


class _Recorder:
    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        await echo(scope, receive, send)


async def test_the_time_for_a_head_does_not_begin_anew_with_each_byte() -> None:
    async with serving(hello, timeout_head_s=0.2) as served:
        client = await served.connect()
        ended = asyncio.create_task(client.response())
        for byte in get("/", "X: " + "a" * 10_000):
            if ended.done():
                break
            client.send(bytes([byte]))
            await asyncio.sleep(0.01)
        assert (await ended).status == 408


async def test_empty_lines_without_end_do_not_keep_a_connection_for_ever() -> None:
    async with serving(hello, timeout_keep_alive_s=0.2) as served:
        client = await served.connect()
        ended = asyncio.create_task(client.end())
        while not ended.done():
            client.send(b"\r\n")
            await asyncio.sleep(0.01)
        assert await ended in (b"", b"(reset)")


@pytest.mark.parametrize("over", [0, 1])
async def test_the_limit_of_a_head_is_exact(over: int) -> None:
    async with serving(hello, head_max_bytes=500) as served:
        client = await served.connect()
        request = get("/", "X: ")
        request = request.replace(b"X: ", b"X: " + b"a" * (500 + over - len(request)))
        assert (await client.ask(request)).status == (431 if over else 200)


@pytest.mark.parametrize("over", [0, 1])
async def test_the_limit_of_a_body_is_exact(over: int) -> None:
    async with serving(echo, body_max_bytes=100) as served:
        size = 100 + over
        counted, chunked = await served.connect(), await served.connect()
        counted.send(post(b"a" * size))
        chunked.send(get("/", CHUNKED, method="POST") + b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"a" * size))
        assert [(await client.response()).status for client in (counted, chunked)] == [413 if over else 200] * 2


# ------------------------------------------------------------------------------------------------------- the boundary


async def test_a_connection_knows_whether_it_owes_an_answer_and_what_was_asked_next() -> None:
    app = Held()
    async with serving(app) as served:
        client = await served.connect()
        await until(lambda: bool(served.server.connections))
        (connection,) = served.server.connections
        assert (connection.is_movable(), connection.reader.unread) == (True, b"")
        client.send(get()[:10])
        await until(lambda: connection.reader.unread == get()[:10])
        assert connection.is_movable()
        client.send(get()[10:] + get("/next"))
        await app.arrived()
        assert (connection.is_movable(), connection.reader.unread) == (False, get("/next"))
        app.go.set()
        await app.arrived(2)
        assert [(await client.response()).status for _ in range(2)] == [200, 200]
        assert (connection.is_movable(), connection.reader.unread) == (True, b"")


async def test_within_an_upload_a_connection_is_not_at_a_boundary() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        await client.ask(get("/", "Content-Length: 5", method="POST") + b"he")
        (connection,) = served.server.connections
        assert not connection.is_movable()  # answered, and still owed a part of the upload
        client.send(b"llo")
        await until(connection.is_movable)


async def test_an_answer_that_is_not_all_with_the_kernel_is_not_given() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"a" * 20_000_000)

    async with serving(app) as served:
        client = await served.connect()
        client.send(get())
        await client.head()
        (connection,) = served.server.connections
        await until(lambda: connection.cycle is None)
        assert not connection.is_movable()
        await client.reader.readexactly(20_000_000)
        await until(connection.is_movable)
