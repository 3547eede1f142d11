"""The number of workers is kept, whatever dies, hangs or wears out (RULES: pinned generations, crash loops, hung workers)."""

from __future__ import annotations

import itertools

import pytest

from midair.core import backoff
from midair.core.effects import DropZygote, Kill, StartWorker, StartZygote, StopAccepting
from midair.core.events import ProbeAnswered, WorkerWorn
from midair.testing.world import Faults
from tests.core.play import Play

# --- deaths -------------------------------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced_at_once() -> None:
    play = Play()
    play.serve()
    play.world.kill_worker(play.worker())
    play.wait(0.2)
    assert play.serving == ["f1", "f1"]


def test_a_worker_that_dies_again_and_again_is_held_back_with_growing_waits() -> None:
    play = Play(workers=1)
    play.serve()
    starts: list[float] = []
    for _ in range(9):
        play.until(lambda: bool(play.world.accepting()))
        starts.append(play.world.now_s)
        play.world.kill_worker(play.worker())
        play.wait(0.02)
    waits = [later - sooner for sooner, later in itertools.pairwise(starts)]
    assert waits == pytest.approx([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0], abs=0.1)
    assert play.notes("crash_loop")


def test_a_crash_loop_of_very_many_workers_is_held_back_too() -> None:
    """Only the last 20 deaths were remembered, which are fewer than one for each worker."""
    play = Play(workers=40, faults=Faults(delay_max_s=0.001))
    play.serve()
    play.world.faults = Faults(start_fails=1.0, delay_max_s=0.001)
    for worker in play.world.accepting():
        play.world.kill_worker(worker.id)
    before = len(play.said(StartWorker))
    play.wait(20.0)
    assert len(play.said(StartWorker)) - before < 400
    assert play.notes("worker_held_back")


def test_old_deaths_are_forgiven() -> None:
    play = Play(workers=1)
    play.serve()
    for _ in range(4):
        play.until(lambda: bool(play.world.accepting()))
        play.world.kill_worker(play.worker())
        play.wait(61.0)
    assert not play.notes("worker_held_back")


@pytest.mark.parametrize(
    ("deaths", "workers", "wait_s"), [(0, 1, 0), (1, 1, 0), (2, 1, 0.5), (3, 1, 1), (4, 4, 0), (6, 4, 1), (99, 1, 30)]
)
def test_the_waits(deaths: int, workers: int, wait_s: float) -> None:
    assert backoff.delay_s(deaths, workers) == wait_s


def test_a_replacement_that_hangs_in_its_start_is_killed_and_tried_again() -> None:
    play = Play(ready_s=5.0)
    play.serve()
    play.world.faults = Faults(start_hangs=1.0, delay_max_s=0.001)
    play.world.kill_worker(play.worker())
    play.wait(1.0)
    play.world.faults = Faults(delay_max_s=0.001)
    assert play.serving == ["f1"]
    play.wait(5.0)
    assert play.serving == ["f1", "f1"]


# --- worn and hung --------------------------------------------------------------------------------------------------


def test_a_worn_worker_goes_only_when_its_successor_accepts() -> None:
    play = Play(workers=1)
    play.serve()
    worn = play.worker()
    play.history.turn(WorkerWorn(worn, "10,000 requests"))
    assert not play.said(StopAccepting)
    play.wait(0.5)
    assert play.worker() != worn
    assert play.world.workers[worn].leaves


def test_a_hung_worker_is_killed_when_its_successor_accepts() -> None:
    play = Play(workers=1)
    play.serve()
    hung = play.worker()
    play.history.turn(WorkerWorn(hung, "no beat for 30 s", hangs=True))
    assert not play.said(Kill)
    play.wait(0.5)
    assert [effect.worker for effect in play.said(Kill)] == [hung]
    assert play.serving == ["f1"]


def test_a_hung_worker_of_a_canary_goes_when_its_successor_begins_with_the_rest() -> None:
    """Both accepted from then on: slots that change hands did not ask whose place a ready worker takes."""
    play = Play(workers=3, canary_workers=1, faults=Faults(delay_max_s=0.001, ack_lost=1.0))
    play.serve()
    update = play.update()
    play.until_phase(update, "canary")
    play.until_phase(update, "cut-over")
    hung = play.worker(0)
    play.history.turn(WorkerWorn(hung, "no beat for 30 s", hangs=True))
    play.until_phase(update, "bake")
    assert play.serving == ["f2"] * 3
    assert [effect.worker for effect in play.said(Kill)] == [hung]


def test_a_worn_worker_goes_when_a_rollback_lets_its_successor_begin() -> None:
    play = Play(workers=1, faults=Faults(delay_max_s=0.001, ack_lost=1.0))
    play.serve()
    worn = play.worker()
    update = play.update()
    play.until(lambda: all(w.is_ready for w in play.watch.workers.values()) and len(play.watch.workers) == 2)
    candidate = next(w.id for w in play.world.living() if w.generation == 2)
    play.history.turn(WorkerWorn(worn, "10,000 requests"))
    play.history.turn(ProbeAnswered(candidate, "healthy"))
    successor = play.said(StartWorker)[-1].worker
    play.until_phase(update, "bake")
    assert play.watch.workers[successor].is_ready
    assert play.watch.workers[successor].told == "start"
    play.rollback()
    play.wait(0.2)
    assert play.serving == ["f1"]
    assert play.worker() == successor
    assert play.world.workers[worn].leaves


def test_a_replacement_that_was_ready_in_a_cut_over_that_was_given_up_still_begins() -> None:
    play = Play(workers=1, faults=Faults(delay_max_s=0.001, ack_lost=1.0))
    play.serve()
    worn = play.worker()
    update = play.update()
    play.until(lambda: all(w.is_ready for w in play.watch.workers.values()) and len(play.watch.workers) == 2)
    candidate = next(w.id for w in play.world.living() if w.generation == 2)
    play.history.turn(WorkerWorn(worn, "10,000 requests"))
    play.history.turn(ProbeAnswered(candidate, "healthy"))
    successor = play.said(StartWorker)[-1].worker
    play.until(lambda: play.watch.workers[successor].is_ready)
    assert play.watch.updates[update].phase == "cut-over"
    play.world.kill_worker(candidate)
    play.until_end(update)
    play.wait(0.1)
    assert play.worker() == successor


def test_a_worn_worker_whose_successor_dies_gets_another_one() -> None:
    play = Play(workers=1)
    play.serve()
    worn = play.worker()
    play.history.turn(WorkerWorn(worn, "10,000 requests"))
    play.world.faults = Faults(start_fails=1.0, delay_max_s=0.001)
    play.wait(0.5)
    play.world.faults = Faults(delay_max_s=0.001)
    assert play.worker() == worn
    play.history.turn(WorkerWorn(worn, "10,000 requests"))
    play.wait(0.5)
    assert play.worker() != worn


def test_a_worker_that_does_not_leave_is_killed_after_its_deadlines() -> None:
    play = Play(drain_s=5.0, exit_s=2.0, bake_s=0.0, faults=Faults(leave_ignored=1.0, delay_max_s=0.001))
    play.serve()
    play.until_end(play.update())
    play.wait(7.5)
    assert not play.said(Kill)
    play.wait(1.0)
    assert len(play.said(Kill)) == 2


# --- number -------------------------------------------------------------------------------------------------------


def test_scaling_starts_and_ends_workers() -> None:
    play = Play(drain_s=1.0)
    play.serve()
    assert play.refused(play.scale(4)) is None
    play.wait(0.5)
    assert play.serving == ["f1"] * 4
    play.scale(1)
    play.wait(3.0)
    assert len(play.world.living()) == 1


@pytest.mark.parametrize("workers", [0, -1, 4097])
def test_scaling_to_nonsense_is_refused(workers: int) -> None:
    play = Play()
    play.serve()
    fault = play.refused(play.scale(workers))
    assert fault is not None
    assert play.serving == ["f1", "f1"]


def test_more_workers_come_from_the_zygote_and_not_from_what_is_on_disk_now() -> None:
    play = Play()
    play.serve()
    play.deploy()
    play.scale(4)
    play.wait(0.5)
    assert play.serving == ["f1"] * 4


# --- zygotes and files ------------------------------------------------------------------------------------------------


def test_a_killed_zygote_is_started_again_from_the_same_files() -> None:
    play = Play()
    play.serve()
    play.world.kill_zygote(min(play.world.zygotes))
    play.wait(0.5)
    assert [effect.pinned for effect in play.said(StartZygote)] == ["", "f1"]
    play.world.kill_worker(play.worker())
    play.wait(0.5)
    assert play.serving == ["f1", "f1"]


def test_a_zygote_that_dies_again_and_again_is_held_back() -> None:
    play = Play(faults=Faults(zygote_killed_every_s=0.05, delay_max_s=0.001))
    play.serve()
    play.wait(60.0)
    assert len(play.said(StartZygote)) < 12


def test_a_zygote_that_hangs_when_it_is_started_again_is_given_up_and_tried_again() -> None:
    play = Play(ready_s=5.0)
    play.serve()
    good = play.world.disk
    play.world.deploy(type(good)(good.fingerprint, good.policy, "import-hangs"))
    play.world.kill_zygote(min(play.world.zygotes))
    play.wait(1.0)
    play.world.deploy(good)
    play.wait(6.0)
    assert len(play.said(DropZygote)) == 1
    assert [z.is_ready for z in play.world.zygotes.values()] == [True]


def test_without_its_zygote_and_with_other_files_a_generation_runs_short_and_says_so() -> None:
    play = Play()
    play.serve()
    play.deploy()
    play.world.kill_zygote(min(play.world.zygotes))
    play.wait(1.0)
    started = len(play.said(StartZygote)), len(play.said(StartWorker))
    play.world.kill_worker(play.worker())
    play.wait(60.0)
    assert play.serving == ["f1"]
    assert play.notes("runs_short") == 1
    assert (len(play.said(StartZygote)), len(play.said(StartWorker))) == started


def test_the_files_start_as_an_update_of_its_own_when_no_worker_is_left() -> None:
    play = Play()
    play.serve()
    play.deploy()
    play.world.kill_zygote(min(play.world.zygotes))
    play.wait(1.0)
    for worker in play.world.accepting():
        play.world.kill_worker(worker.id)
    play.wait(20.0)
    assert play.serving == ["f2", "f2"]
    assert play.watch.results["committed"] == 2


def test_that_update_is_tried_again_with_growing_waits_after_a_refusal() -> None:
    """A refusal left nothing that served, and nobody tried anything any more."""
    play = Play()
    play.serve()
    play.deploy("import-fails")
    play.world.kill_zygote(min(play.world.zygotes))
    play.wait(1.0)
    for worker in play.world.accepting():
        play.world.kill_worker(worker.id)
    play.wait(20.0)
    assert 3 <= play.watch.results["refused"] <= 8
    play.deploy()
    play.wait(60.0)
    assert play.serving == ["f3", "f3"]


def test_a_spawning_generation_runs_short_when_its_files_have_changed() -> None:
    play = Play(forks=False)
    play.serve()
    play.deploy()
    started = len(play.said(StartWorker))
    play.world.kill_worker(play.worker())
    play.wait(60.0)
    assert play.serving == ["f1"]
    assert play.notes("runs_short") == 1
    assert len(play.said(StartWorker)) == started + 1  # It was tried once.


def test_a_generation_that_runs_short_is_not_scaled_down_to_nothing() -> None:
    """Slot 0 cannot come back, so slot 1 is the one worker that is wanted."""
    play = Play(forks=False, drain_s=1.0)
    play.serve()
    play.deploy()
    play.world.kill_worker(play.worker(0))
    play.wait(1.0)
    play.scale(1)
    play.wait(5.0)
    assert play.serving == ["f1"]
