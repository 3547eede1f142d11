"""Stop, in good order and at once, in every phase (RULES: stop is not an update)."""

from __future__ import annotations

from typing import Any

import pytest

from midair.core.effects import Kill, Leave, RunHook, SayNotReady
from midair.core.events import HoldAsked, ReleaseAsked
from midair.testing.world import Faults
from tests.core.play import Play

PHASES = ("build", "start", "cut-over", "bake", "commit")


def at(phase: str, **settings: Any) -> Play:
    play = Play(**{"faults": Faults(delay_max_s=0.001, ack_lost=1.0), **settings})
    play.serve()
    play.until_phase(play.update(), phase)
    return play


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("phase", PHASES)
def test_a_stop_in_every_phase_ends_everything(phase: str, at_once: bool) -> None:
    play = at(phase)
    play.stop(at_once=at_once)
    play.wait(0.2 if at_once else 40.0)
    play.history.check_ended()
    assert play.watch.results["stopped"] == (0 if phase == "commit" else 1)
    assert play.watch.ends[0].exit_code == 0


def test_a_stop_in_the_canary_ends_everything() -> None:
    play = at("canary", workers=3, canary_workers=1, stop_delay_s=5.0)
    play.stop()
    play.wait(60.0)
    play.history.check_ended()


def test_a_stop_while_the_rest_follows_a_canary_leaves_every_slot_accepting_for_stop_delay() -> None:
    play = at("canary", workers=3, canary_workers=1, stop_delay_s=5.0)
    play.until(lambda: list(play.watch.updates.values())[-1].phase == "cut-over")
    play.stop()
    play.wait(1.0)
    assert play.serving == ["f1", "f1", "f2"]
    play.wait(60.0)
    play.history.check_ended()


def test_a_stop_keeps_accepting_for_stop_delay() -> None:
    play = Play(stop_delay_s=5.0)
    play.serve()
    play.stop()
    assert {e.worker for e in play.said(SayNotReady)} == {w.id for w in play.world.living()}
    play.wait(4.9)
    assert play.serving == ["f1", "f1"]
    play.wait(0.2)
    assert play.serving == []


def test_a_stop_in_the_cut_over_keeps_accepting_for_stop_delay_too() -> None:
    """The old slots had been told to stop, the new ones never began: nobody accepted."""
    play = at("cut-over", stop_delay_s=5.0)
    play.wait(0.01)
    assert play.serving == []
    play.stop()
    play.wait(1.0)
    assert play.serving == ["f1", "f1"]


def test_a_rollback_under_way_does_not_keep_a_stop_from_ending() -> None:
    play = at("bake", stop_delay_s=2.0)
    play.rollback()
    play.stop()
    play.wait(1.0)
    assert len(set(play.serving)) == 1
    play.wait(60.0)
    play.history.check_ended()


def test_a_stop_gives_requests_stop_timeout() -> None:
    play = Play(stop_s=25.0)
    play.serve()
    play.stop()
    assert {effect.within_s for effect in play.said(Leave)} == {25.0}


def test_a_stop_never_lengthens_a_deadline() -> None:
    play = Play(drain_s=10.0, stop_s=25.0, bake_s=0.0, faults=Faults(leave_ignored=1.0, delay_max_s=0.001))
    play.serve()
    play.until_end(play.update())
    play.wait(5.0)
    play.stop()
    play.wait(16.5)
    assert {w.code.fingerprint for w in play.world.living()} == {"f2"}


def test_a_second_stop_kills_at_once() -> None:
    play = Play(faults=Faults(leave_ignored=1.0, delay_max_s=0.001), stop_delay_s=5.0)
    play.serve()
    play.stop()
    play.wait(6.0)
    assert not play.said(Kill)
    play.stop()
    play.wait(0.5)
    play.history.check_ended()


def test_a_second_stop_in_the_delay_does_not_wait_for_it() -> None:
    play = Play(stop_delay_s=60.0)
    play.serve()
    play.stop()
    play.stop()
    play.wait(0.5)
    play.history.check_ended()


def test_nothing_is_taken_on_while_stopping() -> None:
    play = Play(stop_delay_s=60.0)
    play.serve()
    play.stop()
    faults = [play.refused(play.ask()), play.refused(play.rollback()), play.refused(play.scale(5))]
    assert [fault.code for fault in faults if fault] == ["stopping"] * 3
    play.world.kill_worker(play.worker())
    play.world.kill_zygote(min(play.world.zygotes))
    play.wait(10.0)
    assert play.serving == ["f1"]
    assert not play.world.zygotes


def test_whoever_waits_in_the_queue_is_told() -> None:
    play = at("cut-over")
    waiting = play.ask()
    play.stop()
    fault = play.refused(waiting)
    assert fault is not None
    assert fault.code == "stopping"


def test_after_the_end_requests_are_answered_and_nothing_is_ordered() -> None:
    play = Play()
    play.serve()
    play.stop(at_once=True)
    play.wait(1.0)
    play.history.check_ended()
    play.ask()
    play.rollback()
    play.scale(3)
    play.stop()
    play.stop(at_once=True)
    play.history.turn(HoldAsked(play.history.request(), "bob", "", 1.0))
    play.history.turn(ReleaseAsked(play.history.request(), "bob"))
    play.wait(10.0)
    assert not play.watch.open_requests


def test_a_stop_runs_no_contract_hook() -> None:
    play = Play(has_contract=True, stop_delay_s=5.0, drain_s=2.0, bake_s=0.0)
    play.serve()
    play.until_end(play.update())
    play.stop()
    play.wait(60.0)
    assert [e.generation for e in play.said(RunHook) if e.hook == "contract"] == [1]
