"""Requests as spans: what stands between a worker and its application if ``traces.requests`` is set. Imports OpenTelemetry.

Without it none of this is made, and a request passes nothing of it. A span takes its parent from ``traceparent``, and is current
in the application: in the tasks of ASGI (contextvars), and in the threads of WSGI, which get a copy of the context. Spans are
collected by a thread that starts in the worker, after every fork, and wait in a queue with a bound: a collector that is down costs
spans, never a request.

A connection that goes on with the next version is a span in each: the later one links to the earlier.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, ParentBasedTraceIdRatio, Sampler
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

import midair
from midair.live import EXTENSION, TRACE
from midair.observe.counters import Cell, Page
from midair.traces.context import read, written
from midair.traces.destination import Destination
from midair.traces.otlp import SCOPE, Exports, exporter
from midair.worker.asgi import Asgi, Message, Receive, Scope, Send, is_departure
from midair.worker.settings import Traced

FLUSH_MOST_S = 2.0
"""At a worker's end, for the spans that still wait."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
"""Those of the semantic conventions: any other is ``_OTHER``, so that nobody makes names without end."""

Headers = Sequence[tuple[bytes, bytes]]
Say = Callable[[str, dict[str, str | int | float | None]], None]


def preload() -> None:
    """Import what each worker would import by itself, 100 ms after its fork. Opens nothing."""
    exporter(Destination(url="http://127.0.0.1/")).shutdown()


class Tracing:
    """One worker's spans, from its start to its end."""

    def __init__(self, traced: Traced, page: Page, about: Mapping[str, str | int]) -> None:
        """about: attributes of every span. Starts a thread: in the worker, after the last fork."""
        self._to = _Collector(lambda: exporter(Destination(url=traced.url, headers=traced.headers)), page)
        self._batches = _Batches(self._to)
        self._about, self._sample = dict(about), traced.sample
        resource = Resource.create({})
        # Which requests are recorded the layer has drawn before it asks for a span.
        self._provider = self._provided(resource, None if traced.sample is None else DEFAULT_ON)
        # An application that has set up OpenTelemetry itself keeps it; for the others' spans ours is there.
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            sampler = None if traced.sample is None else ParentBasedTraceIdRatio(traced.sample)
            trace.set_tracer_provider(self._provided(resource, sampler))

    def _provided(self, resource: Resource, sampler: Sampler | None) -> TracerProvider:
        """sampler: None: OTEL_TRACES_SAMPLER says it."""
        provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._batches)
        return provider

    def wrap(self, app: Asgi) -> Asgi:
        """The application, with a span around each of its calls."""
        return Layer(app, self._provider.get_tracer(SCOPE, midair.__version__), self._about, self._sample)

    def begin(self, loop: asyncio.AbstractEventLoop, say: Say) -> None:
        """say: takes an event of the log, on the loop's thread."""

        def said(event: str, fields: dict[str, str | int | float | None]) -> None:
            with contextlib.suppress(RuntimeError):  # The loop is closed: the worker ends.
                loop.call_soon_threadsafe(say, event, fields)

        self._to.say = said

    @staticmethod
    def ends_within_s(exit_s: float) -> float:
        """What of a worker's last seconds it may take to export what still waits."""
        return min(FLUSH_MOST_S, exit_s / 4)

    async def end(self, within_s: float) -> None:
        """Let the collector have what still waits; what it does not take in time is dropped, and counted."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(over.set)

        # Not the loop's own pool: the end of the process would wait for it.
        threading.Thread(target=flush, name="midair traces", daemon=True).start()
        try:
            await asyncio.wait_for(over.wait(), within_s)
        except TimeoutError:
            self._to.dropped(self._batches.waiting)


# --- around the application ----------------------------------------------------------------------------------------


class Layer:
    """An ASGI application around another."""

    def __init__(self, app: Asgi, tracer: trace.Tracer, about: dict[str, str | int], sample: float | None) -> None:
        """sample: share of the traces begun here that is recorded; None: the tracer decides."""
        self._app = app
        self._tracer = tracer
        self._about = about
        self._sample = sample
        # Its own: an application that seeds ``random`` would draw the same identifiers in each worker.
        self._draw = random.Random()
        self._fields = frozenset(name.encode("latin-1") for name in propagate.get_global_textmap().fields)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_probe(scope):
            await self._app(scope, receive, send)
            return
        within = self._within(scope["headers"])
        if self._sample is not None and self._sample <= self._draw.random() and not _is_decided(within, scope):
            await self._unrecorded(within, scope, receive, send)
            return
        method = scope.get("method", "GET")
        span = self._tracer.start_span(
            method if method in METHODS else "HTTP", within, SpanKind.SERVER, links=_links(scope)
        )
        token = contexts.attach(trace.set_span_in_context(span, within))
        try:
            if span.is_recording():
                await self._recorded(span, scope, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            contexts.detach(token)
            span.end()

    def _within(self, headers: Headers) -> contexts.Context:
        """What the request says of where it comes from. Most say nothing, which is seen sooner than propagators do."""
        if any(name in self._fields for name, _ in headers):
            return propagate.extract(headers, _NOWHERE, _GETTER)
        return _NOWHERE

    async def _unrecorded(self, within: contexts.Context, scope: Scope, receive: Receive, send: Send) -> None:
        """Whoever is called from here is told that this trace is not recorded. OpenTelemetry takes four times as long to say so."""
        context = SpanContext(self._draw.getrandbits(128), self._draw.getrandbits(64), is_remote=False)
        token = contexts.attach(trace.set_span_in_context(trace.NonRecordingSpan(context), within))
        try:
            await self._app(scope, receive, send)
        finally:
            contexts.detach(token)

    async def _recorded(self, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
        span.set_attributes(self._about | attributes_of(scope))
        context = span.get_span_context()
        scope["extensions"][TRACE] = written(f"{context.trace_id:032x}", f"{context.span_id:016x}", is_sampled=True)
        answered = _Answered(send)
        try:
            await self._app(scope, receive, answered.send)
        except BaseException as exc:
            if not is_departure(exc):
                span.record_exception(exc)
                answered.error = type(exc).__qualname__
            raise
        finally:
            _conclude(span, scope, answered)


class _Answered:
    """Passes the answer on, and sees its status."""

    __slots__ = ("_send", "error", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.error = ""

    async def send(self, message: Message) -> None:
        if not self.status:
            kind = message["type"]
            if kind in ("http.response.start", "websocket.http.response.start"):
                self.status = message["status"]
            elif kind == "websocket.accept":
                self.status = 101
            elif kind == "websocket.close":
                self.status = 403
        await self._send(message)


def _conclude(span: Span, scope: Scope, answered: _Answered) -> None:
    if answered.error and not answered.status:
        answered.status = 500
    if answered.status:
        span.set_attribute("http.response.status_code", answered.status)
    if answered.error or answered.status >= 500:
        span.set_attribute("error.type", answered.error or str(answered.status))
        span.set_status(Status(StatusCode.ERROR))
    route = getattr(scope.get("route"), "path", "")  # As FastAPI leaves it behind.
    if isinstance(route, str) and route:
        span.set_attribute("http.route", route)
        span.update_name(f"{_method(scope)} {route}")
    if _has_moved(scope):
        span.add_event("midair.moved")


def attributes_of(scope: Scope) -> dict[str, str | int]:
    """What the semantic conventions for HTTP servers want to know of a request. The query is left out: secrets stand in there."""
    method = scope.get("method", "GET")
    found: dict[str, str | int] = {
        "http.request.method": _method(scope),
        "url.scheme": scope["scheme"],
        "url.path": _path(scope),
        "network.protocol.version": scope["http_version"],
    }
    if method not in METHODS:
        found["http.request.method_original"] = method
    for name, value in scope["headers"]:
        if name == b"host":
            found |= _server(value.decode("latin-1"))
        elif name == b"user-agent":
            found["user_agent.original"] = value.decode("latin-1")
    if scope.get("client"):
        found["client.address"] = scope["client"][0]
    return found


def _method(scope: Scope) -> str:
    method = scope.get("method", "GET")
    return method if method in METHODS else "_OTHER"


def _path(scope: Scope) -> str:
    raw = scope.get("raw_path")
    return raw.decode("latin-1") if raw else str(scope["path"])


def _server(host: str) -> dict[str, str | int]:
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit() and not name.endswith(":"):
        return {"server.address": name.strip("[]"), "server.port": int(port)}
    return {"server.address": host.strip("[]")} if host else {}


def _links(scope: Scope) -> Sequence[Link] | None:
    """To the span of this call in the worker that it came from."""
    before = scope["extensions"].pop(TRACE, "")
    found = read(before) if before else None
    if found is None:
        return None
    context = SpanContext(
        int(found.trace_id, 16), int(found.span_id, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return [Link(context, {"midair.moved": True})]


class _Server(Protocol):
    page: Page


class _Connection(Protocol):
    page: Page
    server: _Server


class _Call(Protocol):
    """A request or a WebSocket, as it stands in its scope."""

    connection: _Connection

    @property
    def is_elsewhere(self) -> bool: ...


def _call(scope: Scope) -> _Call:
    return cast(_Call, scope["extensions"][EXTENSION])


def _is_probe(scope: Scope) -> bool:
    """midair asks for the worker's health: nobody's request, and one each second of a bake."""
    connection = _call(scope).connection
    return connection.page is not connection.server.page


def _has_moved(scope: Scope) -> bool:
    return _call(scope).is_elsewhere


class _HeadersGetter(Getter[Headers]):
    """A request's headers, as propagators ask for them."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        wanted = key.lower().encode("latin-1")
        found = [value.decode("latin-1") for name, value in carrier if name == wanted]
        return found or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_GETTER = _HeadersGetter()
_NOWHERE = contexts.Context()


def _is_decided(within: contexts.Context, scope: Scope) -> bool:
    """Whether it is recorded, whoever calls has said, or the worker that it comes from."""
    has_parent = within is not _NOWHERE and trace.get_current_span(within).get_span_context().is_valid
    return has_parent or TRACE in scope["extensions"]


# --- on the way to the collector -----------------------------------------------------------------------------------


class _Collector(SpanExporter):
    """Exports a batch, counts what became of it, and says once that the collector takes none, and once that it does again."""

    def __init__(self, make: Callable[[], SpanExporter], page: Page) -> None:
        self._exports = Exports(make)
        self._cells = page.cells
        self._lock = threading.Lock()
        self._failed_since_s = 0.0
        self.done = 0
        """Spans of which it is known what became of them."""
        self.say: Say = lambda event, fields: None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        error = self._exports.export(spans)
        self.done += len(spans)
        if error:
            self.dropped(len(spans))
        else:
            self._count(Cell.SPANS_EXPORTED, len(spans))
        self._tell(error)
        return SpanExportResult.SUCCESS  # What there was to say has been said.

    def _tell(self, error: str) -> None:
        if error and not self._failed_since_s:
            self._failed_since_s = time.monotonic()
            self.say("traces_failing", {"error": error, "of": "requests"})
        elif self._failed_since_s and not error:
            failed_s = round(time.monotonic() - self._failed_since_s, 1)
            self._failed_since_s = 0.0
            self.say("traces_recovered", {"failed_s": failed_s, "of": "requests"})

    def dropped(self, count: int) -> None:
        self._count(Cell.SPANS_DROPPED, count)

    def _count(self, cell: Cell, count: int) -> None:
        with self._lock:  # An application's threads drop, too.
            self._cells[cell] += count

    def shutdown(self) -> None:
        self._exports.close()


class _Batches(BatchSpanProcessor):
    """OpenTelemetry's own, which would write a line for each span that there is no room for: here they are counted."""

    def __init__(self, to: _Collector) -> None:
        super().__init__(to)
        self._to = to
        self._most = cast(Any, BatchSpanProcessor)._default_max_queue_size()
        self._lock = threading.Lock()
        self._added = 0

    @property
    def waiting(self) -> int:
        """Spans that wait for an export, or for its end."""
        return self._added - self._to.done

    def on_end(self, span: ReadableSpan) -> None:
        if not (span.context and span.context.trace_flags.sampled):
            return
        with self._lock:
            has_room = self.waiting < self._most
            self._added += has_room
        if has_room:
            super().on_end(span)
        else:
            self._to.dropped(1)
