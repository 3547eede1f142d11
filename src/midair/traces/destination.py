"""Where spans go, from ``[traces]`` and the variables that OpenTelemetry has names for. Pure, but for ``is_installed``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from midair.config.schema import Settings
from midair.worker.settings import Traced

EXTRA = "opentelemetry-exporter-otlp-proto-http"
"""The distribution that ``midair[traces]`` brings: with it come the others."""
PATH = "/v1/traces"
_SPOKEN = ("", "http/protobuf")


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A collector."""

    url: str
    headers: dict[str, str] = {}
    """Values may be ``file:`` and an absolute path: whoever exports reads them."""


def destination(settings: Settings, variables: Mapping[str, str], *, has_extra: bool) -> Destination | None:
    """The collector that spans of this service go to; None: there are no traces.

    variables: the environment. What only the environment says counts where OpenTelemetry is installed (``has_extra``): many set
    its variables for their applications, and never asked midair for anything.
    """
    url = _configured(settings) or (_from_environment(variables) if has_extra else "")
    if not url or variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    headers = _headers(variables) | {
        name.lower(): _absolute(value, settings.folder) for name, value in settings.traces.headers.items()
    }
    return Destination(url=url, headers=headers)


def traced(settings: Settings, variables: Mapping[str, str], node: str, *, has_extra: bool) -> Traced | None:
    """How processes of a version are named in telemetry, and where spans of their requests go; None: as if there were no traces."""
    where = destination(settings, variables, has_extra=has_extra)
    if where is None:
        return None
    has_sampler = settings.traces.sample_share == 1.0 and bool(variables.get("OTEL_TRACES_SAMPLER"))
    return Traced(
        service=settings.name,
        node=node,
        url=where.url if settings.traces.requests else "",
        headers=where.headers if settings.traces.requests else {},
        sample=None if has_sampler else settings.traces.sample_share,
    )


def is_installed() -> bool:
    """Whether this interpreter has OpenTelemetry. Imports nothing of it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version(EXTRA)
    except PackageNotFoundError:
        return False
    return True


def needs_looking(settings: Settings, variables: Mapping[str, str]) -> bool:
    """Whether it matters for these settings if OpenTelemetry is installed: looking costs a start its milliseconds."""
    return bool(settings.traces.endpoint or settings.traces.requests or _from_environment(variables))


def read_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with what their files say. Raises OSError."""
    return {name: _value(value) for name, value in headers.items()}


def _configured(settings: Settings) -> str:
    endpoint = settings.traces.endpoint.rstrip("/")
    return endpoint if not endpoint or endpoint.endswith(PATH) else endpoint + PATH


def _from_environment(variables: Mapping[str, str]) -> str:
    if variables.get("OTEL_TRACES_EXPORTER", "otlp").strip() not in ("", "otlp"):
        return ""
    protocol = variables.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or variables.get("OTEL_EXPORTER_OTLP_PROTOCOL") or ""
    if protocol.strip() not in _SPOKEN:
        return ""
    if exact := variables.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip():
        return exact
    base = variables.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    return base.rstrip("/") + PATH if base else ""


def _headers(variables: Mapping[str, str]) -> dict[str, str]:
    """``name=value,name=value``, each percent-encoded."""
    text = variables.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or variables.get("OTEL_EXPORTER_OTLP_HEADERS") or ""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {unquote(name).strip().lower(): unquote(value).strip() for name, _, value in pairs if name.strip()}


def _absolute(value: str, folder: str) -> str:
    path = value.removeprefix("file:")
    return value if path == value else f"file:{os.path.join(folder, path)}"


def _value(value: str) -> str:
    path = value.removeprefix("file:")
    if path == value:
        return value
    with open(path, encoding="utf-8") as file:
        return file.read().strip()
