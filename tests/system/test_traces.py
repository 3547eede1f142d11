"""Updates and requests reach a collector as traces; and a collector that does not take them is nobody's trouble but its own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from midair.observe.exposition import exposition
from midair.observe.metrics import MetricsSnapshot
from midair.testing.client import Load
from tests.support.service import Service
from tests.support.tapped import Received, Sulking, Tapped
from tests.support.toml import Setting
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
TELL = 'echo "$MIDAIR_HOOK $TRACEPARENT" >> hooks.log'
QUICKLY = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
"""Spans of requests wait for five seconds otherwise."""


@pytest.fixture(scope="module")
def tap() -> Iterator[Tapped]:
    with Tapped() as tapped:
        yield tapped


@pytest.fixture(scope="module")
def service(tap: Tapped, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Traced, requests too. Tests leave a version of ``traced`` serving."""
    settings: dict[str, Setting] = {
        "traces": {"endpoint": tap.url, "requests": True},
        "hooks": {"before": ["sh", "-c", TELL], "after": ["sh", "-c", TELL]},
        "bake": {"for": "0.5s"},
    }
    env = {**QUICKLY, "CRASH_AFTER_S": "0.05"}
    with Service(tmp_path_factory.mktemp("traces"), "traced", settings=settings, env=env) as started:
        yield started


def _next(service: Service) -> str:
    return str(int(service.version) + 1)


def _update(tap: Tapped, service: Service) -> Received:
    """The span of the latest update."""
    return tap.one("midair update", midair_update=service.receipt()["number"])


def _asked(service: Service, path: str, **headers: str) -> dict[str, str]:
    connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        told = json.loads(connection.getresponse().read())
        assert isinstance(told, dict)
        return told
    finally:
        connection.close()


def test_an_update_is_a_trace_with_a_span_for_each_phase(tap: Tapped, service: Service) -> None:
    service.update(_next(service), None, "-m", "cheaper tea", "--traceparent", PARENT)
    receipt = service.receipt()
    update = _update(tap, service)
    assert (update.trace_id, update.parent_id) == (TRACE, SPAN)
    assert update.span_id == receipt["trace"]["span"]
    assert update.attributes["midair.reason"] == "cheaper tea"
    assert (update.attributes["midair.result"], update.is_error) == ("committed", False)
    assert update.attributes["midair.generation"] == receipt["generation"]
    number = receipt["number"]
    for phase in ("build", "start", "ready", "cut-over", "bake", "commit"):
        span = tap.one(phase, midair_update=number)
        assert (span.trace_id, span.parent_id) == (TRACE, update.span_id)
        assert span.is_within(update), (span, update)
    before = tap.one("hook before", midair_update=number)
    assert before.parent_id == tap.one("build", midair_update=number).span_id
    assert {"imported", "worker_started", "probed"} <= set(tap.one("start", midair_update=number).moments)
    for later in ("hook after", "drain"):
        assert tap.one(later, midair_update=number).parent_id == update.span_id
    told = [line.split() for line in (service.folder / "hooks.log").read_text().splitlines() if TRACE in line]
    assert told == [["before", f"00-{TRACE}-{before.span_id}-01"], ["after", told[1][1]]]
    assert f"trace_id={TRACE}" in service.log()


def test_a_refused_update_is_a_trace_that_failed(tap: Tapped, service: Service) -> None:
    good = service.version
    service.write("import_error", "0")
    assert service.reload().code == 4
    service.write("traced", good)
    update = _update(tap, service)
    assert (update.is_error, update.attributes["midair.result"]) == (True, "refused")
    assert update.attributes["error.type"] == service.receipt()["fault"]["code"]
    assert update.moments == ["exception"]
    assert not update.parent_id
    start = tap.one("start", midair_update=update.attributes["midair.update"])
    assert (start.is_error, start.parent_id) == (True, update.span_id)
    assert start.is_within(update)


def test_an_update_that_is_rolled_back_is_a_trace_that_failed_in_its_bake(tap: Tapped, service: Service) -> None:
    good = service.version
    service.write("crashes_after", "0")
    with service.asked(Load(connections=2, keep_alive=False)):
        done = service.reload()
    assert done.data["result"] == "rolled-back", f"{done}\n{service.log()}"
    service.write("traced", good)
    update = _update(tap, service)
    assert (update.is_error, update.attributes["midair.result"]) == (True, "rolled-back")
    bake = tap.one("bake", midair_update=update.attributes["midair.update"])
    assert (bake.is_error, bake.parent_id) == (True, update.span_id)


def test_a_request_takes_part_in_the_trace_of_whoever_sends_it(tap: Tapped, service: Service) -> None:
    told = _asked(service, "/span?token=secret", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    assert told["trace"] == "a" * 32
    (mine,) = wait_for(lambda: [span for span in tap.of("a" * 32) if span.name == "GET"], what="the request's span")
    assert (mine.span_id, mine.parent_id) == (told["span"], "b" * 16)
    assert (mine.attributes["url.path"], mine.attributes["http.response.status_code"]) == ("/span", 200)
    (inner,) = wait_for(lambda: [s for s in tap.of("a" * 32) if s.name == "look into the shop"], what="its own span")
    assert inner.parent_id == mine.span_id
    assert inner.is_within(mine)
    assert not [value for span in tap.of("a" * 32) for value in span.attributes.values() if "secret" in str(value)]


def test_requests_carry_their_generation_through_an_update_under_load(tap: Tapped, service: Service) -> None:
    before = service.status()["serving"]
    with service.asked(Load("/span", connections=4)) as client:
        service.update(_next(service))
        wait_for(lambda: service.status()["moving"] is None, what="the last connection on the new version")
        enough = client.report.ok + 50
        wait_for(lambda: client.report.ok, until=lambda ok: ok >= enough, what="answers of the new version")
    assert client.report.failed == 0, client.report.summary()
    status = service.status()
    after = status["serving"]
    for generation in (before, after):
        spans = tap.named("GET", 1, midair_generation=generation)
        assert len({span.attributes["midair.version"] for span in spans}) == 1
        assert {span.attributes["midair.slot"] for span in spans} <= {0, 1}
    (serving,) = [each for each in status["generations"] if each["number"] == after]
    assert (serving["mode"], serving["why"]) == ("fork", ""), "nothing of traces keeps a worker from being forked"


def test_a_websocket_is_a_span_in_each_version_and_they_are_linked(tap: Tapped, service: Service) -> None:
    headers = {"traceparent": f"00-{'c' * 32}-{'d' * 16}-01"}
    with connect(service.url.replace("http://", "ws://"), proxy=None, additional_headers=headers) as client:
        client.send("hello")
        assert str(client.recv(timeout=20)).startswith("1 ")
        version = _next(service)
        service.update(version)
        wait_for(lambda: service.status()["moving"] is None, what="the WebSocket on the new version")
        client.send("hello")
        assert str(client.recv(timeout=20)) == f"2 {version} hello"
    earlier, later = wait_for(lambda: tap.of("c" * 32), until=lambda spans: len(spans) == 2, what="both spans")
    assert (earlier.moments, later.moments) == (["midair.moved"], [])
    assert later.links == [earlier.span_id]
    assert later.attributes["midair.generation"] != earlier.attributes["midair.generation"]


def test_what_was_exported_is_counted(tap: Tapped, service: Service) -> None:
    tap.named("midair update")
    spans = wait_for(
        lambda: service.figures().spans,
        until=lambda spans: spans["updates"]["exported"] > 0,
        what="spans that are counted",
    )
    assert spans["updates"]["dropped"] == spans["requests"]["dropped"] == 0
    line = f'midair_trace_spans_total{{of="updates",result="exported"}} {spans["updates"]["exported"]}'
    assert line in exposition(MetricsSnapshot(spans=spans))


def test_a_collector_that_takes_nothing_is_no_trouble_and_gets_it_all_later(tmp_path: Path) -> None:
    with Sulking() as collector:
        settings = {"traces": {"endpoint": collector.url}, "log": {"format": "json"}}
        with Service(tmp_path, settings=settings) as service, service.asked(Load(connections=2)) as client:
            service.update("2")
            wait_for(lambda: "traces_failing" in service.log(), what="a word about it")
            assert service.receipt()["trace"].get("exported", 0) == 0
            # Another supervisor in its place has the receipts, and the child goes on.
            assert service.midair("upgrade").code == 0, service.log()
            service.update("3")
            collector.takes = True
            wait_for(
                lambda: collector.names.count("midair update") == 3 and "midair upgrade" in collector.names,
                what="all updates",
                within_s=60,
            )
            wait_for(lambda: service.receipt(2)["trace"].get("exported"), what="a receipt that says so")
        assert client.report.failed == 0, client.report.summary()
        assert service.log().count('"traces_failing"') == 1
        assert "traces_recovered" in service.log()
        resource = collector.resources[0]
        assert resource["service.name"] == service.settings["name"]
        assert resource["telemetry.sdk.language"] == "python"


def test_without_the_extra_an_update_says_what_to_install(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    (bare / "opentelemetry").mkdir(parents=True)
    (bare / "opentelemetry" / "__init__.py").write_text("")
    with Service(tmp_path, env={"PYTHONPATH": str(bare)}) as service:
        service.configure(traces={"endpoint": "http://127.0.0.1:9", "requests": True})
        done = service.reload()
        assert done.code == 4, done
        assert done.data["fault"]["code"] == "traces-missing"
        assert "-m pip install 'midair[traces]'" in done.data["fault"]["hint"]
        service.configure(traces={"endpoint": "http://127.0.0.1:9"})
        assert service.reload("--force").code == 0
        wait_for(lambda: "traces unavailable" in service.log(), what="a word about the supervisor's own side")
        assert service.serving_version() == "1"
