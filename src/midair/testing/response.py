"""A response off a raw socket, read strictly: what a lenient client would repair is a failure here.

A body has a Content-Length or is chunked; anything else cannot be told from a body that was cut off, so it counts as
wrong. Bytes after the end of a response were not asked for, and count as wrong as well.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from midair.testing.report import Answer

HEAD_MAX_BYTES = 64 * 1024
READ_BYTES = 256 * 1024

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x20-\x7e\x80-\xff\t]*)")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})")


class BrokenAnswer(Exception):
    """The request did not get a whole, well-formed response. ``answer`` says in which of the closed set of ways."""

    def __init__(self, answer: Answer, detail: str) -> None:
        super().__init__(detail)
        self.answer = answer
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Head:
    status: int
    headers: dict[str, str]
    """Lower-case names; of repeated fields the last, but Content-Length may not repeat."""

    @property
    def is_chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    @property
    def closes(self) -> bool:
        """The service said that this is the connection's last response."""
        return "close" in self.headers.get("connection", "").lower()


@dataclass(frozen=True, slots=True)
class Response:
    head: Head
    body: bytes


class Wire:
    """One connection: a non-blocking socket, and the bytes that were read and not yet used."""

    __slots__ = ("_loop", "buffer", "is_fresh", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = bytearray()
        self.is_fresh = True  # nothing of the present response has arrived
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        self.is_fresh = True
        await self._loop.sock_sendall(self.sock, data)

    async def fill(self) -> None:
        """Read more. Raises BrokenAnswer at the end of file, OSError as the kernel says."""
        data = await self._loop.sock_recv(self.sock, READ_BYTES)
        if not data:
            answer = Answer.EOF_BEFORE if self.is_fresh else Answer.EOF_INSIDE
            raise BrokenAnswer(answer, f"closed with {len(self.buffer)} bytes unread")
        self.is_fresh = False
        self.buffer += data

    def look(self) -> bytes | None:
        """What the service did between two requests: None nothing, b"" closed in order, else bytes not asked for.

        Raises OSError where it tore the connection down. Call right before writing: this is the only moment at which
        a closed connection is nobody's failure.
        """
        if self.buffer:
            return bytes(self.buffer[:200])
        try:
            return self.sock.recv(200, socket.MSG_PEEK)
        except BlockingIOError:
            return None

    def close(self) -> None:
        self.sock.close()


def _wrong(detail: str) -> BrokenAnswer:
    return BrokenAnswer(Answer.WRONG_BODY, detail)


async def read_head(wire: Wire, *, is_upgrade: bool = False) -> Head:
    """The head of the next final response; 1xx are read and dropped. is_upgrade: 101 is final, too."""
    while True:
        while (end := wire.buffer.find(b"\r\n\r\n")) < 0:
            if len(wire.buffer) > HEAD_MAX_BYTES:
                raise _wrong(f"no end of head in {len(wire.buffer)} bytes")
            await wire.fill()
        lines = bytes(wire.buffer[:end]).split(b"\r\n")
        del wire.buffer[: end + 4]
        head = _parse_head(lines)
        if head.status >= 200 or (is_upgrade and head.status == 101):
            return head


def _parse_head(lines: list[bytes]) -> Head:
    status_line = _STATUS_LINE.fullmatch(lines[0])
    if status_line is None:
        raise _wrong(f"not a status line: {lines[0][:80]!r}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise _wrong(f"not a header: {line[:80]!r}")
        name, value = field[1].decode("latin-1").lower(), field[2].decode("latin-1").strip()
        if name in ("content-length", "transfer-encoding") and name in headers:
            raise _wrong(f"{name} is there twice")
        headers[name] = value
    return Head(int(status_line[1]), headers)


async def read_response(wire: Wire, method: str = "GET") -> Response:
    """The next response, whole. Raises BrokenAnswer, OSError."""
    head = await read_head(wire)
    if method == "HEAD" or head.status in (204, 304):
        body = b""
    elif "transfer-encoding" in head.headers:
        body = b"".join([chunk async for chunk in read_chunks(wire, head)])
    else:
        body = await _read_counted(wire, head)
    if wire.buffer:
        raise _wrong(f"{len(wire.buffer)} bytes after the response: {bytes(wire.buffer[:80])!r}")
    return Response(head, body)


async def _read_counted(wire: Wire, head: Head) -> bytes:
    written = head.headers.get("content-length", "")
    if not (written.isascii() and written.isdigit()):
        raise _wrong(f"a body without a length (Content-Length {written!r})")
    length = int(written)
    while len(wire.buffer) < length:
        await wire.fill()
    body = bytes(wire.buffer[:length])
    del wire.buffer[:length]
    return body


async def read_chunks(wire: Wire, head: Head) -> AsyncIterator[bytes]:
    """The chunks of a body as they arrive; ends after the last chunk and the empty line behind it."""
    if not head.is_chunked or "content-length" in head.headers:
        raise _wrong(f"unclear framing: {head.headers}")
    while True:
        size = _CHUNK_SIZE.fullmatch(await _read_line(wire))
        if size is None:
            raise _wrong("not a chunk size")
        length = int(size[1], 16)
        if length == 0:
            break
        while len(wire.buffer) < length + 2:
            await wire.fill()
        if wire.buffer[length : length + 2] != b"\r\n":
            raise _wrong("a chunk longer than its size")
        chunk = bytes(wire.buffer[:length])
        del wire.buffer[: length + 2]
        yield chunk
    while await _read_line(wire):  # trailers
        pass


async def _read_line(wire: Wire) -> bytes:
    while (end := wire.buffer.find(b"\r\n")) < 0:
        if len(wire.buffer) > HEAD_MAX_BYTES:
            raise _wrong("a line without an end")
        await wire.fill()
    line = bytes(wire.buffer[:end])
    del wire.buffer[: end + 2]
    return line
