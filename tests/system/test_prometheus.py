"""A real Prometheus looks on while a service is updated, refused, upgraded and loses a worker: what it has is what happened.

All that happens happens once, in the module's fixture; the tests ask Prometheus about it.
"""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from docs.queries import QUERIES, Query

from midair.alerting.dashboard import WINDOW, rows
from midair.alerting.panels import Query as Panelled
from midair.observe.metrics import METRICS, OF_GENERATION
from midair.testing.client import Load
from midair.testing.report import Report
from tests.support.processes import Process
from tests.support.prometheus import Prometheus, Series
from tests.support.service import Service
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

KEPT_OPEN = 12
NOT_FOUND, ERRORS = 3, 2
UPDATES = 2
SEEN_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was done, and who looked on."""

    service: Service
    prometheus: Prometheus
    report: Report
    asked: int
    """Requests besides those of the report; each on a connection of its own."""
    killed: int
    """A worker."""

    def text(self) -> str:
        address = self.service.status()["metrics"]
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as response:
            return str(response.read().decode())


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("seen")
    with (
        Service(folder, settings={"metrics": {"address": "127.0.0.1:0"}}) as service,
        Prometheus(folder, service.status()["metrics"]) as prometheus,
    ):
        asked = 1  # The service's first answer.
        prometheus.await_scrape()
        with service.asked(Load(connections=KEPT_OPEN, think_s=0.02)) as client:
            for version in range(UPDATES):
                service.update(str(version + 2), None, "--wait", "drained")
            service.write("import_error", "9")
            assert service.reload().code == 4
            assert service.midair("upgrade").code == 0
        statuses = [service.get("/nothing")[0] for _ in range(NOT_FOUND)]
        statuses += [service.get("/error")[0] for _ in range(ERRORS)]
        assert statuses == [404] * NOT_FOUND + [500] * ERRORS
        asked += len(statuses)
        service.write("good", str(UPDATES + 1))  # What serves stands on the disk again: a worker may be replaced.
        killed = service.worker_pids()[0]
        Process(killed).kill()
        wait_for(
            lambda: prometheus.value('midair_worker_restarts_total{why="died"}') == 1, SEEN_WITHIN_S, what="a death"
        )
        assert service.midair("scale", "1").code == 0
        wait_for(lambda: prometheus.value("midair_workers") == 1, SEEN_WITHIN_S, what="one worker less")
        yield Seen(service, prometheus, client.report, asked, killed)


def test_it_counts_what_a_strict_client_has_counted(seen: Seen) -> None:
    assert seen.report.failed == 0, seen.report.summary()
    assert seen.prometheus.value("midair_service_requests_total") == seen.report.ok + seen.asked
    assert seen.prometheus.value("midair_service_responses_5xx_total") == ERRORS
    of_code = {
        code: seen.prometheus.value(f'max_over_time(midair_requests_total{{code="{code}"}}[1h])')
        for code in ("4xx", "5xx")
    }
    assert of_code == {"4xx": NOT_FOUND, "5xx": ERRORS}


def test_every_connection_is_accounted_for(seen: Seen) -> None:
    ask = seen.prometheus.value
    assert ask("midair_service_connections_accepted_total") == seen.report.connections + seen.asked
    # Each that was kept open has moved at each update; none was cut, and only those of the killed worker could be lost.
    assert ask("midair_connections_moved_total") == KEPT_OPEN * UPDATES
    assert ask("midair_connections_cut_total") == 0
    serving = 'generation="3"'
    began = ask(f"midair_connections_accepted_total{{{serving}}}") + ask(
        f"midair_connections_adopted_total{{{serving}}}"
    )
    ended = ask(f"midair_connections_closed_total{{{serving}}}") + ask(
        f"midair_connections_handed_over_total{{{serving}}}"
    )
    assert began == ended + ask(f"midair_connections{{{serving}}}")


def test_updates_are_counted_and_so_is_their_time(seen: Seen) -> None:
    ask = seen.prometheus.value
    assert ask("hot_update_success") == ask("hot_update_duration_count") == UPDATES
    assert ask('midair_updates_total{result="refused"}') == 1
    assert ask("module_load_errors") == 1
    # The refused one was built and started, and got no further.
    phases = ("build", "start", "cut-over", "bake")
    counts = [ask(f'midair_update_phase_duration_seconds_count{{phase="{phase}"}}') for phase in phases]
    assert counts == [UPDATES + 1, UPDATES + 1, UPDATES, UPDATES]
    assert ask("midair_update_started_timestamp_seconds") > ask("midair_last_update_timestamp_seconds")


def test_no_counter_goes_back_over_updates_and_an_upgrade(seen: Seen) -> None:
    names = "|".join(metric.name for metric in METRICS if metric.kind == "counter")
    found = seen.prometheus.ask(f'{{__name__=~"{names}|.+_(bucket|count)",job="midair"}}[1h]')
    assert {series.labels.get("generation") for series in found} >= {"1", "2", "3"}
    assert [s.labels for s in found if any(b < a for a, b in zip(s.values, s.values[1:], strict=False))] == []


def test_nothing_is_left_of_those_that_are_gone(seen: Seen) -> None:
    by_generation = [metric.name for metric in METRICS if set(OF_GENERATION) <= set(metric.labels)]
    names = "|".join(f"{name}(_bucket|_sum|_count)?" for name in by_generation)
    living = seen.prometheus.ask(f'count by (generation) ({{__name__=~"{names}"}})')
    assert [series.labels["generation"] for series in living] == ["3"]
    assert seen.prometheus.value("midair_workers") == 1
    assert seen.prometheus.value("midair_drain_connections_left") == 0
    assert seen.prometheus.value("midair_connections") == 0
    assert not Process(seen.killed).is_alive
    ends = {s.labels["why"]: s.value for s in seen.prometheus.ask("midair_worker_ends_total")}
    assert ends["died"] == 1
    assert ends["killed"] == 0


def test_memory_is_that_of_the_processes_that_live(seen: Seen) -> None:
    kinds = {(s.labels["process"], s.labels.get("generation", "")) for s in seen.prometheus.ask("midair_memory_bytes")}
    assert kinds >= {(kind, "") for kind in ("supervisor", "base", "endpoints")}
    assert {of for kind, of in kinds if kind == "worker"} == {"3"}
    assert {of for kind, of in kinds if kind == "zygote"} == {"2", "3"}, "the one before is kept for a rollback"
    (worker,) = seen.service.worker_pids()
    # A figure is up to a second old, and that of the worker has grown since there is one worker less to share with.
    for labels, process in (('process="supervisor"', seen.service.supervisor), ('process="worker"', Process(worker))):
        found = partial(seen.prometheus.value, f"midair_memory_bytes{{{labels}}}")
        wait_for(found, SEEN_WITHIN_S, until=pytest.approx(process.pss_bytes, rel=0.2).__eq__, what=labels)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.question)
def test_every_query_of_the_documentation_has_an_answer(seen: Seen, query: Query) -> None:
    assert seen.prometheus.ask(query.promql)


def test_promtool_finds_fault_with_one_name_only_which_was_given(seen: Seen) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=seen.text(), capture_output=True, text=True, timeout=20, check=False
    )
    found = [line for line in checked.stderr.splitlines() if line]
    assert found == ['hot_update_success counter metrics should have "_total" suffix']


def test_every_panel_of_the_dashboard_has_something_to_show(seen: Seen) -> None:
    queries = [(panel.title, query) for row in rows() for panel in row.panels for query in panel.queries]
    assert len(queries) > 30, "the dashboard is empty"
    empty = [f"{title}: {query.expression}" for title, query in queries if not _drawn(seen.prometheus, query)]
    assert empty == []


def _drawn(prometheus: Prometheus, query: Panelled) -> list[Series]:
    """What Grafana would draw."""
    expression = query.expression
    for variable, value in (("$job", ".+"), ("$instance", ".+"), (WINDOW, "10s")):
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return prometheus.ask(expression) if query.is_instant else prometheus.ask_range(expression, 60, step_s=0.1)
