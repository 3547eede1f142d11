"""A request is a span of the application's call: its parent, its attributes, what it is while the application runs. No network."""

from __future__ import annotations

import asyncio
import doctest
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.trace import SpanKind, StatusCode

from midair.live import EXTENSION, TRACE
from midair.observe.counters import Cell, Page
from midair.traces import otlp, requests
from midair.traces.destination import Destination
from midair.traces.otlp import Exports, exporter
from midair.traces.requests import Layer
from midair.worker.asgi import Asgi, ClientDisconnected, Message, Receive, Scope, Send
from midair.worker.wsgi import as_asgi

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ABOUT: dict[str, str | int] = {"midair.generation": 8, "midair.version": "1.9", "midair.slot": 1}


@dataclass
class _Server:
    page: object


@dataclass
class _Connection:
    page: object
    server: _Server


@dataclass
class _Call:
    connection: _Connection
    is_elsewhere: bool = False


def scope_of(
    path: str = "/", *, kind: str = "http", headers: Sequence[tuple[bytes, bytes]] = (), probe: bool = False
) -> Scope:
    page = object()
    call = _Call(_Connection(object() if probe else page, _Server(page)))
    return {
        "type": kind,
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"token=secret",
        "http_version": "1.1",
        "headers": [(b"host", b"shop.example:8443"), (b"user-agent", b"curl/8"), *headers],
        "client": ("192.0.2.7", 4711),
        "extensions": {EXTENSION: call},
    } | ({} if kind == "http" else {"scheme": "ws"})


@dataclass
class Traced:
    """An application behind the layer, and the spans that it made."""

    app: Asgi
    sample: float = 1.0
    told: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        self._provider = TracerProvider(sampler=DEFAULT_ON, shutdown_on_exit=False)
        self._provider.add_span_processor(SimpleSpanProcessor(self.told))
        self.tracer = self._provider.get_tracer("midair")

    def ask(self, scope: Scope) -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        asyncio.run(self._ask(scope, receive, send))
        return sent

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await Layer(self.app, self.tracer, ABOUT, self.sample)(scope, receive, send)
        finally:
            assert not trace.get_current_span().get_span_context().is_valid, "it is over"

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.told.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span


def answering(status: int = 200) -> Asgi:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    return app


def test_a_request_is_a_server_span_that_says_what_the_conventions_ask_for() -> None:
    traced = Traced(answering())
    assert [message["type"] for message in traced.ask(scope_of("/tea/7"))] == [
        "http.response.start",
        "http.response.body",
    ]
    span = traced.span
    assert (span.name, span.kind, span.parent) == ("GET", SpanKind.SERVER, None)
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/tea/7",
        "network.protocol.version": "1.1",
        "server.address": "shop.example",
        "server.port": 8443,
        "client.address": "192.0.2.7",
        "user_agent.original": "curl/8",
        **ABOUT,
    }
    assert span.status.status_code is StatusCode.UNSET


def test_what_stands_in_the_query_is_nowhere() -> None:
    traced = Traced(answering())
    traced.ask(scope_of())
    assert "secret" not in traced.span.to_json()


def test_the_parent_is_the_callers_span_and_the_span_is_current_in_the_application() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(f"{trace.get_current_span().get_span_context().span_id:016x}")
        await answering()(scope, receive, send)

    traced = Traced(app)
    traced.ask(scope_of(headers=[(b"traceparent", PARENT.encode()), (b"tracestate", b"vendor=1")]))
    span = traced.span
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" in PARENT
    assert f"{span.parent.span_id:016x}" in PARENT
    assert span.context.trace_state.get("vendor") == "1"
    assert seen == [f"{span.context.span_id:016x}"]


def test_it_is_current_in_the_threads_of_wsgi() -> None:
    seen: list[int] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(trace.get_current_span().get_span_context().span_id)
        start_response("200 OK", [("content-type", "text/plain")])
        return [b"hello"]

    async def lazily(scope: Scope, receive: Receive, send: Send) -> None:
        await as_asgi(app, 1)(scope, receive, send)  # Its pool belongs to a running loop.

    traced = Traced(lazily)
    traced.ask({**scope_of(), "root_path": "", "server": ("127.0.0.1", 80)})
    assert traced.span.context is not None
    assert seen == [traced.span.context.span_id]


def test_an_exception_is_recorded_and_goes_on() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("tea")

    traced = Traced(app)
    with pytest.raises(KeyError):
        traced.ask(scope_of())
    span = traced.span
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "KeyError"
    assert (span.attributes or {})["http.response.status_code"] == 500
    assert [event.name for event in span.events] == ["exception"]


def test_a_client_that_leaves_is_no_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnected("the client has gone")

    traced = Traced(app)
    with pytest.raises(ClientDisconnected):
        traced.ask(scope_of())
    assert traced.span.status.status_code is StatusCode.UNSET
    assert not traced.span.events


def test_a_server_error_is_one_and_a_clients_is_not() -> None:
    for status, expected in ((503, StatusCode.ERROR), (404, StatusCode.UNSET)):
        traced = Traced(answering(status))
        traced.ask(scope_of())
        assert traced.span.status.status_code is expected


def test_the_route_names_the_span_where_a_framework_tells_it() -> None:
    class Route:
        path = "/tea/{number}"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Route()
        await answering()(scope, receive, send)

    traced = Traced(app)
    traced.ask(scope_of("/tea/7"))
    assert traced.span.name == "GET /tea/{number}"
    assert (traced.span.attributes or {})["http.route"] == "/tea/{number}"


def test_a_method_that_nobody_knows_makes_no_name() -> None:
    traced = Traced(answering())
    traced.ask({**scope_of(), "method": "BREW"})
    about = traced.span.attributes or {}
    assert traced.span.name == "HTTP"
    assert (about["http.request.method"], about["http.request.method_original"]) == ("_OTHER", "BREW")


def test_what_is_not_sampled_is_not_told_but_handed_on() -> None:
    seen: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(trace.get_current_span().get_span_context().is_valid)
        await answering()(scope, receive, send)

    traced = Traced(app, sample=0.0)
    traced.ask(scope_of())
    assert (traced.spans, seen) == ([], [True])
    traced.ask(scope_of(headers=[(b"traceparent", PARENT.encode())]))
    assert len(traced.spans) == 1, "who calls has decided"
    traced.ask(scope_of(headers=[(b"baggage", b"team=tea")]))
    assert len(traced.spans) == 1, "who sends baggage alone has not"
    traced.ask(scope_of(headers=[(b"traceparent", PARENT[:-1].encode() + b"0")]))
    assert len(traced.spans) == 1


def test_midairs_own_probes_are_no_spans() -> None:
    traced = Traced(answering())
    traced.ask(scope_of(probe=True))
    assert traced.spans == []


def test_a_websocket_that_moves_is_a_span_on_either_side_and_the_later_links_to_the_earlier() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        scope["extensions"][EXTENSION].is_elsewhere = "moves" in scope["path"]

    traced = Traced(app)
    first = scope_of("/moves", kind="websocket")
    traced.ask(first)
    second = scope_of("/stays", kind="websocket")
    second["extensions"][TRACE] = first["extensions"][TRACE]  # As it travels with the connection.
    traced.ask(second)
    before, after = traced.spans
    assert [event.name for event in before.events] == ["midair.moved"]
    assert after.events == ()
    assert before.context is not None
    assert [link.context.span_id for link in after.links] == [before.context.span_id]
    assert (after.attributes or {})["http.response.status_code"] == 101


# --- on the way to the collector -----------------------------------------------------------------------------------


class _Slow(SpanExporter):
    """Takes nothing until it may, and fails if it is told to."""

    def __init__(self) -> None:
        self.fails = False
        self.held = threading.Lock()
        """Taken: no export ends."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self.held:
            return SpanExportResult.FAILURE if self.fails else SpanExportResult.SUCCESS


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page.create("test")
    yield made
    made.close()


def test_what_became_of_spans_is_counted_and_trouble_is_said_once(page: Page) -> None:
    said: list[str] = []
    to = _Slow()
    collector = requests._Collector(lambda: to, page)
    collector.say = lambda event, fields: said.append(event)
    traced = Traced(answering())
    traced.ask(scope_of())
    for fails in (False, True, True, False, True):
        to.fails = fails
        collector.export(traced.spans)
    assert (page.cells[Cell.SPANS_EXPORTED], page.cells[Cell.SPANS_DROPPED]) == (2, 3)
    assert said == ["traces_failing", "traces_recovered", "traces_failing"]
    collector.shutdown()


def test_a_full_queue_drops_and_counts(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    slow = _Slow()
    batches = requests._Batches(requests._Collector(lambda: slow, page))
    traced = Traced(answering())
    traced.ask(scope_of())
    with slow.held:
        for _ in range(10):
            batches.on_end(traced.span)
        assert (batches.waiting, page.cells[Cell.SPANS_DROPPED]) == (4, 6)
    batches.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry's own
    assert (batches.waiting, page.cells[Cell.SPANS_EXPORTED]) == (0, 4)


def test_a_header_whose_file_is_gone_costs_spans_and_nothing_else(page: Page) -> None:
    said: list[object] = []
    collector = requests._Collector(
        lambda: exporter(Destination(url="http://127.0.0.1:9", headers={"authorization": "file:/nowhere/key"})), page
    )
    collector.say = lambda event, fields: said.append((event, fields["error"]))
    traced = Traced(answering())
    traced.ask(scope_of())
    collector.export(traced.spans)
    assert said == [("traces_failing", "No such file or directory: /nowhere/key")]
    assert page.cells[Cell.SPANS_DROPPED] == 1
    collector.shutdown()


def test_a_failed_export_is_told_in_plain_words() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # Bound, and nobody listens.
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        exports = Exports(lambda: exporter(Destination(url=url), 2.0))
        traced = Traced(answering())
        traced.ask(scope_of())
        assert exports.export(traced.spans) == "Connection refused"
        exports.close()
    assert doctest.testmod(otlp).failed == 0


def test_what_was_recorded_before_it_moved_is_recorded_after(page: Page) -> None:
    traced = Traced(answering(), sample=0.0)
    moved = scope_of()
    moved["extensions"][TRACE] = PARENT
    traced.ask(moved)
    assert len(traced.span.links) == 1


def test_without_traces_nothing_of_opentelemetry_is_imported() -> None:
    """Neither by the supervisor nor by a worker: the way of a request is the same code as before there were traces."""
    modules = (
        "midair.worker.host, midair.worker.runtime, midair.supervisor.main, midair.traces.words, midair.cli.reload"
    )
    found = f"import sys, {modules}; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
