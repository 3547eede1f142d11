"""The endpoint that Prometheus scrapes: what it says is true, it outlives what happens, and it costs the service nothing."""

from __future__ import annotations

import re
import signal
import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from midair.config.client import ServiceAddress
from midair.control.client import ask_one
from midair.control.place import control_socket
from midair.control.words import Metrics, MetricsReport
from midair.supervisor.control import CONNECTIONS_MAX
from midair.testing.client import Load, Target
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

SERVED: dict[str, Setting] = {"metrics": {"address": "127.0.0.1:0"}}
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _url(service: Service) -> str:
    address = service.status()["metrics"]
    assert address, service.log()
    return f"http://{address}/metrics"


def _scrape(url: str) -> Figures:
    with urllib.request.urlopen(url, timeout=5) as response:
        text = response.read().decode()
    # Read here: the library's parser appends _total to the name of a counter that has none.
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.fullmatch(line).groups()  # type: ignore[union-attr]
            found[name, frozenset(LABEL.findall(labels or ""))] = float(value)
    return found


def _value(figures: Figures, name: str, **labels: str) -> float:
    """The sum of the samples that carry these labels."""
    found = [value for (known, has), value in figures.items() if known == name and labels.items() <= dict(has).items()]
    assert found, f"{name} {labels} is not among {sorted({known for known, _ in figures})}"
    return sum(found)


def _living(figures: Figures) -> set[str]:
    """Generations that have workers."""
    return {dict(labels)["generation"] for (name, labels) in figures if name == "midair_workers"}


def _exporter(service: Service) -> Process:
    """The child that serves them."""
    (found,) = [p for p in service.processes() if "midair.admin.host" in p.command]
    return found


@pytest.mark.slow
def test_updates_are_counted_by_how_they_ended(tmp_path: Path) -> None:
    with Service(tmp_path, settings=SERVED) as service:
        url = _url(service)
        figures = _scrape(url)
        # A first start is no update.
        assert _value(figures, "hot_update_success") == 0
        assert _value(figures, "hot_update_duration_count") == 0
        service.update("2")
        took_s = service.receipt()["took_s"]
        figures = _scrape(url)
        assert _value(figures, "hot_update_success") == 1
        assert _value(figures, "hot_update_duration_count") == 1
        assert _value(figures, "hot_update_duration_sum") == pytest.approx(took_s, abs=0.001)
        assert _value(figures, "hot_update_duration_bucket", le="+Inf") == 1
        assert abs(_value(figures, "midair_last_update_timestamp_seconds") - time.time()) < 10
        service.write("startup_raises", "3")
        assert service.reload().code == 4
        figures = _scrape(url)
        assert _value(figures, "midair_updates_total", result="refused") == 1
        assert _value(figures, "hot_update_success") == 1
        assert _value(figures, "midair_disk_version_differs") == 1
        assert _value(figures, "module_load_errors") == 0


@pytest.mark.slow
@pytest.mark.parametrize("zygote", ["auto", "never"])
def test_a_version_that_cannot_be_imported_sets_load_errors_until_one_can(tmp_path: Path, zygote: str) -> None:
    with Service(tmp_path, settings={**SERVED, "zygote": zygote}) as service:
        url = _url(service)
        assert _value(_scrape(url), "module_load_errors") == 0
        service.write("import_error", "2")
        assert service.reload().code == 4
        assert _value(_scrape(url), "module_load_errors") == 1
        service.update("3", "good")
        assert _value(_scrape(url), "module_load_errors") == 0


@pytest.mark.slow
def test_what_clients_were_answered_is_what_is_counted_over_all_generations(tmp_path: Path) -> None:
    with Service(tmp_path, settings=SERVED) as service:
        url = _url(service)
        begun = _value(_scrape(url), "midair_service_requests_total")
        with service.asked(Load(connections=4, keep_alive=False, think_s=0.01)) as client:
            service.update("2")
            service.update("3")
        answered = client.report.ok
        assert client.report.failed == 0, client.report.summary()
        figures = wait_for(
            lambda: _scrape(url),
            until=lambda f: _value(f, "midair_service_requests_total") >= begun + answered,
            what="all requests",
        )
        assert _value(figures, "midair_service_requests_total") == begun + answered
        assert _value(figures, "midair_service_connections_lost_total") == 0
        # The generation that serves has its own series, and only living ones have.
        figures = wait_for(lambda: _scrape(url), until=lambda f: _living(f) == {"3"}, what="one generation alone")
        assert _value(figures, "midair_workers", generation="3", version=service.status()["version"]) == 2
        assert 0 < _value(figures, "midair_requests_total", generation="3") < answered
        took = _value(figures, "midair_request_duration_seconds_count", generation="3")
        assert took == _value(figures, "midair_requests_total", generation="3")
        assert _value(figures, "midair_resident_memory_bytes", generation="3") > 20e6


@pytest.mark.slow
def test_errors_and_deaths_are_counted(tmp_path: Path) -> None:
    with Service(tmp_path, settings=SERVED) as service:
        url = _url(service)
        for _ in range(3):
            assert service.get("/error")[0] == 500
        figures = wait_for(
            lambda: _scrape(url), until=lambda f: _value(f, "midair_responses_5xx_total") == 3, what="three errors"
        )
        assert _value(figures, "midair_application_errors_total") == 3
        with pytest.raises(OSError, match="without response"):
            service.get("/crash")
        figures = wait_for(
            lambda: _scrape(url),
            until=lambda f: _value(f, "midair_worker_restarts_total", why="died") == 1,
            what="a death",
        )
        assert _value(figures, "midair_service_connections_lost_total") == 1
        # What the dead worker had counted is not lost with it.
        assert _value(figures, "midair_service_responses_5xx_total") == 3


@pytest.mark.slow
def test_workers_that_are_commands_are_counted_too(tmp_path: Path) -> None:
    with Service(tmp_path, "program", command=("{python}", "app.py"), settings=SERVED) as service:
        figures = _scrape(_url(service))
        assert _value(figures, "midair_workers", generation="1") == 2
        assert _value(figures, "midair_resident_memory_bytes", generation="1") > 5e6


@pytest.mark.slow
def test_the_endpoint_comes_back_on_its_port_and_the_service_does_not_notice(tmp_path: Path) -> None:
    with Service(tmp_path, settings=SERVED) as service:
        url = _url(service)
        with service.asked(Load(connections=2, keep_alive=False, think_s=0.02)) as client:
            first = _exporter(service)
            first.kill()
            # The supervisor holds the port: a scrape meanwhile waits in its queue, it is not refused.
            assert _value(_scrape(url), "midair_workers") == 2
            assert _exporter(service) != first
        assert client.report.failed == 0, client.report.summary()


@pytest.mark.slow
def test_figures_and_child_get_over_an_upgrade_and_no_scrape_fails(tmp_path: Path) -> None:
    with Service(tmp_path, settings=SERVED) as service:
        url = _url(service)
        service.update("2")
        before = _exporter(service)
        upgrade = service.midair_in_background("upgrade")
        scrapes = 0
        while upgrade.poll() is None:
            assert _value(_scrape(url), "hot_update_success") == 1
            scrapes += 1
        upgrade.communicate(timeout=10)
        assert upgrade.returncode == 0, service.log()
        assert scrapes > 3
        assert _exporter(service) == before
        assert _url(service) == url
        service.update("3")
        assert _value(_scrape(url), "hot_update_success") == 2


@pytest.mark.slow
def test_an_address_in_use_is_a_warning_and_no_reason_not_to_serve(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Service(tmp_path, settings={"metrics": {"address": address}}) as service:
            assert service.serving_version() == "1"
            assert "metrics unavailable" in service.log()
            assert address in service.log()
            assert service.status()["metrics"] == ""


@pytest.mark.slow
def test_only_metrics_are_served_there(tmp_path: Path) -> None:
    with Service(tmp_path, settings=SERVED) as service:
        url = _url(service)
        for path, status in (("/", 404), ("/metrics/../health", 404)):
            with pytest.raises(urllib.error.HTTPError) as failed:
                urllib.request.urlopen(url.removesuffix("/metrics") + path, timeout=5)
            failed.value.close()
            assert failed.value.code == status
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(url, data=b"x", timeout=5)
        failed.value.close()
        assert failed.value.code == 405


@pytest.mark.slow
def test_without_an_address_nothing_runs_and_the_control_socket_tells_the_same_figures(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        assert not [p for p in service.processes() if "midair.admin" in p.command]
        address = ServiceAddress(name="it", folder=str(service.folder), runtime_dirs=(str(service.runtime),))
        answer = ask_one(address, Metrics(), MetricsReport)
        assert "\nhot_update_success 0\n" in answer.text


@pytest.mark.slow
def test_the_supervisor_stays_small_with_everything_switched_on(tmp_path: Path) -> None:
    settings: dict[str, Setting] = {
        **SERVED,
        "hooks": {"before": ["true"], "after": ["true"]},
        "process": [{"name": "beside", "command": ["sleep", "1000"]}],
    }
    with Service(tmp_path, settings=settings) as service:
        url = _url(service)
        with service.asked(Load(connections=8, keep_alive=False, think_s=0.01)):
            for version in "234":
                service.update(version)
                _scrape(url)
        assert service.supervisor.rss_bytes < 40e6
        figures = _scrape(url)
        assert _value(figures, "midair_supervisor_resident_memory_bytes") < 40e6
        assert _value(figures, "midair_memory_bytes", process="companion", generation="4") > 0


@pytest.mark.slow
def test_while_connections_move_it_is_told_what_is_left_and_how_quickly_they_go(tmp_path: Path) -> None:
    settings: dict[str, Setting] = {**SERVED, "drain": {"rate": "10%", "halt_at": "off"}}
    asking = (Load(connections=18, think_s=0.02), Load.streams(connections=2))
    with Service(tmp_path, settings=settings) as service, service.asked(*asking):
        url = _url(service)

        def open_now(figures: Figures, state: str) -> float:
            return _value(figures, "midair_connections", state=state)

        figures = wait_for(
            lambda: _scrape(url),
            until=lambda f: open_now(f, "stream") == 2 and open_now(f, "active") + open_now(f, "idle") == 18,
            what="all connections",
        )
        for name in ("connections_left", "rate_per_second", "oldest_age_seconds"):
            assert _value(figures, f"midair_drain_{name}") == 0
        service.update("2")

        def of_all(figures: Figures) -> tuple[float, float]:
            left, moved = "midair_drain_connections_left", "midair_connections_moved_total"
            return _value(figures, left), _value(figures, moved)

        # A connection may move between the reading of the two.
        figures = wait_for(
            lambda: _scrape(url),
            until=lambda f: of_all(f)[1] > 0 and sum(of_all(f)) == 20,
            what="some that have moved",
        )
        left, _ = of_all(figures)
        assert _value(figures, "midair_connections", generation="1") == left
        assert _value(figures, "midair_connections", state="draining") == left
        assert _value(figures, "midair_connections", generation="2", state="draining") == 0
        assert _value(figures, "midair_streams", generation="1") == 2
        assert _value(figures, "midair_drain_rate_per_second") == 2
        assert _value(figures, "midair_drain_oldest_age_seconds") > 0


@pytest.mark.slow
@pytest.mark.parametrize("unix", [False, True])
def test_who_waits_to_be_accepted_is_seen(tmp_path: Path, unix: bool) -> None:
    with Service(tmp_path, settings=SERVED, workers=1, unix=unix) as service, ExitStack() as stack:
        url = _url(service)
        (pid,) = service.worker_pids()
        worker = Process(pid)
        worker.send(signal.SIGSTOP)
        target = Target.parse(service.url)
        for _ in range(3):
            stack.enter_context(socket.socket(target.family)).connect(target.address)
        figures = _scrape(url)
        assert _value(figures, "midair_listener_queue") == 3
        assert _value(figures, "midair_listener_queue_max") > 3
        worker.send(signal.SIGCONT)
        wait_for(lambda: _scrape(url), until=lambda f: _value(f, "midair_listener_queue") == 0, what="an empty queue")


@pytest.mark.slow
def test_who_is_turned_away_at_the_control_socket_is_counted(tmp_path: Path) -> None:
    with Service(tmp_path, settings=SERVED) as service:
        url, path = _url(service), control_socket(str(service.runtime))
        with socket.socket(socket.AF_UNIX) as lost:
            lost.connect(path)
            lost.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert b"refused" in lost.recv(65536)
        with ExitStack() as stack:
            many = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(CONNECTIONS_MAX + 1)]
            for each in many:
                each.connect(path)
            assert many[-1].recv(1) == b"", "one too many is hung up on"
        figures = _scrape(url)
        assert _value(figures, "midair_control_refusals_total", why="garbage") == 1
        assert _value(figures, "midair_control_refusals_total", why="too_many") == 1
        assert _value(figures, "midair_control_refusals_total", why="not_allowed") == 0
