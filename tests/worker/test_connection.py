"""HTTP/1.1 over real sockets, on both event loops: what a client sees and what an application is told."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from midair.observe.counters import Cell
from midair.worker.asgi import Receive, Scope, Send
from tests.worker.serving import Held, echo, get, hello, listen, post, respond, serving, until, whole_body

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The applications here fail on purpose."""
    caplog.set_level(logging.CRITICAL, "midair.error")


# --------------------------------------------------------------------------------------------------------------- plain


async def test_a_request_is_answered_and_the_connection_kept() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        for _ in range(3):
            response = await client.ask(get())
            assert (response.status, response.body) == (200, b"hello")
            assert response.header("date")
            assert response.header("server") == "midair"
            assert response.header("connection") is None
        assert served.count(Cell.REQUESTS) == 3
        assert served.count(Cell.ACCEPTED) == 1
        assert sum(served.page.latency_buckets()) == 3


async def test_the_scope_says_all_that_asgi_wants() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        scope["state"]["mine"] = 1
        await respond(send)

    state = {"db": object()}
    async with serving(app, state=state, root_path="/api") as served:
        client = await served.connect()
        await client.ask(get("/caf%C3%A9/%2F?a=%20b", "X-Thing: 1", "X-Thing: 2"))
        await client.ask(get("http://test/abs?q"))
        await client.ask(get("*", method="OPTIONS"))
        address, server_address = client.writer.get_extra_info("sockname"), served.listener_address
    scope = seen[0]
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert (scope["method"], scope["http_version"], scope["scheme"]) == ("GET", "1.1", "http")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "/api/café//", b"/api/caf%C3%A9/%2F")
    assert scope["query_string"] == b"a=%20b"
    assert scope["headers"] == [(b"host", b"test"), (b"x-thing", b"1"), (b"x-thing", b"2")]
    assert scope["client"] == tuple(address)
    assert scope["server"] == server_address
    ours = {f"http.response.{name}" for name in ("early_hint", "pathsend", "trailers")}
    assert scope["extensions"].keys() == {"midair", *ours}
    assert state == {"db": state["db"]}
    assert seen[1]["state"] == {"db": state["db"], "mine": 1}
    assert (seen[1]["path"], seen[1]["query_string"]) == ("/api/abs", b"q")
    assert seen[2]["path"] == "/api*"


async def test_pipelined_requests_are_answered_in_order_and_one_at_a_time() -> None:
    active = most = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0)
        await respond(send, scope["path"].encode())
        active -= 1

    async with serving(app) as served:
        client = await served.connect()
        client.send(b"".join(get(f"/{n}") for n in range(200)))
        assert [(await client.response()).body for _ in range(200)] == [b"/%d" % n for n in range(200)]
        assert most == 1


async def test_a_request_that_comes_byte_by_byte() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        for byte in post(b"hello"):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.response()).body == b"hello"


async def test_bodies_are_taken_counted_and_chunked() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        assert (await client.ask(post(b"a" * 300_000))).body == b"a" * 300_000
        client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
        client.send(b"5\r\nhello\r\n")
        client.send(b"6;x=y\r\n world\r\n0\r\nX: y\r\n\r\n")
        assert (await client.response()).body == b"hello world"
        assert (await client.ask(get())).body == b""


async def test_a_response_in_pieces_is_chunked_and_a_whole_one_is_counted() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/pieces":
            for piece in (b"one", b"", b"two"):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})

    async with serving(app) as served:
        client = await served.connect()
        pieces = await client.ask(get("/pieces"))
        assert (pieces.header("transfer-encoding"), pieces.body) == ("chunked", b"onetwoend")
        whole = await client.ask(get("/whole"))
        assert (whole.header("content-length"), whole.body) == ("3", b"end")


async def test_head_204_and_304_have_no_body() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        status = int(scope["path"][1:])
        await respond(send, b"12345", status, [(b"content-length", b"5")])

    async with serving(app) as served:
        client = await served.connect()
        head = await client.ask(get("/200", method="HEAD"), head_only=True)
        assert head.header("content-length") == "5"
        assert (await client.ask(get("/204"))).header("content-length") is None
        assert (await client.ask(get("/304"))).header("content-length") == "5"
        assert (await client.ask(get("/200"))).body == b"12345"


async def test_http_1_0_ends_with_its_response_unless_it_asks_otherwise() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = scope["path"] == "/pieces"
        if more:
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    async with serving(app) as served:
        client = await served.connect()
        response = await client.ask(get(version="1.0"))
        assert (response.header("connection"), response.body) == ("close", b"two")
        assert await client.end() == b""
        client = await served.connect()
        response = await client.ask(get("/", "Connection: keep-alive", version="1.0"))
        assert (response.header("connection"), response.header("content-length")) == ("keep-alive", "3")
        response = await client.ask(get("/pieces", "Connection: keep-alive", version="1.0"))
        assert (response.header("connection"), response.header("transfer-encoding")) == ("close", None)
        assert response.body == b"onetwo"


async def test_connection_close_is_said_and_done_by_either_side() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x", headers=[(b"Connection", b"close")] if scope["path"] == "/close" else [])

    async with serving(app) as served:
        for request in (get("/", "Connection: close"), get("/close")):
            client = await served.connect()
            response = await client.ask(request)
            assert response.header("connection") == "close"
            assert await client.end() == b""
            await client.close()
        await until(lambda: served.count(Cell.CLOSED_AFTER_RESPONSE) == 2)


async def test_100_continue_is_sent_when_the_application_wants_the_body() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        client.send(get("/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        assert (await client.response()).status == 100
        client.send(b"hello")
        assert (await client.response()).body == b"hello"


async def test_an_answer_without_100_continue_ends_the_connection() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        response = await client.ask(get("/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        assert (response.status, response.header("connection")) == (200, "close")
        assert await client.end() == b""


async def test_the_application_gives_its_own_date_and_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, headers=[(b"Date", b"then"), (b"Server", b"mine")])

    async with serving(app) as served:
        response = await (await served.connect()).ask(get())
        assert [value for name, value in response.headers if name.lower() in ("date", "server")] == ["then", "mine"]


async def test_our_own_headers_can_be_left_out() -> None:
    async with serving(hello, date_header=False, server_header=False) as served:
        response = await (await served.connect()).ask(get())
        assert {name for name, _ in response.headers} == {"content-type", "content-length"}


async def test_a_unix_socket_is_served(tmp_path: Path) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["client"], scope["server"]))
        await respond(send)

    path = str(tmp_path / "s")
    async with serving(app, listen(socket.AF_UNIX, path)) as served:
        assert (await (await served.connect()).ask(get())).status == 200
    assert seen == [(None, (path, None))]


async def test_nodelay_is_set_even_when_the_listener_came_mislabelled() -> None:
    listener = listen()
    address = listener.getsockname()
    mislabelled = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=listener.detach())
    async with serving(hello, mislabelled) as served:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(get())
        await reader.readuntil(b"hello")
        (connection,) = served.server.connections
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        writer.close()
        await writer.wait_closed()


# ------------------------------------------------------------------------------------------------------- flow control


async def test_a_slow_application_stops_the_upload() -> None:
    app = Held(echo)
    async with serving(app) as served:
        client = await served.connect()
        size = 20_000_000
        client.send(get("/", f"Content-Length: {size}", method="POST"))
        client.send(b"a" * size)
        await app.arrived()
        (connection,) = served.server.connections
        await until(lambda: not connection.transport.is_reading())
        assert connection.cycle is not None
        assert len(connection.cycle.body) < 1_000_000
        app.go.set()
        assert len((await client.response()).body) == size


async def test_a_slow_client_stops_the_application() -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": b"a" * 100_000, "more_body": True})
            sent += 1
        await send({"type": "http.response.body", "body": b""})

    async with serving(app) as served:
        sock = socket.create_connection(served.listener_address)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, get())
        await until(lambda: bool(served.server.connections))
        (connection,) = served.server.connections
        await until(lambda: connection.is_write_paused)
        assert sent < 400
        received = 0
        while received < 40_000_000:
            received += len(await loop.sock_recv(sock, 1 << 20))
        await until(lambda: sent == 400)
        sock.close()


async def test_pipelining_without_end_is_not_read_without_end() -> None:
    app = Held()
    async with serving(app) as served:
        client = await served.connect()
        client.send(get() * 100_000)
        await app.arrived()
        (connection,) = served.server.connections
        await until(lambda: not connection.transport.is_reading())
        assert connection.reader.unread_bytes < 1_000_000


# ---------------------------------------------------------------------------------------------------- ends, early ends


async def test_an_early_disconnect_is_told_by_receive_and_by_send() -> None:
    told: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        told.append((await receive())["type"])
        try:
            await respond(send)
        except OSError as exc:
            told.append(type(exc).__name__)
            raise

    async with serving(app) as served:
        client = await served.connect()
        client.send(get())
        await until(lambda: bool(served.server.running))
        client.reset()
        await served.empty()
        assert told == ["http.disconnect", "ClientDisconnected"]
        assert served.count(Cell.APPLICATION_ERRORS) == 0
        assert served.count(Cell.CLOSED_BY_CLIENT) == 1


async def test_a_client_that_has_shut_its_write_side_still_gets_its_answers() -> None:
    app = Held()
    async with serving(app) as served:
        client = await served.connect()
        client.send(get() * 3)
        client.writer.write_eof()
        await app.arrived()
        app.go.set()
        for _ in range(3):
            assert (await client.response()).body == b"hello"
        assert await client.end() == b""


@pytest.mark.parametrize(("own", "errors"), [(RuntimeError, 0), (None, 1)])
async def test_what_a_framework_raises_at_the_departure_is_no_fault_of_the_application(
    own: type[Exception] | None, errors: int
) -> None:
    """Starlette turns our OSError into an exception of its own."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0.001)
        except OSError:
            if own is not None:
                raise own("the client has left") from None
        raise ValueError("a fault of its own")

    async with serving(app) as served:
        client = await served.connect()
        client.send(get())
        await client.head()
        client.reset()
        await served.empty()
        assert served.count(Cell.APPLICATION_ERRORS) == errors


async def test_a_client_that_leaves_within_its_upload_is_gone() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        client.send(get("/", "Content-Length: 5", method="POST") + b"he")
        await until(lambda: bool(served.server.running))
        client.writer.write_eof()
        await served.empty()
        assert served.count(Cell.CLOSED_BY_CLIENT) == 1


async def test_after_the_response_receive_says_disconnect() -> None:
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)
        told.append((await receive())["type"])

    async with serving(app) as served:
        await (await served.connect()).ask(get())
        await until(lambda: bool(told))
    assert told == ["http.disconnect"]


async def test_an_exception_before_the_response_is_a_500_and_the_connection_lives() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/started":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
        if scope["path"] != "/silent":
            raise ValueError("on purpose")

    async with serving(app) as served:
        client = await served.connect()
        for path in ("/", "/started", "/silent"):
            response = await client.ask(get(path))
            assert (response.status, response.body) == (500, b"Internal Server Error")
        assert served.count(Cell.APPLICATION_ERRORS) == served.count(Cell.RESPONSES_5XX) == 3


@pytest.mark.parametrize("ending", ["raises", "returns", "exits"])
async def test_a_response_that_breaks_off_breaks_the_connection(ending: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        if ending == "raises":
            raise ValueError("on purpose")
        if ending == "exits":
            raise SystemExit(1)

    async with serving(app) as served:
        client = await served.connect()
        client.send(get())
        assert (await client.end()).endswith(b"4\r\npart\r\n")
        # In HTTP/1.0 the end of the stream is the end of the body: only a reset says that it is not.
        client = await served.connect()
        client.send(get(version="1.0"))
        assert await client.end() == b"(reset)"
        await until(lambda: served.count(Cell.CLOSED_ERROR) == 2)
        assert served.count(Cell.APPLICATION_ERRORS) == 2


INVALID: dict[str, list[Any]] = {
    "line end in a value": [(b"x", b"a\r\nset-cookie: b")],
    "bare LF in a value": [(b"x", b"a\nb")],
    "NUL in a value": [(b"x", b"a\0b")],
    "no token as a name": [(b"x y", b"a")],
    "text for bytes": [("x", "a")],
    "two lengths": [(b"content-length", b"1"), (b"content-length", b"1")],
    "no number": [(b"content-length", b"one")],
    "another coding": [(b"transfer-encoding", b"gzip")],
    "too short": [(b"content-length", b"10")],
    "too long": [(b"content-length", b"0")],
}


@pytest.mark.parametrize("name", INVALID)
async def test_a_response_that_cannot_be_sent_is_a_500(name: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x", headers=INVALID[name])

    async with serving(app) as served:
        assert (await (await served.connect()).ask(get())).status == 500


async def test_a_body_that_outgrows_its_length_later_is_cut_off() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"defg"})

    async with serving(app) as served:
        client = await served.connect()
        client.send(get())
        assert (await client.end()).endswith(b"\r\n\r\nabc")
        await until(lambda: served.count(Cell.CLOSED_ERROR) == 1)


async def test_an_unread_upload_is_read_away_if_it_is_small_and_the_connection_kept() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        client.send(get("/", "Content-Length: 50000", method="POST"))
        assert (await client.response()).status == 200
        client.send(b"a" * 50_000 + get())
        assert (await client.response()).body == b"hello"


async def test_an_unread_upload_that_is_large_ends_the_connection_after_the_answer_was_read() -> None:
    async with serving(hello, linger_s=0.1) as served:
        client = await served.connect()
        client.send(get("/", "Content-Length: 50000000", method="POST"))
        assert (await client.response()).status == 200
        client.send(b"a" * 200_000)
        assert await client.end() in (b"", b"(reset)")


async def test_a_background_task_holds_up_emptiness_and_not_the_next_request() -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x")
        if scope["path"] == "/task":
            await go.wait()

    async with serving(app) as served:
        client = await served.connect()
        await client.ask(get("/task"))
        await client.ask(get())
        await client.close()
        await until(lambda: not served.server.connections)
        assert len(served.server.running) == 1
        assert not served.server.is_empty()
        go.set()
        await served.empty()


# ----------------------------------------------------------------------------------------------------- limits, refusals


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (get("/", "X: " + "a" * 70_000), 431),
        (get("/", *["X: a"] * 300), 431),
        (get("/", "Content-Length: 101", method="POST"), 413),
        (get("/", "Transfer-Encoding: chunked", method="POST") + b"65\r\n" + b"a" * 101 + b"\r\n", 413),
        (get("/", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n", 400),
        (get("http://[", method="GET"), 400),
    ],
)
async def test_what_is_refused_gets_an_answer_and_an_end(data: bytes, status: int) -> None:
    async with serving(echo, body_max_bytes=100) as served:
        client = await served.connect()
        response = await client.ask(data)
        assert (response.status, response.header("connection")) == (status, "close")
        assert await client.end() == b""
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_REFUSED) == 1
        assert served.count(Cell.APPLICATION_ERRORS) == 0


async def test_a_refused_request_is_answered_after_those_before_it() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        client.send(get() + b"nonsense\r\n\r\n")
        assert [(await client.response()).status for _ in range(2)] == [200, 400]


async def test_beyond_the_limit_of_calls_a_worker_says_503() -> None:
    app = Held()
    async with serving(app, limit_concurrency=1) as served:
        first = await served.connect()
        first.send(get())
        await app.arrived()
        second = await served.connect()
        assert (await second.ask(get())).status == 503
        app.go.set()
        assert (await first.response()).status == 200
        assert served.count(Cell.RESPONSES_5XX) == 1


async def test_an_idle_connection_is_closed_in_time() -> None:
    async with serving(hello, timeout_keep_alive_s=0.1) as served:
        fresh, used = await served.connect(), await served.connect()
        await used.ask(get())
        for client in (fresh, used):
            assert await client.end() == b""
            await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_IDLE) == 2


async def test_a_head_that_does_not_end_is_refused_in_time() -> None:
    async with serving(hello, timeout_head_s=0.1) as served:
        client = await served.connect()
        client.send(get()[:10])
        assert (await client.response()).status == 408
        assert await client.end() == b""


async def test_a_slow_application_is_not_timed() -> None:
    app = Held()
    async with serving(app, timeout_keep_alive_s=0.05, timeout_head_s=0.05) as served:
        client = await served.connect()
        client.send(get())
        await app.arrived()
        asyncio.get_running_loop().call_later(0.2, app.go.set)
        assert (await client.response()).body == b"hello"


async def test_uploads_of_two_connections_do_not_mix() -> None:
    async with serving(echo) as served:
        clients = [await served.connect() for _ in range(20)]
        for n, client in enumerate(clients):
            client.send(get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\n%03d\r\n" % n)
        for n, client in enumerate(clients):
            await asyncio.sleep(0)
            client.send(b"3\r\n%03d\r\n0\r\n\r\n" % (n + 100))
        for n, client in enumerate(clients):
            assert (await client.response()).body == b"%03d%03d" % (n, n + 100)


async def test_whole_body_after_disconnect_is_short() -> None:
    bodies: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        bodies.append(await whole_body(receive))

    async with serving(app) as served:
        client = await served.connect()
        client.send(get("/", "Content-Length: 10", method="POST") + b"abc")
        await until(lambda: bool(served.server.running))
        client.reset()
        await served.empty()
    assert bodies in ([b"abc"], [b""])
