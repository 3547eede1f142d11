"""What a client can make a worker hold is bounded, however it behaves."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from midair.observe.counters import Cell
from midair.worker.asgi import Receive, Scope, Send
from midair.worker.websocket import HIGH_WATER_BYTES
from tests.worker.serving import Client, Held, Served, get, respond, serving, until

UPGRADE = get(
    "/",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)
READ_MAX = 768 * 1024
"""What one read of an event loop may bring beyond a mark."""


PINGS = 100_000
"""Their pongs are more than the kernel's buffers hold."""


def deaf_client(served: Served) -> socket.socket:
    """A connection whose client reads only when it is told to, with small buffers."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    sock.connect(served.listener_address)
    sock.setblocking(False)
    return sock


def frame(opcode: int, payload: bytes = b"", *, is_last: bool = True) -> bytes:
    """A client's frame with a mask of zeros; payloads of up to 125 bytes."""
    return bytes([opcode | (0x80 if is_last else 0), 0x80 | len(payload)]) + b"\0\0\0\0" + payload


async def test_a_pipeline_is_read_no_faster_than_it_is_answered() -> None:
    most = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal most
        (connection,) = served.server.connections
        most = max(most, connection.reader.unread_bytes)
        await respond(send)

    async with serving(app) as served:
        client = await served.connect()
        count = 10_000
        client.send(get("/", "X: " + "a" * 200) * count)
        reading = asyncio.create_task(_read_until(client, count))
        await reading
        assert most <= HIGH_WATER_BYTES + READ_MAX
        assert served.count(Cell.REQUESTS) == count


async def _read_until(client: Client, count: int) -> None:
    seen = 0
    while seen < count:
        seen += (await client.reader.read(1 << 20)).count(b"HTTP/1.1 200")


async def test_who_reads_no_answers_is_given_no_more() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"a" * 50_000)

    async with serving(app) as served:
        sock = deaf_client(served)
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(sock, get() * 200_000))
        await until(lambda: bool(served.server.connections))
        (connection,) = served.server.connections
        await until(lambda: connection.is_write_paused and not connection.transport.is_reading())
        assert connection.transport.get_write_buffer_size() < 1_000_000
        assert connection.reader.unread_bytes < HIGH_WATER_BYTES + READ_MAX
        sending.cancel()
        await asyncio.wait([sending])
        sock.close()


# ----------------------------------------------------------------------------------------------------------- WebSocket


class Sink:
    """Takes messages when it is let go; counts them."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.received: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await self.go.wait()
        while (message := await receive())["type"] == "websocket.receive":
            self.received.append(message.get("text", message.get("bytes")))


async def websocket(served: Served) -> tuple[Client, Any]:
    client = await served.connect()
    client.send(UPGRADE)
    assert (await client.response()).status == 101
    (connection,) = served.server.connections
    return client, connection


async def test_empty_messages_that_nobody_takes_are_not_read_without_end() -> None:
    app = Sink()
    async with serving(app) as served:
        client, connection = await websocket(served)
        count = 60_000
        client.send(frame(1) * count)
        await until(lambda: not connection.transport.is_reading())
        assert len(connection.websocket._queue) < READ_MAX  # six bytes each on the wire
        app.go.set()
        await until(lambda: len(app.received) == count)


async def test_fragments_without_end_are_a_message_that_is_too_large() -> None:
    app = Sink()
    async with serving(app, ws_max_bytes=10_000) as served:
        client, connection = await websocket(served)
        client.send(frame(1, b"a", is_last=False) + frame(0, is_last=False) * 100_000)
        await until(lambda: served.count(Cell.BYTES_IN) > 600_000)
        assert len(connection.websocket._message) == 1
        client.send(frame(0, b"a" * 100, is_last=False) * 101)
        rest = await client.end()
        assert rest[2:4] == (1009).to_bytes(2, "big")
        app.go.set()


async def test_who_reads_no_pongs_is_read_no_further() -> None:
    app = Sink()
    async with serving(app) as served:
        sock = deaf_client(served)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, UPGRADE)
        sending = asyncio.create_task(loop.sock_sendall(sock, frame(9, b"a" * 125) * PINGS))
        await until(lambda: bool(served.server.connections))
        (connection,) = served.server.connections
        await until(lambda: connection.is_write_paused)
        assert not connection.transport.is_reading()
        assert connection.transport.get_write_buffer_size() < 1_000_000
        # Once the client reads, everything flows again.
        received = 0
        while received < PINGS * 127:
            received += len(await loop.sock_recv(sock, 1 << 20))
        await sending
        sock.close()
        app.go.set()


async def test_an_application_that_is_slow_to_take_messages_keeps_its_client() -> None:
    app = Sink()

    async def flood(client: ClientConnection) -> None:
        for _ in range(200):
            await client.send(b"a" * 50_000)

    async with serving(app, ws_ping_interval_s=0.1, ws_ping_timeout_s=0.3) as served:
        address = "ws://{}:{}/".format(*served.listener_address)
        async with connect(address, proxy=None, compression=None) as client:
            flooding = asyncio.create_task(flood(client))
            (connection,) = served.server.connections
            await until(lambda: not connection.transport.is_reading())
            await asyncio.sleep(0.8)  # the answers to our pings stand behind what we do not read
            assert connection.reason is None
            app.go.set()
            await flooding
        await served.empty()
        assert len(app.received) == 200


async def test_a_body_that_nobody_takes_is_not_read_without_end_whatever_its_framing() -> None:
    app = Held()
    async with serving(app) as served:
        client = await served.connect()
        client.send(get("/", "Transfer-Encoding: chunked", method="POST") + b"1\r\na\r\n" * 400_000)
        await app.arrived()
        (connection,) = served.server.connections
        await until(lambda: not connection.transport.is_reading())
        assert connection.cycle is not None
        assert len(connection.cycle.body) < READ_MAX
        app.go.set()
        assert (await client.response()).body == b"hello"
