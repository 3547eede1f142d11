"""A server on a real socket and a client that says exactly the bytes it is told to."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from midair.observe.counters import Cell, Page
from midair.worker.asgi import Asgi, Receive, Scope, Send
from midair.worker.server import Server
from midair.worker.settings import ServeSettings
from midair.worker.tls import Tls

CLOSED = tuple(cell for cell in Cell if cell.name.startswith("CLOSED_"))

CLOSES_WITHIN_S = 2.0
"""Under Python 3.13 a client's stream on uvloop is now and then never told that its own connection is closed."""


@dataclass
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known.lower() == name), None)


@dataclass
class Client:
    """One connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def ask(self, data: bytes, *, head_only: bool = False) -> Response:
        self.send(data)
        return await self.response(head_only=head_only)

    async def head(self) -> tuple[int, list[tuple[str, str]]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = [(name, value.strip()) for line in lines[1:] if line for name, _, value in [line.partition(":")]]
        return int(lines[0].split()[1]), headers

    async def response(self, *, head_only: bool = False) -> Response:
        status, headers = await self.head()
        response = Response(status, headers, b"")
        if head_only or status in (100, 101, 204, 304):
            return response
        if response.header("transfer-encoding") == "chunked":
            response.body = await self._chunks()
        elif (length := response.header("content-length")) is not None:
            response.body = await self.reader.readexactly(int(length))
        else:
            response.body = await self.reader.read()
        return response

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return body

    async def end(self) -> bytes:
        """Everything up to the end of the stream; a reset is an end, too."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b"(reset)"

    async def close(self) -> None:
        self.writer.close()
        try:
            await asyncio.wait_for(self.writer.wait_closed(), CLOSES_WITHIN_S)
        except ConnectionError:
            pass
        except TimeoutError:
            if sys.version_info < (3, 13):
                raise

    def reset(self) -> None:
        """End the connection so that both directions are gone at once."""
        sock = self.writer.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return  # the server was quicker
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Served:
    server: Server
    page: Page
    listener: socket.socket
    clients: list[Client] = field(default_factory=list)

    @property
    def listener_address(self) -> tuple[str, int]:
        host, port = self.listener.getsockname()[:2]
        return host, port

    async def connect(self, tls: ssl.SSLContext | None = None) -> Client:
        address = self.listener.getsockname()
        if tls:
            host, port = address[:2]
            client = Client(*await asyncio.open_connection(host, port, ssl=tls, server_hostname="localhost"))
            self.clients.append(client)
            return client
        if isinstance(address, str):
            reader, writer = await asyncio.open_unix_connection(address)
        else:
            reader, writer = await asyncio.open_connection(*address[:2])
        client = Client(reader, writer)
        self.clients.append(client)
        return client

    def count(self, cell: Cell) -> int:
        return self.page.cells[cell]

    def assert_books_balance(self) -> None:
        cells = self.page.cells
        came = cells[Cell.ACCEPTED] + cells[Cell.ADOPTED]
        assert came == sum(cells[cell] for cell in CLOSED) + cells[Cell.HANDED_OVER] + cells[Cell.OPEN]

    async def empty(self) -> None:
        told = asyncio.Event()
        self.server.when_empty(told.set)
        await told.wait()


async def until(holds: Callable[[], bool]) -> None:
    """Turn the loop until it holds; the test's own time limit ends it."""
    while not holds():  # noqa: ASYNC110 - what is waited for are figures, not events
        await asyncio.sleep(0)


def listen(family: int = socket.AF_INET, address: Any = ("127.0.0.1", 0)) -> socket.socket:
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen(100)
    return listener


@asynccontextmanager
async def serving(
    app: Asgi,
    listener: socket.socket | None = None,
    state: dict[str, Any] | None = None,
    tls: Tls | None = None,
    **settings: Any,
) -> AsyncIterator[Served]:
    """Serve ``app``; at the end cut what is left, and check that nothing is left and that the books balance."""
    listener = listener or listen()
    page = Page.create("test")
    chosen = ServeSettings(**({"access_log": False} | settings))
    loop = asyncio.get_running_loop()
    server = Server(app, chosen, page, state if state is not None else {}, loop=loop, tls=tls)
    server.accept([listener])
    served = Served(server, page, listener)
    try:
        yield served
    finally:
        server.stop_accepting()
        for client in served.clients:
            await client.close()
        server.cut()
        await served.empty()
        server.close()
        listener.close()
    served.assert_books_balance()
    assert [page.cells[cell] for cell in (Cell.OPEN, Cell.ACTIVE, Cell.WEBSOCKETS, Cell.STREAMS)] == [0, 0, 0, 0]


# ---------------------------------------------------------------------------------------------------------- applications


def get(path: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def post(body: bytes, path: str = "/", *headers: str) -> bytes:
    return get(path, f"Content-Length: {len(body)}", *headers, method="POST") + body


async def respond(send: Send, body: bytes = b"", status: int = 200, headers: list[Any] | None = None) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers or []})
    await send({"type": "http.response.body", "body": body})


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, b"hello", headers=[(b"content-type", b"text/plain"), (b"content-length", b"5")])


async def whole_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += bytes(message["body"])
        if not message["more_body"]:
            return body


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, await whole_body(receive))


class Held:
    """An application whose calls stand still until they are let go. ``calls``: their scopes, in order of arrival."""

    def __init__(self, then: Asgi = hello) -> None:
        self.calls: list[Scope] = []
        self.go = asyncio.Event()
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls.append(scope)
        await self.go.wait()
        await self._then(scope, receive, send)

    async def arrived(self, count: int = 1) -> None:
        await until(lambda: len(self.calls) >= count)
