"""``rollback.keep = "workers"``: after the commit the old workers stay parked for a while, and the way back starts nothing."""

from __future__ import annotations

from typing import Any

from midair.core.effects import Note, ProbeWorker, StartCompanion, StartWorker, StartZygote
from midair.core.events import PrepareFailed
from midair.core.ids import GenerationId
from midair.errors import Fault
from midair.testing.world import Faults
from tests.core.play import Play


def kept(**settings: Any) -> Play:
    """Version f2 is committed; the workers of f1, which was spawned, are kept, and its files are gone."""
    play = Play(**{"forks": False, "keep": "workers", "drain_s": 2.0, **settings})
    play.serve()
    play.until_end(play.update())
    return play


def living(play: Play) -> list[str]:
    return sorted(worker.code.fingerprint for worker in play.world.living())


def test_the_old_workers_stay_and_accept_nobody() -> None:
    play = kept()
    play.wait(60.0)
    assert living(play) == ["f1", "f1", "f2", "f2"]
    assert play.serving == ["f2", "f2"]


def test_going_back_starts_nothing_and_asks_each_for_its_health() -> None:
    play = kept()
    play.wait(60.0)
    before = {w.id for w in play.world.living() if w.code.fingerprint == "f1"}
    started, probed = len(play.said(StartWorker)), len(play.said(ProbeWorker))
    began_s = play.world.now_s
    update = play.opened(play.rollback())
    play.until_phase(update, "bake")
    assert play.world.now_s - began_s < 0.2
    assert {w.id for w in play.world.accepting()} == before
    assert len(play.said(StartWorker)) == started
    assert {e.worker for e in play.said(ProbeWorker)[probed:]} >= before
    assert play.until_end(update).result == "committed"


def test_it_is_the_same_generation_again_and_the_newer_one_is_kept_in_turn() -> None:
    play = kept()
    update = play.opened(play.rollback())
    assert play.until_end(update).generation == 1
    assert play.until_end(play.opened(play.rollback())).generation == 2
    assert play.serving == ["f2", "f2"]


def test_forked_workers_are_kept_as_well() -> None:
    play = kept(forks=True)
    zygotes = len(play.said(StartZygote))
    assert play.until_end(play.opened(play.rollback())).generation == 1
    assert len(play.said(StartZygote)) == zygotes


def test_where_all_can_be_forked_a_few_kept_ones_are_not_enough() -> None:
    play = kept(forks=True)
    play.world.kill_worker(next(w.id for w in play.world.living() if w.code.fingerprint == "f1"))
    play.wait(0.1)
    assert play.until_end(play.opened(play.rollback())).generation == 3
    assert play.serving == ["f1", "f1"]


def test_where_nobody_can_be_forked_one_that_is_left_is_better_than_a_bad_version() -> None:
    play = kept()
    play.world.kill_worker(next(w.id for w in play.world.living() if w.code.fingerprint == "f1"))
    play.wait(0.1)
    assert play.until_end(play.opened(play.rollback())).result == "committed"
    play.wait(1.0)
    assert play.serving == ["f1"]
    assert play.notes("runs_short") == 1


def test_they_leave_after_rollback_warm() -> None:
    play = kept(warm_s=60.0)
    play.wait(59.0)
    assert living(play) == ["f1", "f1", "f2", "f2"]
    play.wait(5.0)
    assert living(play) == ["f2", "f2"]
    fault = play.refused(play.rollback())
    assert fault is not None
    assert fault.code == "rollback-nothing"


def test_they_leave_at_the_next_commit_and_not_before() -> None:
    play = kept()
    update = play.update()
    play.until_phase(update, "bake")
    assert living(play) == ["f1", "f1", "f2", "f2", "f3", "f3"]
    play.until_end(update)
    play.wait(4.0)
    assert living(play) == ["f2", "f2", "f3", "f3"]


def test_a_rollback_in_the_next_bake_goes_to_the_version_that_was_committed() -> None:
    play = kept()
    play.until_phase(play.update(), "bake")
    play.rollback()
    play.wait(0.1)
    assert play.serving == ["f2", "f2"]


def test_kept_workers_that_are_ill_are_refused_and_kept_on() -> None:
    play = kept(ready_s=3.0)
    play.world.faults = Faults(delay_max_s=0.001, probe_fails=1.0)
    update = play.opened(play.rollback())
    assert play.until_end(update).result == "refused"
    assert play.fault(update) == "not-ready"
    assert play.serving == ["f2", "f2"]
    assert living(play) == ["f1", "f1", "f2", "f2"]
    play.world.heal()
    assert play.until_end(play.opened(play.rollback())).result == "committed"
    assert play.serving == ["f1", "f1"]


def test_a_kept_version_that_fails_when_it_serves_again_is_taken_back() -> None:
    play = kept()
    update = play.opened(play.rollback())
    play.until_phase(update, "bake")
    play.world.kill_worker(play.worker())
    assert play.until_end(update).result == "rolled-back"
    assert play.serving == ["f2", "f2"]


def test_once_only_processes_of_the_old_version_are_not_kept() -> None:
    play = kept(companions=("celery",))
    play.wait(5.0)
    assert [name for _, name in play.world.companions] == ["celery"]
    assert {generation for generation, _ in play.world.companions} == {2}
    assert len(play.said(StartCompanion)) == 2


def test_memory_that_is_needed_takes_what_is_kept() -> None:
    play = kept(forks=True)
    play.until_phase(play.update(by_slot="no room", lacks_room=True), "bake")
    assert play.notes("kept_given_up") == 1
    play.wait(4.0)
    assert "f1" not in living(play)


def test_going_back_gives_up_nothing_that_it_goes_back_to() -> None:
    """The earlier version came by slot, for want of memory, and its zygote is what the way back starts from."""
    play = kept(forks=True, by_slot="no room", lacks_room=True)
    for worker in [w for w in play.world.living() if w.code.fingerprint == "f1"]:
        play.world.kill_worker(worker.id)
    play.wait(0.1)
    assert play.until_end(play.opened(play.rollback())).result == "committed"
    assert play.serving == ["f1", "f1"]
    assert not play.notes("kept_given_up")


def test_an_update_refused_for_want_of_memory_finds_more_the_next_time() -> None:
    play = kept()
    play.deploy()
    play.ask()
    play.history.turn(PrepareFailed(GenerationId(3), Fault("no-memory", "too large")))
    play.wait(4.0)
    assert living(play) == ["f2", "f2"]
    assert [n.fields["generation"] for n in play.said(Note) if n.event == "kept_given_up"] == [1]


def test_what_is_not_kept_cannot_be_gone_back_to() -> None:
    play = kept(keep="none", forks=True)
    play.wait(4.0)
    assert living(play) == ["f2", "f2"]
    assert len(play.world.zygotes) == 1
    fault = play.refused(play.rollback())
    assert fault is not None
    assert fault.code == "rollback-nothing"
