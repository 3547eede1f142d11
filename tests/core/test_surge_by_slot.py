"""Where memory does not hold both versions side by side, slots change hands one after the other, and any failure leads back."""

from __future__ import annotations

from typing import Any

import pytest

from midair.core.effects import Closed, Entered, Leave, Note, Prepare, StartWorker
from midair.core.events import WorkerWorn
from midair.core.ids import UpdateId
from midair.core.succession import successor
from midair.testing.world import Faults
from tests.core.play import Play

BUSY = Faults(delay_max_s=0.001, leave_ignored=1.0)
"""Old workers stay until they are killed."""


def slot_by_slot(**settings: Any) -> Play:
    """A service whose versions do not fit beside each other."""
    play = Play(**{"workers": 3, "by_slot": "no room", "drain_s": 5.0, "exit_s": 1.0, **settings})
    play.serve()
    return play


def half_way(play: Play, defect: Any = None, **settings: Any) -> UpdateId:
    """The first slot has version f2; the old worker that had it is leaving."""
    update = play.update(defect, **settings)
    play.until(lambda: play.serving == ["f1", "f1", "f2"])
    return update


def living(play: Play) -> list[str]:
    return sorted(worker.code.fingerprint for worker in play.world.living())


def recycle(play: Play, times: int) -> None:
    """Workers that stay long because somebody is still connected are replaced, so that they leave and live on."""
    for _ in range(times):
        worn = play.worker()
        play.history.turn(WorkerWorn(worn, "served enough"))
        play.wait(1.0)
        assert play.worker() != worn


# --- the way there ------------------------------------------------------------------------------------------------


def test_slots_change_hands_one_after_the_other() -> None:
    play = slot_by_slot()
    seen: list[list[str]] = []

    def look() -> bool:
        if len(play.serving) == 3 and play.serving not in seen:
            seen.append(play.serving)
        return len(seen) == 4

    update = play.update()
    play.until(look)
    assert seen == [["f1", "f1", "f1"], ["f1", "f1", "f2"], ["f1", "f2", "f2"], ["f2", "f2", "f2"]]
    assert play.until_end(update).result == "committed"
    assert [e.phase for e in play.said(Entered) if e.update == update] == [
        "build",
        "start",
        "ready",
        "cut-over",
        "bake",
        "commit",
    ]


def test_never_is_there_more_than_one_worker_beside_those_that_there_have_to_be() -> None:
    play = slot_by_slot()
    counts: list[int] = []
    update = play.update()

    def has_ended() -> bool:
        counts.append(len(play.world.living()))
        return bool(play.watch.updates[update].result)

    play.until(has_ended)
    assert max(counts) == 4


def test_the_next_worker_starts_only_when_the_old_one_has_ended() -> None:
    play = Play(workers=3, by_slot="no room", drain_s=5.0, exit_s=1.0, faults=BUSY)
    play.serve()
    half_way(play)
    started = len(play.said(StartWorker))
    play.wait(6.9)
    assert len(play.said(StartWorker)) == started
    play.wait(0.2)  # drain.timeout, exit.timeout and a second of grace are over: it is killed
    assert len(play.said(StartWorker)) == started + 1


def test_the_last_old_worker_stays_parked_through_the_bake() -> None:
    play = slot_by_slot()
    update = play.update()
    play.until_phase(update, "bake")
    play.wait(2.0)
    assert living(play) == ["f1", "f2", "f2", "f2"]
    play.until_end(update)
    play.wait(6.0)
    assert living(play) == ["f2", "f2", "f2"]


def test_with_more_slots_than_before_the_last_old_worker_waits_for_all_of_them() -> None:
    play = slot_by_slot(workers=2)
    update = play.update(workers=4)
    play.until(lambda: play.serving == ["f1", "f2"])
    play.until(lambda: len(play.serving) == 4)
    assert play.serving == ["f2"] * 4
    assert play.until_end(update).result == "committed"


def test_with_fewer_slots_than_before_those_beyond_go_with_the_last() -> None:
    play = slot_by_slot(workers=4)
    update = play.update(workers=2)
    play.until_phase(update, "bake")
    assert play.serving == ["f2", "f2"]
    assert play.until_end(update).result == "committed"


def test_the_first_new_worker_starts_whoever_else_is_still_leaving() -> None:
    """Otherwise a worker that was recycled, and still has a stream open, would hold up the update."""
    play = Play(workers=1, by_slot="no room", drain_s=300.0, faults=BUSY)
    play.serve()
    recycle(play, 2)
    assert len(play.world.living()) == 3
    play.until_phase(play.update(), "bake")


def test_a_single_worker_has_nobody_to_make_room() -> None:
    play = slot_by_slot(workers=1)
    assert play.until_end(play.update()).result == "committed"
    assert play.serving == ["f2"]


def test_each_slot_is_as_healthy_as_a_candidate_before_its_old_worker_leaves() -> None:
    """The watch looks at each; here the second slot never gets healthy, and the version is taken back."""
    play = slot_by_slot(ready_s=3.0)
    update = half_way(play)
    play.world.faults = Faults(delay_max_s=0.001, probe_fails=1.0)
    play.until(lambda: bool(play.watch.updates[update].result), within_s=20.0)
    assert play.closed(update).result == "rolled-back"


def test_a_canary_of_slots_that_change_one_by_one_is_waited_for() -> None:
    play = slot_by_slot(canary_workers=1, canary_s=30.0)
    update = half_way(play)
    play.wait(25.0)
    assert play.watch.updates[update].phase == "canary"
    assert play.serving == ["f1", "f1", "f2"]
    assert play.until_end(update).result == "committed"


def test_the_first_start_needs_no_room() -> None:
    play = slot_by_slot()
    assert play.serving == ["f1"] * 3
    assert not play.notes("surge_by_slot")


def test_connections_of_a_slot_that_was_taken_go_to_the_new_version() -> None:
    play = Play(workers=3, by_slot="no room", drain_s=60.0, faults=BUSY)
    play.serve()
    old = play.worker(0)
    half_way(play)
    service = play.history.service
    assert successor(service, service.workers[old], {}) == play.worker(0)
    assert successor(service, service.workers[play.worker(1)], {}) == "wait"


def test_why_it_goes_by_slot_is_said() -> None:
    play = slot_by_slot()
    half_way(play)
    assert [n.fields["why"] for n in play.said(Note) if n.event == "surge_by_slot"] == ["no room"]


# --- the way back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("defect", ["dies-later", "sick-later", "errors"])
def test_a_version_that_fails_on_the_way_is_taken_back_and_every_old_slot_serves_again(defect: Any) -> None:
    play = slot_by_slot(drain_s=0.5)
    update = play.update(defect)
    assert play.until_end(update).result == "rolled-back"
    play.until(lambda: play.serving == ["f1"] * 3, within_s=10.0)


def test_a_slot_that_cannot_start_takes_the_version_back() -> None:
    play = slot_by_slot(drain_s=0.5)
    update = half_way(play)
    play.world.faults = Faults(delay_max_s=0.001, start_fails=1.0)
    play.until(lambda: bool(play.watch.updates[update].result))
    assert play.closed(update).result == "rolled-back"
    assert play.fault(update) == "startup-failed"
    play.world.heal()
    play.until(lambda: play.serving == ["f1"] * 3, within_s=60.0)


def test_a_start_that_hangs_takes_the_version_back() -> None:
    play = slot_by_slot(drain_s=0.5, ready_s=3.0)
    update = half_way(play)
    play.world.faults = Faults(delay_max_s=0.001, start_hangs=1.0)
    play.until(lambda: bool(play.watch.updates[update].result), within_s=20.0)
    assert play.closed(update).result == "rolled-back"
    assert play.fault(update) == "not-ready"


def test_a_zygote_that_dies_on_the_way_takes_the_version_back() -> None:
    play = Play(workers=3, by_slot="no room", drain_s=5.0, faults=BUSY)
    play.serve()
    update = half_way(play)
    play.world.kill_zygote(max(play.world.zygotes))
    assert play.until_end(update).result == "rolled-back"


def test_going_back_begins_with_the_workers_that_are_left_and_the_others_follow_as_there_is_room() -> None:
    play = slot_by_slot(faults=BUSY)
    play.world.faults = Faults(delay_max_s=0.001)
    half_way(play)
    play.until(lambda: play.serving == ["f1", "f2", "f2"])
    play.world.faults = BUSY
    play.rollback()
    play.wait(0.1)
    assert play.serving == ["f1"]
    assert len(play.world.living()) <= 4
    play.until(lambda: play.serving == ["f1"] * 3, within_s=20.0)


def test_in_the_bake_the_parked_worker_accepts_at_once() -> None:
    play = slot_by_slot()
    update = play.update()
    play.until_phase(update, "bake")
    play.rollback()
    play.wait(0.01)
    assert play.serving == ["f1"]
    play.until(lambda: play.serving == ["f1"] * 3, within_s=20.0)
    assert play.closed(update).result == "rolled-back"


def test_a_slot_lost_while_it_is_taken_gives_the_old_worker_its_slot_back() -> None:
    play = slot_by_slot(faults=Faults(delay_max_s=0.001, ack_lost=1.0))
    update = play.update()
    play.until_phase(update, "cut-over")
    play.until(lambda: play.serving == ["f1", "f2"])  # the second slot is between stop and begin
    ready = max(w.id for w in play.world.living())
    left = len(play.said(Leave))
    play.world.kill_worker(ready)
    assert play.until_end(update).result == "rolled-back"
    back = [w for w in play.world.accepting() if w.code.fingerprint == "f1"]
    assert {w.slot for w in back} >= {1, 2}
    assert len(play.said(Leave)) <= left + 2


# --- where there would be no way back -------------------------------------------------------------------------------


def test_workers_that_could_not_be_started_again_are_not_ended_for_want_of_room() -> None:
    play = slot_by_slot(forks=False, lacks_room=True)
    update = play.update()
    assert play.until_end(update).result == "refused"
    assert play.fault(update) == "no-memory"
    assert play.serving == ["f1"] * 3


def test_whoever_asks_for_it_goes_by_slot_all_the_same() -> None:
    play = slot_by_slot(forks=False)
    assert play.until_end(play.update()).result == "committed"
    assert play.serving == ["f2"] * 3


def test_the_same_files_can_always_be_started_again() -> None:
    play = slot_by_slot(forks=False, lacks_room=True)
    assert play.until_end(play.opened(play.ask())).result == "committed"


# --- what else happens meanwhile ------------------------------------------------------------------------------------


@pytest.mark.parametrize("defect", ["import-hangs", "start-hangs"])
def test_a_newer_version_takes_its_place_and_no_more_slots_are_taken_for_nothing(defect: Any) -> None:
    play = Play(workers=3, by_slot="no room", drain_s=2.0, exit_s=1.0, faults=BUSY)
    play.serve()
    first = half_way(play)
    second = play.update(defect, by_slot="")
    play.wait(10.0)
    assert play.serving == ["f1", "f1", "f2"]
    play.world.faults = Faults(delay_max_s=0.001)
    third = play.update()
    assert play.closed(second).result == "superseded"
    assert play.until_end(third).result == "committed"
    assert play.closed(first).result == "superseded"
    assert play.serving == ["f4"] * 3


def test_an_old_worker_that_dies_on_the_way_is_replaced_in_its_own_slot_only() -> None:
    play = Play(workers=3, by_slot="no room", drain_s=60.0, faults=BUSY)
    play.serve()
    half_way(play)
    play.world.kill_worker(play.worker(2))
    play.until(lambda: play.serving == ["f1", "f1", "f2"], within_s=5.0)
    assert sorted(w.slot for w in play.world.accepting()) == [0, 1, 2]


def test_a_version_that_must_not_be_gone_back_from_takes_its_last_slots_from_the_disk() -> None:
    """Its files change on the way: its other workers cannot start any more, and nobody may go back."""
    play = slot_by_slot(forks=False)
    play.deploy()
    first = play.opened(play.ask(no_rollback=True))
    play.until(lambda: play.serving == ["f1", "f1", "f2"])
    play.deploy()
    play.until(lambda: len([e for e in play.said(Prepare) if e.generation > 2]) > 0)
    play.until(lambda: play.serving == ["f3"] * 3)
    assert play.closed(first).result == "superseded"


def test_a_version_that_runs_short_in_other_slots_than_its_own_makes_room_as_well() -> None:
    """Nobody had the first slot, so nobody left it, and the second new worker waited for ever."""
    play = slot_by_slot(workers=2)
    play.scale(4)
    play.wait(1.0)
    play.deploy()
    play.world.kill_zygote(max(play.world.zygotes))
    play.wait(1.0)
    for slot in (0, 1):
        play.world.kill_worker(play.worker(slot))
    play.wait(0.1)
    play.scale(2)
    play.wait(6.0)
    assert sorted(w.slot for w in play.world.accepting()) == [2, 3]
    assert play.until_end(play.update()).result == "committed"
    assert play.serving == ["f3"] * 2


def test_a_stop_on_the_way_ends_everybody() -> None:
    play = slot_by_slot()
    update = half_way(play)
    play.stop()
    play.history.run(60.0)
    play.history.check_ended()
    assert play.closed(update).result == "stopped"
    assert not [e for e in play.said(Closed) if e.result == "rolled-back"]


# --- nobody waits for room that is not needed -------------------------------------------------------------------------


def test_a_committed_version_replaces_its_dead_whoever_is_still_leaving() -> None:
    play = slot_by_slot()
    play.until_end(play.update(drain_s=300.0))
    play.wait(10.0)
    play.world.faults = BUSY
    recycle(play, 3)
    play.world.kill_worker(play.worker(2))
    play.wait(1.0)
    assert play.serving == ["f2"] * 3


def test_a_version_that_never_got_all_its_slots_takes_no_room_from_the_next() -> None:
    play = slot_by_slot(drain_s=1.0, faults=BUSY)
    first = play.update(drain_s=300.0)
    play.until(lambda: play.serving == ["f1", "f2", "f2"])
    assert play.until_end(play.update(by_slot="")).result == "committed"
    assert play.closed(first).result == "superseded"
    assert living(play).count("f2") == 2
    play.world.kill_worker(play.worker(2))
    play.world.kill_worker(play.worker(1))
    play.wait(1.0)
    assert play.serving == ["f3"] * 3
