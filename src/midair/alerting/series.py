"""PromQL over the table of metrics. A name or a label that the table does not have is a mistake at import, not an empty panel."""

from __future__ import annotations

from midair.errors import Bug
from midair.observe.metrics import METRICS, Metric

BY = "job, instance"
"""Labels that Prometheus itself adds: what one service is. Every expression keeps them, so that an alert says whose it is."""

_TABLE = {metric.name: metric for metric in METRICS}


class NoSuchSeries(Bug):
    """A dashboard or a rule asks for a metric or a label that is not in observe/metrics.py."""

    code = "no-such-series"


def of(name: str) -> Metric:
    """The row of the table. Raises NoSuchSeries."""
    try:
        return _TABLE[name]
    except KeyError:
        raise NoSuchSeries(f"there is no metric {name}") from None


def select(metric: Metric, where: str = "", suffix: str = "", **labels: str) -> str:
    """``name_suffix{where,label="value"}``; a value that begins with ``~`` is a regular expression.

    where: matchers of Prometheus' own labels, which the table does not know. Raises NoSuchSeries for a label that it should.
    """
    if unknown := labels.keys() - set(metric.labels):
        raise NoSuchSeries(f"{metric.name} has no label {', '.join(sorted(unknown))}")
    matchers = [*filter(None, [where]), *(_matcher(name, value) for name, value in labels.items())]
    return metric.name + suffix + (f"{{{', '.join(matchers)}}}" if matchers else "")


def _matcher(name: str, value: str) -> str:
    return f'{name}=~"{value[1:]}"' if value.startswith("~") else f'{name}="{value}"'


def increase(metric: Metric, window: str, where: str = "", **labels: str) -> str:
    return f"increase({select(metric, where, **labels)}[{window}])"


def rate(metric: Metric, window: str, where: str = "", suffix: str = "", **labels: str) -> str:
    return f"rate({select(metric, where, suffix, **labels)}[{window}])"


def total(expression: str, *labels: str) -> str:
    """The sum, by service and these labels."""
    return f"sum by ({', '.join((BY, *labels))}) ({expression})"


# Each metric that rules and dashboard use, once.
UPDATES = of("midair_updates_total")
UPDATE_DURATION = of("hot_update_duration")
PHASE_DURATION = of("midair_update_phase_duration_seconds")
IS_UPDATING = of("midair_update_in_progress")
UPDATE_BEGAN = of("midair_update_started_timestamp_seconds")
LAST_UPDATE = of("midair_last_update_timestamp_seconds")
LOAD_ERRORS = of("module_load_errors")
IS_HELD = of("midair_updates_held")
DISK_DIFFERS = of("midair_disk_version_differs")
GENERATIONS = of("midair_generation_info")
WORKERS = of("midair_workers")
WORKERS_WANTED = of("midair_workers_wanted")
WORKER_ENDS = of("midair_worker_ends_total")
WORKER_RESTARTS = of("midair_worker_restarts_total")
CRASH_LOOPS = of("midair_crash_loops_total")
REQUESTS = of("midair_requests_total")
ERRORS = of("midair_responses_5xx_total")
EXCEPTIONS = of("midair_application_errors_total")
LATENCY = of("midair_request_duration_seconds")
CONNECTIONS = of("midair_connections")
MOVED = of("midair_connections_moved_total")
CUT = of("midair_connections_cut_total")
DRAIN_LEFT = of("midair_drain_connections_left")
DRAIN_RATE = of("midair_drain_rate_per_second")
DRAIN_AGE = of("midair_drain_oldest_age_seconds")
QUEUE = of("midair_listener_queue")
QUEUE_MAX = of("midair_listener_queue_max")
MEMORY = of("midair_memory_bytes")
STARTED = of("midair_start_time_seconds")
EXPIRES = of("midair_tls_certificate_expiration_timestamp_seconds")
