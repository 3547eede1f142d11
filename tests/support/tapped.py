"""A collector in the test's process: oteltap receives OTLP over HTTP on loopback, and what it got is asked for here."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

from tests.support.waiting import wait_for


class Tapped:
    """Entered: it listens. ``spans`` are those that came so far, in their order."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._is_there = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._receive()), daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        before = set(_listening())
        self._thread.start()
        assert self._is_there.wait(20), "the collector did not start"
        (port,) = {port for fd, port in _listening().items() if fd not in before}
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()

    async def _receive(self) -> None:
        settings = OtelTapHttpProtobufReceiverSettings(http_port=0, listen_on_all_interfaces=False)
        async with OtelTapHttpProtobufReceiver(settings) as receiver:
            reading = asyncio.create_task(self._take(receiver))
            await asyncio.sleep(0)  # It listens to the stream from here on.
            self._is_there.set()
            await self._stop.wait()
            reading.cancel()

    async def _take(self, receiver: OtelTapHttpProtobufReceiver) -> None:
        async for span in receiver.stream_traces():
            self.spans.append(Received(span))

    def named(self, name: str, count: int = 1, /, **attributes: object) -> list[Received]:
        """The spans of this name with these attributes (``midair_update=2``), once there are so many."""

        def found() -> list[Received]:
            return [span for span in list(self.spans) if span.name == name and span.has(attributes)]

        return wait_for(found, until=lambda spans: len(spans) >= count, what=f"{count} spans {name} {attributes}")

    def one(self, name: str, **attributes: object) -> Received:
        found = self.named(name, 1, **attributes)
        assert len(found) == 1, found
        return found[0]

    def of(self, trace_id: str) -> list[Received]:
        return [span for span in list(self.spans) if span.trace_id == trace_id]


class Received:
    """A span as it came over the wire."""

    def __init__(self, span: Any) -> None:
        self.name: str = span.name
        self.kind: int = span.kind
        self.trace_id: str = span.trace_id.hex()
        self.span_id: str = span.span_id.hex()
        self.parent_id: str = span.parent_span_id.hex()
        self.state: str = span.trace_state
        self.start_ns: int = span.start_time_unix_nano
        self.end_ns: int = span.end_time_unix_nano
        self.attributes = {each.key: _value(each.value) for each in span.attributes}
        self.moments: list[str] = [each.name for each in span.events]
        self.links: list[str] = [each.span_id.hex() for each in span.links]
        self.is_error: bool = span.status.code == 2
        self.error: str = span.status.message

    def has(self, attributes: dict[str, object]) -> bool:
        return all(self.attributes.get(name.replace("_", ".", 1)) == value for name, value in attributes.items())

    def is_within(self, other: Received) -> bool:
        """In time. A clock read twice is no microsecond apart."""
        return other.start_ns - 1000 <= self.start_ns <= self.end_ns <= other.end_ns + 1000

    def __repr__(self) -> str:
        return f"{self.name} {self.span_id} in {self.parent_id or '-'} {self.attributes}"


def _value(value: AnyValue) -> object:
    return getattr(value, value.WhichOneof("value") or "string_value")


def _listening() -> dict[int, int]:
    """Ports of our own that are listened on, by descriptor."""
    return dict(_ports())


def _ports() -> Iterator[tuple[int, int]]:
    for name in os.listdir("/proc/self/fd"):
        try:
            probe = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue  # No socket, or the listing's own.
        with probe:
            try:
                if probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and probe.family == socket.AF_INET:
                    yield int(name), probe.getsockname()[1]
            except OSError:
                continue


class Sulking:
    """A collector that answers 503 until it ``takes``, and then keeps what it got."""

    def __init__(self) -> None:
        self.takes = False
        self.asked = 0
        self.resources: list[dict[str, object]] = []
        self.names: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answering", (_Answering,), {"of": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)

    def took(self, body: bytes) -> bool:
        self.asked += 1
        if not self.takes:
            return False
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.resources.append({each.key: _value(each.value) for each in resource.resource.attributes})
            self.names += [span.name for scope in resource.scope_spans for span in scope.spans]
        return True


class _Answering(BaseHTTPRequestHandler):
    of: Sulking

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200 if self.of.took(body) else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
