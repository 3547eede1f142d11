"""What slots have in memory goes with them: tried first, taken while nobody changes it, given back, never in two places."""

from __future__ import annotations

import pytest

from midair.core.effects import Accept, Carry, StopAccepting
from midair.core.events import Carries
from midair.core.policy import CARRY_S, TRIAL_S
from midair.testing.world import Faults
from tests.core.play import Play

SOON = 0.001


def _changes(play: Play) -> set[int]:
    """All that workers which accept have in memory."""
    return set().union(*(worker.state for worker in play.world.accepting()))


def _carried(play: Play, how: str) -> list[Carry]:
    return [order for order in play.said(Carry) if order.how == how]


@pytest.mark.parametrize("carries", ["moves", "merges"])
def test_the_new_version_goes_on_with_what_the_old_one_had(carries: Carries) -> None:
    play = Play(carries=carries)
    play.serve()
    before = _changes(play)
    assert play.until_end(play.update()).result == "committed"
    assert len(before) == 2
    assert before < _changes(play)
    held = {order.holds for order in play.said(StopAccepting)}
    assert held == {carries == "moves"}


def test_a_version_that_carries_nothing_waits_for_nobody() -> None:
    play = Play()
    play.serve()
    play.until_end(play.update())
    assert play.said(Carry) == []


def test_a_version_that_does_not_take_the_state_is_refused_before_anybody_stops() -> None:
    play = Play(carries="moves")
    play.serve()
    closed = play.until_end(play.update("refuses-state"))
    assert closed.result == "refused"
    assert play.fault(closed.update) == "carry-restore"
    assert play.said(StopAccepting) == []


def test_a_version_that_spoils_the_state_at_the_cut_over_is_refused_and_the_old_one_goes_on() -> None:
    play = Play(carries="moves")
    play.serve()
    before, accepted = _changes(play), len(play.said(Accept))
    closed = play.until_end(play.update("spoils-state"))
    assert (closed.result, closed.serving) == ("refused", 1)
    assert play.serving == ["f1", "f1"]
    assert before <= _changes(play)
    assert {order.worker for order in play.said(Accept)[accepted:]} == {1, 2}


@pytest.mark.parametrize(("how", "limit_s"), [("trial", TRIAL_S), ("take", CARRY_S)])
def test_state_that_does_not_come_is_waited_for_with_a_limit(how: str, limit_s: float) -> None:
    play = Play(carries="moves")
    play.serve()
    update = play.update()
    if how == "trial":
        play.world.faults = Faults(delay_max_s=SOON, carry_hangs=1.0)
    else:
        play.until(lambda: bool(play.said(StopAccepting)))
        play.world.faults = Faults(delay_max_s=SOON, carry_hangs=1.0)
    play.until(lambda: bool(_carried(play, how)))
    began_s = play.world.now_s
    assert play.until_end(update).result == "refused"
    assert play.fault(update) == "carry-late"
    assert play.world.now_s - began_s == pytest.approx(limit_s, abs=0.1)
    assert play.serving == ["f1", "f1"]


def test_a_rollback_brings_back_what_the_new_version_did() -> None:
    play = Play(carries="moves")
    play.serve()
    update = play.update()
    play.until_phase(update, "bake")
    done = _changes(play)
    play.rollback()
    assert play.until_end(update).result == "rolled-back"
    assert play.serving == ["f1", "f1"]
    assert done < _changes(play)


def test_what_died_with_the_new_version_leaves_the_copy_from_the_cut_over() -> None:
    play = Play(carries="moves")
    play.serve()
    before = _changes(play)
    update = play.update()
    play.until_phase(update, "bake")
    for worker in play.world.accepting():
        play.world.kill_worker(worker.id)
    assert play.until_end(update).result == "rolled-back"
    assert before <= _changes(play)


def test_a_way_back_that_takes_no_state_is_a_way_back() -> None:
    play = Play(carries="moves")
    play.serve()
    before = _changes(play)
    update = play.update()
    play.until_phase(update, "bake")
    play.world.faults = Faults(delay_max_s=SOON, carry_fails=1.0)
    play.rollback()
    assert play.until_end(update).result == "rolled-back"
    assert play.serving == ["f1", "f1"]
    assert before <= _changes(play)
    assert play.notes("state_refused") == 2


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_other_numbers_of_slots_lose_nothing_on_the_way_there_and_back(slots: int) -> None:
    play = Play(workers=3, carries="moves")
    play.serve()
    before = _changes(play)
    update = play.update(workers=slots)
    play.until_phase(update, "bake")
    done = _changes(play)
    assert before < done
    play.rollback()
    play.until_end(update)
    assert done < _changes(play)


def test_a_worn_worker_gives_its_state_to_its_successor() -> None:
    play = Play(carries="moves")
    play.serve()
    before = _changes(play)
    worn = play.worker(0)
    play.wear(worn)
    play.until(lambda: play.notes("worker_replaced") == 1)
    play.wait(SOON * 10)
    assert play.worker(0) != worn
    assert before < _changes(play)


def test_a_worn_worker_whose_state_nobody_takes_goes_on() -> None:
    play = Play(carries="moves")
    play.serve()
    before, worn = _changes(play), play.worker(0)
    play.world.faults = Faults(delay_max_s=SOON, carry_fails=1.0)
    play.wear(worn)
    play.until(lambda: play.notes("state_refused") == 1)
    play.wait(1.0)
    assert play.worker(0) == worn
    assert before <= _changes(play)


def test_slots_that_go_away_leave_their_state_to_those_that_stay() -> None:
    play = Play(workers=3, carries="moves")
    play.serve()
    before = _changes(play)
    play.scale(1)
    play.wait(1.0)
    assert len(play.serving) == 1
    assert before <= _changes(play)
    assert play.notes("state_lost") == 0


def test_a_canary_takes_the_state_of_its_slots_and_the_rest_follows() -> None:
    play = Play(workers=3, carries="moves", canary_workers=1, canary_s=5.0)
    play.serve()
    before = _changes(play)
    update = play.update()
    play.until_phase(update, "canary")
    assert before < _changes(play)
    assert play.until_end(update).result == "committed"
    assert before < _changes(play)


def test_a_canary_that_the_rest_cannot_follow_goes_back_with_all_state() -> None:
    play = Play(workers=3, carries="moves", canary_workers=1, canary_s=5.0)
    play.serve()
    update = play.update()
    play.until_phase(update, "canary")
    done = _changes(play)
    play.until_phase(update, "cut-over")
    play.world.faults = Faults(delay_max_s=SOON, carry_fails=1.0)
    play.until(lambda: bool(play.watch.updates[update].result) or play.notes("state_refused") > 0)
    closed = play.until_end(update)
    assert (closed.result, play.fault(update)) == ("rolled-back", "carry-restore")
    assert play.serving == ["f1"] * 3
    assert done - _changes(play) <= {max(done)}  # what the canary did, which could not go back, and was said


def test_slots_that_went_away_in_the_bake_are_not_doubled_by_a_rollback() -> None:
    play = Play(workers=3, carries="moves")
    play.serve()
    update = play.update()
    play.until_phase(update, "bake")
    play.scale(1)
    play.wait(1.0)
    done = _changes(play)
    play.rollback()
    play.until_end(update)
    assert done < _changes(play)  # the watch looks whether anything is in two
