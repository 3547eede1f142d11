"""Connections outlive the version that accepted them: none is closed, none waits, and no more move than were promised."""

from __future__ import annotations

import contextlib
import http.client
import random
import time
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for

THINKING = (
    Load(connections=20, think_s=0.01),
    Load(connections=40, think_s=0.05),
    Load(connections=20, think_s=1.0),
)


def _connections(service: Service, *states: str) -> int:
    """Open connections of the workers in these states."""
    found = [worker for each in service.status()["generations"] for worker in each["workers"]]
    return sum(worker["connections"] for worker in found if worker["state"] in states)


def _retiring(service: Service) -> int:
    return _connections(service, "draining", "parked", "leaving")


def _workers(service: Service) -> int:
    """Of all generations."""
    return sum(len(each["workers"]) for each in service.status()["generations"])


@pytest.mark.slow
@pytest.mark.parametrize("updates", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_keep_alive_connections_live_through_updates(tmp_path: Path, updates: int) -> None:
    with Service(tmp_path) as service:
        with service.asked(*THINKING) as client:
            for number in range(updates):
                service.update(str(number + 2))
            wait_for(lambda: _retiring(service), until=(0).__eq__, what="all connections on the new version")
        report = client.report
        assert (report.failed, report.reconnects) == (0, 0), report.summary() + service.log()


@pytest.mark.slow
def test_other_numbers_of_workers_and_unix_sockets_move_too(tmp_path: Path) -> None:
    with Service(tmp_path, unix=True) as service, service.asked(*THINKING) as client:
        for number, workers in enumerate((3, 1, 2)):
            service.configure(workers=workers)
            service.update(str(number + 2))
            wait_for(lambda: _workers(service), until=workers.__eq__, what=f"{workers} workers")
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()


@pytest.mark.slow
def test_scaling_and_recycled_workers_pass_their_connections_on(tmp_path: Path) -> None:
    with Service(tmp_path, workers=3) as service, service.asked(*THINKING) as client:
        assert service.midair("scale", "1").code == 0
        wait_for(lambda: _workers(service), until=(1).__eq__, what="one worker")
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()


@pytest.mark.slow
def test_a_rollback_brings_them_back_at_once(tmp_path: Path) -> None:
    slow = {"bake": {"for": "30s"}, "drain": {"rate": "20%"}}
    with Service(tmp_path, settings=slow) as service, service.asked(*THINKING) as client:
        service.write("good", "2")
        service.reload("--no-wait")
        wait_for(lambda: client.report.versions.get("2", 0), until=lambda answers: answers > 5, what="version 2")
        assert service.midair("rollback").code == 0
        wait_for(lambda: _workers(service), until=(2).__eq__, what="only the old workers")
        assert service.serving_version() == "1"
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()


@pytest.mark.slow
def test_a_killed_receiver_loses_only_what_was_its_own(tmp_path: Path) -> None:
    slow = {"bake": {"for": "30s"}, "drain": {"rate": "10%"}}
    with Service(tmp_path, settings=slow) as service, service.asked(Load(connections=60, think_s=0.2)) as client:
        service.write("good", "2")
        service.reload("--no-wait")
        wait_for(lambda: client.report.versions.get("2", 0), until=lambda answers: answers > 20, what="version 2")
        Process(service.worker_pids()[0]).kill()
        wait_for(lambda: service.status()["serving"], until=(1).__eq__, what="the rollback")
        wait_for(lambda: _workers(service), until=(2).__eq__, what="only the old workers")
        books = wait_for(lambda: service.receipt(2)["books"].get("2", {}), what="the books of generation 2")
        report = client.report
        # Killed between two requests a connection just ends: its client opens another one, once it asks again.
        wait_for(lambda: report.failed + report.reconnects, until=lambda noticed: noticed >= books["lost"])
        assert 0 < report.failed + report.reconnects == books["lost"], report.summary() + service.log()
        assert report.planned_reconnects == 0


@pytest.mark.slow
def test_a_killed_sender_loses_only_what_it_still_had(tmp_path: Path) -> None:
    slow = {"bake": {"for": "3s"}, "drain": {"rate": "10%"}}
    with Service(tmp_path, settings=slow) as service, service.asked(Load(connections=60, think_s=0.2)) as client:
        old, *_ = service.worker_pids()
        service.write("good", "2")
        service.reload("--no-wait")
        wait_for(lambda: client.report.versions.get("2", 0), until=lambda answers: answers > 20, what="version 2")
        Process(old).kill()
        wait_for(lambda: _retiring(service), until=(0).__eq__, what="all connections on the new version")
        assert service.serving_version() == "2"
        books = wait_for(lambda: service.receipt(2)["books"].get("1", {}), what="the books of generation 1")
        report = client.report
        assert 0 < report.failed + report.reconnects == books["lost"] < 60, report.summary() + service.log()


@pytest.mark.slow
@pytest.mark.parametrize("mib", [1 / 16, 64], ids=["64-kib", "64-mib"])
def test_an_upload_across_an_update_is_answered_once_by_one_version(tmp_path: Path, mib: float) -> None:
    body = random.Random(1).randbytes(int(mib * (1 << 20)))
    with Service(tmp_path) as service, contextlib.ExitStack() as stack:
        connection = stack.enter_context(
            contextlib.closing(http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=30))
        )
        for version in ("2", "3"):
            connection.putrequest("POST", "/echo")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            half = len(body) // 2
            connection.send(body[:half])
            service.update(version)
            connection.send(body[half:])
            answer = connection.getresponse()
            assert (answer.status, answer.read() == body) == (200, True)
            assert answer.headers["x-version"] == str(int(version) - 1), "who began it has answered it"
            wait_for(lambda: _retiring(service), until=(0).__eq__, what="all connections on the new version")
        connection.request("GET", "/")
        assert connection.getresponse().headers["x-version"] == "3", "on the same connection"


@pytest.mark.slow
def test_no_second_moves_more_than_the_pace_allows(tmp_path: Path) -> None:
    with (
        Service(tmp_path, settings={"drain": {"rate": "20%"}}) as service,
        service.asked(Load(connections=100, think_s=0.02)) as client,
    ):
        service.update("2")
        began_s = time.monotonic()
        seen: list[tuple[float, int]] = []

        def left() -> int:
            now = _retiring(service)
            seen.append((time.monotonic(), now))
            return now

        wait_for(left, until=(0).__eq__, what="the last of them", every_s=0.1)
        assert 3.0 < time.monotonic() - began_s < 8.0
        for at_s, count in seen:
            # A look takes a while and is taken a little later than it says: a tenth of a second's worth is forgiven.
            later = [other for other_s, other in seen if other_s <= at_s + 1.0]
            assert count - later[-1] <= 21 + 3, seen
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()
