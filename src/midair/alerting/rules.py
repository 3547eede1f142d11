"""Prometheus' rules: when somebody should look at a service, and what to type then.

Each rule is a row: its expression over the table of metrics, how long it has to hold, how bad it is, which update of the
history it is about (``evidence.ABOUT``), and what whoever is woken types next. Thresholds are values, given on the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from midair.alerting import series
from midair.alerting.evidence import ABOUT, FAILED, LATEST, SERVING
from midair.alerting.series import BY, increase, select, total

Severity = Literal["warning", "critical"]

RECENTLY = "5m"
"""So long an alert about something that happened stays: long enough for a scrape that was missed, and for somebody to see."""
COMPARED = "5m"
"""Over which errors of the new generation are counted."""
EARLIER = "1h"
"""And over which those of the one before: it has served in that time, or there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When it is too much. Times are seconds, shares are of 1."""

    job: str = "midair"
    """``job_name`` of the services in Prometheus' configuration."""
    slow_s: float = 180.0
    """An update takes longer: ``ready.timeout`` (60 s), a bake and hooks have passed then."""
    drain_s: float = 600.0
    """Old connections are there for longer: twice ``drain.timeout``."""
    error_share: float = 0.05
    """Of the new generation's answers, and ..."""
    error_factor: float = 2.0
    """... so many times the share of the one before."""
    requests_min: int = 50
    """Fewer answers in COMPARED say nothing."""
    differs_s: float = 3600.0
    """What stands on the disk is not what serves for longer."""
    down_s: float = 60.0
    """Nothing serves for longer, or the metrics cannot be scraped."""
    certificate_days: int = 7


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    expression: str
    severity: Severity
    summary: str
    description: str
    next: str
    """What to type, on the machine of the service and in its folder."""
    about: str = ""
    """Which update of the history: an empty text, or one of ``evidence.ABOUT``."""
    for_s: float = 0.0

    def document(self) -> dict[str, object]:
        """As Prometheus reads it."""
        held = {"for": _duration(self.for_s)} if self.for_s else {}
        labels = {"severity": self.severity, **({ABOUT: self.about} if self.about else {})}
        annotations = {"summary": self.summary, "description": self.description, "next": self.next}
        return {"alert": self.name, "expr": self.expression, **held, "labels": labels, "annotations": annotations}


def rules(limits: Thresholds) -> tuple[Rule, ...]:
    """Every rule, in the order in which a night goes wrong."""
    return (*_of_updates(limits), *_of_service(limits))


def document(limits: Thresholds) -> dict[str, object]:
    """A file of rules, as Prometheus reads it."""
    return {"groups": [{"name": "midair", "rules": [rule.document() for rule in rules(limits)]}]}


WHERE = "{{ $labels.instance }}"


def _of_updates(limits: Thresholds) -> Iterator[Rule]:
    yield Rule(
        "MidairUpdateFailed",
        f"{total(increase(series.UPDATES, RECENTLY, result='refused'))} > 0",
        "warning",
        f"An update of {WHERE} was refused",
        "The new version did not get to serve. The earlier one does and never noticed: nobody outside has seen this.",
        "midair receipt    # why, with the application's last lines; midair alerts show has them too",
        FAILED,
    )
    yield Rule(
        "MidairUpdateRolledBack",
        f"{total(increase(series.UPDATES, RECENTLY, result='rolled-back'))} > 0",
        "critical",
        f"An update of {WHERE} was rolled back",
        "The new version served, did not do well, and was taken back: some clients have met it. Its files are quarantined.",
        "midair receipt    # why; mend it and midair reload, or midair reload --force for the same files",
        FAILED,
    )
    yield Rule(
        "MidairModuleLoadErrors",
        f"max by ({BY}) ({select(series.LOAD_ERRORS)}) > 0",
        "warning",
        f"What stands on the disk of {WHERE} cannot be imported",
        "The last update ended because modules of the new version could not be loaded. A restart would not come up.",
        "midair check    # imports it in a throw-away process and shows the traceback",
        FAILED,
    )
    yield Rule(
        "MidairUpdateSlow",
        f"max by ({BY}) (time() - {select(series.UPDATE_BEGAN)}) > {limits.slow_s:g} "
        f"and on ({BY}) {select(series.IS_UPDATING)} == 1",
        "warning",
        f"An update of {WHERE} takes longer than {_duration(limits.slow_s)}",
        "The earlier version serves meanwhile.",
        "midair status    # the phase that it is in; midair logs -f shows what the new version prints",
        LATEST,
    )
    yield Rule(
        "MidairErrorRate",
        _error_rate(limits),
        "critical",
        f"The new version on {WHERE} fails more often than the one before",
        "{{ $value | humanizePercentage }} of its answers are 5xx or worse: above "
        f"{limits.error_share:.0%}, and more than {limits.error_factor:g} times the share of the version before.",
        "midair rollback    # back to the version before; then midair logs -g GENERATION",
        SERVING,
    )
    yield Rule(
        "MidairDrainStuck",
        f"max by ({BY}) ({select(series.DRAIN_AGE)}) > {limits.drain_s:g} "
        f"and on ({BY}) {select(series.DRAIN_LEFT)} > 0",
        "warning",
        f"Old connections of {WHERE} do not end",
        f"Connections of an earlier generation are still there after {_duration(limits.drain_s)}; its memory is, too.",
        "midair status    # which generation drains, and how many connections it has; midair why-alive GENERATION",
        SERVING,
    )


def _of_service(limits: Thresholds) -> Iterator[Rule]:
    yield Rule(
        "MidairCrashLoop",
        f"{total(increase(series.CRASH_LOOPS, RECENTLY))} > 0",
        "critical",
        f"Workers of {WHERE} die faster than they can serve",
        "Each next one waits longer. What serves is short of workers, or nothing does.",
        "midair logs    # their last words; midair rollback goes back to the version before",
        LATEST,
    )
    yield Rule(
        "MidairNotServing",
        f"{_not_serving()} or up{{job={_quoted(limits.job)}}} == 0",
        "critical",
        f"{WHERE} does not serve",
        "No worker of the serving generation is there, or nobody answers where the metrics are.",
        "midair status    # exit 5: nothing runs; then systemctl status, and midair run in the service's folder",
        LATEST,
        limits.down_s,
    )
    yield Rule(
        "MidairDiskDiffers",
        f"max by ({BY}) ({select(series.DISK_DIFFERS)}) == 1",
        "warning",
        f"What serves on {WHERE} is not what stands on its disk",
        f"For {_duration(limits.differs_s)} now: a restart would start another version than the one that was tested by serving.",
        "midair status    # both versions; midair reload brings the one on disk, or put the old files back",
        LATEST,
        limits.differs_s,
    )
    yield Rule(
        "MidairCertificateExpires",
        f"min by ({BY}) ({select(series.EXPIRES)} - time()) < {limits.certificate_days * 86400}",
        "warning",
        f"The TLS certificate of {WHERE} ends in {{{{ $value | humanizeDuration }}}}",
        "Workers take in renewed files by themselves, within seconds.",
        "midair status    # then renew the files that tls.certfile and tls.keyfile name; no update is needed",
    )


def _not_serving() -> str:
    serving = select(series.GENERATIONS, role="serving")
    of_serving = f"{select(series.WORKERS)} * on ({BY}, generation, version) {serving}"
    return f"{total(of_serving)} == 0"


def _error_rate(limits: Thresholds) -> str:
    """The share of errors of what serves, if it is too high and much higher than that of what served in the last hour. Series of
    generations that are gone are still in a range: nothing else remembers them."""
    serving = f"and on ({BY}, generation) {select(series.GENERATIONS, role='serving')}"
    before = f"unless on ({BY}, generation) {select(series.GENERATIONS, role='serving')}"
    new_errors = total(f"{increase(series.ERRORS, COMPARED)} {serving}")
    new_requests = total(f"{increase(series.REQUESTS, COMPARED)} {serving}")
    old_errors = total(f"{increase(series.ERRORS, EARLIER)} {before}")
    old_requests = total(f"{increase(series.REQUESTS, EARLIER)} {before}")
    return (
        f"({new_errors} / {new_requests}) > {limits.error_share:g}\n"
        f"and ({new_errors} / {new_requests}) > {limits.error_factor:g} * ({old_errors} / clamp_min({old_requests}, 1))\n"
        f"and {new_requests} >= {limits.requests_min}"
    )


def _duration(seconds: float) -> str:
    """As Prometheus writes it: whole units only."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:.0f}{name}"
    return f"{seconds * 1000:.0f}ms"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
