"""The Grafana dashboard of a service: what serves, how updates went, the generations side by side, what drains.

Made from the table of metrics (``series.py``), so it cannot ask for what is not there. Panels that compare generations keep a
generation's line as long as it has processes: an update is seen as one line that takes over from another.
"""

from __future__ import annotations

from midair.alerting import series
from midair.alerting.panels import (
    Figure,
    Json,
    Level,
    Lines,
    Query,
    Row,
    Times,
    chosen,
    chosen_datasource,
    marks,
    placed,
    states,
)
from midair.alerting.series import BY, increase, rate, select, total
from midair.observe.metrics import Metric

SCHEMA_VERSION = 41
"""Of Grafana 12: newer ones read it and bring it up to date."""
WHERE = 'job=~"$job", instance=~"$instance"'
WINDOW = "$__rate_interval"
GENERATION = "generation {{generation}} ({{version}})"
WARN, BAD = "orange", "red"


def dashboard(*, title: str = "midair", uid: str = "midair") -> Json:
    """The document, as Grafana imports it."""
    return {
        "uid": uid,
        "title": title,
        "description": "Services under midair: updates, generations, connections. Printed by midair dashboard.",
        "tags": ["midair"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": _annotations()},
        "panels": placed(rows()),
        "links": [],
    }


def rows() -> tuple[Row, ...]:
    return (_now(), _updates(), _generations(), _connections(), _processes())


def _variables() -> list[Json]:
    metric = series.GENERATIONS.name
    return [
        chosen_datasource(),
        chosen("job", metric, is_multi=True),
        chosen("instance", metric, 'job=~"$job"', is_multi=True),
    ]


def _annotations() -> list[Json]:
    return [
        marks(
            "Update begins", f"{select(series.UPDATE_BEGAN, WHERE)} * 1000 > 0", "blue", "Update begins", at_value=True
        ),
        marks("Commit", f"{select(series.LAST_UPDATE, WHERE)} * 1000 > 0", "green", "Commit", at_value=True),
        marks(
            "Refused",
            f"{increase(series.UPDATES, '1m', WHERE, result='refused')} > 0",
            "orange",
            "Update refused",
        ),
        marks(
            "Rolled back",
            f"{increase(series.UPDATES, '1m', WHERE, result='rolled-back')} > 0",
            "red",
            "Update rolled back",
        ),
    ]


def _now() -> Row:
    serving = select(series.GENERATIONS, WHERE, role="serving")
    return Row(
        "Now",
        (
            Figure(
                title="Serves",
                description="The version that new connections get, and its generation.",
                queries=[Query(serving, "{{version}} ({{generation}})", is_instant=True)],
                text="name",
                width=6,
            ),
            Figure(
                title="Workers",
                description="Workers of the serving generation, and how many there should be.",
                queries=[
                    Query(total(f"{select(series.WORKERS, WHERE)} and on ({BY}, generation) {serving}"), "there"),
                    Query(select(series.WORKERS_WANTED, WHERE), "wanted"),
                ],
                text="value_and_name",
            ),
            Figure(
                title="Disk",
                description="Whether a restart would start another version than the one that serves.",
                queries=[Query(select(series.DISK_DIFFERS, WHERE))],
                levels=(Level("green"), Level(WARN, 1)),
                mappings=[states({"0": ("as served", "green"), "1": ("differs", WARN)})],
            ),
            Figure(
                title="Update",
                description="Whether an update is under way, or updates are held back.",
                queries=[Query(f"{select(series.IS_UPDATING, WHERE)} + 2 * {select(series.IS_HELD, WHERE)}")],
                mappings=[
                    states(
                        {
                            "0": ("none", "green"),
                            "1": ("under way", "blue"),
                            "2": ("held", WARN),
                            "3": ("under way, held", WARN),
                        }
                    )
                ],
            ),
            Figure(
                title="Since the last commit",
                description="How long the version that serves has been there. Nothing before the first update.",
                queries=[Query(f"time() - ({select(series.LAST_UPDATE, WHERE)} > 0)")],
                unit="s",
                width=3,
            ),
            Figure(
                title="Uptime",
                description="Of the service: upgrades of midair itself do not end it.",
                queries=[Query(f"time() - {select(series.STARTED, WHERE)}")],
                unit="s",
                width=3,
            ),
        ),
    )


def _updates() -> Row:
    return Row(
        "Updates",
        (
            Times(
                title="Generations over time",
                description="A bar for each generation, in the colour of what it was: on its way up, serving, on its way out.",
                queries=[Query(_what_they_were(), GENERATION)],
                mappings=[
                    states({str(number): (role, colour) for number, (role, colour) in enumerate(ROLES.items(), 1)})
                ],
                width=12,
                height=8,
            ),
            Lines(
                title="Ended updates, by result",
                description="In each interval of the plot.",
                queries=[Query(f"sum by (result) ({increase(series.UPDATES, WINDOW, WHERE)})", "{{result}}")],
                is_stacked=True,
                width=6,
                height=8,
            ),
            Lines(
                title="Import errors",
                description="Modules that the last update could not load.",
                queries=[Query(select(series.LOAD_ERRORS, WHERE), "{{instance}}")],
                levels=(Level("green"), Level(BAD, 1)),
                width=6,
                height=8,
            ),
            Lines(
                title="Time in each phase, mean",
                description="Of the updates that ended in the last hour, however they ended.",
                queries=[
                    Query(
                        f"sum by (phase) ({_gained(series.PHASE_DURATION, 'sum')})"
                        f" / clamp_min(sum by (phase) ({_gained(series.PHASE_DURATION, 'count')}), 1)",
                        "{{phase}}",
                    )
                ],
                unit="s",
                is_stacked=True,
                width=12,
            ),
            Lines(
                title="From the request to the commit",
                description="Of the updates that were committed in the last hour: half of them, and nine in ten.",
                queries=[
                    Query(_quantile(share, f"increase({select(series.UPDATE_DURATION, WHERE, '_bucket')}[1h])"), name)
                    for share, name in ((0.5, "median"), (0.9, "90 %"))
                ],
                unit="s",
                width=12,
            ),
        ),
    )


ROLES = {"candidate": "blue", "serving": "green", "retiring": WARN, "parked": "purple"}
"""Of ``midair_generation_info``, in the order of a generation's life, with a colour each."""


def _what_they_were() -> str:
    """Of each generation the place of its role in ROLES, from 1: one series as long as it lives."""
    of_roles = [f"{select(series.GENERATIONS, WHERE, role=role)} * {number}" for number, role in enumerate(ROLES, 1)]
    return f"max by ({BY}, generation, version) ({' or '.join(of_roles)})"


def _generations() -> Row:
    requests = total(rate(series.REQUESTS, WINDOW, WHERE), "generation", "version")
    errors = total(rate(series.ERRORS, WINDOW, WHERE), "generation", "version")
    return Row(
        "Generations side by side",
        (
            Lines(
                title="Requests",
                description="Responses begun a second. An update shows as one line that takes over from another.",
                queries=[Query(requests, GENERATION)],
                unit="reqps",
                is_stacked=True,
            ),
            Lines(
                title="Errors",
                description="Share of the answers that are 5xx.",
                queries=[Query(f"{errors} / ({requests} > 0)", GENERATION)],
                unit="percentunit",
                levels=(Level("green"), Level(BAD, 0.05)),
            ),
            Lines(
                title="Exceptions",
                description="That left the application, a second.",
                queries=[Query(total(rate(series.EXCEPTIONS, WINDOW, WHERE), "generation", "version"), GENERATION)],
                unit="cps",
            ),
            *(
                Lines(
                    title=f"Latency, {name}",
                    description="From a request's head to the end of its response.",
                    queries=[Query(_latency(share), GENERATION)],
                    unit="s",
                )
                for share, name in ((0.5, "median"), (0.95, "95 %"), (0.99, "99 %"))
            ),
        ),
    )


def _connections() -> Row:
    return Row(
        "Connections",
        (
            Lines(
                title="By generation",
                description="Open connections.",
                queries=[Query(total(select(series.CONNECTIONS, WHERE), "generation", "version"), GENERATION)],
                is_stacked=True,
            ),
            Lines(
                title="By what they do",
                description="Open connections. Those that drain are at workers that accept no more.",
                queries=[Query(f"sum by (state) ({select(series.CONNECTIONS, WHERE)})", "{{state}}")],
                is_stacked=True,
            ),
            Lines(
                title="Drain",
                description="Connections that are still at workers that accept no more, and how many may move in a second.",
                queries=[
                    Query(select(series.DRAIN_LEFT, WHERE), "left"),
                    Query(select(series.DRAIN_RATE, WHERE), "may move in a second"),
                ],
            ),
            Lines(
                title="Age of the oldest drain",
                description="For how long the first worker that still has connections has accepted no more.",
                queries=[Query(select(series.DRAIN_AGE, WHERE), "{{instance}}")],
                unit="s",
            ),
            Lines(
                title="Moved and cut",
                description="Connections a second that went on at another worker, and those that were ended in the middle.",
                queries=[
                    Query(total(rate(series.MOVED, WINDOW, WHERE)), "moved"),
                    Query(f"sum by (why) ({rate(series.CUT, WINDOW, WHERE)})", "cut: {{why}}"),
                ],
                unit="cps",
            ),
            Lines(
                title="Queue of the listeners",
                description="Connections that wait to be accepted, and how many may.",
                queries=[
                    Query(select(series.QUEUE, WHERE), "{{address}}"),
                    Query(select(series.QUEUE_MAX, WHERE), "{{address}}: may wait"),
                ],
            ),
        ),
    )


def _processes() -> Row:
    return Row(
        "Processes",
        (
            Lines(
                title="Memory",
                description="A page that n processes share counts for one n-th in each (PSS).",
                queries=[
                    Query(
                        f"sum by (process, generation) ({select(series.MEMORY, WHERE)})", "{{process}} {{generation}}"
                    )
                ],
                unit="bytes",
                is_stacked=True,
            ),
            Lines(
                title="Ends of workers",
                description="In each interval of the plot, by why.",
                queries=[Query(f"sum by (why) ({increase(series.WORKER_ENDS, WINDOW, WHERE)})", "{{why}}")],
                is_stacked=True,
            ),
            Lines(
                title="Replaced workers and crash loops",
                description="In each interval of the plot.",
                queries=[
                    Query(f"sum by (why) ({increase(series.WORKER_RESTARTS, WINDOW, WHERE)})", "replaced: {{why}}"),
                    Query(total(increase(series.CRASH_LOOPS, WINDOW, WHERE)), "crash loops"),
                ],
            ),
        ),
    )


def _gained(metric: Metric, suffix: str) -> str:
    return f"increase({select(metric, WHERE, '_' + suffix)}[1h])"


def _latency(share: float) -> str:
    return _quantile(share, rate(series.LATENCY, WINDOW, WHERE, "_bucket"), "generation", "version")


def _quantile(share: float, buckets: str, *labels: str) -> str:
    return f"histogram_quantile({share:g}, {total(buckets, *labels, 'le')})"
