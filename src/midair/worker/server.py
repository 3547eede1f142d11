"""A worker's server: accepts, keeps every connection in the books, drains, and ends.

It is what the worker's host holds. All methods are for the thread of the event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from midair.observe.counters import Cell, Page
from midair.worker.accept import Acceptor
from midair.worker.access import AccessLog
from midair.worker.asgi import Address, Asgi, Scope
from midair.worker.connection import Connection
from midair.worker.forwarded import Trusted
from midair.worker.frozen import Frozen
from midair.worker.http1 import Parsers
from midair.worker.response import HeadStarts
from midair.worker.settings import ServeSettings
from midair.worker.tls import Tls, TlsConnection

if TYPE_CHECKING:
    from midair.worker.moving import Source
    from midair.worker.websocket import WebSocket

log = logging.getLogger("midair.error")


class Call(Protocol):
    """A call of the application that has not returned: an HTTP request or a WebSocket."""

    connection: Connection
    scope: Scope
    started_s: float
    task: asyncio.Task[None] | None
    """None: it has returned already, or its first step has not."""

    def is_under_way(self) -> bool:
        """It changes what the application has in memory, or may, and comes to an end."""


class Entered(NamedTuple):
    """A connection of another worker that was begun with here."""

    connection: Connection
    sock: socket.socket
    outcome: asyncio.Future[str] | None
    """Why the application cannot go on with it; an empty text: it can. None: there was nothing to ask."""


class Server:
    """Serves one application on any number of listeners and adopted connections.

    It is empty when no connection is left and every call of the application has returned, background tasks included.
    """

    def __init__(
        self,
        app: Asgi,
        settings: ServeSettings,
        page: Page,
        state: dict[str, Any],
        *,
        loop: asyncio.AbstractEventLoop,
        report: Callable[[str], None] | None = None,
        tls: Tls | None = None,
    ) -> None:
        """``state``: what lifespan start-up left there; each request gets its own shallow copy. tls: for the listeners
        that it covers.

        report: takes a line about trouble that is the machine's (no descriptors left). Default: the log.
        """
        self.app, self.settings, self.page, self.state, self.loop = app, settings, page, state, loop
        self.root_path = settings.root_path
        self.idle_s = settings.timeout_keep_alive_s
        """How long a connection may be idle, at this moment."""
        self.not_ready_path = ""
        """Answered 503: where a load balancer asks whether it may send more."""
        self.context = contextvars.copy_context()
        """In which a request begins: what others have put into context variables is not in it."""
        self.trusted = Trusted(settings.forwarded_allow_ips)
        self.has_limits = bool(settings.limit_concurrency or settings.body_max_bytes)
        self.parsers = Parsers(settings.head_max_bytes, settings.headers_max)
        self.starts = HeadStarts(
            date_header=settings.date_header, server_header=settings.server_header, headers=settings.headers
        )
        self.starts.tick(time.time())
        self.access = AccessLog(loop) if settings.access_log else None
        self.connections: set[Connection] = set()
        self.running: set[Call] = set()
        """Calls of the application that have not returned."""
        self.source: Source | None = None
        """Who gives our connections to another worker, while we retire."""
        self.tls = tls
        self.is_draining = False
        self.is_ending_any = False
        """There are connections whose next response is their last: ``Connection.is_to_close`` says which."""
        self.is_holding = False
        """No request is begun: the slot's state is another worker's, or about to be."""
        self.is_state_gone = False
        """It is another worker's."""
        self.is_cut = False
        self._when_empty: list[Callable[[], None]] = []
        self._report = report or log.warning
        self._probe_page = Page(-1)  # probes are counted like all others, where nobody looks
        self._acceptors: list[Acceptor] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        """Those of ``_opening`` that wait for the client."""
        self._sweep: asyncio.TimerHandle | None = None
        self._sweep_every_s = _sweep_interval_s(settings)
        self.make_task: Callable[..., asyncio.Task[None]] = loop.create_task

    # ------------------------------------------------------------------------------------------------------- the seam

    def accept(self, listeners: Sequence[socket.socket], *, is_borrowed: bool = False) -> None:
        """Accept on these listeners, from the moment this returns. They stay the caller's: a duplicate is used.

        A listener that does not listen yet is made to, with ``settings.backlog``. May be called again after
        ``stop_accepting``. is_borrowed: they are a command's, too, and stay blocking if they are.

        Raises OSError if a listener cannot be duplicated; then none is accepted on.
        """
        acceptors: list[Acceptor] = []
        try:
            for listener in listeners:
                take = self._accepted_tls if self.tls and self.tls.covers(listener) else self._accepted
                backlog, report = self.settings.backlog, self._report
                acceptors.append(Acceptor(listener, backlog, take, report, self.loop, is_borrowed=is_borrowed))
        except OSError:
            for acceptor in acceptors:
                acceptor.stop()
            raise
        self._acceptors += acceptors

    def stop_accepting(self) -> None:
        """Accept no more. When this returns, whatever was accepted is a connection and will be served."""
        for acceptor in self._acceptors:
            acceptor.stop()
        self._acceptors.clear()

    def adopt(self, sock: socket.socket, *, counted: bool = True) -> None:
        """Take over a connected stream socket. counted=False: a probe, absent from books, metrics and access log."""
        sock.setblocking(False)
        connection = self._take(sock, Cell.ADOPTED, self.page if counted else self._probe_page)
        if self.tls and not counted:
            connection.scheme = "https"  # as its clients ask: many an application answers http by a redirect

    def enter(self, sock: socket.socket, state: Frozen) -> Entered:
        """Begin with another worker's connection: its application is entered, nothing is read or written.

        ``take_over`` or ``disown`` follows.
        """
        sock.setblocking(False)
        self._choose_tasks()
        connection = Connection(self, self.page, *_addresses(sock))
        outcome = connection.enter(state)
        self.page.cells[Cell.ADOPTED] += 1
        self.page.cells[Cell.OPEN] += 1
        return Entered(connection, sock, outcome)

    def take_over(self, entered: Entered) -> None:
        """It is ours."""
        self._open_soon(self._open(entered.connection, entered.sock))

    def disown(self, entered: Entered) -> None:
        """It stays another worker's, who counts it."""
        self.page.cells[Cell.ADOPTED] -= 1
        self.page.cells[Cell.OPEN] -= 1
        entered.connection.leave()
        entered.sock.close()

    def hold(self) -> None:
        """Begin no request and read nothing more; what goes on goes on. Connections may move. ``resume``, ``drain`` end it."""
        self.is_holding = True
        for connection in self.connections:
            connection.hold()

    def requests_running(self) -> int:
        """Requests that the application has not answered, and messages of WebSockets that are to move. A stream that
        can move is none."""
        return sum(call.is_under_way() and call.connection.page is self.page for call in self.running)

    def state_has_gone(self) -> None:
        """All that can move is about to; TLS, and a WebSocket that carries nothing, cannot, and go on here."""
        if self.is_holding:
            self.is_state_gone = True
            for connection in self.connections:
                if connection.websocket is not None or not connection.can_move:
                    connection.release()

    def drain(self) -> None:
        """Let connections come to an end: the next response says ``Connection: close``.

        A connection that stays idle for ``settings.drain_idle_grace_s`` is closed. Requests and WebSockets go on.
        """
        self._release()
        self._set_draining(True)

    def resume(self) -> None:
        """Undo ``drain`` and ``source``. Who waits for emptiness (``when_empty``) waits no longer."""
        if self.source:
            self.source.close()
            self.source = None
        self._release()
        self._when_empty.clear()
        self._set_draining(False)

    def say_not_ready(self) -> None:
        """The service is about to stop: answer ``settings.ready_path`` with 503, and serve everything else."""
        self.not_ready_path = self.settings.ready_path
        self.has_limits = True

    def staying_websockets(self) -> list[WebSocket]:
        """Those that are open and that no other worker will take over."""
        found = (connection.websocket for connection in self.connections)
        is_moving = self.source is not None
        return [each for each in found if each is not None and each.is_open and not (is_moving and each.may_move)]

    def cut(self) -> list[str]:
        """End everything now; return a line for each request and WebSocket that was still going on.

        A request whose response has not begun gets a 503. Connections accepted or adopted later are cut at once.
        """
        self.is_cut = True
        now_s = time.monotonic()
        busy = [call for call in self.running if not self.is_background(call)]
        lines = [_describe(call, now_s) for call in self.running]
        for call in busy:
            if call.scope["type"] == "http":
                call.connection.page.cells[Cell.REQUESTS_CUT] += 1
        for connection in tuple(self.connections):
            connection.cut()
        for handshake in self._handshakes:
            handshake.cancel()
        return lines

    def abandon(self) -> None:
        """After ``cut``, as the process ends: whatever still waits for its client is closed, and counted, in the next turns."""
        for connection in tuple(self.connections):
            connection.transport.abort()

    def is_background(self, call: Call) -> bool:
        """Its response is complete, and the application goes on all the same."""
        return call.connection.cycle is not call and call.connection.websocket is not call

    def handshakes(self) -> int:
        """Connections that wait for their client's part of a TLS handshake."""
        return len(self._handshakes)

    def is_empty(self) -> bool:
        """No connection is left and no call of the application goes on."""
        return not (self.connections or self._opening or self.running)

    def when_empty(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` once, as soon as ``is_empty()``: from the event loop, never from within this call."""
        self._when_empty.append(tell)
        self.loop.call_soon(self.check_empty)

    def close(self) -> None:
        """Stop accepting, forget timers, write out the access log. Connections are not touched: ``cut`` is for that."""
        self.stop_accepting()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        if self.access is not None:
            self.access.close()

    # ------------------------------------------------------------------------------------------------- for connections

    def is_over_limit(self) -> bool:
        limit = self.settings.limit_concurrency
        return limit != 0 and (len(self.connections) > limit or len(self.running) >= limit)

    def check_empty(self) -> None:
        """Something has come to an end: tell who waits, if it was the last."""
        if self._when_empty and self.is_empty():
            waiting, self._when_empty = self._when_empty, []
            for tell in waiting:
                tell()

    def application_failed(self, scope: Scope, exc: BaseException | None, text: str) -> None:
        """Tell the log what left the application. Counted by the caller."""
        where = f"{scope.get('method', 'WEBSOCKET')} {scope['path']}"
        if exc is None:
            log.error("%s: %s", where, text)
            return
        if exc.__traceback__ is not None and exc.__traceback__.tb_next is not None:
            exc.__traceback__ = exc.__traceback__.tb_next  # our own frame says nothing
        log.error("exception in the application: %s", where, exc_info=exc)

    def connection_made(self, connection: Connection) -> None:
        self.connections.add(connection)
        if self.is_holding:
            connection.hold()
        if self.is_cut:
            connection.cut()
        elif self.source is not None:
            self.source.offer(connection)

    def connection_lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        cells = connection.page.cells
        cells[connection.reason or Cell.CLOSED_BY_CLIENT] += 1
        cells[Cell.OPEN] -= 1
        if not self.connections:
            self.check_empty()

    # ------------------------------------------------------------------------------------------------------------ within

    def _accepted(self, sock: socket.socket) -> None:
        self._take(sock, Cell.ACCEPTED, self.page, with_header=self.settings.proxy_protocol)

    def _accepted_tls(self, sock: socket.socket) -> None:
        assert self.tls is not None
        connection = TlsConnection(self, self.page, *_addresses(sock), self.tls.certificate)
        self._count_in(connection, Cell.ACCEPTED)
        handshake = self._open_soon(self.tls.shake_hands(self, connection, sock))
        self._handshakes.add(handshake)
        handshake.add_done_callback(self._handshakes.discard)

    def _take(self, sock: socket.socket, how: Cell, page: Page, *, with_header: bool = False) -> Connection:
        """with_header: it begins with a header of the PROXY protocol, if it is a trusted proxy's."""
        connection = Connection(self, page, *_addresses(sock))
        if with_header and self.trusted.covers(connection.client):
            connection.await_header()
        self._count_in(connection, how)
        self._open_soon(self._open(connection, sock))
        return connection

    def _count_in(self, connection: Connection, how: Cell) -> None:
        cells = connection.page.cells
        cells[how] += 1
        cells[Cell.OPEN] += 1
        self._choose_tasks()

    def _open_soon(self, opening: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self._keep_sweeping()
        task = self.loop.create_task(opening)
        self._opening.add(task)
        task.add_done_callback(self._opened)
        return task

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if not self.connections:
            self.check_empty()  # a client may be gone before its opening has returned

    async def _open(self, connection: Connection, sock: socket.socket) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: connection, sock)
        except OSError:
            if connection not in self.connections and not hasattr(connection, "transport"):
                connection.reason = Cell.CLOSED_BY_CLIENT  # gone before it had a transport
                sock.close()
                self.connection_lost(connection)

    def _choose_tasks(self) -> None:
        # The application may have given the loop a task factory (tracing does): then it is to see these tasks too.
        if self.loop.get_task_factory() is not None:
            self.make_task = _by_factory
        elif sys.version_info >= (3, 12):
            self.make_task = _eagerly
        else:
            self.make_task = asyncio.Task

    def _release(self) -> None:
        if self.is_holding:
            self.is_holding = self.is_state_gone = False
            for connection in tuple(self.connections):
                connection.release()

    def _set_draining(self, is_draining: bool) -> None:
        self.is_draining = self.is_ending_any = is_draining
        self.idle_s = self.settings.drain_idle_grace_s if is_draining else self.settings.timeout_keep_alive_s
        now_s = time.monotonic()
        for connection in self.connections:
            connection.idle_deadline(now_s)

    def _keep_sweeping(self) -> None:
        if self._sweep is None:
            self.starts.tick(time.time())
            self._sweep = self.loop.call_later(self._sweep_every_s, self._on_sweep)

    def _on_sweep(self) -> None:
        # One timer for all time-outs of a worker: looking at ten thousand numbers once a second costs less than
        # arming and cancelling a timer for each request.
        self._sweep = None
        now_s = time.monotonic()
        overdue = [connection for connection in self.connections if connection.deadline_s <= now_s]
        for connection in overdue:
            connection.on_deadline(now_s)
        if self.connections or self._opening:  # the next one begins it again: an idle worker sleeps
            self._keep_sweeping()


def _sweep_interval_s(settings: ServeSettings) -> float:
    shortest = min(
        settings.timeout_keep_alive_s,
        settings.timeout_head_s,
        settings.timeout_body_s or 1.0,
        settings.timeout_send_s or 1.0,
        settings.drain_idle_grace_s,
        settings.linger_s,
        settings.ws_ping_interval_s or 1.0,
        settings.ws_ping_timeout_s or 1.0,
    )
    return max(0.02, min(1.0, shortest / 4))  # Date wants the second


def _addresses(sock: socket.socket) -> tuple[Address | None, Address | None]:
    """What the application is told as ``client`` and ``server``."""
    if sock.family == socket.AF_UNIX:
        name = sock.getsockname()
        return None, ((name, None) if isinstance(name, str) and name else None)
    try:
        client, server = sock.getpeername(), sock.getsockname()
    except OSError:
        return None, None
    return (client[0], client[1]), (server[0], server[1])


def _by_factory(run: Coroutine[Any, Any, None], *, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
    return loop.create_task(run)


def _eagerly(run: Coroutine[Any, Any, None], *, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
    # Runs up to its first wait at once; most handlers have none, and then the event loop is never asked.
    if sys.version_info >= (3, 12):
        return asyncio.Task(run, loop=loop, eager_start=True)
    return asyncio.Task(run, loop=loop)


def _describe(call: Call, now_s: float) -> str:
    client = call.connection.client
    peer = f"{client[0]}:{client[1]}" if client else "unix"
    method = call.scope.get("method", "WEBSOCKET")
    return f"{peer} {method} {call.scope['path']} {now_s - call.started_s:.1f} s"
