"""Whether the collector is there, and OpenTelemetry where it is needed: found out before anything is started."""

from __future__ import annotations

import socket

import pytest

from midair.cli.preflight import check_application, check_traces
from midair.config.schema import Settings, Traces
from midair.errors import ApplicationError
from midair.traces import destination
from midair.traces.answering import why_not
from midair.traces.destination import Destination
from midair.traces.errors import TracesMissing, TracesNowhere
from tests.support.tapped import Sulking, Tapped


def of(url: str, **headers: str) -> Destination:
    return Destination(url=f"{url}/v1/traces", headers=headers)


def settings(**keys: object) -> Settings:
    return Settings(name="shop", folder="/srv/shop", app="app:app", traces=Traces(**keys))  # type: ignore[arg-type]  # of its types


def test_a_collector_takes_an_export_of_nothing() -> None:
    with Tapped() as tap:
        assert why_not(of(tap.url)) == ""
        assert tap.spans == []


def test_one_that_answers_with_an_error_is_named_with_its_answer() -> None:
    with Sulking() as collector:
        assert why_not(of(collector.url)) == "it answers 503 Service Unavailable"


def test_one_that_is_not_there_is_named_with_what_the_kernel_says() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # Bound, and nobody listens.
        assert why_not(of(f"http://127.0.0.1:{held.getsockname()[1]}")) == "Connection refused"


def test_a_header_whose_file_is_gone_is_named() -> None:
    assert "/nowhere/key" in why_not(of("http://127.0.0.1:9", authorization="file:/nowhere/key"))


def test_a_start_with_an_endpoint_and_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination, "is_installed", lambda: False)
    with pytest.raises(TracesMissing) as found:
        check_traces(settings(endpoint="http://127.0.0.1:4318"), {})
    assert found.value.hint.endswith("-m pip install 'midair[traces]'")
    assert check_traces(settings(), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}) is None


def test_requests_that_nobody_takes_are_an_error() -> None:
    with pytest.raises(TracesNowhere):
        check_traces(settings(requests=True), {})
    assert check_traces(settings(requests=True), {"OTEL_SDK_DISABLED": "true"}) is None
    found = check_traces(settings(requests=True), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    assert found is not None
    assert found.url == "http://127.0.0.1:4318/v1/traces"


def test_the_applications_interpreter_is_asked_for_it_too(tmp_path: object) -> None:
    import os
    import sys
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "app.py").write_text("async def app(scope, receive, send): ...")
    (folder / "opentelemetry.py").write_text("")  # Which is not what it needs.
    asked = Settings(
        name="shop", folder=str(folder), app="app:app", traces=Traces(endpoint="http://127.0.0.1:9", requests=True)
    )
    with pytest.raises(ApplicationError) as found:
        check_application(asked, sys.executable, os.environ)
    assert found.value.code == "traces-missing"
    assert found.value.hint == f"{sys.executable} -m pip install 'midair[traces]'"
