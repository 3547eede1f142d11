"""From a receipt to spans. Pure: the same receipt gives the same spans, identifiers included, whoever asks and how often.

    midair deploy                        if the update is a part of a deployment: to the end of the update
     |- fetch, environment, check, …     its steps
     `- midair update                    from the request to its end, within the span of whoever asked
         |- build, start, ready, …       its phases; what happened in each (probes, workers) as events
         |   `- hook before              within the phase in which it ran
         |- hook after, hook contract    after the end
         `- drain                        an earlier version, from the cut-over until its last worker has left

What is not over yet gives no span. Spans are only ever added at the end: whoever has exported so many of them goes on there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from midair.errors import Fault
from midair.traces.context import Trace, span_within

Value = str | int | float | bool
DEPLOYMENT, UPDATE, UPGRADE = "midair deploy", "midair update", "midair upgrade"
FAILED = frozenset({"refused", "rolled-back", "failed", "unknown"})
DETAIL_MAX = 16 * 1024
"""Characters of a traceback."""


class Phase(msgspec.Struct):
    phase: str
    at_s: float
    took_s: float | None = None


class Step(msgspec.Struct):
    step: str
    at_s: float
    took_s: float


class Event(msgspec.Struct):
    at_s: float
    event: str
    fields: dict[str, str | int | float | bool | None] = {}


class Receipt(msgspec.Struct, kw_only=True):
    """What is read of one."""

    number: int
    generation: int = 0
    by: str = ""
    reason: str = ""
    began: float
    version: str = ""
    previous_generation: int = 0
    previous_version: str = ""
    steps: list[Step] = []
    phases: list[Phase] = []
    events: list[Event] = []
    result: str = ""
    exit_code: int = 0
    took_s: float = 0.0
    note: str = ""
    fault: Fault | None = None
    serving_generation: int = 0
    serving_version: str = ""
    gone: dict[str, float] = {}
    trace: Trace = Trace()


class Moment(msgspec.Struct, frozen=True):
    """An event of a span."""

    name: str
    at_ns: int
    attributes: dict[str, Value] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A span that is over. Times are nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str
    state: str = ""
    name: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Value] = {}
    moments: tuple[Moment, ...] = ()
    error: str | None = None
    """What went wrong; None: nothing."""


def read(document: bytes) -> Receipt:
    """Raises msgspec.MsgspecError."""
    return msgspec.json.decode(document, type=Receipt)


def spans(receipt: Receipt) -> list[Span]:
    """All spans of an update so far, none before it has ended; those that came after its end last, by when they ended."""
    if not receipt.result or not receipt.trace.is_exported:
        return []
    later = [*_hooks(receipt, receipt.took_s), *_drains(receipt)]
    told = [_update(receipt), *_phases(receipt), *_deployment(receipt)]
    return [*told, *sorted(later, key=lambda span: span.end_ns)]


def _update(receipt: Receipt) -> Span:
    trace, fault = receipt.trace, receipt.fault
    known: dict[str, Value] = {
        "midair.update": receipt.number,
        "midair.generation": receipt.generation,
        "midair.version": receipt.version,
        "midair.previous.generation": receipt.previous_generation,
        "midair.previous.version": receipt.previous_version,
        "midair.serving.generation": receipt.serving_generation,
        "midair.serving.version": receipt.serving_version,
        "midair.by": receipt.by,
        "midair.reason": receipt.reason,
        "midair.result": receipt.result,
        "midair.note": receipt.note,
        "error.type": fault.code if fault else "",
    }
    return Span(
        trace_id=trace.id,
        span_id=trace.span,
        parent_id=span_within(trace, DEPLOYMENT) if receipt.steps else trace.parent,
        state=trace.state,
        name=UPDATE if receipt.generation else UPGRADE,
        start_ns=_ns(receipt, 0.0),
        end_ns=_ns(receipt, receipt.took_s),
        attributes={name: value for name, value in known.items() if value not in ("", 0)}
        | {"midair.exit_code": receipt.exit_code},
        moments=_exception(receipt, fault),
        error=_error(receipt),
    )


def _deployment(receipt: Receipt) -> Iterator[Span]:
    """It goes on for a moment after the update, which nobody is told of here."""
    if not receipt.steps:
        return
    whole = _span(receipt, DEPLOYMENT, receipt.steps[0].at_s, receipt.took_s, name=DEPLOYMENT, error=_error(receipt))
    yield msgspec.structs.replace(whole, parent_id=receipt.trace.parent)
    for place, each in enumerate(receipt.steps):
        end_s = each.at_s + each.took_s
        yield _span(receipt, f"step {place}", each.at_s, end_s, name=each.step, parent_id=whole.span_id)


def _error(receipt: Receipt) -> str | None:
    if receipt.result not in FAILED:
        return None
    return receipt.fault.message if receipt.fault else receipt.note or receipt.result


def _exception(receipt: Receipt, fault: Fault | None) -> tuple[Moment, ...]:
    if fault is None:
        return ()
    said = {"exception.type": fault.code, "exception.message": fault.message}
    if fault.detail:
        said["exception.stacktrace"] = fault.detail[-DETAIL_MAX:]
    return (Moment("exception", _ns(receipt, receipt.took_s), dict(said)),)


def _phases(receipt: Receipt) -> Iterator[Span]:
    last = len(receipt.phases) - 1
    for place, phase in enumerate(receipt.phases):
        end_s = phase.at_s + (phase.took_s if phase.took_s is not None else max(0.0, receipt.took_s - phase.at_s))
        yield _span(
            receipt,
            _phase_name(place, phase),
            phase.at_s,
            end_s,
            name=phase.phase,
            moments=tuple(_moments(receipt, phase.at_s, end_s, is_last=place == last)),
            error=receipt.fault.message if place == last and receipt.fault and receipt.result in FAILED else None,
        )
        for event in receipt.events:
            if _is_hook(event) and event.at_s <= receipt.took_s and _place_of(receipt, event) == place:
                yield _hook(receipt, event, span_within(receipt.trace, _phase_name(place, phase)))


def _place_of(receipt: Receipt, hook: Event) -> int:
    """In which phase it began. How long it took is rounded to milliseconds."""
    began_s = _began_s(hook) + 0.001
    return max((place for place, phase in enumerate(receipt.phases) if phase.at_s <= began_s), default=0)


def _phase_name(place: int, phase: Phase) -> str:
    """An upgrade of midair may come through a phase twice."""
    return f"{place} {phase.phase}"


def _moments(receipt: Receipt, start_s: float, end_s: float, *, is_last: bool) -> Iterator[Moment]:
    for event in receipt.events:
        is_inside = start_s <= event.at_s < end_s or (is_last and event.at_s == end_s)
        if is_inside and not _is_hook(event):
            yield Moment(event.event, _ns(receipt, event.at_s), _attributes(event.fields))


def _attributes(fields: dict[str, str | int | float | bool | None]) -> dict[str, Value]:
    return {f"midair.{name}": value for name, value in fields.items() if value is not None and value != ""}


def hook_span(hook: str) -> str:
    """The name by which a hook's span is found (``context.span_within``), before it runs."""
    return f"hook {hook}"


def _is_hook(event: Event) -> bool:
    return event.event == "hook_ended"


def _began_s(event: Event) -> float:
    seconds = event.fields.get("seconds")
    return max(0.0, event.at_s - seconds) if isinstance(seconds, (int, float)) else event.at_s


def _hooks(receipt: Receipt, after_s: float) -> Iterator[Span]:
    return (
        _hook(receipt, each, receipt.trace.span) for each in receipt.events if _is_hook(each) and each.at_s > after_s
    )


def _hook(receipt: Receipt, event: Event, parent_id: str) -> Span:
    how = str(event.fields.get("how", ""))
    name = hook_span(str(event.fields.get("hook", "")))
    return _span(
        receipt,
        name,
        _began_s(event),
        event.at_s,
        name=name,
        parent_id=parent_id,
        attributes=_attributes(event.fields),
        error=None if how == "exit 0" else how,
    )


def _drains(receipt: Receipt) -> Iterator[Span]:
    """Generations that had workers when this one took their place, or that this update gave up itself."""
    cut_over_s = next((each.at_s for each in receipt.phases if each.phase == "cut-over"), receipt.took_s)
    for generation, gone_s in receipt.gone.items():
        is_previous = generation == str(receipt.previous_generation)
        start_s = cut_over_s if is_previous else receipt.took_s
        if gone_s >= start_s:
            version = receipt.previous_version if is_previous else receipt.version
            yield _span(
                receipt,
                f"drain {generation}",
                start_s,
                gone_s,
                name="drain",
                attributes={"midair.generation": int(generation), "midair.version": version},
            )


def _span(
    receipt: Receipt,
    known_as: str,
    start_s: float,
    end_s: float,
    *,
    name: str,
    parent_id: str = "",
    attributes: dict[str, Value] | None = None,
    moments: Sequence[Moment] = (),
    error: str | None = None,
) -> Span:
    trace = receipt.trace
    about: dict[str, Value] = {"midair.update": receipt.number, "midair.generation": receipt.generation}
    return Span(
        trace_id=trace.id,
        span_id=span_within(trace, known_as),
        parent_id=parent_id or trace.span,
        state=trace.state,
        name=name,
        start_ns=_ns(receipt, start_s),
        end_ns=_ns(receipt, end_s),
        attributes=about | (attributes or {}),
        moments=tuple(moments),
        error=error,
    )


def _ns(receipt: Receipt, at_s: float) -> int:
    return int((receipt.began + at_s) * 1e9)
