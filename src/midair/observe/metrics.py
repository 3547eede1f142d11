"""Every metric: its name, kind, meaning, labels and where its value stands. The documentation is made of this table.

Three names are older than midair and stay as they are: ``hot_update_success`` (a counter without ``_total``),
``hot_update_duration`` (seconds) and ``module_load_errors``. All others carry ``midair_`` and their base unit.

Labels are few and their values closed, but for generation and version: those of living generations only, so there are
as many as generations that still run (``drain.max_generations`` and those kept for a rollback). A generation's counters end
with it; ``rate()`` over them is what is meant, and all counters without these labels go on: they have in them what
generations that are gone had counted.

The supervisor fills a ``MetricsSnapshot`` and hands it to whoever asks; it never speaks HTTP itself. What may take the kernel
a while to say (memory) is not in it: only which processes there are, and whoever serves the figures looks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Literal

import msgspec
from msgspec import Struct, field

from midair.observe.counters import LATENCY_BOUNDS_S, Page

UPDATE_BOUNDS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""From a bare reload in development (no bake) to a slow start with a long bake."""

PHASE_BOUNDS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""From a cut-over (milliseconds) to a start or a bake of minutes."""
BUILD_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""A developer waits for it: beyond a minute all are alike."""

PHASES = ("build", "start", "ready", "canary", "cut-over", "bake", "commit")
"""``core.effects.Phase``, whose module costs a command more to import than the rest of this one."""
ROLES = ("candidate", "serving", "parked", "retiring")
RESULTS = ("committed", "refused", "rolled-back", "superseded", "stopped")
REPLACED = ("died", "worn", "hung")
ENDS = ("left", "died", "killed", "failed")
REFUSALS = ("not_allowed", "garbage", "too_many", "silent", "unread")
STATES = ("idle", "active", "websocket", "stream", "draining")
"""What a connection does; each is in one of them."""
STEPS = ("pre", "build", "check", "post")
"""The lists of ``[build]``."""
KINDS = ("supervisor", "base", "zygote", "worker", "companion", "endpoints", "traces")
"""Of processes: base is all that zygotes are forked from, companion a [[process]], endpoints what serves the figures, traces what
tells a collector of updates."""
SPANS_OF = ("updates", "requests")
SPANS = ("exported", "dropped")
CHANGES = ("create", "write", "remove", "move", "chmod")
"""``watch.words.Kind``, which is above this room."""


class Durations(msgspec.Struct):
    """How long things took. Mutable: the supervisor's own, kept over its re-execution."""

    buckets: list[int] = []
    """Observations a bucket, not cumulative; the last is for everything above."""
    sum_s: float = 0.0
    bounds_s: tuple[float, ...] = UPDATE_BOUNDS_S

    def __post_init__(self) -> None:
        if not self.buckets:
            self.buckets = [0] * (len(self.bounds_s) + 1)

    def observe(self, seconds: float) -> None:
        self.buckets[bisect_left(self.bounds_s, seconds)] += 1
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
    connections: dict[str, int] = {}
    """Open connections by what they do, one of STATES."""
    resident_bytes: int = 0
    """Shared pages count in every process."""


class ProcessFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One living process of the service."""

    kind: str
    """One of KINDS."""
    pid: int
    generation: str = ""
    """Empty: it belongs to none."""
    memory_bytes: int = 0
    """Proportional (PSS). The supervisor leaves it 0: reading it can take milliseconds a process."""


class QueueFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Connections that the kernel has made and nobody has accepted yet, at one address."""

    waiting: int
    limit: int
    """How many may wait (the backlog); the kernel drops what comes beyond."""


class DevFigures(msgspec.Struct, kw_only=True):
    """What ``midair dev`` does beside the supervisor. Mutable: the supervisor's own."""

    builds: dict[str, Durations] = msgspec.field(
        default_factory=lambda: {step: Durations(bounds_s=BUILD_BOUNDS_S) for step in STEPS}
    )
    """Time of the lists of ``[build]`` in one run, by STEPS; failed ones too."""
    failures: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(STEPS, 0))
    changes: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(CHANGES, 0))
    watches: int = 0
    """Folders that are watched."""

    def built(self, times_s: Mapping[str, float], failed: str) -> None:
        """A run of [build] is over. failed: the list in which it was; empty: in none."""
        for step, seconds in times_s.items():
            self.builds[step].observe(seconds)
        if failed:
            self.failures[failed] += 1


class MetricsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All figures at one moment. Counts are since the service started, over re-executions of the supervisor."""

    midair: str = ""
    python: str = ""
    started_s: float = 0.0
    """Seconds since the epoch."""
    updates: dict[str, int] = {}
    """Ended updates by RESULTS."""
    durations: Durations = msgspec.field(default_factory=Durations)
    """Of committed updates, from the request to the commit."""
    phases: dict[str, Durations] = {}
    """Of ended updates, however they ended, by PHASES."""
    update_began_s: float = 0.0
    """Seconds since the epoch when the latest update began, under way or ended; 0: none yet."""
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
    """Workers that were replaced, by REPLACED."""
    ends: dict[str, int] = {}
    """Workers that ended, by ENDS."""
    crash_loops: int = 0
    """How often workers of a version died faster than they could serve."""
    log_lines_dropped: int = 0
    control_refusals: dict[str, int] = {}
    """By REFUSALS."""
    spans: dict[str, dict[str, int]] = {}
    """Of updates and of requests (SPANS_OF), by what became of them (SPANS)."""
    certificate_not_after_s: float = 0.0
    """Seconds since the epoch when the first of the certificates that are shown ends; 0: there is no TLS."""
    supervisor_resident_bytes: int = 0
    totals: dict[str, int] = {}
    """Sums of the cells over all generations, those that are gone included, by lower-case name."""
    drain_left: int = 0
    """Open connections of workers that accept no more."""
    drain_rate_per_s: float = 0.0
    """So many may move in a second at present; 0: none, or nothing moves."""
    drain_oldest_s: float = 0.0
    """For how long the first of the workers with such connections has accepted no more."""
    queues: dict[str, QueueFigures] = {}
    """By address; those of which the kernel says nothing are left out."""
    processes: tuple[ProcessFigures, ...] = ()
    generations: tuple[GenerationFigures, ...] = ()
    dev: DevFigures | None = None
    """None: nobody develops here."""


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


class Sample(Struct, frozen=True):
    """One line: ``name`` + ``suffix`` with its labels."""

    value: float
    labels: Labels = ()
    suffix: str = ""


class Metric(Struct, frozen=True):
    """One row. ``labels`` are the names that its samples carry (``le`` of histograms aside)."""

    name: str
    kind: Kind
    meaning: str
    read: Callable[[MetricsSnapshot], Iterable[Sample]]
    labels: tuple[str, ...] = ()
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Label → all values that it can have, if that is known beforehand."""


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
CUT_BY = {"closed_cut": "deadline", "lost": "died", "closed_error": "error"}
"""Total → value of the label ``why``: the client got an end that neither side had asked for."""
CODES = {"1xx": "responses_1xx", "3xx": "responses_3xx", "4xx": "responses_4xx", "5xx": "responses_5xx"}
"""Value of the label ``code`` → cell. All others are 2xx: most are, so that they cost a worker nothing."""


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
    durations = snapshot.durations
    return _histogram(durations.bounds_s, durations.buckets, durations.sum_s)


def _durations_by(
    label: str, durations: Callable[[MetricsSnapshot], Mapping[str, Durations]]
) -> Callable[[MetricsSnapshot], Iterable[Sample]]:
    def read(snapshot: MetricsSnapshot) -> Iterable[Sample]:
        for value, each in durations(snapshot).items():
            yield from _histogram(each.bounds_s, each.buckets, each.sum_s, ((label, value),))

    return read


def _dev_durations(snapshot: MetricsSnapshot) -> Mapping[str, Durations]:
    return snapshot.dev.builds if snapshot.dev else {}


def _requests(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    for each in snapshot.generations:
        counts = {code: each.counts.get(cell, 0) for code, cell in CODES.items()}
        # A moment lies between two cells: one answer may be in one of them only.
        counts["2xx"] = max(0, each.counts.get("requests", 0) - sum(counts.values()))
        for code, count in sorted(counts.items()):
            yield Sample(count, (*_of(each), ("code", code)))


def _connections(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    for each in snapshot.generations:
        for state in STATES:
            yield Sample(each.connections.get(state, 0), (*_of(each), ("state", state)))


def _cut(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    return [Sample(snapshot.totals.get(total, 0), (("why", why),)) for total, why in CUT_BY.items()]


def _queues(value: Callable[[QueueFigures], int]) -> Callable[[MetricsSnapshot], Iterable[Sample]]:
    return lambda snapshot: [
        Sample(value(queue), (("address", address),)) for address, queue in snapshot.queues.items()
    ]


def _spans(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    return [
        Sample(snapshot.spans.get(of, {}).get(became, 0), (("of", of), ("result", became)))
        for of in SPANS_OF
        for became in SPANS
    ]


def _memory(snapshot: MetricsSnapshot) -> Iterable[Sample]:
    sums: dict[tuple[str, str], int] = {}
    for each in snapshot.processes:
        if each.memory_bytes:
            of = (each.kind, each.generation)
            sums[of] = sums.get(of, 0) + each.memory_bytes
    return [Sample(value, (("process", kind), ("generation", of))) for (kind, of), value in sorted(sums.items())]


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
           _by("result", lambda s: s.updates), ("result",), {"result": RESULTS}),
    Metric("midair_update_phase_duration_seconds", "histogram", "Time that ended updates spent in each phase, however they ended.",
           _durations_by("phase", lambda s: s.phases), ("phase",), {"phase": PHASES}),
    Metric("midair_update_in_progress", "gauge", "1 while an update is on its way to its commit.",
           _one(lambda s: s.is_updating)),
    Metric("midair_update_started_timestamp_seconds", "gauge", "When the latest update began, ended or not; 0: none yet.",
           _one(lambda s: s.update_began_s)),
    Metric("midair_last_update_timestamp_seconds", "gauge", "When the last update was committed.",
           _one(lambda s: s.last_update_s)),
    Metric("midair_updates_held", "gauge", "1 while updates are held back.",
           _one(lambda s: s.is_held)),
    Metric("midair_disk_version_differs", "gauge", "1 if a restart would start another version than the one that serves.",
           _one(lambda s: s.is_behind_disk)),
    Metric("midair_workers_wanted", "gauge", "Workers that the serving generation should have.",
           _one(lambda s: s.wanted_workers)),
    Metric("midair_worker_restarts_total", "counter", "Workers that were replaced, by why: died, worn (a limit), hung.",
           _by("why", lambda s: s.worker_ends), ("why",), {"why": REPLACED}),
    Metric("midair_worker_ends_total", "counter",
           "Workers that have ended, by why: left (they were told to), died, killed (by midair), failed (before they were ready).",
           _by("why", lambda s: s.ends), ("why",), {"why": ENDS}),
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
    Metric("midair_connections_moved_total", "counter", "Connections that another worker has taken over, open all the while.",
           _one(lambda s: s.totals.get("handed_over", 0))),
    Metric("midair_connections_cut_total", "counter",
           "Connections that were ended in the middle, by why: deadline (of a drain), died (their worker), error (the application "
           "broke off its response, or the socket failed).", _cut, ("why",), {"why": tuple(CUT_BY.values())}),
    Metric("midair_drain_connections_left", "gauge", "Open connections of workers that accept no more.",
           _one(lambda s: s.drain_left)),
    Metric("midair_drain_rate_per_second", "gauge", "Connections that may move in a second at present; 0 when none moves.",
           _one(lambda s: s.drain_rate_per_s)),
    Metric("midair_drain_oldest_age_seconds", "gauge",
           "For how long the worker that has had connections left for longest has accepted no more; 0: nothing drains.",
           _one(lambda s: s.drain_oldest_s)),
    Metric("midair_listener_queue", "gauge", "Connections that wait to be accepted.",
           _queues(lambda q: q.waiting), ("address",)),
    Metric("midair_listener_queue_max", "gauge", "Connections that may wait to be accepted; the kernel drops what comes beyond.",
           _queues(lambda q: q.limit), ("address",)),
    Metric("midair_tls_certificate_expiration_timestamp_seconds", "gauge",
           "When the TLS certificate that is shown ends; of several the first. Not there without TLS.", _expiration),
    Metric("midair_log_lines_dropped_total", "counter", "Log lines lost because nobody read them.",
           _one(lambda s: s.log_lines_dropped)),
    Metric("midair_control_refusals_total", "counter",
           "Commands turned away at the control socket, by why: not_allowed, garbage, too_many, silent, unread.",
           _by("why", lambda s: s.control_refusals), ("why",), {"why": REFUSALS}),
    Metric("midair_trace_spans_total", "counter",
           "Spans by what became of them: exported (a collector has them), dropped (it did not take them, and too much waited).",
           _spans, ("of", "result"), {"of": SPANS_OF, "result": SPANS}),
    Metric("midair_start_time_seconds", "gauge", "When the service started.",
           _one(lambda s: s.started_s)),
    Metric("midair_supervisor_resident_memory_bytes", "gauge", "Resident memory of the supervisor.",
           _one(lambda s: s.supervisor_resident_bytes)),
    Metric("midair_memory_bytes", "gauge",
           "Memory of the processes of a kind; a page that n processes share counts for one n-th in each (PSS).",
           _memory, ("process", "generation"), {"process": KINDS}),
    Metric("midair_build_info", "gauge", "Versions of midair and of the supervisor's Python.",
           _build, ("midair", "python")),
    Metric("midair_generation_info", "gauge", "Living generations and what they do.",
           _roles, (*OF_GENERATION, "role"), {"role": ROLES}),
    Metric("midair_workers", "gauge", "Workers of a generation.",
           _each(lambda g: g.workers), OF_GENERATION),
    Metric("midair_resident_memory_bytes", "gauge", "Resident memory of a generation's processes; shared pages count in each.",
           _each(lambda g: g.resident_bytes), OF_GENERATION),
    Metric("midair_connections", "gauge",
           "Open connections by what they do: idle, active (a request), websocket, stream (a response sent in pieces), draining "
           "(whatever they do: their worker accepts no more).", _connections, (*OF_GENERATION, "state"), {"state": STATES}),
    Metric("midair_websockets", "gauge", "Open WebSockets.",
           _count("websockets"), OF_GENERATION),
    Metric("midair_streams", "gauge", "Responses under way that are sent in pieces.",
           _count("streams"), OF_GENERATION),
    Metric("midair_connections_accepted_total", "counter", "Connections accepted from clients.",
           _count("accepted"), OF_GENERATION),
    Metric("midair_connections_adopted_total", "counter", "Connections taken over from an earlier generation.",
           _count("adopted"), OF_GENERATION),
    Metric("midair_connections_handed_over_total", "counter", "Connections handed over to a later generation.",
           _count("handed_over"), OF_GENERATION),
    Metric("midair_connections_closed_total", "counter", "Connections that ended, by why.",
           _closed, (*OF_GENERATION, "why"), {"why": tuple(CLOSED_BY.values())}),
    Metric("midair_requests_total", "counter", "Responses begun, by the class of their status.",
           _requests, (*OF_GENERATION, "code"), {"code": ("1xx", "2xx", "3xx", "4xx", "5xx")}),
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
    Metric("midair_build_duration_seconds", "histogram", "Time of a list of [build] in one run (midair dev).",
           _durations_by("step", _dev_durations), ("step",), {"step": STEPS}),
    Metric("midair_build_failures_total", "counter", "Runs of [build] that failed, by the list in which they did (midair dev).",
           _by("step", lambda s: s.dev.failures if s.dev else {}), ("step",), {"step": STEPS}),
    Metric("midair_watch_changes_total", "counter",
           "Changes on disk that the watcher has told, by kind: create, write, remove, move, chmod (midair dev).",
           _by("kind", lambda s: s.dev.changes if s.dev else {}), ("kind",), {"kind": CHANGES}),
    Metric("midair_watches", "gauge", "Folders that are watched (midair dev).",
           lambda s: [Sample(s.dev.watches)] if s.dev else []),
)
# fmt: on
