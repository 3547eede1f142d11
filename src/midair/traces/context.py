"""Which trace something belongs to, as W3C's Trace Context has it: read, written, begun. Without OpenTelemetry.

An update's identifiers stand in its receipt from its first moment, so that log, hooks and the spans that are told later agree.
The identifiers of the spans within an update follow from those of the update: whoever makes them from a receipt, and however
often, makes the same.
"""

from __future__ import annotations

import hashlib
import os
import re

import msgspec

TRACEPARENT, TRACESTATE = "TRACEPARENT", "TRACESTATE"
"""Variables by which a program tells those that it starts."""
STATE_MAX = 512
"""Characters of a tracestate that are passed on, as the specification asks for at the least."""

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(r"[ -~\t]*")
_SAMPLED = 1


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A span of somebody, within which something of ours happens."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 of them."""
    is_sampled: bool = True
    """Whoever began the trace wants it to be recorded."""
    state: str = ""
    """What tracing systems have to say to each other; not ours to read."""


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The span that an update is, as its receipt keeps it. An empty ``id``: it is none."""

    id: str = ""
    span: str = ""
    parent: str = ""
    """The span within which the update was asked for."""
    state: str = ""
    is_sampled: bool = True
    is_theirs: bool = False
    """Updates are no spans here: ``span`` is that of whoever asked, handed on as it came."""
    exported: int = 0
    """Spans of the update that a collector has."""

    @property
    def is_exported(self) -> bool:
        """Whether its spans are for a collector."""
        return bool(self.id) and self.is_sampled and not self.is_theirs


def read(traceparent: str, tracestate: str = "") -> Context | None:
    """The context that these say; None: there is none, or it is none that the specification allows."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    state = tracestate.strip()
    if len(state) > STATE_MAX or not _STATE.fullmatch(state):
        state = ""
    return Context(trace_id=trace_id, span_id=span_id, is_sampled=bool(int(flags, 16) & _SAMPLED), state=state)


def begin(within: Context | None, *, is_on: bool) -> Trace:
    """The span of an update that begins. is_on: updates are exported. If not, whoever asked is only handed on."""
    if within is None:
        return Trace(id=_new(16), span=_new(8)) if is_on else Trace()
    if not is_on:
        return Trace(
            id=within.trace_id,
            span=within.span_id,
            state=within.state,
            is_sampled=within.is_sampled,
            is_theirs=True,
        )
    return Trace(
        id=within.trace_id, span=_new(8), parent=within.span_id, state=within.state, is_sampled=within.is_sampled
    )


def span_within(trace: Trace, name: str) -> str:
    """The identifier of the span called ``name`` within an update."""
    if trace.is_theirs:
        return trace.span
    return hashlib.sha256(f"{trace.id} {trace.span} {name}".encode()).hexdigest()[:16]


def variables(trace: Trace, name: str) -> dict[str, str]:
    """What tells a program that it runs within the span called ``name`` of an update; nothing if there is no trace."""
    if not trace.id:
        return {}
    told = {TRACEPARENT: written(trace.id, span_within(trace, name), is_sampled=trace.is_sampled)}
    return told | ({TRACESTATE: trace.state} if trace.state else {})


def written(trace_id: str, span_id: str, *, is_sampled: bool) -> str:
    """A ``traceparent``."""
    return f"00-{trace_id}-{span_id}-{'01' if is_sampled else '00'}"


def _new(size_bytes: int) -> str:
    # Of all zeros, which the specification forbids, there is one in 2**64.
    return os.urandom(size_bytes).hex()
