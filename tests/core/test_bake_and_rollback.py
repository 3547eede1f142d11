"""After the cut-over: what sends a version back by itself, and how people go back (RULES: bake, rollback, quarantine)."""

from __future__ import annotations

from typing import Any

import pytest

from midair.core import bake
from midair.core.effects import Accept, Closed, Opened, Prepare, StartZygote
from midair.core.events import AnswersCounted, ProbeAnswered
from midair.core.ids import GenerationId
from midair.core.state import QUARANTINE_MAX
from midair.testing.world import Faults
from tests.core.play import Play

SLOW_ACKS = Faults(delay_max_s=0.001, ack_lost=1.0)


def baking(**settings: Any) -> Play:
    """Version f2 bakes, f1 is parked."""
    play = Play(**settings)
    play.serve()
    play.until_phase(play.update(), "bake")
    return play


# --- by itself ----------------------------------------------------------------------------------------------------


def test_a_death_in_the_bake_rolls_back() -> None:
    play = baking()
    play.world.kill_worker(play.worker())
    play.wait(0.1)
    assert play.closed(play.said(Closed)[-1].update).result == "rolled-back"
    assert play.said(Closed)[-1].fault is not None
    assert play.serving == ["f1", "f1"]


def test_going_back_starts_nothing_the_parked_workers_just_accept_again() -> None:
    play = baking()
    parked = {w.id for w in play.world.living() if w.code.fingerprint == "f1"}
    play.rollback()
    play.wait(0.01)
    assert {w.id for w in play.world.accepting()} == parked


def test_three_failed_probes_in_a_row_roll_back_and_two_do_not() -> None:
    play = baking()
    worker = play.worker()
    for verdict in ("unhealthy", "unhealthy", "healthy", "unhealthy", "unhealthy"):
        play.history.turn(ProbeAnswered(worker, verdict))
    play.wait(0.1)
    assert play.serving == ["f2", "f2"]
    play.history.turn(ProbeAnswered(worker, "unhealthy"))
    play.wait(0.1)
    assert play.said(Closed)[-1].result == "rolled-back"
    assert play.serving == ["f1", "f1"]


def test_a_sick_version_is_found_by_the_probe_each_second() -> None:
    play = Play()
    play.serve()
    update = play.update("sick-later")
    began_s = play.world.now_s
    assert play.until_end(update).result == "rolled-back"
    assert play.fault(update) == "bake-unhealthy"
    assert play.world.now_s - began_s < 5.0


def test_mostly_errors_roll_back() -> None:
    play = Play()
    play.serve()
    update = play.update("errors")
    assert play.until_end(update).result == "rolled-back"
    assert play.fault(update) == "bake-errors"


@pytest.mark.parametrize(
    ("responses", "errors", "before_rate", "limit", "goes_back"),
    [
        (20, 10, 0.0, 0.5, True),
        (19, 19, 0.0, 0.5, False),
        (20, 9, 0.0, 0.5, False),
        (20, 20, 0.05, 0.5, False),
        (20, 20, 0.049, 0.5, True),
        (1000, 1000, 0.0, 0.0, False),
        (0, 0, 0.0, 0.5, False),
    ],
)
def test_the_error_rate_rule(responses: int, errors: int, before_rate: float, limit: float, goes_back: bool) -> None:
    assert bool(bake.error_verdict(responses, errors, before_rate, limit)) is goes_back


def test_answers_counted_for_another_generation_say_nothing() -> None:
    play = baking()
    play.history.turn(AnswersCounted(GenerationId(1), 100, 100, 0.0))
    play.wait(0.1)
    assert play.serving == ["f2", "f2"]


def test_versions_that_were_rolled_back_are_remembered_up_to_a_bound() -> None:
    play = Play(workers=1)
    play.serve()
    codes = []
    for _ in range(QUARANTINE_MAX + 1):
        play.until_end(play.update("sick-later"))
        codes.append(play.world.disk)
    play.world.deploy(codes[1])
    remembered = play.opened(play.ask())
    play.until_end(remembered)
    assert play.fault(remembered) == "quarantined"
    play.world.deploy(codes[0])
    play.until_phase(play.opened(play.ask()), "bake")


def test_after_the_commit_a_death_is_only_a_death() -> None:
    play = Play()
    play.serve()
    play.until_end(play.update())
    play.world.kill_worker(play.worker())
    play.wait(1.0)
    assert play.serving == ["f2", "f2"]
    assert not play.watch.results["rolled-back"]


def test_nobody_goes_back_to_a_generation_of_which_nobody_is_left_and_whose_files_are_gone() -> None:
    play = Play(forks=False)
    play.serve()
    play.deploy()
    play.world.kill_worker(play.worker(0))
    play.wait(1.0)
    update = play.opened(play.ask())
    play.until_phase(update, "bake")
    play.world.kill_worker(next(w.id for w in play.world.living() if w.code.fingerprint == "f1"))
    play.wait(0.1)
    play.world.kill_worker(play.worker(1))
    play.wait(1.0)
    assert play.notes("rollback_impossible") == 1
    assert play.serving == ["f2", "f2"]


# --- on request ---------------------------------------------------------------------------------------------------


def test_a_rollback_before_the_cut_over_calls_the_candidate_off() -> None:
    play = Play()
    play.serve()
    update = play.update()
    play.until_phase(update, "start")
    assert play.refused(play.rollback()) is None
    assert play.closed(update).result == "refused"
    assert play.fault(update) == "called-off"


def test_a_rollback_in_the_cut_over_calls_it_off_before_anybody_met_it() -> None:
    play = Play(faults=SLOW_ACKS, bake_s=0.0)
    play.serve()
    update = play.update()
    play.until_phase(update, "cut-over")
    assert play.refused(play.rollback()) is None
    assert play.closed(update).result == "refused"
    play.wait(1.0)
    assert play.serving == ["f1", "f1"]
    assert not [e for e in play.said(Accept) if play.watch.workers[e.worker].generation == 2]


def test_a_rollback_in_the_cut_over_of_a_third_version_leaves_the_second_one_baking() -> None:
    play = Play(faults=SLOW_ACKS)
    play.serve()
    second = play.update()
    play.until_phase(second, "bake")
    third = play.update()
    play.until_phase(third, "cut-over")
    play.rollback()
    assert play.closed(third).result == "refused"
    assert play.until_end(second).result == "committed"


def test_a_rollback_in_the_bake_goes_back_and_quarantines_nothing() -> None:
    play = baking()
    assert play.refused(play.rollback()) is None
    play.wait(0.1)
    assert play.said(Closed)[-1].result == "rolled-back"
    assert play.until_end(play.opened(play.ask())).result == "committed"


def test_a_rollback_after_the_commit_is_a_new_number_from_the_kept_zygote() -> None:
    play = Play()
    play.serve()
    play.until_end(play.update())
    imports, surveys = len(play.said(StartZygote)), len(play.said(Prepare))
    update = play.opened(play.rollback())
    closed = play.until_end(update)
    assert (closed.result, closed.generation, closed.version) == ("committed", 3, "version of f1")
    assert (len(play.said(StartZygote)), len(play.said(Prepare))) == (imports, surveys)
    assert play.serving == ["f1", "f1"]


@pytest.mark.parametrize(("now", "rate_per_s"), [(False, 0.3), (True, 1.0)])
def test_after_the_commit_connections_come_back_as_fast_as_a_rollback_brings_them(now: bool, rate_per_s: float) -> None:
    """rollback.rate, and not drain.rate, though it is an update like any other."""
    play = Play(rollback_rate_per_s=0.3)
    play.serve()
    play.until_end(play.update(rollback_rate_per_s=0.3))
    closed = play.until_end(play.opened(play.rollback(now=now)))
    assert closed.result == "committed"
    assert play.history.service.generations[closed.generation].asked_rate_per_s == rate_per_s


def test_a_rollback_after_the_commit_that_hangs_in_its_start_is_refused_in_time() -> None:
    play = Play(ready_s=5.0)
    play.serve()
    play.until_end(play.update())
    play.world.faults = Faults(start_hangs=1.0, delay_max_s=0.001)
    update = play.opened(play.rollback())
    began_s = play.world.now_s
    play.until_end(update)
    assert play.fault(update) == "not-ready"
    assert play.world.now_s - began_s == pytest.approx(5.0, abs=0.1)
    assert play.serving == ["f2", "f2"]


def test_a_rollback_after_the_commit_works_with_the_files_long_gone() -> None:
    play = Play()
    play.serve()
    play.until_end(play.update())
    play.deploy("import-fails")
    assert play.until_end(play.opened(play.rollback())).result == "committed"


def test_a_rollback_without_its_zygote_takes_the_files_if_they_are_still_the_same() -> None:
    play = Play()
    play.serve()
    before = play.world.disk
    play.until_end(play.update())
    play.world.kill_zygote(min(play.world.zygotes))
    play.wait(0.1)
    refused = play.opened(play.rollback())
    play.until_end(refused)
    assert play.fault(refused) == "files-changed"
    assert play.serving == ["f2", "f2"]
    play.world.deploy(before)
    assert play.until_end(play.opened(play.rollback())).result == "committed"
    assert play.serving == ["f1", "f1"]


def test_a_rollback_from_files_that_change_meanwhile_never_takes_other_files() -> None:
    """Begun anew without its pin it would have put what is on disk into service, under the old version's name."""
    play = Play()
    play.serve()
    before = play.world.disk
    play.until_end(play.update())
    play.world.kill_zygote(min(play.world.zygotes))
    play.wait(0.1)
    play.world.deploy(before)
    update = play.opened(play.rollback())
    play.until_phase(update, "start")
    play.deploy()
    play.until_end(update)
    assert play.closed(update).result == "refused"
    assert play.serving == ["f2", "f2"]


def test_a_refused_rollback_leaves_the_newer_version_and_the_way_back() -> None:
    play = Play()
    play.serve()
    play.until_end(play.update())
    first = play.opened(play.rollback())
    play.until(lambda: any(w.generation == 3 for w in play.world.living()))
    play.world.kill_worker(next(w.id for w in play.world.living() if w.generation == 3))
    assert play.until_end(first).result == "refused"
    assert play.serving == ["f2", "f2"]
    assert play.until_end(play.opened(play.rollback())).result == "committed"


def test_the_kept_zygote_goes_after_rollback_warm() -> None:
    play = Play(warm_s=60.0)
    play.serve()
    play.until_end(play.update())
    play.wait(59.0)
    assert len(play.world.zygotes) == 2
    play.wait(2.0)
    assert len(play.world.zygotes) == 1
    fault = play.refused(play.rollback())
    assert fault is not None
    assert fault.code == "rollback-nothing"


def test_the_kept_zygote_goes_at_the_next_commit_and_not_before() -> None:
    play = Play()
    play.serve()
    play.until_end(play.update())
    update = play.update()
    play.until_phase(update, "bake")
    assert len(play.world.zygotes) == 3
    play.until_end(update)
    play.wait(0.1)
    assert len(play.world.zygotes) == 2


def test_nobody_goes_back_from_the_first_version() -> None:
    play = Play()
    play.serve()
    fault = play.refused(play.rollback())
    assert fault is not None
    assert fault.code == "rollback-nothing"


def test_no_rollback_bars_every_way_back() -> None:
    play = Play()
    play.serve()
    play.deploy()
    update = play.opened(play.ask(no_rollback=True))
    play.until_phase(update, "bake")
    in_bake = play.refused(play.rollback())
    play.world.kill_worker(play.worker())
    assert play.until_end(update).result == "committed"
    after = play.refused(play.rollback())
    assert [f.code for f in (in_bake, after) if f] == ["rollback-barred"] * 2
    assert play.serving == ["f2", "f2"]


def test_the_next_release_may_be_gone_back_from_again() -> None:
    play = Play()
    play.serve()
    play.deploy()
    play.until_end(play.opened(play.ask(no_rollback=True)))
    play.until_end(play.update())
    assert play.until_end(play.opened(play.rollback())).result == "committed"
    assert play.serving == ["f2", "f2"]


def test_no_rollback_also_holds_for_whom_superseded_that_version() -> None:
    play = Play()
    play.serve()
    play.deploy()
    play.until_phase(play.opened(play.ask(no_rollback=True)), "bake")
    newer = play.update("dies-later")
    play.until_phase(newer, "bake")
    play.wait(5.0)
    assert not play.watch.results["rolled-back"]
    assert "f1" not in play.serving


def test_the_contract_hook_bars_a_rollback() -> None:
    play = Play(has_contract=True, drain_s=1.0)
    play.serve()
    play.until_end(play.update())
    play.wait(5.0)
    fault = play.refused(play.rollback())
    assert fault is not None
    assert fault.code == "rollback-barred"


def test_a_rollback_while_a_canary_becomes_the_rest_is_carried_out_even_without_a_bake() -> None:
    play = Play(faults=SLOW_ACKS, workers=3, canary_workers=1, bake_s=0.0)
    play.serve()
    update = play.update()
    play.until_phase(update, "canary")
    play.until_phase(update, "cut-over")
    assert play.refused(play.rollback()) is None
    assert play.until_end(update).result == "rolled-back"
    play.wait(1.0)
    assert play.serving == ["f1"] * 3


def test_a_rollback_of_a_command_in_the_bake_starts_the_earlier_one_again() -> None:
    """Its old workers left at the cut-over: a child of any program cannot stop accepting and begin again."""
    play = Play(forks=False, parks=False, has_health=False, drain_s=1.0)
    play.serve()
    before = play.world.disk
    play.until_phase(play.update(), "bake")
    play.wait(5.0)
    assert play.serving == ["f2", "f2"]
    play.world.deploy(before)
    assert play.until_end(play.opened(play.rollback())).result == "committed"
    assert play.serving == ["f1", "f1"]


def test_a_command_is_rolled_back_from_files_after_its_commit_and_only_from_the_same() -> None:
    play = Play(forks=False, parks=False, has_health=False, drain_s=1.0)
    play.serve()
    before = play.world.disk
    play.until_end(play.update())
    play.wait(5.0)
    refused = play.opened(play.rollback())
    play.until_end(refused)
    assert play.fault(refused) == "files-changed"
    play.world.deploy(before)
    assert play.until_end(play.opened(play.rollback())).result == "committed"


def test_an_update_is_opened_for_whoever_asked_for_the_rollback() -> None:
    play = Play()
    play.serve()
    play.until_end(play.update())
    request = play.rollback()
    opened = next(effect for effect in play.said(Opened) if effect.request == request)
    assert (opened.by, opened.previous) == ("ann", 2)
