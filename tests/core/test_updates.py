"""One update after another: who serves, who is refused, who waits (RULES: an update has phases and ends)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from midair.core.effects import Accept, Answer, Leave, Prepare, RunHook, StartWorker, StopAccepting, Verify
from midair.core.events import ReleaseAsked
from midair.core.policy import HURRY_S
from midair.testing.world import Defect, Faults
from tests.core.play import Play

SLOW_ACKS = Faults(delay_max_s=0.001, ack_lost=1.0)
"""Every switch takes its full 50 ms."""


def test_a_good_version_goes_through_its_phases_to_the_commit() -> None:
    play = Play()
    play.serve()
    update = play.update()
    play.until_phase(update, "bake")
    assert play.serving == ["f2", "f2"]
    began_s = play.world.now_s
    assert play.until_end(update).result == "committed"
    assert play.world.now_s - began_s == pytest.approx(10.0, abs=0.1)


def test_what_a_version_sets_at_its_import_counts_with_it_and_goes_with_it() -> None:
    play = Play()
    play.serve()
    code = play.history.deploy()
    play.world.deploy(replace(code, at_import=msgspec.structs.replace(code.policy, workers=3, bake_s=1.0)))
    update = play.opened(play.ask())
    play.until_phase(update, "bake")
    assert play.serving == [code.fingerprint] * 3
    began_s = play.world.now_s
    assert play.until_end(update).result == "committed"
    assert play.world.now_s - began_s == pytest.approx(1.0, abs=0.1)
    play.until_end(play.opened(play.rollback()))
    play.wait(1)
    assert play.serving == ["f1"] * 2


def test_the_old_version_serves_until_every_slot_of_the_new_one_is_ready() -> None:
    play = Play(workers=3)
    play.serve()
    update = play.update()
    while play.watch.updates[update].phase in {"build", "start"}:
        assert play.serving == ["f1"] * 3
        play.history.one_turn(play.world.now_s + 10)
    assert play.watch.updates[update].phase == "cut-over"


def test_new_slots_accept_only_when_the_old_ones_said_that_they_stopped() -> None:
    play = Play()
    play.serve()
    update = play.update()
    play.until_phase(update, "cut-over")
    stopped = {effect.worker for effect in play.said(StopAccepting)}
    accepted = len(play.said(Accept))
    while len(play.said(Accept)) == accepted:
        assert not all(play.watch.workers[worker].has_stopped for worker in stopped)
        play.history.one_turn(play.world.now_s + 1)


def test_a_silent_old_slot_holds_up_the_cut_over_for_50_ms_and_no_longer() -> None:
    play = Play(faults=SLOW_ACKS)
    play.serve()
    update = play.update()
    play.until_phase(update, "cut-over")
    began_s = play.world.now_s
    play.until(lambda: play.watch.updates[update].phase == "bake")
    assert play.world.now_s - began_s == pytest.approx(0.05)


@pytest.mark.parametrize(
    "defect", ["import-fails", "import-exits", "import-hangs", "start-fails", "start-exits", "start-hangs", "unhealthy"]
)
def test_a_version_that_does_not_get_ready_is_refused_and_nobody_notices(defect: Defect) -> None:
    play = Play(ready_s=5.0)
    play.serve()
    closed = play.until_end(play.update(defect))
    assert closed.result == "refused"
    assert closed.serving == 1
    play.wait(0.5 if defect != "unhealthy" else 60.0)  # What has not started is killed, what has may say good-bye.
    assert {w.code.fingerprint for w in play.world.living()} == {"f1"}
    play.wait(60.0)
    assert play.serving == ["f1", "f1"]
    assert len(play.world.zygotes) == 1


def test_a_version_that_is_unhealthy_at_first_is_asked_again() -> None:
    play = Play(faults=Faults(delay_max_s=0.001))
    play.serve()
    play.world.faults = Faults(delay_max_s=0.001, probe_fails=1.0)
    update = play.update()
    play.wait(3.0)
    assert play.watch.updates[update].phase == "start"
    play.world.faults = Faults(delay_max_s=0.001)
    play.wait(0.5)
    assert play.watch.updates[update].phase == "bake"


def test_a_version_without_a_health_route_counts_as_ready_once_it_has_started() -> None:
    play = Play()
    play.serve()
    assert play.until_end(play.update("no-route")).result == "committed"
    assert play.notes("no_health_route") == 1


def test_what_is_unsafe_to_fork_imports_in_every_worker_and_is_verified_after_that() -> None:
    play = Play()
    play.serve()
    update = play.update("unsafe-to-fork")
    assert play.until_end(update).result == "committed"
    started = [effect for effect in play.said(StartWorker) if effect.generation == 2]
    assert [effect.zygote for effect in started] == [None, None]
    verified = play.effects.index(next(e for e in play.said(Verify) if e.generation == 2))
    assert all(play.effects.index(effect) < verified for effect in started)


def test_what_is_unsafe_to_fork_is_refused_where_forking_is_a_must() -> None:
    play = Play(must_fork=True)
    play.serve()
    update = play.update("unsafe-to-fork")
    play.until_end(update)
    assert play.fault(update) == "fork-unsafe"


def test_files_that_change_during_the_import_are_imported_again() -> None:
    play = Play()
    play.serve()
    update = play.update()
    play.until_phase(update, "start")
    play.deploy()
    assert play.until_end(update).result == "committed"
    assert play.serving == ["f3", "f3"]
    assert play.closed(update).version == "version of f3"


def test_files_that_change_at_every_import_are_refused() -> None:
    play = Play()
    play.serve()
    update = play.update()
    for _ in range(3):
        play.until_phase(update, "start")
        play.deploy()
        surveys = len(play.said(Prepare))
        play.until(lambda: len(play.said(Prepare)) > surveys or bool(play.watch.updates[update].result))  # noqa: B023
    play.until_end(update)
    assert play.fault(update) == "files-changing"
    assert play.serving == ["f1", "f1"]


def test_a_newer_request_supersedes_a_candidate_before_its_cut_over() -> None:
    play = Play()
    play.serve()
    first = play.update()
    play.until_phase(first, "start")
    second = play.update()
    assert play.closed(first).result == "superseded"
    assert play.until_end(second).result == "committed"
    assert play.serving == ["f3", "f3"]


def test_an_update_in_the_bake_starts_at_once_and_its_cut_over_ends_that_bake() -> None:
    play = Play()
    play.serve()
    first = play.update()
    play.until_phase(first, "bake")
    play.wait(3.0)
    second = play.update()
    assert not play.watch.updates[first].result
    play.until_phase(second, "bake")
    assert play.closed(first).result == "superseded"
    assert play.closed(first).note.startswith("superseded after 3.")


def test_the_rollback_target_stays_the_newest_committed_version() -> None:
    play = Play()
    play.serve()
    play.until_phase(play.update(), "bake")
    second = play.update("dies-later")
    assert play.until_end(second).result == "rolled-back"
    assert play.serving == ["f1", "f1"]
    assert play.closed(second).serving == 1


def test_a_request_queues_only_while_slots_are_switched_and_the_latest_wins() -> None:
    play = Play(faults=SLOW_ACKS)
    play.serve()
    update = play.update()
    play.until_phase(update, "cut-over")
    earlier, latest = play.ask(), play.ask()
    fault = play.refused(earlier)
    assert fault is not None
    assert fault.code == "superseded"
    assert play.is_open(latest)
    play.until_phase(update, "bake")
    assert play.opened(latest) == update + 1


def test_reload_now_does_not_queue() -> None:
    play = Play(faults=SLOW_ACKS)
    play.serve()
    first = play.update()
    play.until_phase(first, "cut-over")
    waiting = play.ask()
    now = play.opened(play.ask(now=True))
    assert play.closed(first).result == "superseded"
    assert play.refused(waiting) is not None
    assert play.until_end(now).result == "committed"


def test_a_candidate_that_is_ready_while_other_slots_are_switched_cuts_over_afterwards() -> None:
    """Its switch has to wait for the one that goes back; it was forgotten once."""
    play = Play(faults=Faults(delay_max_s=0.004, ack_lost=1.0), bake_s=60.0)
    play.serve()
    play.until_phase(play.update(), "bake")
    newer = play.update()
    play.until(lambda: all(w.is_ready for w in play.watch.workers.values()) and len(play.watch.workers) == 6)
    play.rollback()
    assert play.until_end(newer).result == "committed"
    assert play.serving == ["f3", "f3"]


def test_a_bake_that_ends_while_a_later_cut_over_is_given_up_still_commits() -> None:
    play = Play(faults=SLOW_ACKS, bake_s=1.0)
    play.serve()
    first = play.update()
    play.until_phase(first, "bake")
    play.wait(0.94)
    second = play.update()
    play.until_phase(second, "cut-over")
    candidates = [w for w in play.world.living() if w.generation == 3]
    play.wait(0.03)
    play.world.kill_worker(candidates[0].id)
    assert play.until_end(second).result == "refused"
    assert play.serving == ["f2", "f2"]
    assert play.until_end(first).result == "committed"


@pytest.mark.parametrize("victim", ["worker", "zygote"])
def test_a_candidate_that_dies_in_the_cut_over_is_refused_and_the_old_slots_begin_again(victim: str) -> None:
    play = Play(faults=SLOW_ACKS)
    play.serve()
    update = play.update()
    play.until_phase(update, "cut-over")
    if victim == "worker":
        play.world.kill_worker(next(w.id for w in play.world.living() if w.generation == 2))
    else:
        play.world.kill_zygote(max(play.world.zygotes))
    assert play.until_end(update).result == "refused"
    play.wait(1.0)
    assert play.serving == ["f1", "f1"]


def test_old_slots_that_die_in_the_cut_over_are_not_waited_for() -> None:
    play = Play(faults=SLOW_ACKS)
    play.serve()
    update = play.update()
    play.until_phase(update, "cut-over")
    began_s = play.world.now_s
    for worker in [w for w in play.world.living() if w.generation == 1]:
        play.world.kill_worker(worker.id)
    play.until(lambda: play.watch.updates[update].phase == "bake")
    assert play.world.now_s - began_s < 0.04


def test_a_hold_refuses_the_updates_of_others() -> None:
    play = Play()
    play.serve()
    play.deploy()
    play.hold(by="bob", for_s=60.0)
    fault = play.refused(play.ask(by="ann"))
    assert fault is not None
    assert fault.code == "held"
    assert play.opened(play.ask(by="bob"))
    assert play.opened(play.ask(by="ann", force=True))
    play.wait(61.0)
    assert play.opened(play.ask(by="ann"))


@pytest.mark.parametrize(
    ("for_s", "said"),
    [(43200.0, "for 12 h"), (5400.0, "for 90 min"), (45.0, "for 45 s"), (0.5, "for 0.5 s"), (0.0, "until released")],
)
def test_for_how_long_updates_are_held_is_said_as_it_was_typed(for_s: float, said: str) -> None:
    play = Play()
    play.serve()
    play.hold(for_s=for_s)
    assert play.said(Answer)[-1].text == f"updates are held {said}"


def test_a_hold_that_is_released_holds_nobody() -> None:
    play = Play()
    play.serve()
    play.deploy()
    play.hold(by="bob")
    play.history.turn(ReleaseAsked(play.history.request(), "ann"))
    assert play.opened(play.ask(by="ann"))


def test_a_hold_keeps_nobody_from_going_back() -> None:
    """A hold is there so that nothing gets worse."""
    play = Play()
    play.serve()
    play.until_end(play.update())
    play.hold(by="bob", for_s=0.0)
    assert play.until_end(play.opened(play.rollback())).result == "committed"


def test_expect_refuses_any_other_version() -> None:
    play = Play()
    play.serve()
    play.deploy()
    wrong = play.opened(play.ask(expect="version of f9"))
    play.until_end(wrong)
    assert play.fault(wrong) == "unexpected-version"
    right = play.opened(play.ask(expect="version of f2"))
    assert play.until_end(right).result == "committed"


def test_a_version_that_was_rolled_back_by_itself_is_refused_until_somebody_insists() -> None:
    play = Play()
    play.serve()
    assert play.until_end(play.update("dies-later")).result == "rolled-back"
    again = play.opened(play.ask())
    play.until_end(again)
    assert play.fault(again) == "quarantined"
    forced = play.opened(play.ask(force=True))
    play.until_phase(forced, "bake")


def test_a_forced_version_that_commits_is_not_held_against_anybody_again() -> None:
    play = Play(faults=Faults(delay_max_s=0.001))
    play.serve()
    bad = play.update()
    play.until_phase(bad, "bake")
    play.world.kill_worker(play.worker())
    assert play.until_end(bad).result == "rolled-back"
    assert play.until_end(play.opened(play.ask(force=True))).result == "committed"
    assert play.until_end(play.opened(play.ask())).result == "committed"


def test_a_failing_before_hook_refuses() -> None:
    play = Play(has_before=True)
    play.serve()
    play.world.faults = Faults(hook_fails=1.0, delay_max_s=0.001)
    update = play.update()
    assert play.until_end(update).result == "refused"
    assert play.fault(update) == "hook-failed"
    assert not [effect for effect in play.said(StartWorker) if effect.generation == 2]


def test_what_the_before_hook_makes_belongs_to_the_version() -> None:
    play = Play(has_before=True)
    play.serve()
    update = play.update()
    play.until(lambda: bool([hook for hook in play.said(RunHook) if hook.generation == 2]))
    built = play.deploy()
    play.until_end(update)
    assert [hook.generation for hook in play.said(RunHook)] == [1, 2]
    assert {worker.code.fingerprint for worker in play.world.living() if worker.generation == 2} == {built}
    assert not [effect for effect in play.said(StartWorker) if effect.generation == 3]


def test_a_version_that_came_while_another_was_imported_has_its_own_before_hook() -> None:
    play = Play(has_before=True)
    play.serve()
    update = play.update()
    play.until_phase(update, "start")
    play.deploy()
    assert play.until_end(update).result == "committed"
    assert [hook.generation for hook in play.said(RunHook)] == [1, 2, 3]


def test_hooks_run_in_every_update_each_in_its_place() -> None:
    play = Play(has_before=True, has_after=True, has_contract=True, drain_s=30.0)
    play.serve()
    update = play.update()

    def hooks() -> list[str]:
        return [effect.hook for effect in play.said(RunHook) if effect.generation == 2]

    play.until_phase(update, "start")
    assert hooks() == ["before"]
    play.until_end(update)
    assert hooks() == ["before", "after"]
    play.until(lambda: not [w for w in play.world.living() if w.code.fingerprint == "f1"])
    play.wait(1.0)
    assert hooks() == ["before", "after", "contract"]


def test_a_contract_hook_runs_once_whatever_leaves_later() -> None:
    play = Play(has_contract=True, drain_s=1.0)
    play.serve()
    play.until_end(play.update())
    play.wait(5.0)
    play.scale(1)
    play.wait(5.0)
    assert [e.generation for e in play.said(RunHook) if e.hook == "contract"] == [1, 2]


def test_a_contract_hook_runs_for_a_release_without_a_way_back_too() -> None:
    play = Play(has_contract=True)
    play.serve()
    play.deploy()
    update = play.opened(play.ask(no_rollback=True))
    play.until_end(update)
    play.wait(400.0)
    assert [e.generation for e in play.said(RunHook) if e.hook == "contract"] == [1, 2]


def test_draining_generations_are_bounded_and_the_oldest_is_hurried() -> None:
    play = Play(max_generations=2, bake_s=0.0, drain_s=300.0)
    play.serve()
    for _ in range(6):
        play.until_end(play.update())
    play.wait(3.0)
    assert len({w.generation for w in play.world.living() if w.leaves}) <= 2
    assert play.notes("drain_hurried")


def test_the_oldest_draining_generation_makes_room() -> None:
    faults = Faults(delay_max_s=0.001, leave_ignored=1.0)
    play = Play(max_generations=2, bake_s=0.0, drain_s=300.0, faults=faults, workers=1)
    play.serve()
    for _ in range(3):
        play.until_end(play.update())
    assert [e.worker for e in play.said(Leave) if e.within_s == HURRY_S] == [1]


def test_whoever_asks_for_the_end_of_a_drain_gets_it() -> None:
    play = Play(bake_s=0.0, drain_s=300.0, workers=2, faults=Faults(delay_max_s=0.001, leave_ignored=1.0))
    play.serve()
    play.until_end(play.update())
    old = [w.id for w in play.world.living() if w.leaves]
    assert len(old) == 2
    asked = play.drain(1.5)
    assert play.refused(asked) is None
    assert [e.worker for e in play.said(Leave) if e.within_s == 1.5] == old
    assert play.notes("drain_hurried") == 2
    play.drain(60.0)
    assert not [e for e in play.said(Leave) if e.within_s == 60.0], "they leave sooner than that already"


def test_the_end_of_a_drain_takes_no_way_back() -> None:
    play = Play(bake_s=10.0, drain_s=300.0)
    play.serve()
    play.until_phase(play.update(), "bake")
    play.drain(0.0)
    play.wait(5.0)
    assert len(play.world.living()) == 4, "those that are parked for a rollback are there yet"
    assert not play.notes("drain_hurried")


def test_a_drain_is_limited_from_the_cut_over_on() -> None:
    """Not from the commit: the bake is part of the time that the old version has."""
    play = Play(drain_s=30.0, bake_s=10.0)
    play.serve()
    play.until_end(play.update())
    assert [e.within_s for e in play.said(Leave)] == pytest.approx([20.0, 20.0], abs=0.1)


def test_many_updates_leave_nothing_behind_in_memory() -> None:
    """A service runs for years: what the core remembers may not grow with the updates it has seen."""
    play = Play(bake_s=5.0, drain_s=1.0, warm_s=60.0)
    play.serve()
    service = play.history.service
    for number in range(20):
        play.until_end(play.update((None, "start-fails", "sick-later")[number % 3]))
        play.wait(5.0)
        assert len(service.generations) <= 2  # The one that serves, and the one kept for a rollback.
        assert len(service.timers) <= 1
    play.wait(100.0)
    assert (len(service.generations), len(service.zygotes), service.timers) == (1, 1, {})
    assert len(service.workers) == len(play.world.living()) == 2


def test_updates_that_supersede_each_other_in_the_bake_leave_neither_zygotes_nor_generations_behind() -> None:
    play = Play(max_generations=1, drain_s=300.0)
    play.serve()
    for _ in range(6):
        play.until_phase(play.update(), "bake")
    play.wait(3.0)
    assert len(play.world.zygotes) == 2
    assert len({w.generation for w in play.world.living() if w.leaves}) <= 1


@pytest.mark.parametrize(("asked", "rate_per_s"), [({}, 0.0), ({"now": True}, 1.0), ({"drain_rate_per_s": 0.2}, 0.2)])
def test_the_pace_that_was_asked_for_is_known_after_an_update_without_a_bake(
    asked: dict[str, Any], rate_per_s: float
) -> None:
    play = Play(bake_s=0.0)
    play.serve()
    play.deploy(bake_s=0.0)
    closed = play.until_end(play.opened(play.ask(**asked)))
    assert closed.result == "committed"
    assert play.history.service.generations[closed.generation].asked_rate_per_s == rate_per_s
