"""The signals table: what each asks for, and what it does not lose."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

ASKING = (Load(connections=4, keep_alive=False, think_s=0.02), Load(connections=4, think_s=0.05))


def _active(service: Service) -> int:
    """Requests in flight, as the workers' own pages say."""
    return sum(worker["active"] for found in service.status()["generations"] for worker in found["workers"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_updates(tmp_path: Path, number: signal.Signals) -> None:
    with Service(tmp_path) as service:
        with service.asked(*ASKING) as client:
            service.write("good", "2")
            service.supervisor.send(number)
            wait_for(service.serving_version, until="2".__eq__, what="version 2")
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.slow
def test_an_unreadable_configuration_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.asked(*ASKING) as client:
        (service.folder / "midair.toml").write_text("workers = = 2\n")
        service.supervisor.send(signal.SIGHUP)
        wait_for(lambda: "midair.toml" in service.log(), what="the refusal in the log")
        service.configure()
        assert service.status()["serving"] == 1
        service.update("2")
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.slow
def test_workers_come_and_go_one_by_one(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.asked(*ASKING) as client:
        for number, workers in ((signal.SIGTTIN, 3), (signal.SIGTTOU, 2), (signal.SIGTTOU, 1)):
            service.supervisor.send(number)
            wait_for(lambda: len(service.worker_pids()), until=workers.__eq__, what=f"{workers} workers")
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_is_in_flight(tmp_path: Path, number: signal.Signals) -> None:
    with Service(tmp_path) as service:
        with service.asked(Load(connections=1, limit=1), Load("/slow?s=1.5", connections=3, limit=1)) as client:
            wait_for(lambda: _active(service), until=lambda active: active == 3, what="three requests in flight")
            service.supervisor.send(number)
            assert service.wait_ended() == 0
        assert client.report.failed == 0, client.report.summary() + service.log()
        with pytest.raises(ConnectionRefusedError):
            service.get("/")


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [(signal.SIGQUIT,), (signal.SIGINT, signal.SIGINT)])
def test_a_forced_stop_waits_for_nobody(tmp_path: Path, numbers: tuple[signal.Signals, ...]) -> None:
    settings: dict[str, Setting] = {"stop": {"timeout": "50s"}}
    requests = (Load("/slow?s=40", connections=3, limit=1), Load(limit=1))
    with Service(tmp_path, settings=settings) as service, service.asked(*requests):
        wait_for(lambda: _active(service), until=lambda active: active == 3, what="three requests in flight")
        for number in numbers:
            service.supervisor.send(number)
            wait_for(lambda: "signal received" in service.log())
        service.wait_ended()


@pytest.mark.slow
def test_before_a_stop_load_balancers_are_told_and_everybody_is_served(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"stop": {"delay": "2s"}}) as service:
        with service.asked(Load(connections=4, keep_alive=False, think_s=0.02)) as client:
            assert service.get("/readyz")[0] != 503
            service.supervisor.send(signal.SIGTERM)
            # The promise is the second that load balancers have left, of the two of stop.delay.
            wait_for(lambda: service.get("/readyz")[0], 1, until=(503).__eq__, what="503 on /readyz")
            assert service.get("/")[0] == 200
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert service.wait_ended() == 0


@pytest.mark.slow
def test_what_a_signal_does_can_be_changed(tmp_path: Path) -> None:
    settings: dict[str, Setting] = {"signals": {"hup": "ignore", "usr1": "worker+", "ttou": "reload"}}
    with Service(tmp_path, settings=settings) as service:
        service.write("good", "2")
        service.supervisor.send(signal.SIGHUP)
        service.supervisor.send(signal.SIGUSR1)
        wait_for(service.worker_pids, until=lambda pids: len(pids) == 3)
        assert service.serving_version() == "1"
        service.supervisor.send(signal.SIGTTOU)
        wait_for(service.serving_version, until="2".__eq__)
