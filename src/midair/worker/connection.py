"""A client's connection while it speaks HTTP/1.1: one request after another, each answered before the next is begun.

    HEADER (PROXY protocol, where it is asked for) --> IDLE
    IDLE -- head --> BUSY (no body, or all of it here) -- response complete --> IDLE
      |         `--> BODY (body still arriving) -- response complete --> DISCARD -- body's end --> IDLE
      |-- the slot's state is taken --> HELD -- moved, or released --> (gone, or IDLE)
      `-- close, refusal --> LINGER (we have said the last word, the client may not know yet) --> GONE

IDLE is the boundary: nothing is owed to the client, and ``reader.unread`` is all that it has sent. An answered
pipeline stays in the reader's buffer, so the application never holds more than one request of a connection.
A WebSocket takes the transport over (``websocket.py``) and the connection stays in the books under this object.

At an update it goes to another worker (``moving.py``): from IDLE, from a WebSocket between two messages, from a response between
two chunks. FROZEN it stands still until it is known whose it is. In the worker that takes it over it has no transport until
then, since whoever has one reads: uvloop does even when it was told not to before the first byte.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import socket
import struct
import sys
import termios
from time import monotonic
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from midair.observe.counters import Cell
from midair.worker import forwarded, proxy_protocol
from midair.worker.asgi import SPEC_VERSION, Address, Scope
from midair.worker.cycle import Cycle
from midair.worker.extensions import EXTENSIONS
from midair.worker.frozen import Frozen, HttpConnection, Told, WebSocketConnection
from midair.worker.http1 import BadRequest, Request, RequestReader
from midair.worker.target import split_target
from midair.worker.websocket import WebSocket

if TYPE_CHECKING:
    from midair.observe.counters import Page
    from midair.worker.moving import Source
    from midair.worker.server import Server

IDLE, BUSY, BODY, DISCARD, LINGER, UPGRADED, GONE, FROZEN, HEADER, HELD = range(10)
NEVER = math.inf
# Plain numbers: an enum's member costs a request more than what is counted by it.
_BYTES_IN, _BYTES_OUT, _ACTIVE = int(Cell.BYTES_IN), int(Cell.BYTES_OUT), int(Cell.ACTIVE)
HELD_MAX_BYTES = 32 * 1024
"""A connection that has sent more than this ahead is not held: it could not move either (``moving.STATE_MAX_BYTES``)."""
HIGH_WATER_BYTES = 64 * 1024
"""Bytes read for the application and not taken by it, above which we stop reading from the client."""
BODY_PACE_BYTES = 1024
"""What an upload must bring within ``timeout_body``: a pace, because a byte now and then would pass for progress."""
_TURN_S = 0.1  # until an overdue connection is looked at again: the loop has read its request long before


class Connection(asyncio.Protocol):
    """One accepted or adopted connection. Made by the server, known to it until ``connection_lost``."""

    __slots__ = (
        "_is_eof",
        "_is_head_begun",
        "_is_reading_paused",
        "_last_buffered",
        "_left",
        "_left_s",
        "_senders",
        "_thawed",
        "_writable",
        "client",
        "cycle",
        "deadline_s",
        "extension",
        "is_write_paused",
        "opened_s",
        "page",
        "phase",
        "reader",
        "reason",
        "scheme",
        "server",
        "server_address",
        "stays_with",
        "told",
        "transport",
        "websocket",
    )

    transport: asyncio.Transport
    can_move = True
    """To another worker, at some moment."""

    def __init__(self, server: Server, page: Page, client: Address | None, server_address: Address | None) -> None:
        """``page``: where it is counted. The addresses are the application's ``client`` and ``server``."""
        self.server = server
        self.page = page
        self.client, self.server_address = client, server_address
        self.told: Told | None = None
        """What the PROXY protocol said of it."""
        self.scheme = "http"
        self.extension: dict[str, Any] | None = None
        """What the application is told of its TLS."""
        self.reader = RequestReader(server.parsers)
        self.phase = IDLE
        self.cycle: Cycle | None = None
        self.websocket: WebSocket | None = None
        self.reason: Cell | None = None
        """Why we close it; None while we do not."""
        self.opened_s = monotonic()
        self.deadline_s = self.opened_s + server.idle_s
        """When the sweep is to look at it."""
        self.is_write_paused = False
        self._writable: asyncio.Event | None = None
        self._is_reading_paused = False
        self._is_head_begun = False
        self._is_eof = False
        self._left = 0  # bytes that may still be read away, in DISCARD and LINGER
        self._last_buffered = 0
        self.stays_with: Source | None = None
        """Its target's application would not go on with this one."""
        self._senders = 0  # calls of the application that wait in ``send``

    # ------------------------------------------------------------------------------------------------- to another worker

    def is_movable(self) -> bool:
        """It stands where another worker can go on, and the client may go on asking."""
        return self.is_resting() and self.transport.get_write_buffer_size() == 0

    def is_resting(self) -> bool:
        """As ``is_movable``, but for what the client has not read yet."""
        if self.page is not self.server.page or self._is_eof or self.transport.is_closing():
            return False
        if self.phase in (IDLE, HELD):
            return True
        call = self.websocket if self.phase == UPGRADED else self.cycle if self.phase == BUSY else None
        return call is not None and not self._senders and call.is_resting()

    @property
    def is_frozen(self) -> bool:
        """Whose it is will be known soon."""
        return self.phase == FROZEN

    def send_off(self) -> bool:
        """It cannot move: have its next response end it. False: there is nothing (more) to be said to its client."""
        return False

    def fileno(self) -> int:
        return cast(socket.socket, self.transport.get_extra_info("socket")).fileno()

    def freeze(self) -> Frozen | None:
        """Read and send no more; ``thaw`` or ``forget`` follows. None: its application cannot say what it carries.

        Only if ``is_movable()``.
        """
        now_s = monotonic()
        state: Frozen | None
        if self.phase in (IDLE, HELD):
            self.phase = IDLE
            left_s = min(self.deadline_s - now_s, self.server.idle_s)
            unread = self.reader.unread
            state = HttpConnection(unread=unread, left_s=left_s, is_head_begun=self._is_head_begun, told=self.told)
        elif self.websocket is not None:
            state = self.websocket.freeze(now_s)
        else:
            assert self.cycle is not None
            state = self.cycle.freeze()
        if state is not None:
            self._thawed, self._left_s = self.phase, self.deadline_s - now_s
            self.phase, self.deadline_s = FROZEN, NEVER
            self.pause_reading()
            self._shut_gate()
        return state

    def thaw(self) -> None:
        """It stays here after all."""
        if self.phase == FROZEN:
            self.phase = self._thawed
            if self.phase == IDLE:
                self._left_s = self.server.idle_s
            self._go_on()

    def forget(self) -> bool:
        """It is another worker's. The socket lives on there: nothing is said to the client. False: it was closed already."""
        if self.phase != FROZEN:
            return False
        self.reason = Cell.HANDED_OVER
        for call in (self.websocket, self.cycle):
            if call is not None:
                call.has_moved()
        self.transport.abort()
        return True

    def enter(self, state: Frozen) -> asyncio.Future[str] | None:
        """Begin where another worker stopped, without a transport. ``connection_made`` lets it go on, ``leave`` undoes it.

        The future tells why the application cannot go on with it; an empty text: it can. None: there is nothing to ask.
        """
        self.phase, self.deadline_s = FROZEN, NEVER
        if state.told is not None:
            self._believe(state.told)
        if isinstance(state, HttpConnection):
            self.reader.feed(state.unread)
            self._is_head_begun = state.is_head_begun
            self._thawed, self._left_s = IDLE, max(state.left_s, 0.0)
            return None
        self._shut_gate()
        self._left_s = NEVER
        request = Request(
            state.request.method, state.request.target, state.request.http_version, list(state.request.headers)
        )
        scope = self._scope(request)
        self._look_behind_proxy(scope)
        if isinstance(state, WebSocketConnection):
            self._thawed = UPGRADED
            self._left_s = state.left_s or NEVER
            self.websocket = WebSocket(self, request, scope)
            return self.websocket.resume(state)
        self._thawed = BUSY
        self.reader.feed(state.unread)
        request.keep_alive = state.keep_alive
        self.cycle = Cycle(self, scope, request, monotonic())
        self.page.cells[_ACTIVE] += 1
        self.page.cells[Cell.RESPONSES_ADOPTED] += 1
        self.page.cells[Cell.STREAMS] += 1
        self.cycle.is_streaming = True
        return self.cycle.resume(state)

    def leave(self) -> None:
        """It was entered here, and stays another worker's."""
        self.phase = GONE
        if self.cycle is not None:
            self.cycle.leave()
            self._end_cycle(self.cycle)
        if self.websocket is not None:
            self.websocket.leave()
        self._open_gate()

    def _go_on(self) -> None:
        self.deadline_s = monotonic() + self._left_s
        self._open_gate()
        if self.phase == IDLE and self.server.is_holding and self._may_wait():
            self.hold()
        elif self.phase == IDLE and self.reader.has_unread():
            self._continue_pipeline()
        elif self.phase == UPGRADED and self.websocket is not None:
            self.websocket.go_on()
        else:
            self.resume_reading()

    # ------------------------------------------------------------------------------- while the slot's state is elsewhere

    def hold(self) -> None:
        """Begin no request until ``release``: one that goes on goes on, and what comes is kept. It may move meanwhile."""
        if self.phase == IDLE and self._may_wait():
            self.phase = HELD
            self.pause_reading()
        elif self.phase == UPGRADED:
            self.pause_reading()

    def _may_wait(self) -> bool:
        server = self.server
        is_ours = self.page is server.page and not self._is_eof
        return is_ours and self.reader.unread_bytes <= HELD_MAX_BYTES and (self.can_move or not server.is_state_gone)

    def release(self) -> None:
        """Go on here."""
        if self.phase == HELD:
            self.phase, self.deadline_s = IDLE, monotonic() + self.server.idle_s
            if self.reader.has_unread():
                self._continue_pipeline()
            else:
                self.resume_reading()
        elif self.phase == UPGRADED and self.websocket is not None:
            self.websocket.read_on()

    def _is_held_back(self) -> bool:
        """A WebSocket that reads nothing, as its slot's state is on its way and it is to follow."""
        server, websocket = self.server, self.websocket
        if not server.is_holding or self.phase != UPGRADED or websocket is None or self.stays_with is not None:
            return False
        return not server.is_state_gone or websocket.is_carried

    def _shut_gate(self) -> None:
        """Whoever wants to send waits."""
        self.is_write_paused = True
        self._writable = self._writable or asyncio.Event()

    def _open_gate(self) -> None:
        self.is_write_paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # ------------------------------------------------------------------------------------------------- behind a proxy

    def await_header(self) -> None:
        """It begins with a header of the PROXY protocol. Before there is a transport."""
        self.phase, self.deadline_s = HEADER, self.opened_s + self.server.settings.timeout_head_s

    def _read_header(self) -> None:
        try:
            header = proxy_protocol.read(self.reader.unread)
        except proxy_protocol.BadHeader:
            self.close(Cell.CLOSED_REFUSED)
            return
        if header is None:
            return
        self._believe(Told(header.client, header.server))
        self.reader.skip(header.length)
        self.phase, self.deadline_s = IDLE, monotonic() + self.server.idle_s
        if self.server.source is not None:
            self.server.source.offer(self)
        self._next_request()

    def _believe(self, told: Told) -> None:
        self.told = told
        if told.client is not None:
            self.client, self.server_address = told.client, told.server

    def _look_behind_proxy(self, scope: Scope) -> None:
        """Believe the X-Forwarded headers of a trusted proxy. Behind the PROXY protocol they are those of who was told."""
        server = self.server
        is_known = self.told is None or self.told.client is not None
        if server.settings.proxy_headers and is_known and server.trusted.covers(self.client):
            forwarded.apply(scope, server.trusted)

    # ------------------------------------------------------------------------------------------------ from the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.phase == FROZEN:
            self.phase = self._thawed
            self._go_on()
        self.server.connection_made(self)

    def data_received(self, data: bytes) -> None:
        self.page.cells[_BYTES_IN] += len(data)
        if self.phase == IDLE:
            try:
                request = self.reader.receive(data)
            except BadRequest as refusal:
                self._refuse(refusal)
                return
            if request is not None:
                self._begin(request)
            else:
                self._await_head()
        elif self.phase == UPGRADED and self.websocket is not None:
            self.websocket.data_received(data)
        elif self.phase == LINGER:
            self._left -= len(data)
            if self._left < 0:
                self.pause_reading()  # to close now would reset the connection, and with it the answer on its way
        elif self.phase == HEADER:
            self.reader.feed(data)
            self._read_header()
        elif self.phase != GONE:
            self.reader.feed(data)
            if self.phase in (FROZEN, HELD):
                return  # a last event that the loop had in hand when we stopped reading
            if self.phase != BUSY:
                self._more_body()
            elif self.reader.unread_bytes > HIGH_WATER_BYTES:
                self.pause_reading()

    def eof_received(self) -> bool:
        """The client will send no more. It may be waiting for an answer: then the write side stays open."""
        self._is_eof = True
        if self.phase == BUSY and self.cycle is not None:
            self.cycle.client_done()
            return True
        if self.phase == IDLE and self.reader.has_unread():
            # Perhaps whole requests of a pipeline, whose turn had just come.
            self.server.loop.call_soon(self._next_pipelined, context=self.server.context)
            return True
        if self.phase == HELD and self.reader.has_unread():
            self.server.loop.call_soon(self.release)  # It cannot move any more, and waits for an answer.
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.phase = GONE
        if self._writable is not None:
            self._writable.set()
        cycle, self.cycle = self.cycle, None
        if cycle is not None:
            self.page.cells[_ACTIVE] -= 1
            cycle.end_stream()
            cycle.client_gone()
        if self.websocket is not None:
            self.websocket.connection_lost()
        if self.reason is None and exc is not None and not isinstance(exc, ConnectionError):
            self.reason = Cell.CLOSED_ERROR
        self.server.connection_lost(self)

    def pause_writing(self) -> None:
        self._shut_gate()
        if self.phase == UPGRADED:
            self.pause_reading()  # each ping is answered: a client that reads nothing would fill our memory
        elif self.cycle is not None and (timeout_s := self.server.settings.timeout_send_s):
            self._last_buffered = self.transport.get_write_buffer_size()
            self.deadline_s = monotonic() + timeout_s

    def resume_writing(self) -> None:
        self._open_gate()
        if self.phase == UPGRADED and self.websocket is not None:
            self.websocket.read_on()

    # -------------------------------------------------------------------------------------------------- for the cycle

    async def writable(self) -> None:
        """Wait until the client has read enough, or is gone. Look again then: others may have written meanwhile."""
        if self._writable is not None:
            self._senders += 1
            try:
                await self._writable.wait()
            finally:
                self._senders -= 1

    def write(self, data: bytes) -> None:
        self.page.cells[_BYTES_OUT] += len(data)
        self.transport.write(data)

    def body_taken(self) -> None:
        """The application has taken what was there: read on, were it only to learn that the client has gone."""
        if self._is_reading_paused and self.reader.unread_bytes <= HIGH_WATER_BYTES:
            self.resume_reading()

    def is_to_close(self) -> bool:
        """Draining; but not while a pipeline waits behind this request, which would be lost."""
        return self.server.is_draining and not self.reader.unread_bytes

    def is_draining(self) -> bool:
        """What ends it now is that this worker retires."""
        return self.server.is_draining

    def response_complete(self, cycle: Cycle) -> None:
        """The last byte of the response is written. What comes next depends on the request's body and on both sides."""
        now_s = monotonic()
        server, page, reader = self.server, self.page, self.reader
        page.cells[_ACTIVE] -= 1
        page.observe_latency(now_s - cycle.started_s)
        self.cycle = None
        if not cycle.keep_alive or (self._is_eof and not reader.unread_bytes):
            self.close(Cell.CLOSED_DRAINED if self.is_draining() else Cell.CLOSED_AFTER_RESPONSE)
        elif reader.is_body_complete:
            self.phase = IDLE
            self.deadline_s = now_s + server.idle_s
            if server.source is not None:
                server.source.offer(self)
            if reader.has_unread():
                self._continue_pipeline()
            elif self._is_reading_paused:
                self.resume_reading()
            if server.is_holding:
                self.hold()
        else:
            self.phase = DISCARD
            self._left = self.server.settings.linger_max_bytes
            self.deadline_s = now_s + self.server.settings.linger_s
            self.resume_reading()

    def break_off(self, *, is_end_visible: bool) -> None:
        """End the connection within a response. is_end_visible: the client can see by its framing that it is cut."""
        self.reason = self.reason or Cell.CLOSED_ERROR
        if is_end_visible:
            self._close_when_read()
            return
        # The response ends where the connection ends: only a reset tells the client that this is not its end.
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    # -------------------------------------------------------------------------------------------------- for the server

    def close(self, reason: Cell) -> None:
        """Say the last word and read the rest away, so that the answer is not destroyed by a reset on its way."""
        self.reason = self.reason or reason
        if self._is_eof or not self.transport.can_write_eof():
            self._close_when_read()
            return
        self.phase = LINGER
        self._left = self.server.settings.linger_max_bytes
        self.deadline_s = monotonic() + self.server.settings.linger_s
        self._last_buffered = self.transport.get_write_buffer_size()
        self.resume_reading()
        try:
            self.transport.write_eof()
        except OSError:
            self.transport.abort()  # reset by the client, and the loop has not told us yet

    def hang_up(self) -> None:
        """Close, when what is still to be written has been."""
        self.transport.close()

    def _close_when_read(self) -> None:
        """Close once the client has taken what is written, or takes no more."""
        self.phase = LINGER
        self._left = 0
        self._last_buffered = self.transport.get_write_buffer_size()
        self.deadline_s = monotonic() + self.server.settings.linger_s
        self.transport.close()

    def on_deadline(self, now_s: float) -> None:
        """The sweep found ``deadline_s`` passed."""
        settings = self.server.settings
        if self.phase == UPGRADED and self.websocket is not None:
            self.websocket.on_deadline(now_s)
        elif self.phase == IDLE and self._is_head_begun:
            self._refuse(BadRequest(408, "the head did not arrive in time"))
        elif self.phase == IDLE and self._has_more_to_read():
            self.deadline_s = now_s + _TURN_S
        elif self.phase == IDLE:
            self.close(Cell.CLOSED_DRAINED if self.server.is_draining else Cell.CLOSED_IDLE)
        elif self.phase == DISCARD:
            self.close(Cell.CLOSED_AFTER_RESPONSE)
        elif self.phase == HEADER:
            self.close(Cell.CLOSED_REFUSED)
        elif self.phase == LINGER:
            # A slow reader's last response is not cut short, as long as it goes on reading at all.
            buffered = self.transport.get_write_buffer_size()
            if buffered and buffered != self._last_buffered:
                self._last_buffered = buffered
                self.deadline_s = now_s + settings.timeout_keep_alive_s
            else:
                self.transport.abort()
        elif self.cycle is not None and self.is_write_paused:
            self._look_at_reader(self.cycle, now_s)
        elif self.cycle is not None and self.phase == BODY and not self.cycle.is_head_written:
            self._look_at_sender(self.cycle, now_s)
        else:
            self.deadline_s = NEVER

    def _look_at_reader(self, cycle: Cycle, now_s: float) -> None:
        """The application waits for the client to read. One that takes nothing at all is cut off."""
        buffered = self.transport.get_write_buffer_size()
        if buffered == self._last_buffered:
            self._end_cycle(cycle)
            self.reason = self.reason or Cell.CLOSED_REFUSED
            self.break_off(is_end_visible=False)  # to close would be to wait for it once more
        else:
            self._last_buffered = buffered
            self.deadline_s = now_s + self.server.settings.timeout_send_s

    def _look_at_sender(self, cycle: Cycle, now_s: float) -> None:
        """An upload is under way. Once a response is, too, it is a conversation, and slow if both like it so."""
        if self._is_reading_paused or cycle.must_continue:
            cycle.body_bytes_seen = cycle.body_bytes - BODY_PACE_BYTES  # it waits for us
        elif cycle.body_bytes - cycle.body_bytes_seen < BODY_PACE_BYTES:
            self._refuse(BadRequest(408, "the body did not arrive in time"))
            return
        else:
            cycle.body_bytes_seen = cycle.body_bytes
        self.deadline_s = now_s + self.server.settings.timeout_body_s

    def _has_more_to_read(self) -> bool:
        """Something has come that the loop has not read yet: a request, or the end of the stream with others behind it.

        Closing an idle connection and the next request may cross. On the wire nobody can help that; here a request
        that is already with the kernel, for a loop that was busy for a while perhaps, is not thrown away.
        """
        waiting = bytearray(4)
        try:
            fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.FIONREAD, waiting)
        except (OSError, ValueError):
            return False  # closed under us: the loop will tell
        return int.from_bytes(waiting, sys.byteorder) > 0

    def idle_deadline(self, now_s: float) -> None:
        """The server's idea of idleness has changed (drain, resume)."""
        if self.phase == IDLE and not self._is_head_begun:
            self.deadline_s = now_s + self.server.idle_s

    def cut(self) -> None:
        """The deadline for everything: an answer if none was begun, then the end."""
        cycle = self.cycle
        if self.phase == UPGRADED and self.websocket is not None:
            self.websocket.cut()
        elif cycle is not None:
            self._end_cycle(cycle)
            if cycle.is_head_written:
                self.reason = self.reason or Cell.CLOSED_CUT
                self.break_off(is_end_visible=cycle.framing != "close")
            else:
                self._answer(503, "the server is going down")
                self.close(Cell.CLOSED_CUT)
            cycle.is_cut = True
            if cycle.task is not None:
                # Not at once: a task that is cancelled before its first step never takes it, and never says that it has ended.
                self.server.loop.call_soon(cycle.task.cancel)
        elif self.phase != FROZEN:  # Whose that is will be told by the other worker.
            self.reason = self.reason or Cell.CLOSED_CUT
            self.hang_up()

    # ------------------------------------------------------------------------------------------------------- requests

    def _continue_pipeline(self) -> None:
        if self.reader.unread_bytes > HIGH_WATER_BYTES:
            self.pause_reading()
        else:
            self.resume_reading()
        # Not from here: we may stand within the application's send().
        self.server.loop.call_soon(self._next_pipelined, context=self.server.context)

    def _next_pipelined(self) -> None:
        if self.phase == IDLE:
            self._next_request()

    def _next_request(self) -> None:
        try:
            request = self.reader.next_request()
        except BadRequest as refusal:
            self._refuse(refusal)
            return
        if request is not None:
            self._begin(request)
        else:
            self._await_head()

    def _await_head(self) -> None:
        if self._is_eof:
            self.hang_up()
        elif not self._is_head_begun and self.reader.has_unread():
            self._is_head_begun = True
            self.deadline_s = monotonic() + self.server.settings.timeout_head_s

    def _begin(self, request: Request) -> None:
        server = self.server
        try:
            scope = self._scope(request)
        except BadRequest as refusal:
            self._refuse(refusal)
            return
        self._is_head_begun = False
        self.deadline_s = NEVER
        if (server.has_limits or not request.is_plain) and self._is_taken(request, scope):
            return
        cycle = Cycle(self, scope, request, monotonic())
        self.cycle = cycle
        self.page.cells[_ACTIVE] += 1
        self.phase = BUSY
        if request.body_length:
            if not self._begin_body(cycle):
                return
        else:
            cycle.is_usual = request.keep_alive and request.http_version == "1.1" and request.method != "HEAD"
        if self._is_eof:
            cycle.is_client_done = True
        server.running.add(cycle)
        task = server.make_task(cycle.run(), loop=server.loop)
        if not task.done():
            cycle.task = task

    def _scope(self, request: Request) -> Scope:
        """What the application is told. Raises BadRequest for a target that is none."""
        server = self.server
        target = request.target
        if target[0] == 47 and b"#" not in target:  # a slash: all but the rarest of requests
            raw_path, _, query = target.partition(b"?")
        else:
            raw_path, query = split_target(request)
        path = raw_path.decode("ascii")  # the parser lets nothing else through
        if "%" in path:
            path = unquote(path)
        if server.root_path:
            path, raw_path = server.root_path + path, server.root_path.encode() + raw_path
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": SPEC_VERSION},
            "http_version": request.http_version,
            "server": self.server_address,
            "client": self.client,
            "scheme": self.scheme,
            "method": request.method,
            "root_path": server.root_path,
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": request.headers,
            "state": server.state.copy(),
            "extensions": EXTENSIONS.copy() if self.extension is None else EXTENSIONS | {"tls": self.extension},
        }

    def _is_taken(self, request: Request, scope: Scope) -> bool:
        """Refuse what is beyond a limit; give a WebSocket its handshake. False: it is an ordinary request.

        Who is asking by way of a proxy is found out on the way: an answer of ours names the client, too.
        """
        server = self.server
        if request.is_forwarded:
            self._look_behind_proxy(scope)
        limit = server.settings.body_max_bytes
        if limit and request.body_length > limit:
            self._refuse(BadRequest(413, "the body is too large"))
            return True
        if server.is_over_limit() and self.page is server.page:
            self._turn_away(scope, "too many requests at once")
            return True
        if server.not_ready_path and scope["path"] == server.not_ready_path:
            self._turn_away(scope, "the service is about to stop")
            return True
        if request.is_websocket:
            self.phase = UPGRADED
            self.websocket = WebSocket(self, request, scope)
            self.websocket.begin(self.reader.unread)
            return True
        return False

    def _begin_body(self, cycle: Cycle) -> bool:
        """Take what is there of the body already. False if that was the end of the request."""
        self.phase = BODY
        cycle.more_body = True
        if cycle.request.expects_continue:
            cycle.must_continue = True
            cycle.body_bytes_seen = -BODY_PACE_BYTES  # it waits for our word first
        if timeout_s := self.server.settings.timeout_body_s:
            self.deadline_s = cycle.started_s + timeout_s
        self._more_body()
        if self._is_eof and self.phase == BODY:
            self._end_cycle(cycle)
            self.hang_up()
        return self.cycle is cycle

    def _more_body(self) -> None:
        """Pass on, or away, what has come of the body."""
        reader = self.reader
        try:
            data = reader.read_body()
        except BadRequest as refusal:
            self._refuse(refusal)
            return
        cycle = self.cycle
        if cycle is None:
            self._discard(len(data))
            return
        if data or reader.is_body_complete:
            cycle.body_arrived(data, is_last=reader.is_body_complete)
        limit = self.server.settings.body_max_bytes
        if limit and cycle.body_bytes > limit:
            self._refuse(BadRequest(413, "the body is too large"))
            return
        if reader.is_body_complete:
            self.phase = BUSY
        if len(cycle.body) > HIGH_WATER_BYTES or reader.unread_bytes > HIGH_WATER_BYTES:
            self.pause_reading()

    def _discard(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            self.close(Cell.CLOSED_AFTER_RESPONSE)
        elif self.reader.is_body_complete:
            self.phase = IDLE
            self.deadline_s = monotonic() + self.server.idle_s
            if self.server.source is not None:
                self.server.source.offer(self)
            if self.server.is_holding:
                self.hold()
            self._next_pipelined()

    # ---------------------------------------------------------------------------------------------------- our refusals

    def _refuse(self, refusal: BadRequest) -> None:
        cycle = self.cycle
        if cycle is not None:
            self._end_cycle(cycle)
            if cycle.is_head_written:
                self.reason = self.reason or Cell.CLOSED_REFUSED
                self.break_off(is_end_visible=cycle.framing != "close")
                return
        if self.phase != DISCARD:
            self._answer(refusal.status, str(refusal))
        self.close(Cell.CLOSED_REFUSED)

    def _turn_away(self, scope: Scope, why: str) -> None:
        self.page.cells[Cell.REQUESTS] += 1
        self.page.cells[Cell.RESPONSES_5XX] += 1
        if self.server.access is not None and self.page is self.server.page:
            self.server.access.note(scope, 503)
        self._answer(503, why)
        self.close(Cell.CLOSED_REFUSED)

    def _answer(self, status: int, text: str) -> None:
        self.write(self.server.starts.whole(status, text))

    def _end_cycle(self, cycle: Cycle) -> None:
        """Take the request from the application: whatever it still sends goes nowhere."""
        self.page.cells[_ACTIVE] -= 1
        self.cycle = None
        cycle.end_stream()
        cycle.client_gone()

    # ------------------------------------------------------------------------------------------------------ flow control

    def pause_reading(self) -> None:
        if not self._is_reading_paused and not self._is_eof and not self.transport.is_closing():
            self._is_reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._is_reading_paused and not self._is_held_back():
            self._is_reading_paused = False
            if not self.transport.is_closing():
                # asyncio reads in the context that this is called in: in that of one request, all others would see it.
                self.server.context.copy().run(self.transport.resume_reading)
