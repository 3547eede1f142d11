"""What a service and its processes are called in telemetry, whoever tells it: variables that every OpenTelemetry SDK reads.

What a user has set wins, attribute by attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

from midair.worker.settings import Traced

ATTRIBUTES, SERVICE = "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"


def service_name(given: Mapping[str, str], fallback: str) -> str:
    """What the environment calls the service, else ``fallback``."""
    return given.get(SERVICE) or attributes(given).get("service.name") or fallback


def attributes(given: Mapping[str, str]) -> dict[str, str]:
    """What OTEL_RESOURCE_ATTRIBUTES says."""
    pairs = (pair.partition("=") for pair in given.get(ATTRIBUTES, "").split(","))
    return {name.strip(): unquote(value.strip()) for name, equals, value in pairs if equals and name.strip()}


def variables(
    given: Mapping[str, str], traced: Traced, version: str, generation: int, slot: int | None = None
) -> dict[str, str]:
    """The two variables for a process of a version. given: its environment without them. slot: of a worker; None: it has none."""
    ours = {"service.version": version, "midair.generation": str(generation)}
    if slot is not None:
        ours |= {"midair.slot": str(slot), "service.instance.id": f"{traced.node}/{generation}.{slot}"}
    told = attributes(given)
    more = [f"{name}={quote(value, safe='')}" for name, value in ours.items() if name not in told and value]
    before = given.get(ATTRIBUTES, "").strip().rstrip(",")
    return {
        ATTRIBUTES: ",".join([before, *more] if before else more),
        SERVICE: service_name(given, traced.service),
    }
