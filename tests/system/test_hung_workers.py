"""A worker whose event loop stands still is told of, with where it stands, and then replaced, successor first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

IMPATIENT: dict[str, Setting] = {"worker": {"hang_warn": "1s", "hang_timeout": "2.5s"}}


@contextmanager
def _hanging(service: Service, seconds: float) -> Iterator[None]:
    """One worker blocks its loop for so long. Its answer, or its end, is not waited for inside."""

    def ask() -> None:
        with suppress(OSError):
            service.get(f"/hang?s={seconds}", timeout_s=seconds + 5)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        asking.join(seconds + 10)


def _lines(service: Service, event: str) -> list[str]:
    return [line for line in service.log().splitlines() if f" {event} " in line]


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced_and_the_log_says_where_it_stood(tmp_path: Path) -> None:
    with Service(tmp_path, settings=IMPATIENT) as service:
        before = set(service.worker_pids())
        with _hanging(service, 30.0):
            wait_for(lambda: _lines(service, "worker hung"), what="the warning")
            assert "in http" in service.log(), "the stack names the function that blocks"
            assert _lines(service, "worker worn") == [], "told of first, replaced later"
            replaced = wait_for(lambda: _lines(service, "worker replaced"), what="the replacement")
            pids = wait_for(service.worker_pids, until=lambda pids: len(pids) == 2, what="two workers")
            after = set(pids)
            (victim,) = before - after
            assert len(before & after) == 1
            assert not Process(victim).is_alive
        assert len(replaced) == 1
        assert len(_lines(service, "worker hung")) == 1
        # Its successor was ready before it was killed: nobody met an empty slot.
        log = service.log()
        assert log.index("worker worn") < log.index("worker replaced")
        assert _lines(service, "worker died") == []


@pytest.mark.slow
def test_one_that_comes_to_itself_again_stays(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"worker": {"hang_warn": "1s", "hang_timeout": "10s"}}) as service:
        before = service.worker_pids()
        with _hanging(service, 2.5):
            wait_for(lambda: _lines(service, "worker hung"), what="the warning")
        assert sorted(service.worker_pids()) == sorted(before)
        assert _lines(service, "worker worn") == []


@pytest.mark.slow
def test_a_service_that_was_paused_as_a_whole_has_no_hung_workers(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"worker": {"hang_warn": "2s", "hang_timeout": "2.5s"}}) as service:
        before = service.worker_pids()
        everybody = service.processes()
        # As a laptop that sleeps, or a container that is frozen.
        for process in everybody:
            process.send(signal.SIGSTOP)
        threading.Event().wait(4.0)  # not for anything to happen: this is how long it sleeps
        for process in everybody:
            process.send(signal.SIGCONT)
        with service.asked(Load(connections=2, keep_alive=False, think_s=0.02)) as client:
            enough = client.report.ok + 50
            wait_for(lambda: client.report.ok, until=lambda ok: ok >= enough)
        assert client.report.failed == 0, client.report.summary()
        assert sorted(service.worker_pids()) == sorted(before)
        assert _lines(service, "worker hung") == []


@pytest.mark.slow
def test_an_upgrade_forgets_no_hanging_worker(tmp_path: Path) -> None:
    with Service(tmp_path, settings=IMPATIENT) as service, _hanging(service, 30.0):
        wait_for(lambda: _lines(service, "worker hung"), what="the warning")
        assert service.midair("upgrade").code == 0, service.log()
        wait_for(lambda: _lines(service, "worker replaced"), what="the replacement")


# --- how the version before did ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("before", "code"), [("good", 4), ("health_ok_rest_500", 0)])
def test_errors_count_against_a_version_only_if_the_one_before_did_better(
    tmp_path: Path, before: str, code: int
) -> None:
    settings: dict[str, Setting] = {"bake": {"for": "4s"}}
    with (
        Service(tmp_path, before, settings=settings, ready_path="/health") as service,
        service.asked(Load(connections=4, keep_alive=False, think_s=0.02)) as client,
    ):
        enough = client.report.requests + 100
        wait_for(lambda: client.report.requests, until=lambda n: n >= enough, what="answers to compare with")
        service.write("health_ok_rest_500", "2")
        assert service.reload().code == code, service.log()
