"""Some slots first: the rest follow if these hold (RULES: a canary is a subset of slots)."""

from __future__ import annotations

from typing import Any

import pytest

from midair.core.effects import Entered, RunHook, StartWorker
from midair.testing.world import Faults
from tests.core.play import Play


def in_canary(**settings: Any) -> Play:
    """One slot of three has version f2."""
    play = Play(**{"workers": 3, "canary_workers": 1, **settings})
    play.serve()
    play.until_phase(play.update(), "canary")
    return play


def test_the_canary_has_its_slots_the_old_version_the_others() -> None:
    play = in_canary()
    assert {(w.slot, w.code.fingerprint) for w in play.world.accepting()} == {(0, "f2"), (1, "f1"), (2, "f1")}


def test_a_canary_that_holds_is_followed_by_the_rest_and_the_bake() -> None:
    play = in_canary(canary_s=30.0)
    play.wait(29.5)
    assert play.serving == ["f1", "f1", "f2"]
    play.wait(1.0)
    assert play.serving == ["f2"] * 3
    play.wait(11.0)
    assert play.watch.results["committed"] == 2


@pytest.mark.parametrize("defect", ["dies-later", "sick-later", "errors"])
def test_a_canary_that_fails_takes_nobody_with_it(defect: str) -> None:
    play = Play(workers=3, canary_workers=1)
    play.serve()
    update = play.update(defect)  # type: ignore[arg-type]  # parametrised strings are defects
    play.until_phase(update, "canary")
    assert play.until_end(update).result == "rolled-back"
    assert play.serving == ["f1"] * 3
    assert not [e for e in play.said(Entered) if e.update == update and e.phase == "cut-over"]


def test_a_first_start_has_no_canary() -> None:
    play = Play(workers=3, canary_workers=1)
    play.serve()
    assert play.serving == ["f1"] * 3


def test_a_canary_needs_an_old_slot_beside_it() -> None:
    """From one worker to three, one canary slot would be everything."""
    play = Play(workers=1, canary_workers=1)
    play.serve()
    update = play.update(workers=3)
    play.until_phase(update, "bake")
    assert play.serving == ["f2"] * 3
    assert not [e for e in play.said(Entered) if e.phase == "canary"]


def test_a_newer_update_in_the_canary_goes_on_while_the_canary_ends() -> None:
    """The end of the first canary once made cut-over of the second candidate, which was still being imported."""
    play = Play(workers=3, canary_workers=1, canary_s=1.0, ready_s=20.0, faults=Faults(delay_max_s=0.02))
    play.serve()
    first = play.update()
    play.until_phase(first, "canary")
    play.wait(0.95)
    second = play.update()
    assert play.watch.updates[second].phase == "build"
    play.until_phase(first, "bake")
    assert play.until_end(second).result == "committed"
    assert play.closed(first).result == "superseded"
    assert play.serving == ["f3"] * 3


def test_a_canary_that_takes_the_place_of_a_canary_leaves_nothing_of_it() -> None:
    play = in_canary(drain_s=1.0)
    play.until_phase(play.update(), "canary")
    play.wait(10.0)
    assert {w.code.fingerprint for w in play.world.living()} == {"f1", "f3"}
    play.rollback()
    play.wait(10.0)
    assert {w.code.fingerprint for w in play.world.living()} == {"f1"}


def test_going_back_from_a_canary_beside_a_version_that_never_committed_ends_both() -> None:
    play = Play(workers=3, drain_s=1.0)
    play.serve()
    play.until_phase(play.update(), "bake")
    second = play.update("dies-later", canary_workers=1)
    play.until_phase(second, "canary")
    assert sorted(play.serving) == ["f2", "f2", "f3"]
    assert play.until_end(second).result == "rolled-back"
    play.wait(10.0)
    assert [w.code.fingerprint for w in play.world.living()] == ["f1"] * 3


def test_a_slot_of_the_canary_that_dies_waiting_is_filled_once_and_waits_again() -> None:
    """Its replacement was told to leave as soon as it was ready, and another was started, and so on."""
    play = in_canary()
    waiting = next(w for w in play.world.living() if w.generation == 2 and w.slot == 2)
    play.world.kill_worker(waiting.id)
    started = len(play.said(StartWorker))
    play.wait(5.0)
    assert len(play.said(StartWorker)) == started + 1
    assert play.serving == ["f1", "f1", "f2"]


def test_an_old_slot_that_dies_in_the_canary_is_replaced_and_accepts() -> None:
    play = in_canary()
    play.world.kill_worker(play.worker(2))
    play.wait(1.0)
    assert play.serving == ["f1", "f1", "f2"]


def test_an_old_parked_slot_that_dies_in_the_canary_does_not_take_the_slot_back() -> None:
    play = in_canary()
    parked = next(w for w in play.world.living() if w.generation == 1 and w.slot == 0)
    play.world.kill_worker(parked.id)
    play.wait(1.0)
    assert play.serving == ["f1", "f1", "f2"]
    play.rollback()
    play.wait(0.5)
    assert play.serving == ["f1"] * 3


def test_a_canary_without_a_way_back_gets_its_dead_slot_again() -> None:
    play = Play(workers=3, canary_workers=1)
    play.serve()
    play.deploy()
    update = play.opened(play.ask(no_rollback=True))
    play.until_phase(update, "canary")
    play.world.kill_worker(play.worker(0))
    play.wait(1.0)
    assert play.serving == ["f1", "f1", "f2"]


def test_a_canary_aborted_in_its_switch_gives_the_other_canary_its_slot_back() -> None:
    play = Play(workers=3, canary_workers=1, faults=Faults(delay_max_s=0.001, ack_lost=1.0))
    play.serve()
    play.until_phase(play.update(), "canary")
    play.wait(0.1)
    second = play.update()
    play.until_phase(second, "canary")
    assert play.serving == ["f1", "f1"]
    play.world.kill_worker(next(w.id for w in play.world.living() if w.generation == 3))
    assert play.until_end(second).result == "refused"
    play.wait(0.1)
    assert play.serving == ["f1", "f1", "f2"]


def test_the_contract_hook_of_the_serving_version_waits_for_the_end_of_a_canary() -> None:
    faults = Faults(delay_max_s=0.001, leave_ignored=1.0)
    play = Play(workers=3, canary_workers=1, canary_s=60.0, bake_s=0.0, drain_s=20.0, has_contract=True, faults=faults)
    play.serve()
    play.until_end(play.update())
    third = play.update()
    play.until_phase(third, "canary")
    play.until(lambda: "f1" not in {w.code.fingerprint for w in play.world.living()})
    play.wait(1.0)
    assert play.watch.updates[third].phase == "canary"
    assert not [e for e in play.said(RunHook) if e.hook == "contract" and e.generation == 2]
