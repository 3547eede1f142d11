"""Ask the service which update an alert is about, and bring its receipt and its lines. Blocking, within a limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from midair.alerting.alertmanager import Alert
from midair.alerting.evidence import ABOUT, Evidence, Wanted, update_of, wanted
from midair.alerting.lines import Find
from midair.config.load import ServiceAddress
from midair.control import client
from midair.control.words import (
    History,
    HistoryReport,
    Receipt,
    ReceiptLine,
    ReceiptReport,
    Status,
    StatusReport,
)
from midair.errors import MidairError, WorldError

HISTORY_MAX = 200
"""As many as a supervisor has in memory."""
QUESTION_WITHIN_S = 2.0
"""A supervisor answers from memory: one that does not within this time does not."""
LEFT_MIN_S = 0.05

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watched:
    """A service whose alerts are answered."""

    address: ServiceAddress
    find: Find

    @property
    def name(self) -> str:
        return self.address.name


class OutOfTime(WorldError):
    """An alert has to be answered before all that belongs to it could be had."""

    code = "out-of-time"


class Clock:
    """What is left of the time for one answer."""

    def __init__(self, within_s: float) -> None:
        self._deadline_s = time.monotonic() + within_s

    def left_s(self, at_most_s: float = QUESTION_WITHIN_S) -> float:
        """Raises OutOfTime."""
        left_s = self._deadline_s - time.monotonic()
        if left_s < LEFT_MIN_S:
            raise OutOfTime("there was no time left for it")
        return min(left_s, at_most_s)


def gather(alert: Alert, services: Sequence[Watched], clock: Clock, *, at_s: float) -> Evidence:
    """What can be had about ``alert`` in time. at_s: seconds since the epoch, the latest moment that it can be about.

    Nothing that a service or a disk does is raised: what is missing is named.
    """
    watched = choose(alert.labels, services, lambda each: _metrics_of(each, clock))
    if watched is None:
        said = ", ".join(f"{name}={alert.labels[name]!r}" for name in OF_SERVICE if name in alert.labels)
        known = ", ".join(each.name for each in services)
        return Evidence(missing=(f"which service it is about: {said or 'no label says'}; known here: {known}",))
    missing: list[str] = []
    history = _tried("its history", missing, lambda: _history(watched, clock))
    update = update_of(alert.labels.get(ABOUT, ""), at_s, history or ())
    if update is None:
        if history is not None:
            missing.append("the update: none in the history of this service fits")
        return Evidence(service=watched.name, missing=tuple(missing))
    return _about(watched, wanted(watched.name, update, history or ()), missing, clock)


def _about(watched: Watched, want: Wanted, missing: list[str], clock: Clock) -> Evidence:
    receipt = _tried("its receipt", missing, lambda: _receipt(watched, want.update, clock))
    found = _tried("its lines", missing, lambda: watched.find(want, clock.left_s(at_most_s=2 * QUESTION_WITHIN_S)))
    return Evidence(
        service=watched.name,
        update=want.update,
        receipt=receipt or {},
        lines=found.lines if found else (),
        lines_from=found.where if found else "",
        missing=tuple(missing),
    )


def _history(watched: Watched, clock: Clock) -> tuple[ReceiptLine, ...]:
    asked = History(limit=HISTORY_MAX)
    return client.ask_one(watched.address, asked, HistoryReport, timeout_s=clock.left_s()).receipts


def _receipt(watched: Watched, number: int, clock: Clock) -> dict[str, Any]:
    report = client.ask_one(watched.address, Receipt(number=number), ReceiptReport, timeout_s=clock.left_s())
    return msgspec.json.decode(report.document, type=dict[str, Any])


def _tried(what: str, missing: list[str], look: Callable[[], T]) -> T | None:
    try:
        return look()
    except (MidairError, OSError, msgspec.MsgspecError) as exc:
        missing.append(f"{what}: {exc}")
        return None


# --- which service -------------------------------------------------------------------------------------------------

OF_SERVICE = ("service", "instance", "job")
"""Labels that may say which service an alert is about."""


def choose(
    labels: Mapping[str, str], services: Sequence[Watched], metrics_of: Callable[[Watched], str]
) -> Watched | None:
    """The service that an alert with these labels is about: named by a label, scraped at its address, or the only one if no label
    names another. What is said of a wrong one is worse than nothing.

    metrics_of: where a service's metrics are served; asked only if it matters.
    """
    for label in ("service", "job"):
        if named := [each for each in services if each.name == labels.get(label)]:
            return named[0]
    if len(services) == 1 and "service" not in labels:
        return services[0]
    instance = labels.get("instance", "")
    return next((each for each in services if instance and instance == metrics_of(each)), None)


def _metrics_of(watched: Watched, clock: Clock) -> str:
    try:
        return client.ask_one(watched.address, Status(), StatusReport, timeout_s=clock.left_s()).metrics
    except (MidairError, OSError):
        return ""
