"""One request and its response: what ``receive`` and ``send`` of an HTTP application are bound to.

The head is held back until the first piece of the body is there, as ASGI asks: head and body leave in one write, an
exception between the two is still a 500, and a body known to be whole gets a Content-Length.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from midair.live import EXTENSION, TRACE, Carriage
from midair.observe.counters import Cell, class_of
from midair.worker import extensions
from midair.worker.asgi import ClientDisconnected, Message, Scope, is_departure
from midair.worker.frozen import CarriedBytes, HttpStream, RequestHead
from midair.worker.http1 import Request, tokens
from midair.worker.response import (
    BODILESS,
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    KINDS,
    ORDINARY,
    TRANSFER_ENCODING,
    InvalidResponse,
    learn,
)
from midair.worker.resuming import Resuming

if TYPE_CHECKING:
    from midair.worker.connection import Connection

_JOIN_MAX = 32 * 1024  # above, copying a body behind its head costs more than a second buffer in the same write

# Plain numbers: an enum's member costs a request more than what is counted by it.
_REQUESTS, _BYTES_OUT, _STREAMS = int(Cell.REQUESTS), int(Cell.BYTES_OUT), int(Cell.STREAMS)

_OVER: Scope = {}
"""The scope of a call that has returned: the application's own refers to the cycle, and would keep it from being freed."""

Framing = Literal["", "length", "chunked", "close", "none"]


class Cycle:
    """One exchange. What most requests never change is a class default: it costs nothing per request.

    The path of a plain request (no body, a response in one piece) is written out in few functions, without helpers: a
    call costs more here than what most of them would do.
    """

    # What the request still brings.
    body: bytes | bytearray = b""
    body_bytes = 0
    """Received so far."""
    body_bytes_seen = 0
    """When its pace was last looked at."""
    more_body = False
    is_body_given = False
    must_continue = False
    is_usual = False
    """A request of HTTP/1.1 that is no HEAD and brings no body."""
    # How far the response is.
    status = 0
    is_head_written = False
    is_streaming = False
    """A part of the body was sent and more is to come."""
    is_complete = False
    is_disconnected = False
    """Nothing can be sent any more."""
    is_client_done = False
    """The client has shut its write side; it may still be reading."""
    is_cut = False
    framing: Framing = ""
    body_left = 0
    trailers: list[bytes] | None = None
    """Lines of the trailer section so far; None while the application has announced none."""
    is_body_sent = False
    """Only trailers are to follow."""
    is_sending_file = False
    task: asyncio.Task[None] | None = None
    _has_news: asyncio.Event | None = None
    _head = b""
    _omit: set[int] | None = None
    # On its way to another worker.
    _carriage: Carriage | None = None
    _resuming: Resuming | None = None
    _resumed_status = 0

    def __init__(self, connection: Connection, scope: Scope, request: Request, started_s: float) -> None:
        self.connection = connection
        self.server = connection.server
        self.scope = scope
        self.request = request
        self.started_s = started_s
        self.keep_alive = request.keep_alive
        scope["extensions"][EXTENSION] = self

    # ------------------------------------------------------------------------------------------ the application's task

    async def run(self) -> None:
        """Call the application. Whatever it does, the client gets an answer or an end, and the books are kept."""
        server = self.server
        try:
            await server.app(self.scope, self.receive, self.send)
        except BaseException as exc:  # noqa: BLE001 - whatever leaves the application ends here, SystemExit too
            self._failed(exc)
        else:
            if not self.is_complete and not self.is_disconnected:
                self._failed(None)
        self.task = None
        self.scope = _OVER
        server.running.discard(self)
        if not server.connections:
            server.check_empty()

    def _failed(self, exc: BaseException | None) -> None:
        connection = self.connection
        if self._resuming is not None and not self._resuming.outcome.done():
            self._resuming.decline(f"the application {f'raised {exc!r}' if exc else 'returned without going on'}")
            return
        if self.is_cut or (self._carriage is not None and self._carriage.has_moved):
            return  # already told, counted and closed by whoever cut it, or its client is served elsewhere
        if self.is_disconnected and is_departure(exc):
            return  # the client left, the application noticed
        connection.page.cells[Cell.APPLICATION_ERRORS] += 1
        self.server.application_failed(self.scope, exc, "" if exc else self._unfinished())
        if self.is_complete or self.is_disconnected:
            return
        if self.is_head_written:
            connection.break_off(is_end_visible=self.framing != "close")
            return
        self._answer_500()

    def _unfinished(self) -> str:
        if self.status:
            return "the application returned without completing its response"
        return "the application returned without starting a response"

    def _forget_head(self) -> None:
        self.status, self.framing, self._omit, self.trailers = 0, "", None, None
        self.keep_alive = self.request.keep_alive

    def _answer_500(self) -> None:
        body = b"Internal Server Error"
        self._forget_head()
        self._start(500, [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))])
        self._write_first(body, more_body=False)

    # ------------------------------------------------------------------------------------------------ to another worker

    def carriage(self) -> Carriage:
        """For ``midair.carry_on``."""
        if self._carriage is None:
            self._carriage = Carriage(None, lambda: None)
        return self._carriage

    @property
    def is_elsewhere(self) -> bool:
        """Another worker has its connection, and goes on with it."""
        return self._carriage is not None and self._carriage.has_moved

    @property
    def is_carried(self) -> bool:
        """Its application can go on with it in another worker."""
        return self._carriage is not None and self._carriage.is_taken

    def is_under_way(self) -> bool:
        return not self.is_resting()

    def is_resting(self) -> bool:
        """Between two chunks of a response whose application carries what it needs to go on.

        A body that is compressed as a whole is none: the compressor's state stands in the application's call.
        """
        return (
            self._carriage is not None
            and self._carriage.is_taken
            and self.is_head_written
            and self.framing == "chunked"
            and self.trailers is None
            and not self.is_sending_file
            and not (self.is_complete or self.is_disconnected or self.is_client_done)
            and self.request.body_length == 0
            and b"content-encoding:" not in self._head.lower()
        )

    def freeze(self) -> HttpStream | None:
        assert self._carriage is not None
        try:
            data = self._carriage.data()
        except Exception as exc:  # noqa: BLE001 - the application's own code
            self.server.application_failed(self.scope, exc, "")
            self._carriage = None  # it stays, and is not asked again
            return None
        request = self.request
        return HttpStream(
            request=RequestHead(method=request.method, target=request.target, headers=tuple(request.headers)),
            carried=CarriedBytes(
                data=data, version=self._carriage.version, traceparent=self.scope["extensions"].get(TRACE, "")
            ),
            status=self.status,
            keep_alive=self.keep_alive,
            unread=self.connection.reader.unread,
            told=self.connection.told,
        )

    def has_moved(self) -> None:
        """Another worker has it."""
        if self._carriage is not None:
            self._carriage.has_moved = True
        self.client_gone()

    def resume(self, state: HttpStream) -> asyncio.Future[str]:
        """Enter the application for a response that another worker began. Sends nothing before it is ours."""
        self._resumed_status = state.status
        self._resuming = Resuming(state.carried, self.server.loop, self._settled)
        self._carriage = self._resuming.carriage
        if state.carried.traceparent:
            self.scope["extensions"][TRACE] = state.carried.traceparent
        self.server.running.add(self)
        task = self.server.make_task(self.run(), loop=self.server.loop)
        if not task.done():
            self.task = task
        return self._resuming.outcome

    def leave(self) -> None:
        """It was entered here, and stays another worker's. A call that has said nothing yet has nothing to clean up."""
        if self._resuming is not None and not self._resuming.outcome.done() and self.task is not None:
            self.task.cancel()
        self.has_moved()

    def _settled(self, why: str) -> None:
        if why:
            self.client_gone()

    def _start_again(self, resuming: Resuming) -> None:
        """The client has had the head from the earlier version: what follows has to fit behind it."""
        if self.status != self._resumed_status or self.framing not in ("", "chunked"):
            raise resuming.decline(
                f"it answers {self.status} where the earlier version sends a stream after {self._resumed_status}"
            )
        self.framing, self.is_head_written = "chunked", True
        resuming.answered()

    # ------------------------------------------------------------------------------------------------------- receive

    async def receive(self) -> Message:
        """The next piece of the body; ``http.disconnect`` once the client is gone or the response complete."""
        while not (self.is_disconnected or self.is_complete):
            if not self.is_body_given and (self.body or not self.more_body):
                body, self.body = self.body, b""
                self.is_body_given = not self.more_body
                self.connection.body_taken()
                return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}
            if self.is_client_done:
                break
            if self.must_continue and not self.is_head_written:
                self.must_continue = False
                self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if self._has_news is None:
                self._has_news = asyncio.Event()
            self._has_news.clear()
            await self._has_news.wait()
        return {"type": "http.disconnect"}

    def body_arrived(self, data: bytes, *, is_last: bool) -> None:
        self.body_bytes += len(data)
        if self.body:
            if not isinstance(self.body, bytearray):
                self.body = bytearray(self.body)
            self.body += data
        else:
            self.body = data
        self.more_body = not is_last
        self.must_continue = False
        self.wake()

    def client_gone(self) -> None:
        """No byte can be sent any more: the application is told by ``receive``, and by OSError from ``send``."""
        self.is_disconnected = True
        self.wake()

    def client_done(self) -> None:
        """The client has sent all that it ever will."""
        self.is_client_done = True
        self.wake()

    def wake(self) -> None:
        if self._has_news is not None:
            self._has_news.set()

    # ---------------------------------------------------------------------------------------------------------- send

    async def send(self, message: Message) -> None:
        """Take one event of the response. Waits while the client reads slower than we write.

        Raises ClientDisconnected (an OSError) once the client has gone, RuntimeError for what breaks the protocol.
        """
        connection = self.connection
        kind = message["type"]
        if connection.is_write_paused and kind == "http.response.body":
            await self._writable()
        if self.is_disconnected:
            raise ClientDisconnected("the client has gone")
        if kind == "http.response.body":
            if self.is_complete or self.is_body_sent or not self.status:
                raise RuntimeError(
                    f"http.response.body {'after the response was complete' if self.is_complete else 'first'}"
                )
            if self.is_head_written:
                self._write_more(message.get("body", b""), message.get("more_body", False))
            else:
                self._write_first(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.start":
            if self.status:
                raise RuntimeError("http.response.start was sent twice")
            try:
                if message.get("trailers"):
                    self.trailers = []
                self._start(message["status"], message.get("headers", ()))
            except Exception:
                self._forget_head()  # the application may try again with a better one
                raise
            if self._resuming is not None:
                self._start_again(self._resuming)
        elif kind in extensions.EXTENSIONS:
            await self._send_more(kind, message)
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r}")

    async def _send_more(self, kind: str, message: Message) -> None:
        """Take an event that only an extension knows."""
        if kind == "http.response.early_hint" and not self.status:
            if self.request.http_version != "1.0" and self._resuming is None:
                self.connection.write(extensions.early_hint(message.get("links", ())))
        elif kind == "http.response.trailers" and self.is_body_sent and self.trailers is not None:
            self.trailers.append(extensions.trailers(message.get("headers", ())))
            if not message.get("more_trailers", False):
                self._end_body()
        elif kind == "http.response.pathsend" and self.status and not self.is_head_written:
            await self._send_file(message["path"])
        else:
            raise RuntimeError(f"{kind} at this point of the response")

    async def _send_file(self, path: object) -> None:
        """Send a file as the body: as long as the content-length says, or as it is now.

        If it has become shorter meanwhile the response breaks off, so that the client sees it.
        """
        fd, left = extensions.open_file(path)
        try:
            if self.request.method == "HEAD" or self.status in BODILESS:
                left = 0
            elif self.framing == "length":
                left = self.body_left
            elif self.framing == "" and self.trailers is None:
                self.framing, self.body_left = "length", left
                self._head += b"content-length: %d\r\n" % left
            self.is_sending_file = True
            await self._send_pieces(fd, left)
        finally:
            self.is_sending_file = False
            os.close(fd)

    async def _send_pieces(self, fd: int, left: int) -> None:
        offset = 0
        while not (self.is_complete or self.is_body_sent):
            piece = await extensions.read_piece(fd, offset, left, self.server.loop) if left else b""
            if left and not piece:
                raise InvalidResponse("the file has become shorter than its content-length")
            await self._writable()
            if self.is_disconnected:
                raise ClientDisconnected("the client has gone")
            offset, left = offset + len(piece), left - len(piece)
            if self.is_head_written:
                self._write_more(piece, more_body=left > 0)
            else:
                self._write_first(piece, more_body=left > 0)

    async def _writable(self) -> None:
        connection = self.connection
        while connection.is_write_paused and not self.is_disconnected:
            if self._resuming is not None and not self._resuming.outcome.done():
                why = "the application sends and has not taken what was carried (carry_on)"
                raise self._resuming.decline(why)
            await connection.writable()

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        start = self.server.starts.get(status)
        if start is None:
            start = self.server.starts.make(status)
        lines = [start]
        count = 0
        for name, value in headers:
            kind = KINDS.get(name)
            if kind is None:
                kind = learn(name)
            if kind != ORDINARY and not self._took(kind, value, status):
                continue
            lines += (name, b": ", value, b"\r\n")
            count += 4
        # Names are checked, and the rest is ours: another line end can only have come with a value.
        block = b"".join(lines)
        lines_expected = (count >> 2) + self.server.starts.lines
        if block.count(b"\n") != lines_expected or block.count(b"\r") != lines_expected or b"\0" in block:
            raise InvalidResponse("a header value holds a line end or a NUL")
        if self._omit is not None:
            block = self.server.starts.without(status, self._omit) + block[len(start) :]
        self._head = block
        self.status = status

    def _took(self, kind: int, value: bytes, status: int) -> bool:
        """Note a header that is ours to understand. False if it is not to be sent as it is."""
        if kind == CONTENT_LENGTH:
            length = value.strip()
            if not length.isdigit() or self.framing:
                raise InvalidResponse(f"invalid or repeated content-length {value!r}")
            if status == 204:
                return False  # not allowed there (RFC 9110, 8.6); common all the same
            self.framing, self.body_left = "length", int(length)
            return True
        if kind == TRANSFER_ENCODING:
            if value.strip().lower() != b"chunked" or self.framing == "length":
                raise InvalidResponse(f"transfer-encoding {value!r} cannot be served")
            self.framing = "chunked"
            return False
        if kind == CONNECTION:
            options = tokens([value])
            if b"close" in options:
                self.keep_alive = False
            return options not in ([b"close"], [b"keep-alive"])  # those two are ours to say
        if kind >= DATE:
            self._omit = (self._omit or set()) | {kind}
        return True

    def _delimit(self, body_bytes: int, more_body: bool) -> bytes:
        """Decide how the body is delimited and whether the connection goes on; return the head's last lines."""
        request, status = self.request, self.status
        extra = b""
        if request.method == "HEAD" or status in BODILESS:
            is_chunked = self.framing == "chunked" or (self.framing == "" and more_body)
            if is_chunked and status not in BODILESS and request.http_version == "1.1":
                extra = b"transfer-encoding: chunked\r\n"
            self.framing = "none"
        elif self.framing == "":
            if not more_body and self.trailers is None:
                self.framing, self.body_left = "length", body_bytes
                extra = b"content-length: %d\r\n" % body_bytes
            else:
                self.framing = "chunked"
        if self.framing == "chunked":
            if request.http_version == "1.0":
                self.framing = "close"
            else:
                extra = b"transfer-encoding: chunked\r\n"
        # An upload that was never asked for by 100 Continue may come or not: only the connection's end is safe.
        if self.framing == "close" or self.must_continue or self.connection.is_to_close() or self._is_rest_too_long():
            self.keep_alive = False
        if not self.keep_alive:
            extra += b"connection: close\r\n"
        elif request.http_version == "1.0":
            extra += b"connection: keep-alive\r\n"
        return extra + b"\r\n"

    def _is_rest_too_long(self) -> bool:
        """More of the upload is to come than is read away for the sake of the connection."""
        left = self.request.body_length - self.body_bytes
        return self.more_body and left > self.server.settings.linger_max_bytes

    def _write_first(self, body: bytes, more_body: bool) -> None:
        connection, server = self.connection, self.server
        status = self.status
        if (
            self.framing == "length"
            and self.is_usual
            and self.keep_alive
            and not server.is_ending_any
            and status not in BODILESS
        ):
            end = b"\r\n"
        else:
            end = self._delimit(len(body), more_body)
        if self.framing == "length":
            left = self.body_left - len(body)
            if left < 0 or (left and not more_body):
                self._wrong_length(left)
            self.body_left = left
        page = connection.page
        cells = page.cells
        cells[_REQUESTS] += 1
        if status >= 300:
            cells[class_of(status)] += 1
        self.is_head_written = True
        if server.access is not None and page is server.page:
            server.access.note(self.scope, status)
        head = self._head
        if self.framing == "length" and len(body) <= _JOIN_MAX:
            data = b"".join((head, end, body))
        elif self.framing == "length":
            data = head + end
            cells[_BYTES_OUT] += len(data)
            connection.transport.write(data)
            data = body
        elif self.framing == "chunked":
            data = b"".join((head, end, _chunk(body, more_body or self.trailers is not None)))
        else:
            data = head + end if self.framing == "none" else b"".join((head, end, body))
        cells[_BYTES_OUT] += len(data)
        connection.transport.write(data)
        if not more_body:
            if self.trailers is not None:
                self.is_body_sent = True
                return
            self.is_complete = True
            if self._has_news is not None:
                self._has_news.set()
            connection.response_complete(self)
        else:
            self.is_streaming = True
            cells[_STREAMS] += 1

    def _write_more(self, body: bytes, more_body: bool) -> None:
        connection = self.connection
        if self.framing == "length":
            left = self.body_left - len(body)
            if left < 0 or (left and not more_body):
                self._wrong_length(left)
            self.body_left = left
            if body:
                connection.write(body)
        elif self.framing == "chunked":
            chunk = _chunk(body, more_body or self.trailers is not None)
            if chunk:
                connection.write(chunk)
        elif self.framing == "close" and body:
            connection.write(body)
        if not more_body:
            if self.trailers is not None:
                self.is_body_sent = True
            else:
                self._complete()
        elif self._carriage is not None and self.server.source is not None:
            self.server.source.offer(connection)

    def _end_body(self) -> None:
        """The trailers are whole. They are for clients that have said they read them (RFC 9110, 6.5.1)."""
        if self.framing == "chunked":
            asked = tokens([value for name, value in self.request.headers if name == b"te"])
            lines = self.trailers if self.trailers and b"trailers" in asked else []
            self.connection.write(b"0\r\n" + b"".join(lines) + b"\r\n")
        self._complete()

    def _wrong_length(self, left: int) -> None:
        raise InvalidResponse(f"the body is {'longer' if left < 0 else 'shorter'} than its content-length")

    def _complete(self) -> None:
        self.is_complete = True
        self.wake()
        self.end_stream()
        self.connection.response_complete(self)

    def end_stream(self) -> None:
        """No part of the response follows on this connection, or not from this worker."""
        if self.is_streaming:
            self.is_streaming = False
            self.connection.page.cells[_STREAMS] -= 1


def _chunk(body: bytes, more_body: bool) -> bytes:
    if not body:
        return b"" if more_body else b"0\r\n\r\n"
    if more_body:
        return b"%x\r\n%b\r\n" % (len(body), body)
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
