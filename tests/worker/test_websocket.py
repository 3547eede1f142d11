"""WebSockets against a client that others wrote, and against bytes that no client should send."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from midair.observe.counters import Cell
from midair.worker.asgi import Receive, Scope, Send
from tests.worker.serving import Served, get, hello, serving, until

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The applications here fail on purpose."""
    caplog.set_level(logging.CRITICAL, "midair.error")


def url(served: Served, path: str = "/") -> str:
    host, port = served.listener_address
    return f"ws://{host}:{port}{path}"


def to(served: Served, path: str = "/", **options: Any) -> connect:
    return connect(url(served, path), proxy=None, **options)


class Echo:
    """Sends back what comes; keeps the scope and the last word."""

    def __init__(self) -> None:
        self.scope: Scope = {}
        self.disconnect: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", **{key: message[key] for key in ("text", "bytes") if key in message}})
        self.disconnect = message


async def test_messages_go_to_and_fro() -> None:
    app = Echo()
    async with serving(app) as served:
        async with to(served, "/chat%20room?a=b", subprotocols=["one", "two"]) as client:
            assert client.subprotocol == "one"
            assert [str(extension.name) for extension in client.protocol.extensions] == ["permessage-deflate"]
            for message in ("text", b"bytes", "", b"", "ü" * 70_000, b"x" * 500_000):
                await client.send(message)
                assert await client.recv() == message
            await client.send(["fra", "gmen", "ted"])
            assert await client.recv() == "fragmented"
            assert served.count(Cell.WEBSOCKETS) == 1
            await client.close(3000, "bye")
        await served.empty()
        assert app.disconnect == {"type": "websocket.disconnect", "code": 3000, "reason": "bye"}
        assert served.count(Cell.CLOSED_BY_CLIENT) == 1
    scope = app.scope
    assert (scope["type"], scope["scheme"], scope["path"]) == ("websocket", "ws", "/chat room")
    assert (scope["query_string"], scope["subprotocols"]) == (b"a=b", ["one", "two"])
    assert "method" not in scope
    assert scope["extensions"].keys() == {"websocket.http.response", "midair"}


async def test_without_deflate() -> None:
    async with serving(Echo(), ws_per_message_deflate=False) as served, to(served) as client:
        assert not client.protocol.extensions
        await client.send("x")
        assert await client.recv() == "x"


async def test_the_application_closes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept", "headers": [(b"x-mine", b"1")]})
        await send({"type": "websocket.close", "code": 3001, "reason": "done"})
        with pytest.raises(RuntimeError):
            await send({"type": "websocket.send", "text": "late"})

    async with serving(app) as served:
        async with to(served) as client:
            assert client.response is not None
            assert client.response.headers["x-mine"] == "1"
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (3001, "done")
        await served.empty()
        assert served.count(Cell.CLOSED_AFTER_RESPONSE) == 1


async def test_an_application_that_returns_has_closed() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async with serving(app) as served, to(served) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1000


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_exception_is_a_500_or_1011(when: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if when == "after":
            await send({"type": "websocket.accept"})
        raise ValueError("on purpose")

    async with serving(app) as served:
        if when == "before":
            with pytest.raises(InvalidStatus) as refused:
                await to(served)
            assert refused.value.response.status_code == 500
            assert served.count(Cell.RESPONSES_5XX) == 1
        else:
            async with to(served) as client:
                with pytest.raises(ConnectionClosed):
                    await client.recv()
                assert client.close_code == 1011
        assert served.count(Cell.APPLICATION_ERRORS) == 1


async def test_an_application_may_refuse_in_a_word_or_at_length() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/word":
            await send({"type": "websocket.close"})
            return
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"not ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"you"})

    async with serving(app) as served:
        for path, status, body in (("/word", 403, b""), ("/length", 401, b"not you")):
            with pytest.raises(InvalidStatus) as refused:
                await to(served, path)
            assert (refused.value.response.status_code, refused.value.response.body) == (status, body)


async def test_a_message_too_large_is_1009() -> None:
    app = Echo()
    async with serving(app, ws_max_bytes=1000) as served, to(served) as client:
        await client.send("x" * 1000)
        assert len(await client.recv()) == 1000
        await client.send("x" * 1001)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1009
        await until(lambda: app.disconnect is not None)
        assert app.disconnect["code"] == 1009


async def test_a_text_that_is_no_utf_8_is_1007() -> None:
    app = Echo()
    async with serving(app) as served, to(served, compression=None) as client:
        await client.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1007


async def test_bytes_that_are_no_frames_are_1002() -> None:
    async with serving(Echo()) as served:
        client = await served.connect()
        client.send(get("/", *UPGRADE) + b"\xff\xff\xff\xff")
        assert (await client.response()).status == 101
        rest = await client.end()
        assert rest[:4] == b"\x88" + bytes([len(rest) - 2]) + (1002).to_bytes(2, "big")
        await client.close()
        await served.empty()
        assert served.count(Cell.CLOSED_REFUSED) == 1


async def test_frames_that_come_with_the_handshake_are_not_lost() -> None:
    async with serving(Echo()) as served:
        client = await served.connect()
        client.send(get("/", *UPGRADE) + b"\x81\x82\0\0\0\0hi")
        assert (await client.response()).status == 101
        assert await client.reader.readexactly(4) == b"\x81\x02hi"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (UPGRADE[:3], 400),
        ((*UPGRADE[:3], "Sec-WebSocket-Key: short"), 400),
        ((*UPGRADE[:2], "Sec-WebSocket-Version: 8", UPGRADE[3]), 400),
    ],
)
async def test_a_bad_handshake_never_reaches_the_application(headers: tuple[str, ...], status: int) -> None:
    app = Echo()
    async with serving(app) as served:
        client = await served.connect()
        response = await client.ask(get("/", *headers))
        assert (response.status, response.header("sec-websocket-version")) == (status, "13")
        assert await client.end() == b""
    assert app.scope == {}


async def test_a_close_frame_may_come_between_two_fragments() -> None:
    app = Echo()
    async with serving(app) as served:
        client = await served.connect()
        client.send(get("/", *UPGRADE))
        assert (await client.response()).status == 101
        client.send(b"\x01\x82\0\0\0\0hi" + b"\x88\x82\0\0\0\0" + (1001).to_bytes(2, "big"))
        assert await client.end() == b"\x88\x02" + (1001).to_bytes(2, "big")
        await until(lambda: app.disconnect is not None)
        assert app.disconnect["code"] == 1001


async def test_an_http_application_is_not_called_for_another_upgrade() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        assert (await client.ask(get("/", "Connection: Upgrade", "Upgrade: h2c"))).body == b"hello"
        assert (await client.ask(get())).body == b"hello"


async def test_a_client_that_answers_no_ping_is_given_up() -> None:
    app = Echo()
    async with serving(app, ws_ping_interval_s=0.1, ws_ping_timeout_s=0.1, linger_s=0.1) as served:
        client = await served.connect()
        client.send(get("/", *UPGRADE))
        assert (await client.response()).status == 101
        assert (await client.end()).startswith(b"\x89\x04")
        await client.close()
        await served.empty()
        assert app.disconnect["code"] == 1006


async def test_a_client_that_answers_pings_stays() -> None:
    async with serving(Echo(), ws_ping_interval_s=0.05, ws_ping_timeout_s=0.1) as served, to(served) as client:
        await asyncio.sleep(0.4)
        await client.send("still here")
        assert await client.recv() == "still here"


async def test_a_client_that_vanishes_is_told_as_1006() -> None:
    app = Echo()
    async with serving(app) as served:
        client = await served.connect()
        await client.ask(get("/", *UPGRADE))
        client.reset()
        await served.empty()
        assert app.disconnect["code"] == 1006


async def test_draining_lets_a_websocket_go_on_and_cut_closes_it_with_1012() -> None:
    app = Echo()
    async with serving(app, drain_idle_grace_s=0.05) as served, to(served) as client:
        served.server.stop_accepting()
        served.server.drain()
        await asyncio.sleep(0.2)
        await client.send("still here")
        assert await client.recv() == "still here"
        (line,) = served.server.cut()
        assert " WEBSOCKET / " in line
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1012
        await served.empty()
        assert app.disconnect["code"] == 1012
        assert served.count(Cell.CLOSED_CUT) == 1


async def test_after_the_end_send_raises_os_error() -> None:
    raised: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        try:
            await send({"type": "websocket.send", "text": "x"})
        except OSError as exc:
            raised.append(exc)

    async with serving(app) as served:
        async with to(served):
            pass
        await served.empty()
        assert len(raised) == 1
        assert served.count(Cell.APPLICATION_ERRORS) == 0


async def test_a_slow_application_stops_the_client_and_loses_nothing() -> None:
    go = asyncio.Event()
    received = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal received
        await receive()
        await send({"type": "websocket.accept"})
        await go.wait()
        while (message := await receive())["type"] == "websocket.receive":
            received += len(message["bytes"])

    async def flood(client: ClientConnection) -> None:
        for _ in range(200):
            await client.send(b"x" * 50_000)

    async with serving(app) as served:
        async with to(served, compression=None) as client:
            flooding = asyncio.create_task(flood(client))
            (connection,) = served.server.connections
            await until(lambda: not connection.transport.is_reading())
            go.set()
            await flooding
        await served.empty()
        assert received == 10_000_000
