"""Every metric: its name, kind, meaning, labels and where its value stands. The documentation is made of this table.

Three names are older than midair and stay as they are: ``hot_update_success`` (a counter without ``_total``),
``hot_update_duration`` (seconds) and ``module_load_errors``. All others carry ``midair_`` and their base unit.

Labels are few and their values closed, but for generation and version: those of living generations only, so there are
as many as generations that still run. A generation's counters end with it; ``rate()`` over them is what is meant, and the
``midair_service_*`` counters go on: they have in them what generations that are gone had counted.

The supervisor fills a ``MetricsSnapshot`` and hands it to whoever asks; it never speaks HTTP itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import msgspec

from midair.observe.counters import LATENCY_BOUNDS_S, Page

UPDATE_BOUNDS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""From a bare reload in development (no bake) to a slow start with a long bake."""


class Durations(msgspec.Struct):
    """How long updates took. Mutable: the supervisor's own, kept over its re-execution."""

    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(UPDATE_BOUNDS_S) + 1))
    """Observations a bucket, not cumulative; the last is for everything above."""
    sum_s: float = 0.0

    def observe(self, seconds: float) -> None:
        self.buckets[bisect_left(UPDATE_BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class GenerationFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One generation that has processes, its workers taken together."""

    generation: int
    version: str
    role: str
    """candidate, serving, retiring, parked."""
    workers: int = 0
    counts: dict[str, int] = {}
    """Sums of the cells of ``counters.Cell`` by lower-case name."""
    latency_buckets: tuple[int, ...] = ()
    """As ``Page.latency_buckets``, summed."""
    resident_bytes: int = 0
    """Shared pages count in every process."""


class MetricsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All figures at one moment. Counts are since the service started, over re-executions of the supervisor."""

    midair: str = ""
    python: str = ""
    started_s: float = 0.0
    """Seconds since the epoch."""
    updates: dict[str, int] = {}
    """Ended updates by result: committed, refused, rolled-back, superseded, stopped."""
    durations: Durations = msgspec.field(default_factory=Durations)
    """Of committed updates, from the request to the commit."""
    last_update_s: float = 0.0
    """Seconds since the epoch when the last commit was; 0: none yet."""
    load_errors: int = 0
    """Modules (or the target itself) that the last update could not import; 0 again with the next that can."""
    is_updating: bool = False
    is_held: bool = False
    is_behind_disk: bool = False
    """What serves is not what stands on the disk: a restart would start something else."""
    wanted_workers: int = 0
    worker_ends: dict[str, int] = {}
    """Workers that ended and were replaced, by why: died, worn, hung."""
    crash_loops: int = 0
    """How often workers of a version died faster than they could serve."""
    log_lines_dropped: int = 0
    certificate_not_after_s: float = 0.0
    """Seconds since the epoch when the first of the certificates that are shown ends; 0: there is no TLS."""
    supervisor_resident_bytes: int = 0
    totals: dict[str, int] = {}
    """Sums of the cells over all generations, those that are gone included, by lower-case name."""
    generations: tuple[GenerationFigures, ...] = ()


def figures(
    generation: int, version: str, role: str, pages: Sequence[Page], resident_bytes: int = 0
) -> GenerationFigures:
    """The figures of a generation out of its workers' pages, those of workers that have ended included if given."""
    counts: dict[str, int] = {}
    buckets = [0] * (len(LATENCY_BOUNDS_S) + 1)
    for page in pages:
        for name, value in page.snapshot().items():
            counts[name] = counts.get(name, 0) + value
        buckets = [a + b for a, b in zip(buckets, page.latency_buckets(), strict=True)]
    return GenerationFigures(
        generation=generation,
        version=version,
        role=role,
        workers=len(pages),
        counts=counts,
        latency_buckets=tuple(buckets),
        resident_bytes=resident_bytes,
    )


# --- the table -----------------------------------------------------------------------------------------------------

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: ``name`` + ``suffix`` with its labels."""

    value: float
    labels: Labels = ()
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row. ``labels`` are the names that its samples carry (``le`` of histograms aside)."""

    name: str
    kind: Kind
    meaning: str
    read: Callable[[MetricsSnapshot], Iterable[Sample]]
    labels: tuple[str, ...] = ()


OF_GENERATION = ("generation", "version")
CLOSED_BY = {
    "closed_by_client": "client",
    "closed_idle": "idle",
    "closed_after_response": "after_response",
    "closed_drained": "drained",
    "closed_refused": "refused",
    "closed_cut": "cut",
    "closed_error": "error",
    "closed_handshake": "handshake",
}
"""Cell → value of the label ``why``. Together with handed over and open they balance accepted and adopted."""


def _one(value: Callable[[MetricsSnapshot], float]) -> Callable[[MetricsSnapshot], Iterable[Sample]]:
    return lambda snapshot: [Sample(value(snapshot))]


def _by(
    label: str, values: Callable[[MetricsSnapshot], dict[str, int]]
) -> Callable[[MetricsSnapshot], Iterable[Sample]]:
    return lambda snapshot: [Sample(count, ((label, name),)) for name, count in sorted(values(snapshot).items())]


def _each(value: Callable[[GenerationFigures], float]) -> Callable[[MetricsSnapshot], Iterable[Sample]]:
    return lambda snapshot: [Sample(value(each), _of(each)) for each in snapshot.generations]


def _count(cell: str) -> Callable[[MetricsSnapshot], Iterable[Sample]]:
    return _each(lambda each: each.counts.get(cell, 0))


def _of(each: GenerationFigures) -> Labels:
    return (("generation", str(each.generation)), ("version", each.version))


def _histogram(
    bounds_s: Sequence[float], buckets: Sequence[int], sum_s: float, labels: Labels = ()
) -> Iterable[Sample]:
    cumulative = list(accumulate(buckets)) or [0] * (len(bounds_s) + 1)
    names = [*(f"{bound:g}" for bound in bounds_s), "+Inf"]
    for name, count in zip(names, cumulative, strict=True):
        yield Sample(count, (*labels, ("le", name)), "_bucket")
    yield Sample(sum_s, labels, "_sum")
    yield Sample(cumulative[-1], labels, "_count")


def _update_durations(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    return _histogram(UPDATE_BOUNDS_S, snapshot.durations.buckets, snapshot.durations.sum_s)


def _latencies(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    for each in snapshot.generations:
        sum_s = each.counts.get("latency_sum_us", 0) / 1e6
        yield from _histogram(LATENCY_BOUNDS_S, each.latency_buckets, sum_s, _of(each))


def _closed(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    for each in snapshot.generations:
        for cell, why in CLOSED_BY.items():
            yield Sample(each.counts.get(cell, 0), (*_of(each), ("why", why)))


def _roles(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    return [Sample(1, (*_of(each), ("role", each.role))) for each in snapshot.generations]


def _expiration(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    return [Sample(snapshot.certificate_not_after_s)] if snapshot.certificate_not_after_s else []


def _build(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    return [Sample(1, (("midair", snapshot.midair), ("python", snapshot.python)))]


# A row a line.
# fmt: off
METRICS = (
    Metric("hot_update_success", "counter", "Updates that were committed.",
           _one(lambda s: s.updates.get("committed", 0))),
    Metric("hot_update_duration", "histogram", "Seconds from the request to the commit of an update.",
           _update_durations),
    Metric("module_load_errors", "gauge", "Import errors of the last update; 0 when its version could be loaded.",
           _one(lambda s: s.load_errors)),
    Metric("midair_updates_total", "counter", "Updates that have ended, by result.",
           _by("result", lambda s: s.updates), ("result",)),
    Metric("midair_update_in_progress", "gauge", "1 while an update is on its way to its commit.",
           _one(lambda s: s.is_updating)),
    Metric("midair_last_update_timestamp_seconds", "gauge", "When the last update was committed.",
           _one(lambda s: s.last_update_s)),
    Metric("midair_updates_held", "gauge", "1 while updates are held back.",
           _one(lambda s: s.is_held)),
    Metric("midair_disk_version_differs", "gauge", "1 if a restart would start another version than the one that serves.",
           _one(lambda s: s.is_behind_disk)),
    Metric("midair_workers_wanted", "gauge", "Workers that the serving generation should have.",
           _one(lambda s: s.wanted_workers)),
    Metric("midair_worker_restarts_total", "counter", "Workers that were replaced, by why: died, worn (a limit), hung.",
           _by("why", lambda s: s.worker_ends), ("why",)),
    Metric("midair_crash_loops_total", "counter", "Times that workers died faster than they could serve.",
           _one(lambda s: s.crash_loops)),
    Metric("midair_service_connections_accepted_total", "counter", "Connections accepted, by whatever generation.",
           _one(lambda s: s.totals.get("accepted", 0))),
    Metric("midair_service_requests_total", "counter", "Responses begun, by whatever generation.",
           _one(lambda s: s.totals.get("requests", 0))),
    Metric("midair_service_responses_5xx_total", "counter", "Responses of 500 and above, by whatever generation.",
           _one(lambda s: s.totals.get("responses_5xx", 0))),
    Metric("midair_service_requests_cut_total", "counter", "Requests ended at a deadline, by whatever generation.",
           _one(lambda s: s.totals.get("requests_cut", 0))),
    Metric("midair_service_connections_lost_total", "counter", "Connections of workers that died or were killed.",
           _one(lambda s: s.totals.get("lost", 0))),
    Metric("midair_tls_certificate_expiration_timestamp_seconds", "gauge",
           "When the TLS certificate that is shown ends; of several the first. Not there without TLS.", _expiration),
    Metric("midair_log_lines_dropped_total", "counter", "Log lines lost because nobody read them.",
           _one(lambda s: s.log_lines_dropped)),
    Metric("midair_start_time_seconds", "gauge", "When the service started.",
           _one(lambda s: s.started_s)),
    Metric("midair_supervisor_resident_memory_bytes", "gauge", "Resident memory of the supervisor.",
           _one(lambda s: s.supervisor_resident_bytes)),
    Metric("midair_build_info", "gauge", "Versions of midair and of the supervisor's Python.",
           _build, ("midair", "python")),
    Metric("midair_generation_info", "gauge", "Living generations and what they do.",
           _roles, (*OF_GENERATION, "role")),
    Metric("midair_workers", "gauge", "Workers of a generation.",
           _each(lambda g: g.workers), OF_GENERATION),
    Metric("midair_resident_memory_bytes", "gauge", "Resident memory of a generation's processes; shared pages count in each.",
           _each(lambda g: g.resident_bytes), OF_GENERATION),
    Metric("midair_connections", "gauge", "Open connections.",
           _count("open"), OF_GENERATION),
    Metric("midair_websockets", "gauge", "Open WebSockets.",
           _count("websockets"), OF_GENERATION),
    Metric("midair_connections_accepted_total", "counter", "Connections accepted from clients.",
           _count("accepted"), OF_GENERATION),
    Metric("midair_connections_adopted_total", "counter", "Connections taken over from an earlier generation.",
           _count("adopted"), OF_GENERATION),
    Metric("midair_connections_handed_over_total", "counter", "Connections handed over to a later generation.",
           _count("handed_over"), OF_GENERATION),
    Metric("midair_connections_closed_total", "counter", "Connections that ended, by why.",
           _closed, (*OF_GENERATION, "why")),
    Metric("midair_requests_total", "counter", "Responses begun.",
           _count("requests"), OF_GENERATION),
    Metric("midair_requests_active", "gauge", "Requests in flight.",
           _count("active"), OF_GENERATION),
    Metric("midair_requests_cut_total", "counter", "Requests in flight that were ended at a deadline.",
           _count("requests_cut"), OF_GENERATION),
    Metric("midair_responses_5xx_total", "counter", "Responses with a status of 500 and above.",
           _count("responses_5xx"), OF_GENERATION),
    Metric("midair_application_errors_total", "counter", "Exceptions that left the application.",
           _count("application_errors"), OF_GENERATION),
    Metric("midair_request_duration_seconds", "histogram", "Time from a request's head to the end of its response.",
           _latencies, OF_GENERATION),
    Metric("midair_received_bytes_total", "counter", "Bytes read from clients.",
           _count("bytes_in"), OF_GENERATION),
    Metric("midair_sent_bytes_total", "counter", "Bytes written to clients.",
           _count("bytes_out"), OF_GENERATION),
)
# fmt: on
