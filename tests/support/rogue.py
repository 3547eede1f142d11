"""A server that misbehaves in one exact way: raw sockets, no HTTP library that would put things right."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Visit:
    """One accepted connection, as the misbehaviour sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    """Connections are counted from 0."""

    async def request(self) -> bytes:
        """The next request's head. Raises IncompleteReadError when the client has gone."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, *fields: str, status: str = "200 OK") -> None:
        head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields])
        await self.say(head.encode() + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Tear the connection down with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour = Callable[[Visit], Awaitable[None]]


@asynccontextmanager
async def rogue(behaviour: Behaviour) -> AsyncIterator[str]:
    """Serve ``behaviour`` on a free port of 127.0.0.1; the URL. The connection is closed when it returns."""
    visits: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        visit = Visit(reader, writer, len(visits))
        visits.add(task)
        try:
            await behaviour(visit)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
    finally:
        server.close()
        for task in visits:
            task.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
