"""Questions that people have about a service and its updates, as Prometheus is asked. A test asks a real one each of them.

``midair dashboard`` and the rules of ``midair alerts`` have their own; these are for a prompt, or a panel of one's own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    question: str
    promql: str


_ERRORS = 'sum by (generation, version) (rate(midair_requests_total{code="5xx"}[5m]))'
_ANSWERS = "sum by (generation, version) (rate(midair_requests_total[5m]))"

QUERIES = (
    Query("What serves?", 'midair_generation_info{role="serving"}'),
    Query("How many requests a second, over all updates?", "sum(rate(midair_service_requests_total[5m]))"),
    Query("And by version?", _ANSWERS),
    Query("Which share of the answers are errors, by version?", f"{_ERRORS} / {_ANSWERS}"),
    Query(
        "How long do 99 % of the requests take at most, by version?",
        "histogram_quantile(0.99, sum by (generation, version, le) (rate(midair_request_duration_seconds_bucket[5m])))",
    ),
    Query("How did the updates of the last day end?", "sum by (result) (increase(midair_updates_total[1d]))"),
    Query(
        "Which share of them was committed?",
        "sum(increase(hot_update_success[1d])) / sum(increase(midair_updates_total[1d]))",
    ),
    Query(
        "How long does an update take in the middle?",
        "histogram_quantile(0.5, sum by (le) (increase(hot_update_duration_bucket[1d])))",
    ),
    Query(
        "In which phase does the time go?",
        "sum by (phase) (increase(midair_update_phase_duration_seconds_sum[1d]))"
        " / sum by (phase) (increase(midair_update_phase_duration_seconds_count[1d]) > 0)",
    ),
    Query(
        "For how long has the update that goes on gone on?",
        "midair_update_in_progress * (time() - midair_update_started_timestamp_seconds)",
    ),
    Query("Could the version that was tried last be imported (0), or not (1)?", "module_load_errors"),
    Query("What do the connections do, by version?", "sum by (generation, version, state) (midair_connections)"),
    Query("How many have moved in a second?", "rate(midair_connections_moved_total[1m])"),
    Query("How many have yet to go?", "midair_drain_connections_left"),
    Query("For how long have the first of them waited?", "midair_drain_oldest_age_seconds"),
    Query("Was anybody cut off in the last day, and why?", "sum by (why) (increase(midair_connections_cut_total[1d]))"),
    Query("How full is the listening socket's queue?", "midair_listener_queue / midair_listener_queue_max"),
    Query("How many workers died in the last hour?", 'increase(midair_worker_ends_total{why="died"}[1h])'),
    Query("What does the service take of memory?", "sum by (process) (midair_memory_bytes)"),
    Query("Would a restart start another version than the one that serves (1)?", "midair_disk_version_differs"),
    Query("Are lines of the log lost?", "rate(midair_log_lines_dropped_total[5m])"),
)
