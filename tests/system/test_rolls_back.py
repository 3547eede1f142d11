"""A version that proves bad after the cut-over is taken back by itself; lost is what it broke, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.testing.client import BackgroundClient, Load
from midair.testing.report import Answer
from tests.support.service import Service
from tests.support.waiting import wait_for

BROKEN_OFF = {Answer.RESET, Answer.EOF_BEFORE, Answer.EOF_INSIDE}


def _broken_by_the_application(service: Service) -> int:
    """The bad version's own count: the wrong answers that it gave, or what it held in flight when it died."""
    return sum(int(line) for line in (service.folder / "broken.log").read_text().split())


def _roll_back(service: Service, client: BackgroundClient, app: str) -> int:
    """Update to a version that is rolled back, let the clients ask on; how many requests had failed by then."""
    service.write(app, "2")
    rolled_back = service.reload()
    assert rolled_back.code == 4, f"{rolled_back}\n{service.log()}"
    assert rolled_back.data["result"] == "rolled-back", rolled_back
    # Its other worker goes on with what it had begun, and may break that, too.
    wait_for(lambda: service.worker_pids(2), until=lambda pids: not pids, what="the end of the bad version")
    failed_until_then = client.report.failed
    enough = client.report.ok + 60
    wait_for(lambda: client.report.ok, until=lambda ok: ok >= enough, what="answers after the rollback")
    assert service.serving_version() == "1"
    return failed_until_then


@pytest.mark.alone
@pytest.mark.slow
def test_a_version_that_dies_a_second_after_the_cut_over_is_rolled_back(tmp_path: Path) -> None:
    asking = (Load("/slow?s=0.4", connections=8, keep_alive=False), Load(connections=4, keep_alive=False, think_s=0.05))
    with Service(tmp_path, settings={"bake": {"for": "4s"}}) as service:
        with service.asked(*asking) as client:
            failed_until_then = _roll_back(service, client, "crashes_after")
        report = client.report
        assert {answer for answer, count in report.counts.items() if count} <= BROKEN_OFF | {Answer.OK}, (
            report.summary()
        )
        # Its own count knows what it had begun. The kernel may have handed the worker a connection that it had not read
        # yet, or a client may have had its answer and not closed yet: between these two, and they are close.
        held, books = _broken_by_the_application(service), service.receipt()["books"]["2"]
        assert 0 < held <= books["requests_lost"] <= report.failed <= books["lost"] <= held + 2, (
            f"{held} {books}\n{report.summary()}{service.log()}"
        )
        assert report.failed == failed_until_then, report.summary() + service.log()


@pytest.mark.alone
@pytest.mark.slow
def test_a_version_that_answers_health_and_nothing_else_is_rolled_back(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"bake": {"for": "5s"}}) as service:
        with service.asked(Load(connections=10, keep_alive=False, think_s=0.05)) as client:
            failed_until_then = _roll_back(service, client, "health_ok_rest_500")
        report = client.report
        assert report.failed == report.counts[Answer.SERVER_ERROR], report.summary()
        assert report.failed_versions == {"2": report.failed}, report.summary()
        assert report.failed == _broken_by_the_application(service), report.summary() + service.log()
        assert report.failed == failed_until_then, report.summary() + service.log()
        # 20 answers are enough to judge by: a version that breaks everything does not break thousands.
        assert 20 <= report.failed < 300, report.summary()


@pytest.mark.alone
@pytest.mark.slow
def test_what_was_rolled_back_is_not_taken_up_again_unless_forced(tmp_path: Path) -> None:
    with (
        Service(tmp_path, settings={"bake": {"for": "3s"}}, env={"CRASH_AFTER_S": "0.1"}) as service,
        service.asked(Load(connections=2, keep_alive=False, think_s=0.02)),
    ):
        service.write("crashes_after", "2")
        assert service.reload().data["result"] == "rolled-back"
        again = service.reload()
        assert again.code == 4, again
        assert "rolled back" in again.out + again.err
        assert service.reload("--force").data["result"] == "rolled-back"
        assert service.serving_version() == "1"


@pytest.mark.alone
@pytest.mark.slow
def test_a_rollback_asked_for_needs_neither_the_files_nor_an_import(tmp_path: Path) -> None:
    with Service(tmp_path, "import_slow", env={"IMPORT_S": "1.5"}) as service:
        with service.asked(Load(connections=4, keep_alive=False, think_s=0.02)) as client:
            service.update("2", "good")
            for path in service.folder.glob("*.py"):
                path.unlink()
            back = service.midair("rollback", "--json")
            assert back.code == 0, f"{back}\n{service.log()}"
            assert service.serving_version() == "1"
        assert client.report.failed == 0, client.report.summary() + service.log()
        # The cut-over, that is: the commit comes a bake (0.3 s) later.
        assert back.data["duration_s"] < 1.0, back
