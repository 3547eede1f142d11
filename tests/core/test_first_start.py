"""Nothing serves yet: what is tried again, what ends the service, what a request changes."""

from __future__ import annotations

import pytest

from midair.core.effects import Entered, StartWorker
from midair.testing.world import Defect, Faults
from tests.core.play import Play


def test_the_first_version_is_committed_without_a_bake() -> None:
    play = Play()
    play.serve()
    assert play.serving == ["f1", "f1"]
    assert not [e for e in play.said(Entered) if e.phase == "bake"]


@pytest.mark.parametrize("defect", ["start-fails", "start-exits", "import-exits"])
def test_a_start_that_fails_is_tried_again_with_growing_waits_until_start_timeout(defect: Defect) -> None:
    play = Play(defect=defect, ready_s=5.0, start_s=60.0)
    play.history.start()
    began_s = play.world.now_s
    play.until(lambda: bool(play.watch.ends))
    assert play.watch.ends[0].exit_code == 1
    assert play.watch.results == {"refused": 1}
    assert 60.0 <= play.world.now_s - began_s < 95.0
    assert 5 <= play.notes("start_failed") <= 10


def test_a_start_that_succeeds_at_last_serves() -> None:
    play = Play(defect="start-fails", start_s=60.0)
    play.history.start()
    play.wait(3.0)
    play.deploy()
    play.until(lambda: play.watch.results["committed"] == 1)


def test_an_import_error_ends_the_service_at_once() -> None:
    play = Play(defect="import-fails")
    play.history.start()
    play.until(lambda: bool(play.watch.ends), within_s=5.0)
    end = play.watch.ends[0]
    assert end.exit_code == 1
    assert end.fault is not None
    assert end.fault.code == "import-failed"


def test_an_unhealthy_first_version_is_asked_again_until_start_timeout() -> None:
    play = Play(defect="unhealthy", ready_s=5.0, start_s=60.0)
    play.history.start()
    play.wait(59.0)
    assert not play.watch.ends
    play.until(lambda: bool(play.watch.ends), within_s=5.0)


def test_a_request_during_the_first_start_supersedes_it_and_the_service_goes_on() -> None:
    """It ended the service once: nothing served and no candidate was left, for a moment."""
    play = Play(defect="start-fails")
    play.history.start()
    play.wait(2.0)
    update = play.update()
    assert play.until_end(update).result == "committed"
    assert not play.watch.ends
    assert play.watch.results == {"superseded": 1, "committed": 1}


def test_each_new_attempt_is_verified_anew() -> None:
    """The first attempt's files were verified; the second one imports other files and was never looked at."""
    play = Play(defect="start-fails")
    play.history.start()
    play.wait(0.3)
    play.deploy("unsafe-to-fork")
    play.until(lambda: len(play.said(StartWorker)) > 2)
    play.until(lambda: play.watch.results["committed"] == 1)


def test_a_stop_during_the_first_start_ends_well() -> None:
    play = Play(defect="start-hangs")
    play.history.start()
    play.wait(1.0)
    play.stop()
    play.wait(1.0)
    play.history.check_ended()
    assert play.watch.ends[0].exit_code == 0


def test_a_stop_between_two_attempts_ends_well() -> None:
    play = Play(defect="start-fails", faults=Faults(delay_max_s=0.001))
    play.history.start()
    play.until(lambda: play.notes("start_failed") == 2)
    play.wait(0.2)
    play.stop()
    play.wait(1.0)
    play.history.check_ended()
