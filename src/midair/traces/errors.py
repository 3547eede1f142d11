"""What can be wrong with ``[traces]`` beyond what stands in the file."""

from __future__ import annotations

from midair.errors import ConfigError


class TracesMissing(ConfigError):
    """Traces are configured, and OpenTelemetry is not installed where it is needed."""

    code = "traces-missing"

    def __init__(self, python: str, what: str) -> None:
        """python: the interpreter that lacks it. what: what it is needed for there."""
        super().__init__(f"{what}, and OpenTelemetry is not installed for {python}", hint=install_line(python))
        self.python = python


class TracesNowhere(ConfigError):
    """Requests are to be spans, and no collector is named."""

    code = "traces-nowhere"
    hint = 'write endpoint = "http://127.0.0.1:4318" in [traces], or set OTEL_EXPORTER_OTLP_ENDPOINT'


def install_line(python: str) -> str:
    return f"{python} -m pip install 'midair[traces]'"
