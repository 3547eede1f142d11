"""A worker's life between its start-up and its end: what the supervisor says, done; what happens, said.

    start-up -> Started -> (Accept -> Accepting | StopAccepting -> StoppedAccepting, Drained)* -> Leave -> Left -> end

Everything runs on the event loop of the one thread. The end of the link means that the supervisor died: accept no more,
give what is under way ORPHAN_S, and go.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import importlib
import os
import random
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from midair import exclusion, live
from midair.errors import ApplicationError
from midair.observe.counters import Cell, Page
from midair.sockets import passing, words
from midair.worker import holding, whereabouts
from midair.worker.asgi import Asgi
from midair.worker.carrying import Carrying
from midair.worker.certificates import Certificate
from midair.worker.lifespan import Lifespan
from midair.worker.moving import Source, Target
from midair.worker.server import Server
from midair.worker.tls import Renewal, Tls
from midair.worker.wsgi import as_asgi

if TYPE_CHECKING:
    from midair.browser.hub import Hub
    from midair.traces.requests import Tracing

# Here, too, and not only where a loop is made: the base imports this module, and each worker that is forked has it then.
with contextlib.suppress(ImportError):
    importlib.import_module("uvloop")


BEAT_MAX_S = 1.0
BEATS_A_WARNING = 5
"""So often the loop beats in the time after which a loop that stands still is told of (``worker.hang_warn``). More often only
wakes an idle worker up."""
ABANDON_TURNS = 20
"""Of the loop: a connection that is broken off is closed in the first few."""
LIMITS_S = 1.0
WORN_AGAIN_S = 10.0
"""A worker that reached a limit asks again after this long, in case its successor failed."""
ORPHAN_S = 5.0
CLOSE_S = 1.0
"""Before the deadline, for the last clients to answer their close frames."""
WEBSOCKETS_STEP_S = 0.05
WEBSOCKETS_LOOK_S = 1.0
STACKS_SIGNAL = signal.SIGRTMIN + 11
"""At it the C level writes all threads' stacks to a file that the supervisor reads: works in a hung worker, too."""


_OnWord = Callable[[words.ToHost, Sequence[int]], None]
_OnEnd = Callable[[], None]


class Place(Struct, frozen=True):
    """Everything a worker was given."""

    application: Callable[..., Any]
    interface: str
    launch: words.Launch
    link: socket.socket
    page_fd: int
    stacks_fd: int
    listeners: Sequence[socket.socket]
    slot: int = 0
    certificate: Certificate | None = None


def tracing_of(place: Place, page: Page) -> Tracing | None:
    """What makes spans of this worker's requests; None: nothing does, and nothing of it is imported."""
    traced = place.launch.traced
    if traced is None or not traced.url:
        return None
    from midair.traces.requests import Tracing

    about: dict[str, str | int] = {
        "midair.generation": place.launch.generation,
        "midair.version": place.launch.version,
        "midair.slot": place.slot,
    }
    return Tracing(traced, page, about)


def run(place: Place) -> int:
    """Serve until told to leave; return the exit code (3: start-up failed). Runs on the main thread."""
    faulthandler.register(STACKS_SIGNAL, file=place.stacks_fd, all_threads=True)
    with asyncio.Runner(loop_factory=_loop_factory(place.launch.serve.loop)) as runner:
        return runner.run(_Worker(place).live())


def _loop_factory(which: str) -> type[asyncio.AbstractEventLoop] | None:
    if which == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if which == "uvloop":
            raise
        return None
    return uvloop.Loop


def beat_every_s(hang_warn_s: float) -> float:
    """How often the loop beats. hang_warn_s: after so long one that stands still is told of; 0: never."""
    return min(BEAT_MAX_S, hang_warn_s / BEATS_A_WARNING) if hang_warn_s else BEAT_MAX_S


async def _abandon(server: Server) -> None:
    """Close the books over connections whose clients take longer than we may."""
    server.abandon()
    for _ in range(ABANDON_TURNS):
        if not server.connections:
            return
        await asyncio.sleep(0)


class _Worker:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._launch = place.launch
        self._page = Page(place.page_fd)
        self._beat_s = beat_every_s(place.launch.hang_warn_s)
        self._asgi: Asgi = place.application
        if place.interface == "wsgi":
            self._asgi = as_asgi(place.application, place.launch.serve.wsgi_threads)
        self._tracing = tracing_of(place, self._page)
        if self._tracing:
            self._asgi = self._tracing.wrap(self._asgi)
        self._link = _Link(place.link, self._on_word, self._on_orphaned)
        self._pages: Hub | None = None
        if place.launch.dev:
            from midair.worker import pages

            self._pages, self._asgi = pages.wrap(self._asgi, place.launch, place.launch.dev, self._link.say)
        self._leaving = asyncio.Event()
        self._deadline_s = 0.0
        self._spread_s = self._close_s = 0.0
        self._deadline_changed = asyncio.Event()
        self._server: Server | None = None
        self._targets: set[Target] = set()
        self._carrying = Carrying(self._link.say)
        self._is_accepting = self._has_accepted = False
        self._worn_said_s = 0.0
        jitter = random.randint(0, self._launch.max_requests_jitter) if self._launch.max_requests_jitter else 0
        self._requests_max = self._launch.max_requests + jitter if self._launch.max_requests else 0

    async def live(self) -> int:
        loop = asyncio.get_running_loop()
        self._link.open(loop)
        self._beat(loop)
        loop.add_signal_handler(signal.SIGTERM, self._on_sigterm)
        if self._tracing:
            self._tracing.begin(loop, self._say_for_all)
        began_s = time.perf_counter()
        mode = self._launch.serve.lifespan if self._place.interface == "asgi" else "off"
        lifespan = Lifespan(self._asgi, mode)
        try:
            await lifespan.startup()
            carries = self._carrying.begin()
        except ApplicationError as error:
            fault = error.fault()
            detail = words.shorten(fault.detail)
            self._link.say(words.Failed(code=fault.code, message=fault.message, hint=fault.hint, detail=detail))
            return 3
        self._server = Server(
            self._asgi, self._launch.serve, self._page, lifespan.state, loop=loop, report=self._report, tls=self._tls()
        )
        if self._pages:
            from midair.worker import pages

            pages.leave_out_own(self._server)
        if self._server.tls:
            Renewal(self._server.tls, self._server, self._say_for_all).begin()
        self._link.say(words.Started(seconds=time.perf_counter() - began_s, carries=carries))
        if self._requests_max or self._launch.max_memory_bytes:
            loop.call_later(LIMITS_S, self._check_limits, loop)
        await self._leaving.wait()
        cut = await self._empty(self._server)
        self._carrying.leave()
        # Both share exit.timeout: the supervisor kills a second after it, and nobody would say what still ran.
        exit_s = self._launch.exit_s / 2 if cut else self._launch.exit_s
        flush_s = self._tracing.ends_within_s(exit_s) if self._tracing else 0.0
        unfinished = await self._shut_down(lifespan, exit_s - flush_s)
        if self._tracing:
            await self._tracing.end(flush_s)
        self._link.say(words.Left(cut=words.shorten_lines([*cut, *unfinished])))
        return 0

    def _tls(self) -> Tls | None:
        if self._place.certificate is None:
            return None
        plain = [self._place.listeners[place] for place in self._launch.plain]
        return Tls(self._launch.tls, self._place.certificate, plain)

    # --- what the supervisor says ---------------------------------------------------------------------------------

    def _on_word(self, word: words.ToHost, fds: Sequence[int]) -> None:
        server = self._server
        match word:
            case words.Accept() if server:
                live.draining.clear()
                self._carrying.call_off()
                exclusion.serve()
                server.resume()
                server.accept(self._place.listeners, is_borrowed=self._launch.borrows_listeners)
                self._is_accepting = self._has_accepted = True
                self._link.say(words.Accepting())
            case words.StopAccepting() if server:
                live.draining.set()
                server.stop_accepting()
                self._is_accepting = False
                if word.is_holding:
                    server.hold()
                exclusion.stop_serving()
                self._link.say(words.StoppedAccepting())
                if not word.is_moving:
                    self._drain(server)
                elif self._pages:
                    self._pages.send_away(that_can_move=False)
                server.when_empty(lambda: self._link.say(words.Drained()))
            case words.ExportState() if server and fds:
                self._carrying.export(server, word, [os.dup(fd) for fd in fds])
            case words.ImportState() if server:
                self._carrying.take_in(word, fds)
            case words.NotReady() if server:
                server.say_not_ready()
            case words.Drain() if server:
                self._drain(server)
            case words.HandOver() if server and fds:
                self._hand_over(server, word.target, _dup(fds[0]))
            case words.TakeOver() if server and fds:
                self._targets.add(Target(server, _dup(fds[0]), self._targets.discard))
            case words.Grant() if server:
                self._granted(server, word)
            case words.Probe() if server and fds:
                server.adopt(_dup(fds[0]), counted=False)
            case words.TellPages(message=message):
                if self._pages:
                    self._pages.told(message)
            case words.Leave(within_s=within_s):
                live.draining.set()
                if server and not word.is_moving:
                    self._drain(server)
                self._spread_s, self._close_s = word.spread_s, min(CLOSE_S, within_s / 8)
                self._leave(within_s)
            case words.TellStacks():
                self._link.say(words.Stacks(text=words.shorten(whereabouts.report(), words.DETAIL_MAX)))
            case words.TellHolding() if server:
                self._link.say(words.Holds(holding=holding.report(server, self._ends_in_s())))
            case _:
                pass  # A word of a newer supervisor, or one that makes no sense now: it is not for us.
        for fd in fds:
            os.close(fd)

    def _drain(self, server: Server) -> None:
        server.drain()
        if self._pages:
            self._pages.send_away(that_can_move=True)

    # --- to another worker ----------------------------------------------------------------------------------------

    def _hand_over(self, server: Server, target: int, channel: socket.socket) -> None:
        if server.source:
            server.source.close()

        def ended(source: Source, why: str, is_declined: bool) -> None:
            if server.source is source:
                server.source = None
                self._link.say(words.HandOverEnded(target=target, why=why[:500], is_declined=is_declined))

        def stays(why: str) -> None:
            self._link.say(words.Stays(target=target, why=why))

        server.source = Source(server, channel, ended, stays)

    def _granted(self, server: Server, grant: words.Grant) -> None:
        def moved(count: int) -> None:
            self._link.say(words.Moved(count=count))

        if server.source is None:
            moved(0)
        elif grant.is_all:
            server.source.grant_all()
            server.state_has_gone()
        else:
            server.source.grant(grant.count, moved)

    def _leave(self, within_s: float) -> None:
        exclusion.stop_serving()
        deadline_s = asyncio.get_running_loop().time() + within_s
        if not self._leaving.is_set() or deadline_s < self._deadline_s:
            self._deadline_s = deadline_s
            self._deadline_changed.set()
        self._leaving.set()

    def _ends_in_s(self) -> float | None:
        """When what is left is cut; None: nobody has said that we are to leave."""
        if not self._leaving.is_set():
            return None
        return max(0.0, self._deadline_s - asyncio.get_running_loop().time())

    def _on_orphaned(self) -> None:
        """The supervisor is gone. Whoever starts the next one wants the port."""
        if self._server:
            self._server.stop_accepting()
            self._server.drain()
        for listener in self._place.listeners:
            listener.close()
        self._leave(ORPHAN_S)

    def _on_sigterm(self) -> None:
        """Somebody ended this one worker: it asks for a successor, and goes when told."""
        self._link.say(words.Worn(why="SIGTERM"))

    # --- the end --------------------------------------------------------------------------------------------------

    async def _empty(self, server: Server) -> list[str]:
        """Wait until the connections are gone and every call has returned; at the deadline cut what is left."""
        server.stop_accepting()
        empty = asyncio.Event()
        server.when_empty(empty.set)
        while not empty.is_set():
            left_s = self._deadline_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                break
            left_s = self._close_websockets(server, left_s)
            self._deadline_changed.clear()
            waits = [asyncio.ensure_future(empty.wait()), asyncio.ensure_future(self._deadline_changed.wait())]
            await asyncio.wait(waits, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        if empty.is_set():
            return []
        cut = server.cut()
        # What was cut gets a moment to run its finally blocks.
        try:
            await asyncio.wait_for(empty.wait(), self._launch.exit_s / 2)
        except TimeoutError:
            cut += [f"still running after it was cancelled: {line}" for line in whereabouts.lines()]
            await _abandon(server)
        return cut

    def _close_websockets(self, server: Server, left_s: float) -> float:
        """Close the next of those that are left, if it is time; return when to look again.

        Clients that are sent away all at once come back all at once.
        """
        time_s = left_s - self._close_s
        if time_s > self._spread_s:
            return time_s - self._spread_s
        left = server.staying_websockets()
        if not left:
            return min(left_s, WEBSOCKETS_LOOK_S)
        time_s = max(time_s, WEBSOCKETS_STEP_S)
        every_s = max(time_s / len(left), WEBSOCKETS_STEP_S)
        for websocket in left[: max(1, round(len(left) * every_s / time_s))]:
            websocket.send_away()
        return min(left_s, every_s)

    async def _shut_down(self, lifespan: Lifespan, within_s: float) -> list[str]:
        try:
            await asyncio.wait_for(lifespan.shutdown(), within_s)
        except TimeoutError:
            return [f"shutdown did not finish within {within_s:g} s"]
        except ApplicationError as error:
            return [str(error)]
        return []

    def _report(self, line: str) -> None:
        """Trouble that is the machine's: no descriptors left to accept with."""
        self._link.say(words.Said(event="worker_trouble", fields={"what": line[:500]}))

    def _say_for_all(self, event: str, fields: dict[str, str | int | float | None]) -> None:
        """What every worker of the generation has seen stands in the log once, unless it retires."""
        if self._place.slot == 0 and (self._is_accepting or not self._has_accepted):
            self._link.say(words.Said(event=event, fields=fields))

    # --- pulse and limits -----------------------------------------------------------------------------------------

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._page.cells[Cell.BEAT_NS] = time.monotonic_ns()
        loop.call_later(self._beat_s, self._beat, loop)

    def _check_limits(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(LIMITS_S, self._check_limits, loop)
        why = self._reached()
        if why and self._is_accepting and loop.time() - self._worn_said_s > WORN_AGAIN_S:
            self._worn_said_s = loop.time()
            self._link.say(words.Worn(why=why))

    def _reached(self) -> str:
        requests = self._page.cells[Cell.REQUESTS]
        if self._requests_max and requests >= self._requests_max:
            return f"{requests} requests served (worker.max_requests)"
        limit = self._launch.max_memory_bytes
        if limit and (resident := _resident_bytes()) > limit:
            return f"{resident >> 20} MiB resident (worker.max_memory {limit >> 20} MiB)"
        return ""


def _dup(fd: int) -> socket.socket:
    return socket.socket(fileno=os.dup(fd))


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="utf-8") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class _Link:
    """The worker's end of its link, on the event loop."""

    def __init__(self, channel: socket.socket, on_word: _OnWord, on_end: _OnEnd) -> None:
        self._channel = channel
        self._on_word = on_word
        self._on_end = on_end
        self._queue: deque[bytes] = deque(maxlen=1000)
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._channel.setblocking(False)
        loop.add_reader(self._channel.fileno(), self._read)

    def say(self, word: words.FromHost) -> None:
        """In order, never waiting: a supervisor that is just re-executing reads later."""
        self._queue.append(words.encode(word))
        self._flush()

    def _flush(self) -> None:
        assert self._loop is not None
        while self._queue:
            try:
                passing.send(self._channel, self._queue[0])
            except BlockingIOError:
                self._loop.add_writer(self._channel.fileno(), self._flush)
                return
            except OSError:
                self._queue.clear()  # The supervisor is gone; the end of the link is told by the reader.
                break
            self._queue.popleft()
        self._loop.remove_writer(self._channel.fileno())

    def _read(self) -> None:
        while True:
            try:
                message = passing.receive(self._channel)
            except BlockingIOError:
                return
            except OSError:
                message = None
            if message is None:
                assert self._loop is not None
                self._loop.remove_reader(self._channel.fileno())
                self._on_end()
                return
            try:
                word = words.decode_to_host(message.data)
            except msgspec.MsgspecError:
                message.close()  # Of a newer midair: what we do not know we do not do.
                continue
            self._on_word(word, message.fds)
