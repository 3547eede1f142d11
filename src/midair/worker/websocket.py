"""A WebSocket: websockets' sans-IO protocol below, ASGI above, a connection that was HTTP until its handshake.

    CONNECTING -- accept --> OPEN -- close frame, either way --> CLOSING --> CLOSED
        |                     |  ^
        |                freeze  `-- RESUMING <-- resume, in the next worker (``resuming.py``)
        `-- close, or websocket.http.response --> DENYING --> CLOSED

The handshake is judged at once (a bad one never reaches the application) and answered when the application says so.
What the protocol object must know of it are the negotiated extensions: nothing of it depends on who read the handshake.
Frames are cut before the protocol object sees them (``frames.py``), so a WebSocket can go to another worker between any two
messages: with the start of a frame, the window of its decoder, and what the application carries.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State as ProtocolState
from websockets.server import ServerProtocol

from midair.live import EXTENSION, TRACE, Carriage
from midair.observe.counters import Cell, class_of
from midair.worker.asgi import ClientDisconnected, Message, Scope, is_departure
from midair.worker.deflate import Deflate, DeflateFactory
from midair.worker.frames import BINARY, COMPRESSED, TEXT, FrameCutter, message_frame, whole_message
from midair.worker.frozen import CarriedBytes, RequestHead, WebSocketConnection
from midair.worker.http1 import Request
from midair.worker.response import check_block, kind_of
from midair.worker.resuming import Resuming

if TYPE_CHECKING:
    from midair.worker.connection import Connection

CONNECTING, DENYING, RESUMING, OPEN, CLOSING, CLOSED = range(6)
PROTOCOL_ERROR, ABNORMAL, INVALID_DATA, MESSAGE_TOO_BIG, INTERNAL_ERROR, SERVICE_RESTART = (
    1002,
    1006,
    1007,
    1009,
    1011,
    1012,
)

HIGH_WATER_BYTES = 64 * 1024
"""Messages waiting for the application, above which we stop reading from the client."""
_MESSAGE_BYTES = 256
"""What a waiting message costs besides its payload: empty ones fill memory, too."""
_CLOSE_S = 10.0  # for the client's answer to our close frame, as uvicorn has it
_DEFLATE = DeflateFactory()
_OVER: Scope = {}
"""The scope of a call that has returned: the application's own refers to the WebSocket, and would keep it from being freed."""
_MOVED: Message = {"type": "websocket.disconnect", "code": SERVICE_RESTART, "reason": "the connection has moved"}


class _Protocol(ServerProtocol):
    """A close frame may come between the fragments of a message (RFC 6455, 5.4); the library takes that for a breach."""

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class WebSocket:
    """One WebSocket and the application's call for it. Made by its connection, which passes bytes and events on."""

    task: asyncio.Task[None] | None = None

    def __init__(self, connection: Connection, request: Request, scope: Scope) -> None:
        self.connection = connection
        self.request = request
        self.started_s = monotonic()
        self.phase = CONNECTING
        settings = connection.server.settings
        self._extensions = [_DEFLATE] if settings.ws_per_message_deflate else []
        self._protocol: ServerProtocol | None = None  # from the acceptance on
        self._handshake_headers: list[tuple[bytes, bytes]] = []
        self._deflate: Deflate | None = None
        """As agreed with the client."""
        self._early = b""
        self._queue: deque[Message] = deque([{"type": "websocket.connect"}])
        self._queued_bytes = 0
        self._has_news = asyncio.Event()
        self._disconnect: Message | None = None
        self._message: bytes | bytearray = b""
        """What has come of a message whose last fragment is still to come."""
        self._is_text = False
        self._is_in_message = False
        self._cutter = FrameCutter(settings.ws_max_bytes)
        self._subprotocol = ""
        self._carriage: Carriage | None = None
        self._resuming: Resuming | None = None
        self._receivers = 0  # calls of the application that wait for a message
        self._is_counted = False
        self._ping = b""  # the payload that we wait to see again
        self._denial_status = 0
        self._denial_head = b""
        self._is_denial_begun = False
        self._is_cut = False
        self.scope = scope
        del scope["method"]
        scope["type"], scope["scheme"] = "websocket", "wss" if scope["scheme"] == "https" else "ws"
        offered = [value for name, value in request.headers if name == b"sec-websocket-protocol"]
        scope["subprotocols"] = [
            part.strip() for value in offered for part in value.decode("latin-1").split(",") if part.strip()
        ]
        scope["extensions"] = {"websocket.http.response": {}, EXTENSION: self}
        if connection.extension is not None:
            scope["extensions"]["tls"] = connection.extension

    # ------------------------------------------------------------------------------------------- for the connection

    def begin(self, early: bytes) -> None:
        """Judge the handshake and call the application. ``early``: bytes that came behind the handshake already."""
        connection = self.connection
        self._early = early
        negotiator = ServerProtocol(extensions=self._extensions)
        headers = Headers((name.decode("ascii"), value.decode("latin-1")) for name, value in self.request.headers)
        response = negotiator.accept(Handshake(self.request.target.decode("ascii"), headers))
        if response.status_code != 101:
            self.phase = CLOSED
            response.headers.setdefault("Sec-WebSocket-Version", "13")  # which one we speak (RFC 6455, 4.4)
            connection.write(response.serialize())
            connection.close(Cell.CLOSED_REFUSED)
            return
        self._handshake_headers = [
            (name.encode(), value.encode("latin-1"))
            for name, value in response.headers.raw_items()
            if name.lower() != "date"
        ]
        self._deflate = next((each for each in negotiator.extensions if isinstance(each, Deflate)), None)
        self._call()

    def _call(self) -> None:
        server = self.connection.server
        server.running.add(self)
        task = server.make_task(self.run(), loop=server.loop)
        if not task.done():
            self.task = task

    def data_received(self, data: bytes) -> None:
        if self._protocol is None:
            self._early += data  # a client must wait for our answer; one that does not is not read any further
            self.connection.pause_reading()
            return
        frames = self._cutter.cut(data)
        if self.phase == OPEN and not self._is_in_message:
            frames = self._take_whole(frames)
        if not frames:
            return
        try:
            self._protocol.receive_data(frames)
        except EOFError:
            return
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._on_frame(event)
        self._flush()
        if self._protocol.parser_exc is not None:
            self._broken_by_client()

    def _take_whole(self, frames: bytes) -> bytes:
        """Take the messages that need no protocol object; return what is left for it."""
        at, limit = 0, self._cutter.max_bytes
        while self.phase == OPEN and (message := whole_message(frames, at, limit)) is not None:
            first, data, end = message
            if first & COMPRESSED:
                if self._deflate is None:
                    break
                try:
                    data = self._deflate.inflate(data, limit)
                except (ProtocolError, PayloadTooBig) as exc:
                    self._fail(MESSAGE_TOO_BIG if isinstance(exc, PayloadTooBig) else PROTOCOL_ERROR, str(exc))
                    return b""
            self._is_text = first & ~COMPRESSED == TEXT
            self._on_message(data)
            at = end
        return frames[at:] if at else frames

    def connection_lost(self) -> None:
        self._ended({"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""})

    def on_deadline(self, now_s: float) -> None:
        """Time for a ping, or no pong came, or no answer to our close frame."""
        connection, protocol = self.connection, self._protocol
        settings = connection.server.settings
        if protocol is None:
            connection.deadline_s = float("inf")
        elif self.phase != OPEN:
            connection.transport.abort()
        elif self._ping and self._is_application_slow():
            connection.deadline_s = now_s + settings.ws_ping_timeout_s  # the pong may lie in what we do not read
        elif self._ping:
            protocol.fail(INTERNAL_ERROR, "keepalive ping timeout")
            self._flush()
            self._ended({"type": "websocket.disconnect", "code": ABNORMAL, "reason": "keepalive ping timeout"})
            connection.close(Cell.CLOSED_REFUSED)
        else:
            self._ping = os.urandom(4)
            protocol.send_ping(self._ping)
            self._flush()
            connection.deadline_s = now_s + (settings.ws_ping_timeout_s or float("inf"))

    @property
    def is_open(self) -> bool:
        return self.phase == OPEN and not self.connection.is_frozen

    @property
    def may_move(self) -> bool:
        """Its application carries what it needs, and the new version has not declined it."""
        return self._carriage is not None and self._carriage.is_taken and self.connection.stays_with is None

    def send_away(self) -> None:
        """Close with 1012 (service restart): the client comes back, to whoever serves then. Its answer tells the application."""
        self.connection.reason = Cell.CLOSED_DRAINED
        self._close(SERVICE_RESTART, "")

    def cut(self) -> None:
        """The deadline: close with 1012 (service restart), so that the client comes back to whoever serves then."""
        self._is_cut = True
        connection = self.connection
        if self.phase in (CONNECTING, DENYING):
            if not self._is_denial_begun:
                connection.write(connection.server.starts.whole(503, "the server is going down"))
        elif self.phase == OPEN and self._protocol is not None:
            self._protocol.send_close(SERVICE_RESTART)
            self._flush()
        self._ended({"type": "websocket.disconnect", "code": SERVICE_RESTART, "reason": ""})
        connection.close(Cell.CLOSED_CUT)
        # The application has been told; one that does not listen is stopped.
        if self.task is not None:
            connection.server.loop.call_later(connection.server.settings.linger_s, self.task.cancel)

    # ------------------------------------------------------------------------------------------------ to another worker

    def carriage(self) -> Carriage:
        """For ``midair.carry_on``."""
        if self._carriage is None:
            self._carriage = Carriage(None, lambda: None)
        return self._carriage

    def is_resting(self) -> bool:
        """Between two messages, the application waits for the next, and it carries what it needs to go on."""
        return (
            self.phase == OPEN
            and self._receivers > 0
            and not self._queue
            and not self._is_in_message
            and self._carriage is not None
            and self._carriage.is_taken
        )

    @property
    def is_elsewhere(self) -> bool:
        """Another worker has its connection, and goes on with it."""
        return self._carriage is not None and self._carriage.has_moved

    @property
    def is_carried(self) -> bool:
        """Its application can go on with it in another worker."""
        return self._carriage is not None and self._carriage.is_taken

    def is_under_way(self) -> bool:
        """The application has a message of it in hand."""
        return self.phase == OPEN and self.is_carried and not self.is_resting()

    def freeze(self, now_s: float) -> WebSocketConnection | None:
        assert self._carriage is not None
        try:
            data = self._carriage.data()
        except Exception as exc:  # noqa: BLE001 - the application's own code
            self.connection.server.application_failed(self.scope, exc, "")
            self._carriage = None  # it stays, and is not asked again
            return None
        left_s = self.connection.deadline_s - now_s
        request = self.request
        return WebSocketConnection(
            request=RequestHead(method=request.method, target=request.target, headers=tuple(request.headers)),
            carried=CarriedBytes(
                data=data, version=self._carriage.version, traceparent=self.scope["extensions"].get(TRACE, "")
            ),
            subprotocol=self._subprotocol,
            deflate=self._deflate.freeze() if self._deflate is not None else None,
            unread=self._cutter.unread,
            left_s=0.0 if left_s == float("inf") else max(left_s, 0.01),
            ping=self._ping,
            told=self.connection.told,
        )

    def has_moved(self) -> None:
        """Another worker has it."""
        if self._carriage is not None:
            self._carriage.has_moved = True
        self._ended(_MOVED)

    def resume(self, state: WebSocketConnection) -> asyncio.Future[str]:
        """Enter the application for a WebSocket that another worker accepted. Sends nothing before ``go_on``."""
        settings = self.connection.server.settings
        self.phase = RESUMING
        self._deflate = Deflate.thaw(state.deflate) if state.deflate is not None else None
        self._subprotocol = state.subprotocol
        self._ping = state.ping
        self._cutter = FrameCutter(settings.ws_max_bytes, state.unread)
        self._protocol = self._open_protocol()
        self._resuming = Resuming(state.carried, self.connection.server.loop, self._settled)
        self._carriage = self._resuming.carriage
        if state.carried.traceparent:
            self.scope["extensions"][TRACE] = state.carried.traceparent
        self._call()
        return self._resuming.outcome

    def leave(self) -> None:
        """It was entered here, and stays another worker's. A call that has said nothing yet has nothing to clean up."""
        if self._resuming is not None and not self._resuming.outcome.done() and self.task is not None:
            self.task.cancel()
        self.has_moved()

    def _settled(self, why: str) -> None:
        if why:
            self._ended(_MOVED)
        else:
            self.phase = OPEN

    def go_on(self) -> None:
        """It is ours (again)."""
        self._count()
        self.read_on()

    # ------------------------------------------------------------------------------------------ the application's call

    async def run(self) -> None:
        """Call the application. Whatever it does, the client gets an answer or a close frame."""
        server = self.connection.server
        try:
            await server.app(self.scope, self.receive, self.send)
        except BaseException as exc:  # noqa: BLE001 - whatever leaves the application ends here
            self._failed(exc)
        else:
            self._returned()
        self.task = None
        self.scope = _OVER
        server.running.discard(self)
        if not server.connections:
            server.check_empty()

    def _failed(self, exc: BaseException) -> None:
        if self.phase == RESUMING and self._resuming is not None:
            self._resuming.decline(f"the application raised {exc!r}")
            return
        if self._is_cut or (self.phase == CLOSED and is_departure(exc)):
            return
        if self._disconnect is _MOVED:
            return  # its client is served elsewhere; frameworks raise exceptions of their own at the disconnect
        self.connection.page.cells[Cell.APPLICATION_ERRORS] += 1
        self.connection.server.application_failed(self.scope, exc, "")
        self._end_badly()

    def _returned(self) -> None:
        if self.phase == RESUMING and self._resuming is not None:
            self._resuming.decline("the application returned without going on")
        elif self.phase == OPEN:
            self._close(1000, "")
        elif self.phase in (CONNECTING, DENYING):
            self.connection.page.cells[Cell.APPLICATION_ERRORS] += 1
            text = "the application returned without accepting or refusing the WebSocket"
            self.connection.server.application_failed(self.scope, None, text)
            self._end_badly()

    def _end_badly(self) -> None:
        if self.phase == OPEN:
            self._close(INTERNAL_ERROR, "")
        elif self.phase in (CONNECTING, DENYING):
            if not self._is_denial_begun:
                self._answered(500)
                self.connection.write(self.connection.server.starts.whole(500, "Internal Server Error"))
            self.phase = CLOSED
            self.connection.close(Cell.CLOSED_ERROR)

    # ------------------------------------------------------------------------------------------------------- receive

    async def receive(self) -> Message:
        """``websocket.connect``, then messages in order, then ``websocket.disconnect`` as often as asked."""
        while not self._queue:
            if self._disconnect is not None:
                return self._disconnect
            await self._wait_for_news()
        message = self._queue.popleft()
        if message["type"] == "websocket.receive":
            self._queued_bytes -= _cost(message)
            self.read_on()
        return message

    async def _wait_for_news(self) -> None:
        if self.phase == RESUMING and self._resuming is not None:
            self._resuming.decline("the application waits for messages and has not taken what was carried (carry_on)")
            return
        source = self.connection.server.source
        if source is not None:
            source.offer(self.connection)
        self._has_news.clear()
        self._receivers += 1
        try:
            await self._has_news.wait()
        finally:
            self._receivers -= 1

    def read_on(self) -> None:
        """Something has flowed off, to the application or to the client: read more, unless the other is still full."""
        if self._queued_bytes <= HIGH_WATER_BYTES // 2 and not self.connection.is_write_paused:
            self.connection.resume_reading()

    def _is_application_slow(self) -> bool:
        return self._queued_bytes > HIGH_WATER_BYTES // 2 and not self.connection.is_write_paused

    def _on_frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode in (Opcode.TEXT, Opcode.BINARY):
            self._is_text = opcode is Opcode.TEXT
            self._message = bytes(frame.data)
        elif opcode is Opcode.CONT:
            if not isinstance(self._message, bytearray):
                self._message = bytearray(self._message)
            self._message += frame.data
        elif opcode is Opcode.PONG:
            if self._ping and bytes(frame.data) == self._ping:
                self._expect_ping()
            return
        elif opcode is Opcode.CLOSE:
            self._on_close()
            return
        else:
            return  # a ping: the protocol has answered it
        self._is_in_message = not frame.fin
        if frame.fin:
            message, self._message = bytes(self._message), b""
            self._on_message(message)

    def _on_message(self, data: bytes) -> None:
        if self.phase != OPEN:
            return  # the application has closed: it wants no more messages
        message: Message = {"type": "websocket.receive"}
        if self._is_text:
            try:
                message["text"] = data.decode()
            except UnicodeDecodeError:
                self._fail(INVALID_DATA, "invalid UTF-8")
                return
        else:
            message["bytes"] = data
        self._queue.append(message)
        self._queued_bytes += _cost(message)
        if self._queued_bytes > HIGH_WATER_BYTES:
            self.connection.pause_reading()
        self._has_news.set()

    def _on_close(self) -> None:
        """A close frame came: an answer to ours, or the client's wish, which the protocol has answered."""
        protocol = self._protocol
        assert protocol is not None
        self._flush()
        close = protocol.close_rcvd
        self._ended(
            {
                "type": "websocket.disconnect",
                "code": close.code if close is not None else 1005,
                "reason": close.reason if close is not None else "",
            }
        )
        self.connection.close(self.connection.reason or Cell.CLOSED_BY_CLIENT)

    def _fail(self, code: int, why: str) -> None:
        assert self._protocol is not None
        self._protocol.fail(code, why)
        self._broken_by_client(code)

    def _broken_by_client(self, code: int = 0) -> None:
        """What came is no WebSocket traffic, or too large. The protocol has said so in a close frame."""
        protocol = self._protocol
        assert protocol is not None
        self._flush()
        sent = protocol.close_sent
        self._ended(
            {
                "type": "websocket.disconnect",
                "code": code or (sent.code if sent is not None else ABNORMAL),
                "reason": sent.reason if sent is not None else "",
            }
        )
        self.connection.close(Cell.CLOSED_REFUSED)

    def _ended(self, disconnect: Message) -> None:
        """Nothing can be sent any more. The first cause is the one that is told."""
        if self._is_counted:
            self._is_counted = False
            self.connection.page.cells[Cell.WEBSOCKETS] -= 1
        self.phase = CLOSED
        if self._disconnect is None:
            self._disconnect = disconnect
            self._has_news.set()

    # ---------------------------------------------------------------------------------------------------------- send

    async def send(self, message: Message) -> None:
        """Take one event. Waits while the client reads slower than we write.

        Raises ClientDisconnected (an OSError) once the client has gone, RuntimeError for what breaks the protocol.
        """
        while self.connection.is_write_paused and self.phase not in (RESUMING, CLOSED):
            await self.connection.writable()
        if self.phase == CLOSED:
            raise ClientDisconnected("the client has gone")
        kind = message["type"]
        if self.phase == OPEN:
            if kind == "websocket.send":
                self._send_message(message)
                return
            if kind == "websocket.close":
                self._close(message.get("code", 1000), message.get("reason") or "")
                return
        elif self.phase == CONNECTING:
            if kind == "websocket.accept":
                self._accept(message)
                return
            if kind == "websocket.close":
                self._deny(403, [])
                self._deny_body(b"", more_body=False)
                return
            if kind == "websocket.http.response.start":
                self._deny(message["status"], message.get("headers", ()))
                return
        elif self.phase == RESUMING and self._resuming is not None:
            if kind != "websocket.accept":
                raise self._resuming.decline(
                    f"the application sends {kind} and has not taken what was carried (carry_on)"
                )
            self._accept_again(message)
            return
        elif self.phase == DENYING and kind == "websocket.http.response.body":
            self._deny_body(message.get("body", b""), more_body=message.get("more_body", False))
            return
        raise RuntimeError(f"unexpected ASGI message {kind!r} on a WebSocket that is {_PHASES[self.phase]}")

    def _send_message(self, message: Message) -> None:
        data, text = message.get("bytes"), message.get("text")
        if data is not None:
            first = BINARY
        elif text is not None:
            first, data = TEXT, text.encode()
        else:
            raise RuntimeError("websocket.send has neither bytes nor text")
        if self._deflate is not None:
            first, data = first | COMPRESSED, self._deflate.deflate(data)
        self.connection.write(message_frame(first, data))

    def _accept(self, message: Message) -> None:
        connection = self.connection
        headers = [*self._handshake_headers]
        subprotocol = message.get("subprotocol")
        if subprotocol is not None:
            headers.append((b"Sec-WebSocket-Protocol", subprotocol.encode("ascii")))
        headers += message.get("headers", ())
        connection.write(b"HTTP/1.1 101 Switching Protocols\r\n" + self._block(headers))
        self._answered(101)
        self._subprotocol = subprotocol or ""
        self._protocol = self._open_protocol()
        self.phase = OPEN
        self._count()
        self._expect_ping()
        connection.resume_reading()
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def _accept_again(self, message: Message) -> None:
        """The client was accepted by the earlier version, in whose words it trusts."""
        assert self._resuming is not None
        subprotocol = message.get("subprotocol") or ""
        if subprotocol != self._subprotocol:
            raise self._resuming.decline(
                f"it chose the subprotocol {subprotocol!r}, and was {self._subprotocol!r} before"
            )
        self._resuming.answered()

    def _open_protocol(self) -> ServerProtocol:
        limit = self.connection.server.settings.ws_max_bytes or None
        protocol = _Protocol(state=ProtocolState.OPEN, max_size=limit)
        protocol.extensions = [self._deflate] if self._deflate is not None else []
        return protocol

    def _count(self) -> None:
        if not self._is_counted:
            self._is_counted = True
            self.connection.page.cells[Cell.WEBSOCKETS] += 1

    def _deny(self, status: int, headers: object) -> None:
        if not 200 <= status <= 999:
            raise RuntimeError(f"invalid status {status!r}")
        given = list(headers)  # type: ignore[call-overload]  # the application's: fails here if it is no list of pairs
        given = [(name, value) for name, value in given if name.lower() not in (b"connection", b"transfer-encoding")]
        if status == 403 and not given:
            given.append((b"content-length", b"0"))
        starts = self.connection.server.starts
        self._denial_status = status
        self._denial_head = starts.status_line(status) + self._block([*given, (b"connection", b"close")])
        self.phase = DENYING

    def _deny_body(self, body: bytes, *, more_body: bool) -> None:
        # The body ends where the connection does (it closes either way), or at the content-length that was given.
        connection = self.connection
        if not self._is_denial_begun:
            self._is_denial_begun = True
            self._answered(self._denial_status)
            body = self._denial_head + body
        if body:
            connection.write(body)
        if not more_body:
            self._ended({"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""})
            connection.close(Cell.CLOSED_AFTER_RESPONSE)

    def _block(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Headers and the empty line, our own Date and Server among them."""
        kinds = {kind_of(name) for name, _ in headers}
        starts = self.connection.server.starts
        ours = starts.without(200, kinds).partition(b"\r\n")[2]
        block = b"".join(b"%b: %b\r\n" % header for header in headers)
        check_block(block, len(headers))
        return ours + block + b"\r\n"

    def _close(self, code: int, reason: str) -> None:
        protocol = self._protocol
        assert protocol is not None
        protocol.send_close(code, reason)
        self.phase = CLOSING
        self._flush()
        connection = self.connection
        connection.reason = connection.reason or (
            Cell.CLOSED_ERROR if code == INTERNAL_ERROR else Cell.CLOSED_AFTER_RESPONSE
        )
        connection.deadline_s = monotonic() + _CLOSE_S
        connection.resume_reading()

    # ---------------------------------------------------------------------------------------------------------- within

    def _answered(self, status: int) -> None:
        connection = self.connection
        server, page = connection.server, connection.page
        page.cells[Cell.REQUESTS] += 1
        if not 200 <= status < 300:
            page.cells[class_of(status)] += 1
        access = server.access
        if access is not None and page is server.page:
            access.note_websocket(self.scope, status)

    def _flush(self) -> None:
        assert self._protocol is not None
        data = b"".join(self._protocol.data_to_send())
        if data:
            self.connection.write(data)

    def _expect_ping(self) -> None:
        self._ping = b""
        interval_s = self.connection.server.settings.ws_ping_interval_s
        self.connection.deadline_s = monotonic() + (interval_s or float("inf"))


def _cost(message: Message) -> int:
    return _MESSAGE_BYTES + len(message.get("text") or message.get("bytes") or b"")


_PHASES = {
    CONNECTING: "connecting",
    DENYING: "being denied",
    RESUMING: "being resumed",
    OPEN: "open",
    CLOSING: "closing",
    CLOSED: "closed",
}
