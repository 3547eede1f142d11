"""W3C Trace Context: what is read is what the specification allows, and what is handed on says the same."""

from __future__ import annotations

import pytest
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from midair.traces import context
from midair.traces.context import Trace

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_traceparent_is_read() -> None:
    found = context.read(PARENT, "vendor=opaque")
    assert found == context.Context(trace_id=TRACE, span_id=SPAN, is_sampled=True, state="vendor=opaque")
    unsampled = context.read(PARENT[:-1] + "0")
    assert unsampled is not None
    assert not unsampled.is_sampled


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        PARENT.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{PARENT}-more",
        f"00-{TRACE[:-1]}-{SPAN}-01",
    ],
)
def test_what_is_no_traceparent_begins_a_trace_of_its_own(text: str) -> None:
    assert context.read(text) is None


def test_a_newer_version_may_say_more() -> None:
    assert context.read(f"01-{TRACE}-{SPAN}-01-more") is not None


def test_a_tracestate_that_is_no_header_is_left_out() -> None:
    for state in ("a=1\nb=2", "a=é", "a=" + "x" * 600):
        found = context.read(PARENT, state)
        assert found is not None
        assert found.state == ""


def test_an_update_is_a_child_of_whoever_asked() -> None:
    trace = context.begin(context.read(PARENT), is_on=True)
    assert (trace.id, trace.parent) == (TRACE, SPAN)
    assert trace.span not in (SPAN, "")
    assert trace.is_exported


def test_an_update_that_nobody_traces_is_in_a_trace_of_its_own_only_if_there_are_traces() -> None:
    assert context.begin(None, is_on=False) == Trace()
    first, second = context.begin(None, is_on=True), context.begin(None, is_on=True)
    assert len(first.id) == 32
    assert len(first.span) == 16
    assert first.id != second.id
    assert not first.parent


def test_who_asked_without_being_recorded_is_not_recorded_here() -> None:
    assert not context.begin(context.read(PARENT[:-1] + "0"), is_on=True).is_exported


def test_a_hook_is_told_a_context_that_other_libraries_read() -> None:
    trace = context.begin(context.read(PARENT, "vendor=opaque"), is_on=True)
    told = context.variables(trace, "hook before")
    assert told == context.variables(trace, "hook before"), "the same span each time it is asked for"
    assert told["TRACESTATE"] == "vendor=opaque"
    carrier = {name.lower(): value for name, value in told.items()}
    found = TraceContextTextMapPropagator().extract(carrier)
    assert TRACE in told["TRACEPARENT"]
    assert found


def test_without_traces_a_hook_is_told_what_whoever_asked_has_told() -> None:
    trace = context.begin(context.read(PARENT), is_on=False)
    assert context.variables(trace, "hook before") == {"TRACEPARENT": PARENT}
    assert not trace.is_exported
    assert context.variables(Trace(), "hook before") == {}
