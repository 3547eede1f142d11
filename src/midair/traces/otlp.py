"""Spans in OpenTelemetry's own words, and the way to a collector. Imports OpenTelemetry: only whoever exports imports this."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

import midair
from midair.traces import naming
from midair.traces.destination import Destination, read_headers
from midair.traces.updates import Span

LOGGER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
SCOPE = "midair"
ERROR_MAX = 500
"""Characters of what an export failed with."""


def exporter(destination: Destination, timeout_s: float | None = None) -> SpanExporter:
    """What sends spans there. timeout_s: of one export with what it tries again; None: OTEL_EXPORTER_OTLP_TIMEOUT.

    Raises OSError if a header's file cannot be read.
    """
    headers = read_headers(destination.headers)
    return OTLPSpanExporter(endpoint=destination.url, headers=headers or None, timeout=timeout_s)


def told(spans: Sequence[Span], resource: Resource) -> list[ReadableSpan]:
    """The spans as OpenTelemetry has them."""
    return [_told(span, resource) for span in spans]


def _told(span: Span, resource: Resource) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id, span.state),
        parent=_context(span.trace_id, span.parent_id, span.state) if span.parent_id else None,
        resource=resource,
        attributes=span.attributes,
        events=[Event(each.name, each.attributes, each.at_ns) for each in span.moments],
        kind=SpanKind.INTERNAL,
        status=Status(StatusCode.UNSET) if span.error is None else Status(StatusCode.ERROR, span.error),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=InstrumentationScope(SCOPE, midair.__version__),
    )


def _context(trace_id: str, span_id: str, state: str) -> SpanContext:
    return SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int(span_id, 16),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState.from_header([state]) if state else TraceState(),
    )


class Exports:
    """Exports, and what became of the last one. OpenTelemetry writes a line for each try; here it is asked instead."""

    def __init__(self, make: Callable[[], SpanExporter]) -> None:
        """make: what exports. Asked for when there is something to export, and again while it raises OSError: a header's file that
        is not there is no reason not to serve."""
        self._make = make
        self._to: SpanExporter | None = None
        self._said = _Said()
        logging.getLogger(LOGGER).addFilter(self._said)

    def export(self, spans: Sequence[ReadableSpan]) -> str:
        """Why the collector does not have them now; empty: it has."""
        with self._said:
            try:
                if self._to is None:
                    self._to = self._make()
                result = self._to.export(spans)
            except OSError as exc:
                return f"{exc.strerror or exc}{f': {exc.filename}' if exc.filename else ''}"[:ERROR_MAX]
            except Exception as exc:  # noqa: BLE001 - a library's: whatever it is, spans are not worth more than a sentence
                return f"{type(exc).__name__}: {exc}"[:ERROR_MAX]
        return "" if result is SpanExportResult.SUCCESS else self._said.last[:ERROR_MAX]

    def close(self) -> None:
        with self._said:
            if self._to is not None:
                self._to.shutdown()
        logging.getLogger(LOGGER).removeFilter(self._said)


class _Said(logging.Filter):
    """What the exporter logs while it exports for us, in this thread: kept, and not passed on. An application's own exporter logs
    as it would."""

    def __init__(self) -> None:
        super().__init__()
        self._ours = threading.local()
        self.last = ""

    def __enter__(self) -> None:
        self.last = "the collector did not take it"
        self._ours.is_exporting = True

    def __exit__(self, *exc: object) -> None:
        self._ours.is_exporting = False

    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(self._ours, "is_exporting", False):
            return True
        message = record.getMessage()
        # The last try says that there will be no further one; the tries before it said why.
        if not message.startswith("Failed to export spans batch due to timeout"):
            self.last = plain(message)
        return False


def plain(message: str) -> str:
    """What OpenTelemetry says of an export that failed, as much of it as helps.

    >>> plain("Transient error Service Unavailable encountered while exporting spans batch, retrying in 1.09s.")
    'Service Unavailable'
    >>> plain("Transient error … (Caused by …('…: [Errno 111] Connection refused')) encountered while exporting spans batch, …")
    'Connection refused'
    """
    if refused := re.search(r"\[Errno \d+\] ([\w ]+)", message):
        return refused[1]
    if transient := re.fullmatch(r"Transient error (.*) encountered while exporting.*", message, re.DOTALL):
        return transient[1]
    return message.removeprefix("Failed to export spans batch ")


def resource_of(attributes: Mapping[str, str]) -> Resource:
    """Who tells the spans. OpenTelemetry adds what the environment says of it, and that wins but for the name."""
    return Resource.create({**attributes, **naming.attributes(os.environ), "service.name": attributes["service.name"]})
