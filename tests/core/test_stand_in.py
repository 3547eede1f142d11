"""Generation 0 serves while no version can, and no version's failure ends the service (``midair dev``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from midair.core.effects import Accept, Closed, GenerationGone, Kill, Opened, StartWorker, StoodIn
from midair.core.events import Prepared, Tick, UpdateAsked, Verified, WorkerReady, ZygoteReady
from midair.core.ids import STAND_IN, GenerationId, RequestId, WorkerId, ZygoteId
from midair.core.machine import new_service, step
from midair.core.policy import Policy
from midair.errors import Fault
from midair.testing.world import STAND_IN_CODE, Defect, Faults
from tests.core.play import ORDERS_ARRIVE_S, Play

NOBODY_YET = ["stand-in"]
DEV: dict[str, Any] = {"has_stand_in": True, "workers": 1, "bake_s": 0.0, "keep": "none", "drain_s": 2.0}
BAD_FIRST: tuple[Defect, ...] = (
    "import-fails",
    "import-exits",
    "import-hangs",
    "start-fails",
    "start-exits",
    "start-hangs",
    "unhealthy",
)


def developing(defect: Defect | None = None, **settings: Any) -> Play:
    """A service with a stand-in that has begun, and its first version on the way or refused."""
    play = Play(defect=defect, **{**DEV, **settings})
    play.history.start()
    play.until(lambda: bool(play.said(Opened)))
    return play


def serving(**settings: Any) -> Play:
    play = developing(**settings)
    play.until(lambda: play.watch.results["committed"] == 1)
    play.wait(ORDERS_ARRIVE_S)
    return play


def why_it_stands_in(play: Play) -> Fault:
    fault = play.said(StoodIn)[-1].fault
    assert fault is not None
    return fault


def until_it_stands_in(play: Play) -> None:
    count = len(play.said(StoodIn))
    play.until(lambda: len(play.said(StoodIn)) > count)


# --- before the first version -------------------------------------------------------------------------------------


def test_it_answers_before_there_is_a_version() -> None:
    play = developing("import-hangs")
    play.until(lambda: play.serving == NOBODY_YET, within_s=1.0)


def test_it_is_no_update_and_leaves_once_a_version_serves() -> None:
    play = developing("import-hangs")
    play.until(lambda: play.serving == NOBODY_YET)
    play.until_end(play.update())
    assert play.serving == ["f2"]
    assert [(e.generation, e.previous) for e in play.said(Opened)] == [(1, STAND_IN), (2, STAND_IN)]
    play.until(lambda: GenerationGone(STAND_IN) in play.effects, within_s=5.0)
    assert not [w for w in play.world.living() if w.generation == STAND_IN]


def test_a_first_version_that_is_quick_has_the_processors_for_itself() -> None:
    play = serving()
    play.wait(5.0)
    assert play.serving == ["f1"]
    assert {order.generation for order in play.said(StartWorker)} == {GenerationId(1)}


def test_a_first_version_that_is_ready_before_it_does_not_wait_for_it() -> None:
    policy = Policy(has_stand_in=True, bake_s=0.0, has_health=False)
    service = new_service(policy)
    first, zygote = GenerationId(1), ZygoteId(1)
    step(service, UpdateAsked(RequestId(1), "start"), 0.0)
    effects = step(service, Tick(), 0.6)
    stand_in = next(e.worker for e in effects if isinstance(e, StartWorker))
    for event in (Prepared(first, "1", "f1", policy), ZygoteReady(zygote), Verified(first, "f1")):
        effects = step(service, event, 0.7)
    effects = step(service, WorkerReady(WorkerId(stand_in + 1)), 0.7)
    assert Accept(WorkerId(stand_in + 1)) in effects
    assert Kill(stand_in) in effects  # It has met nobody, and may hang in its start.


@pytest.mark.parametrize("defect", BAD_FIRST)
def test_a_first_version_that_fails_is_refused_and_the_service_goes_on(defect: Defect) -> None:
    play = developing(defect, ready_s=3.0)
    play.until(lambda: play.watch.results["refused"] == 1, within_s=4.0)
    play.wait(300.0)
    assert not play.watch.ends
    assert play.serving == NOBODY_YET
    assert play.until_end(play.update()).result == "committed"
    assert play.serving == ["f2"]


def test_nothing_that_it_does_by_itself_ends_the_service() -> None:
    play = developing("import-fails")
    play.world.faults = Faults(start_fails=1.0)
    play.wait(300.0)
    assert not play.watch.ends
    play.world.heal()
    play.until(lambda: play.serving == NOBODY_YET, within_s=40.0)


def test_there_is_one_of_it_however_many_workers_are_wanted() -> None:
    play = developing("import-fails", workers=3)
    play.until(lambda: play.serving == NOBODY_YET)
    play.scale(4)
    play.wait(5.0)
    assert play.serving == NOBODY_YET


def test_a_version_that_goes_by_slot_does_not_wait_for_its_room() -> None:
    play = serving(workers=3, by_slot="no room", lacks_room=True)
    assert play.serving == ["f1"] * 3


def test_a_stop_while_it_serves_ends_well() -> None:
    play = developing("import-fails")
    play.until(lambda: play.serving == NOBODY_YET)
    play.history.stop()
    assert play.watch.ends[0].exit_code == 0


# --- nothing good is left -----------------------------------------------------------------------------------------


def test_a_worker_that_dies_after_the_files_were_broken_comes_back_from_its_zygote() -> None:
    play = serving()
    play.until_end(play.update("import-fails"))
    play.world.kill_worker(play.worker())
    play.wait(1.0)
    assert play.serving == ["f1"]
    assert len(play.said(StoodIn)) == 1


def test_where_it_cannot_come_back_the_stand_in_says_why_and_what_is_on_disk_is_tried_once() -> None:
    play = serving(forks=False)
    play.until_end(play.update("import-fails"))
    play.world.kill_worker(play.worker())
    until_it_stands_in(play)
    assert why_it_stands_in(play).code == "version-lost"
    assert "files have changed" in why_it_stands_in(play).message
    assert "SIGKILL" in why_it_stands_in(play).message
    play.wait(300.0)
    assert play.serving == NOBODY_YET
    assert play.watch.results == {"committed": 1, "refused": 2}
    assert play.until_end(play.update()).result == "committed"


def test_of_a_zygote_that_cannot_come_back_either() -> None:
    play = serving()
    play.deploy("import-fails")
    play.world.kill_zygote(ZygoteId(1))
    play.wait(1.0)
    assert play.serving == ["f1"]
    play.world.kill_worker(play.worker())
    until_it_stands_in(play)
    play.until(lambda: play.serving == NOBODY_YET)


def test_a_version_that_dies_again_and_again_is_given_up() -> None:
    play = serving(defect="dies-later")
    until_it_stands_in(play)
    assert "again and again" in why_it_stands_in(play).message
    assert "SIGSEGV" in why_it_stands_in(play).message
    started = len(play.said(StartWorker))
    assert started <= 8
    play.wait(300.0)
    assert play.serving == NOBODY_YET
    assert len(play.said(StartWorker)) == started
    assert not play.world.zygotes


def test_a_version_that_dies_now_and_then_is_not_given_up() -> None:
    play = serving()
    for _ in range(4):
        play.world.kill_worker(play.worker())
        play.until(lambda: play.serving == ["f1"], within_s=3.0)
    play.wait(61.0)
    play.world.kill_worker(play.worker())
    play.until(lambda: play.serving == ["f1"], within_s=1.0)
    assert len(play.said(StoodIn)) == 1


def test_as_long_as_one_worker_is_left_the_version_serves() -> None:
    play = serving(workers=2)
    for _ in range(8):
        one = [w for w in play.world.accepting() if w.slot == 1]
        if one:
            play.world.kill_worker(one[0].id)
        play.wait(2.0)
    assert play.notes("crash_loop") == 1
    assert "f1" in play.serving
    assert len(play.said(StoodIn)) == 1


def test_nobody_stands_in_while_a_canary_is_there() -> None:
    play = serving(workers=2, canary_workers=1, canary_s=5.0, forks=False)
    play.until_phase(play.update(), "canary")
    for old in [w for w in play.world.living() if w.code.fingerprint == "f1"]:
        play.world.kill_worker(old.id)
    play.wait(10.0)
    assert play.serving == ["f2", "f2"]
    assert len(play.said(StoodIn)) == 1


@pytest.mark.parametrize("what", ["worker", "zygote"])
def test_a_replacement_that_hangs_is_not_waited_for_twice(what: str) -> None:
    play = serving(ready_s=20.0)
    if what == "zygote":
        play.world.deploy(replace(play.world.disk, defect="import-hangs"))
        play.world.kill_zygote(ZygoteId(1))
    else:
        play.world.faults = Faults(start_hangs=1.0)
    play.world.kill_worker(play.worker())
    died_s = play.world.now_s
    until_it_stands_in(play)
    play.world.heal()
    assert 19.0 < play.world.now_s - died_s < 21.0
    play.until(lambda: play.serving == NOBODY_YET)


def test_a_version_that_is_lost_while_it_is_watched_is_rolled_back_to_the_stand_in() -> None:
    play = developing(bake_s=60.0, forks=False)
    play.until_phase(play.opened(RequestId(1)), "bake")
    play.deploy("import-fails")
    play.world.kill_worker(play.worker())
    play.until(lambda: play.serving == NOBODY_YET, within_s=30.0)
    closed = play.said(Closed)[0]
    assert (closed.result, closed.serving) == ("rolled-back", STAND_IN)
    assert closed.fault is not None
    assert closed.fault.code == "version-lost"


def test_a_candidate_on_its_way_takes_over_from_it_as_from_any_other() -> None:
    play = serving(forks=False)
    update = play.update("start-hangs")
    play.world.kill_worker(play.worker())
    until_it_stands_in(play)
    play.until(lambda: play.serving == NOBODY_YET)
    assert not play.watch.updates[update].result
    assert play.until_end(play.update()).result == "committed"
    assert play.serving == ["f3"]


# --- nobody asks for it -------------------------------------------------------------------------------------------


def test_no_rollback_goes_to_it() -> None:
    play = serving(keep="zygote")
    fault = play.refused(play.rollback())
    assert fault is not None
    assert fault.code == "rollback-nothing"
    assert play.serving == ["f1"]


def test_no_rollback_in_the_bake_goes_to_it() -> None:
    play = developing(bake_s=60.0)
    play.until_phase(play.opened(RequestId(1)), "bake")
    fault = play.refused(play.rollback())
    assert fault is not None
    assert fault.code == "rollback-nothing"
    play.wait(1.0)
    assert play.serving == ["f1"]


def test_from_it_a_rollback_goes_to_the_version_that_is_kept() -> None:
    play = serving(keep="zygote", forks=True)
    play.until_end(play.update("dies-later"))
    until_it_stands_in(play)
    play.until_end(play.opened(play.rollback()))
    assert play.serving == ["f1"]


def test_its_code_is_midairs_own_whatever_is_on_disk() -> None:
    play = developing("start-hangs")
    play.until(lambda: play.serving == NOBODY_YET)
    assert play.world.accepting()[0].code is STAND_IN_CODE
