"""Metrics as the text that Prometheus scrapes (format 0.0.4).

Written here and not by prometheus_client: that library appends ``_total`` to the name of every counter, and
``hot_update_success`` has to be exposed under exactly that name. Its parser reads what is written here, in the tests.

OpenMetrics is not spoken, whatever a scraper would accept: there a counter's line has to end in ``_total``, so that name could
not be a counter, and what it would bring (when a series began, exemplars) nobody here needs: each begins at nought.
"""

from __future__ import annotations

from midair.observe.metrics import METRICS, Labels, MetricsSnapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def exposition(snapshot: MetricsSnapshot) -> str:
    """Every metric of the table with its samples; the ones without a sample are listed all the same."""
    lines = []
    for metric in METRICS:
        lines.append(f"# HELP {metric.name} {metric.meaning}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        lines += [
            f"{metric.name}{sample.suffix}{_braces(sample.labels)} {_number(sample.value)}"
            for sample in metric.read(snapshot)
        ]
    return "\n".join(lines) + "\n"


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels) + "}"


def _number(value: float) -> str:
    # Whole numbers without a point, whatever their type: `True` is 1, and 10**18 is not 1e+18.
    return str(int(value)) if value == int(value) else repr(value)
