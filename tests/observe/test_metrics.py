"""What Prometheus scrapes."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from midair.config.schema import Build
from midair.core.effects import Phase, Result
from midair.core.state import Role
from midair.dev.pipeline import steps_after, steps_before
from midair.errors import NotRunning
from midair.observe import exporter as exporter_module
from midair.observe.counters import LATENCY_BOUNDS_S, Cell, Page
from midair.observe.exporter import Message, Scope, exporter
from midair.observe.exposition import exposition
from midair.observe.metrics import (
    CHANGES,
    CLOSED_BY,
    METRICS,
    OF_GENERATION,
    PHASES,
    RESULTS,
    ROLES,
    STEPS,
    DevFigures,
    Durations,
    GenerationFigures,
    MetricsSnapshot,
    ProcessFigures,
    QueueFigures,
    figures,
)
from midair.watch.words import Kind

QUIET = MetricsSnapshot(
    worker_ends={"died": 0, "worn": 0},
    updates={"committed": 0, "refused": 0},
    phases={"bake": Durations()},
    ends={"left": 0},
    control_refusals={"garbage": 0},
    spans={"updates": {"exported": 0}},
    queues={"127.0.0.1:80": QueueFigures(waiting=0, limit=1)},
    processes=(ProcessFigures(kind="supervisor", pid=7),),
    dev=DevFigures(),
    generations=(GenerationFigures(generation=8, version="1.9.0", role="serving"),),
)
BUSY = MetricsSnapshot(
    midair="0.1.0",
    python="3.11.7",
    started_s=1.5,
    updates={"committed": 3, "refused": 1},
    durations=Durations(),
    phases={"bake": Durations()},
    update_began_s=6,
    last_update_s=7,
    load_errors=2,
    is_updating=True,
    is_held=True,
    is_behind_disk=True,
    wanted_workers=2,
    worker_ends={"died": 1, "worn": 2},
    ends={"left": 2},
    control_refusals={"garbage": 3},
    spans={"updates": {"exported": 7}},
    drain_left=4,
    drain_rate_per_s=0.5,
    drain_oldest_s=9,
    queues={"127.0.0.1:80": QueueFigures(waiting=5, limit=2048)},
    processes=(ProcessFigures(kind="supervisor", pid=7, memory_bytes=9_000_000),),
    dev=DevFigures(failures={"build": 1}, changes={"write": 2}, watches=3),
    crash_loops=1,
    log_lines_dropped=5,
    certificate_not_after_s=1.8e9,
    supervisor_resident_bytes=20_000_000,
    totals={"accepted": 9, "requests": 8, "responses_5xx": 3, "requests_cut": 2, "lost": 1, "handed_over": 4},
    generations=(
        GenerationFigures(
            generation=8,
            version="1.9.0",
            role="retiring",
            workers=2,
            counts={cell.name.lower(): int(cell) for cell in Cell},
            latency_buckets=(1,) * (len(LATENCY_BOUNDS_S) + 1),
            connections={"idle": 2, "draining": 1},
            resident_bytes=50_000_000,
        ),
    ),
)
BUSY.durations.observe(0.3)
BUSY.durations.observe(1e6)
BUSY.phases["bake"].observe(10)
assert BUSY.dev
BUSY.dev.builds["build"].observe(2)


def lines_of(snapshot: MetricsSnapshot, name: str) -> list[str]:
    return [line for line in exposition(snapshot).splitlines() if re.match(rf"{name}(_bucket|_sum|_count)?[ {{]", line)]


@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_every_metric_moves(name: str) -> None:
    assert lines_of(BUSY, name)
    assert lines_of(BUSY, name) != lines_of(QUIET, name)


def test_the_three_names_that_were_given_are_exposed_as_they_are() -> None:
    text = exposition(BUSY)
    assert "# TYPE hot_update_success counter\nhot_update_success 3\n" in text
    assert "# TYPE module_load_errors gauge\nmodule_load_errors 2\n" in text
    assert "# TYPE hot_update_duration histogram\n" in text
    assert 'hot_update_duration_bucket{le="0.25"} 0\n' in text
    assert 'hot_update_duration_bucket{le="0.5"} 1\n' in text
    assert 'hot_update_duration_bucket{le="+Inf"} 2\n' in text
    assert "hot_update_duration_count 2\n" in text


@pytest.mark.parametrize("snapshot", [QUIET, BUSY, MetricsSnapshot()])
def test_the_client_library_reads_every_line(snapshot: MetricsSnapshot) -> None:
    families = {family.name: family for family in text_string_to_metric_families(exposition(snapshot))}
    for metric in METRICS:
        # The library's own model names counters without their ending.
        family = families[metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name]
        assert family.type == metric.kind
        assert family.documentation == metric.meaning
        assert all(sample.labels.keys() - {"le"} == set(metric.labels) for sample in family.samples)
    written = [line for line in exposition(snapshot).splitlines() if not line.startswith("#")]
    assert len(written) == sum(len(family.samples) for family in families.values())


@given(st.text(max_size=20))
def test_any_version_is_a_label_that_reads_back(version: str) -> None:
    snapshot = MetricsSnapshot(generations=(GenerationFigures(generation=1, version=version, role="serving"),))
    text = exposition(snapshot)
    (sample,) = next(f for f in text_string_to_metric_families(text) if f.name == "midair_workers").samples
    assert sample.labels["version"] == version


def test_the_table_is_sound() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    given_names = {"hot_update_success", "hot_update_duration", "module_load_errors"}
    for metric in METRICS:
        assert metric.meaning.endswith(".")
        if metric.name not in given_names:
            assert metric.name.startswith("midair_")
            assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert not set(metric.labels) & {"pid", "path", "worker"}
    assert set(CLOSED_BY) == {cell.name.lower() for cell in Cell if cell.name.startswith("CLOSED_")}


def test_labels_have_the_values_that_their_rooms_know() -> None:
    """The rooms are above, and one costs a command too much to import: so they are typed twice, and compared here."""
    assert get_args(Phase) == PHASES
    assert set(get_args(Result)) == set(RESULTS)
    assert {role.value for role in Role} - {Role.GONE} == set(ROLES)
    assert get_args(Kind) == CHANGES
    lists = msgspec.structs.replace(Build(), pre=["a"], build=["b"], check=["c"], post=["d"])
    assert tuple(step.phase for step in [*steps_before(lists), *steps_after(lists)]) == STEPS


@pytest.mark.parametrize("snapshot", [QUIET, BUSY])
def test_labels_of_which_all_values_are_known_have_no_other(snapshot: MetricsSnapshot) -> None:
    for metric in METRICS:
        assert metric.values.keys() <= set(metric.labels)
        for sample in metric.read(snapshot):
            labels = dict(sample.labels)
            assert [labels[name] for name, values in metric.values.items() if labels[name] not in values] == []


def test_series_are_bounded_by_generations_listeners_and_kinds_of_processes() -> None:
    """Nothing else: no worker, no client and no path makes a series."""
    free = {label for metric in METRICS for label in metric.labels if label not in metric.values}
    assert free == {*OF_GENERATION, "address", "midair", "python"}


def test_a_generation_is_the_sum_of_its_workers() -> None:
    pages = [Page.create("g8.0"), Page.create("g8.1")]
    for page in pages:
        page.cells[Cell.ACCEPTED] = 5
        page.observe_latency(0.02)
    pages[1].observe_latency(100)
    found = figures(8, "1.9.0", "serving", pages, resident_bytes=7)
    text = exposition(MetricsSnapshot(generations=(found,)))
    of = 'generation="8",version="1.9.0"'
    assert f"midair_connections_accepted_total{{{of}}} 10\n" in text
    assert f'midair_request_duration_seconds_bucket{{{of},le="0.01"}} 0\n' in text
    assert f'midair_request_duration_seconds_bucket{{{of},le="0.025"}} 2\n' in text
    assert f"midair_request_duration_seconds_count{{{of}}} 3\n" in text
    assert f"midair_request_duration_seconds_sum{{{of}}} 100.04\n" in text
    assert f"midair_resident_memory_bytes{{{of}}} 7\n" in text
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=GenerationFigures) == found
    for page in pages:
        page.close()
        os.close(page.fd)


# --- the application ---------------------------------------------------------------------------------------------


async def fetch_busy() -> MetricsSnapshot:
    return BUSY


def ask(method: str = "GET", path: str = "/metrics", fetch: Any = fetch_busy) -> tuple[int, dict[str, str], str]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": method, "path": path}
    asyncio.run(exporter(fetch)(scope, receive, send))  # type: ignore[arg-type]  # a coroutine function is asked for
    start, body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, body["body"].decode()


def test_a_scrape_is_answered() -> None:
    status, headers, body = ask()
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert body == exposition(BUSY)
    assert headers["content-length"] == str(len(body.encode()))
    status, headers, body = ask("HEAD")
    assert (status, body) == (200, "")
    assert int(headers["content-length"]) > 1000


def test_other_questions_are_refused() -> None:
    assert ask(path="/")[0] == 404
    status, headers, _ = ask("POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_a_supervisor_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone() -> MetricsSnapshot:
        raise NotRunning("nothing runs under the name shop")

    async def refused() -> MetricsSnapshot:
        raise ConnectionRefusedError("refused")

    async def silent() -> MetricsSnapshot:
        await asyncio.Event().wait()
        return BUSY

    monkeypatch.setattr(exporter_module, "FETCH_TIMEOUT_S", 0.01)
    for fetch, says in ((gone, "nothing runs"), (refused, "refused"), (silent, "did not answer")):
        status, _, body = ask(fetch=fetch)
        assert status == 503
        assert says in body


def test_scrapes_at_one_time_are_bounded() -> None:
    async def many() -> list[int]:
        let_go = asyncio.Event()
        begun = asyncio.Semaphore(0)

        async def slow() -> MetricsSnapshot:
            begun.release()
            await let_go.wait()
            return BUSY

        application = exporter(slow)
        statuses: list[int] = []

        async def receive() -> Message:
            raise AssertionError("no body is asked for")

        async def send(message: Message) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        scope: Scope = {"type": "http", "method": "GET", "path": "/metrics"}
        running = [asyncio.ensure_future(application(scope, receive, send)) for _ in range(exporter_module.SCRAPES_MAX)]
        for _ in running:
            await begun.acquire()
        await application(scope, receive, send)
        let_go.set()
        await asyncio.gather(*running)
        return statuses

    assert asyncio.run(many()) == [503] + [200] * exporter_module.SCRAPES_MAX


def test_lifespan_and_websockets_are_answered() -> None:
    async def talk(scope: Scope, *messages: str) -> list[str]:
        heard = [{"type": message} for message in messages]
        sent: list[str] = []

        async def receive() -> Message:
            return heard.pop(0)

        async def send(message: Message) -> None:
            sent.append(message["type"])

        await exporter(fetch_busy)(scope, receive, send)
        return sent

    assert asyncio.run(talk({"type": "lifespan"}, "lifespan.startup", "lifespan.shutdown")) == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert asyncio.run(talk({"type": "websocket", "path": "/metrics"})) == ["websocket.close"]
