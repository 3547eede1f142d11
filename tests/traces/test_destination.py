"""Where spans go and what they are told under: the keys of [traces], and OpenTelemetry's own variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.config.schema import Settings, Traces
from midair.traces import naming
from midair.traces.destination import Destination, destination, read_headers, traced
from midair.worker.settings import Traced


def where(traces: Traces | None = None, /, *, has_extra: bool = True, **variables: str) -> Destination | None:
    settings = Settings(name="shop", folder="/srv/shop", traces=traces or Traces())
    return destination(settings, variables, has_extra=has_extra)


def url(traces: Traces | None = None, /, *, has_extra: bool = True, **variables: str) -> str:
    found = where(traces, has_extra=has_extra, **variables)
    return found.url if found else ""


def test_the_key_is_a_base() -> None:
    assert url(Traces(endpoint="http://collector:4318")) == "http://collector:4318/v1/traces"
    assert url(Traces(endpoint="http://collector:4318/")) == "http://collector:4318/v1/traces"
    assert url(Traces(endpoint="https://host/otlp/v1/traces")) == "https://host/otlp/v1/traces"


def test_without_the_key_the_environment_says_it_if_the_extra_is_there() -> None:
    assert url(OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318") == "http://collector:4318/v1/traces"
    assert url(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://collector:4318/here") == "http://collector:4318/here"
    assert url(OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318", has_extra=False) == ""
    assert url() == ""


def test_the_key_wins() -> None:
    found = url(Traces(endpoint="http://ours:4318"), OTEL_EXPORTER_OTLP_ENDPOINT="http://theirs:4318")
    assert found == "http://ours:4318/v1/traces"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_SDK_DISABLED", "true"),
    ],
)
def test_what_the_environment_wants_otherwise_is_left_to_others(name: str, value: str) -> None:
    settings = Settings(name="shop", folder="/srv/shop")
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", name: value}
    assert destination(settings, variables, has_extra=True) is None


def test_headers_are_those_of_the_environment_and_the_keys_over_them(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    found = where(
        Traces(endpoint="http://c:4318", headers={"X-Team": "tea", "Authorization": f"file:{tmp_path}/key"}),
        OTEL_EXPORTER_OTLP_HEADERS="authorization=old,api%2Dkey=a%20b",
    )
    assert found is not None
    assert read_headers(found.headers) == {"x-team": "tea", "authorization": "secret", "api-key": "a b"}


def test_a_file_of_a_header_is_looked_for_in_the_services_folder() -> None:
    found = where(Traces(endpoint="http://c:4318", headers={"authorization": "file:key"}))
    assert found is not None
    assert found.headers == {"authorization": "file:/srv/shop/key"}


def test_processes_are_named_and_their_requests_traced_only_if_that_is_wanted() -> None:
    plain = Settings(name="shop", folder="/srv/shop", traces=Traces(endpoint="http://c:4318"))
    found = traced(plain, {}, "web1", has_extra=True)
    assert found == Traced(service="shop", node="web1")
    wanted = Settings(
        name="shop", folder="/srv/shop", traces=Traces(endpoint="http://c:4318", requests=True, sample_share=0.1)
    )
    assert traced(wanted, {}, "web1", has_extra=True) == Traced(
        service="shop", node="web1", url="http://c:4318/v1/traces", sample=0.1
    )
    assert traced(Settings(name="shop", folder="/srv/shop"), {}, "web1", has_extra=True) is None


def test_opentelemetrys_sampler_counts_where_the_key_says_nothing() -> None:
    settings = Settings(name="shop", folder="/", traces=Traces(endpoint="http://c:4318", requests=True))
    found = traced(settings, {"OTEL_TRACES_SAMPLER": "always_off"}, "web1", has_extra=True)
    assert found is not None
    assert found.sample is None


TRACED = Traced(service="shop", node="web1")


def test_every_process_is_told_its_version_and_generation() -> None:
    told = naming.variables({}, TRACED, "1.9", 8)
    assert told == {
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=1.9,midair.generation=8",
    }
    attributes = naming.attributes(naming.variables({}, TRACED, "1.9", 8, slot=1))
    assert attributes["midair.slot"] == "1"
    assert attributes["service.instance.id"] == "web1/8.1"


def test_what_a_user_has_set_wins_attribute_by_attribute() -> None:
    given = {"OTEL_RESOURCE_ATTRIBUTES": "team=tea,service.version=mine", "OTEL_SERVICE_NAME": "tea-shop"}
    told = naming.variables(given, TRACED, "1.9", 8)
    assert told["OTEL_SERVICE_NAME"] == "tea-shop"
    assert told["OTEL_RESOURCE_ATTRIBUTES"] == "team=tea,service.version=mine,midair.generation=8"
    named = naming.variables({"OTEL_RESOURCE_ATTRIBUTES": "service.name=tea-shop"}, TRACED, "1.9", 8)
    assert named["OTEL_SERVICE_NAME"] == "tea-shop"


def test_a_version_with_commas_does_not_become_another_attribute() -> None:
    told = naming.variables({}, TRACED, "1,midair.slot=9", 8)
    assert naming.attributes(told)["service.version"] == "1,midair.slot=9"
