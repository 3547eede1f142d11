"""Traces: what exports them, and who takes them."""

from __future__ import annotations

from midair.doctor.facts import Facts
from midair.doctor.finding import Finding, check


@check("traces-installed", "configuration")
def installed(facts: Facts) -> Finding | None:
    """what exports traces is installed beside midair"""
    found = facts.telemetry
    if found is None or found.has_extra:
        return None
    if facts.settings.traces.endpoint:
        return Finding(
            "problem",
            "traces.endpoint is set, and OpenTelemetry is not installed for the Python that midair runs in",
            "midair run does not start, and a service that runs tells nobody of its updates",
            found.install,
        )
    return Finding(
        "note",
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed for the Python that midair runs in",
        "the application may have traces, and updates are none",
        found.install,
    )


@check("traces-taken", "configuration")
def taken(facts: Facts) -> Finding | None:
    """the collector takes spans"""
    found = facts.telemetry
    if found is None or not found.why_not:
        return None
    return Finding(
        "warning",
        f"the collector at {found.url} takes no spans: {found.why_not}",
        "the service is none the worse for it; spans of updates wait, those of requests are dropped and counted",
        "start the collector, or mend endpoint and headers in [traces]; gRPC (port 4317) is not spoken",
    )
