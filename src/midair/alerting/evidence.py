"""What an alert is about: the update, its receipt, and the lines that were logged for it.

An alert says when it began, not which update it is about: a number in a label would be a new series for each update. The
service's history says it, and what the rule asks for (its label ``midair_update``):

    failed    the update that was refused, rolled back or lost last, before the alert
    serving   the update that brought what served
    latest    the update that was going on, else whichever ended last before the alert (and so without that label)

Decisions only; ``gathering.py`` asks the service and reads the lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from midair.control.words import ReceiptLine
from midair.observe.events import EVENTS

ABOUT = "midair_update"
"""Label of our rules: which update of the history they are about."""
FAILED, SERVING, LATEST = "failed", "serving", "latest"

SKEW_S = 0.5
"""Clocks of two machines differ: an update that ended so soon after the alert began may have ended before it."""
LATE_S = 5.0
"""And if no other fits, clocks may differ so much."""
LINES_MAX = 200
"""Of the update itself, and as many of its workers: what a person reads."""
LINE_MAX = 4096
"""Characters of one field of a line."""

Line: TypeAlias = dict[str, Any]
"""One line of the log, as fields."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What belongs to an alert."""

    service: str = ""
    """Its name; empty: it is not known which is meant."""
    update: int = 0
    """0: none was found."""
    receipt: dict[str, Any] = {}
    """As ``midair receipt N --json`` tells it."""
    lines: tuple[Line, ...] = ()
    """Oldest first."""
    lines_from: str = ""
    """the journal, the path of a file, or the supervisor (the last lines that it keeps)."""
    missing: tuple[str, ...] = ()
    """What could not be had, and why: a sentence each."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Whose lines are looked for."""

    service: str
    update: int
    generation: int = 0
    """Whose workers' lines belong to the update; 0: no generation is this update's own."""
    since_s: float
    """Seconds since the epoch."""


def update_of(about: str, at_s: float, history: Sequence[ReceiptLine]) -> ReceiptLine | None:
    """The update of the history that an alert is about which began to fire at ``at_s``, seconds since the epoch. Pure."""
    return _update_of(about, at_s + SKEW_S, history) or _update_of(about, at_s + LATE_S, history)


def _update_of(about: str, at_s: float, history: Sequence[ReceiptLine]) -> ReceiptLine | None:
    over = [line for line in history if line.result != "running" and _ended_s(line) <= at_s]
    if about == FAILED:
        return _last([line for line in over if line.result in FAILURES])
    if about == SERVING:
        return _last([line for line in over if line.result == "committed"])
    going_on = [line for line in history if line.time_s <= at_s and line not in over]
    return _last(going_on) or _last(over)


FAILURES = ("refused", "rolled-back", "failed", "unknown")


def _ended_s(line: ReceiptLine) -> float:
    return line.time_s + line.duration_s


def _last(lines: Sequence[ReceiptLine]) -> ReceiptLine | None:
    """Whichever ended last; of two at one moment the younger."""
    return max(lines, key=lambda line: (_ended_s(line), line.number), default=None)


def wanted(service: str, update: ReceiptLine, history: Sequence[ReceiptLine]) -> Wanted:
    """Whose lines belong to ``update``. Pure."""
    # An upgrade of midair has a receipt and no generation of its own: lines of those workers are an earlier update's.
    earlier = any(line.generation == update.generation and line.number < update.number for line in history)
    return Wanted(
        service=service,
        update=update.number,
        generation=0 if earlier else update.generation,
        since_s=update.time_s - LATE_S,
    )


def is_of(line: Line, want: Wanted) -> bool:
    """Whether a line of the service's log (later than ``since_s``) belongs to the update. Pure."""
    is_supervisors = line.get("event") in EVENTS and line["event"] != "worker_output"
    if is_supervisors and "update" in line:
        return bool(line["update"] == want.update)
    # A worker's own field of that name stays as it is, and ours goes by another.
    generation = line.get("midair_generation", line.get("generation"))
    return bool(want.generation and generation == want.generation)


def bounded(lines: Sequence[Line], want: Wanted) -> tuple[Line, ...]:
    """The last LINES_MAX of the update and the last LINES_MAX of its workers, in their order, with no endless field. Pure."""
    of_update = [number for number, line in enumerate(lines) if line.get("update") == want.update]
    of_workers = sorted(set(range(len(lines))) - set(of_update))
    kept = sorted(of_update[-LINES_MAX:] + of_workers[-LINES_MAX:])
    return tuple({name: _short(value) for name, value in lines[number].items()} for number in kept)


def _short(value: object) -> object:
    return f"… {value[-LINE_MAX:]}" if isinstance(value, str) and len(value) > LINE_MAX else value
