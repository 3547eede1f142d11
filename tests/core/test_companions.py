"""Once-only processes beside the workers (RULES: overlap, exclusive)."""

from __future__ import annotations

from typing import Any

from midair.core.effects import GenerationGone, StartCompanion, StopCompanion
from midair.core.events import CompanionExited
from midair.core.ids import GenerationId
from midair.testing.world import Faults
from tests.core.play import Play


def play_with(**settings: Any) -> Play:
    play = Play(**{"companions": ("beat", "celery"), "exclusive": frozenset({"beat"}), "drain_s": 1.0, **settings})
    play.serve()
    return play


def running(play: Play) -> set[tuple[int, str]]:
    return {(generation, name) for generation, name in play.world.companions}


def test_they_run_with_the_serving_generation() -> None:
    assert running(play_with()) == {(1, "beat"), (1, "celery")}


def test_overlapping_ones_run_side_by_side_in_the_bake_and_exclusive_ones_take_turns() -> None:
    play = play_with()
    update = play.update()
    play.until_phase(update, "bake")
    play.wait(0.1)
    assert running(play) == {(1, "celery"), (2, "celery"), (2, "beat")}
    play.until_end(update)
    play.wait(5.0)
    assert running(play) == {(2, "celery"), (2, "beat")}


def test_an_exclusive_one_starts_only_after_its_twin_has_ended() -> None:
    play = play_with()
    play.until_phase(play.update(), "bake")
    play.wait(0.1)
    stopped = play.effects.index(StopCompanion(GenerationId(1), "beat"))
    started = play.effects.index(StartCompanion(GenerationId(2), "beat"))
    assert stopped < started


def test_a_rollback_brings_them_back() -> None:
    play = play_with()
    play.until_phase(play.update(), "bake")
    play.wait(0.1)
    play.rollback()
    play.wait(5.0)
    assert running(play) == {(1, "beat"), (1, "celery")}


def test_none_is_forgotten_when_its_generation_loses_its_workers_first() -> None:
    """A generation that was gone was struck from the books with its processes still running."""
    play = play_with(drain_s=0.0, faults=Faults(delay_max_s=0.001))
    update = play.update("dies-later", workers=1)
    assert play.until_end(update).result == "rolled-back"
    play.wait(5.0)
    assert running(play) == {(1, "beat"), (1, "celery")}
    gone = play.effects.index(GenerationGone(GenerationId(2)))
    assert all(play.effects.index(StopCompanion(GenerationId(2), name)) < gone for name in ("beat", "celery"))


def test_one_that_dies_is_started_again_and_later_each_time() -> None:
    play = play_with()
    for _ in range(5):
        play.until(lambda: (GenerationId(1), "celery") in play.world.companions)
        play.world.companions.discard((GenerationId(1), "celery"))
        play.history.turn(CompanionExited(GenerationId(1), "celery", "SIGSEGV"))
        play.wait(0.01)
    assert play.notes("process_died") == 5
    play.wait(3.0)
    assert (1, "celery") not in running(play)
    play.wait(6.0)
    assert (1, "celery") in running(play)


def test_they_end_as_soon_as_a_stop_is_asked_for() -> None:
    play = play_with(stop_delay_s=5.0)
    play.stop()
    play.wait(1.0)
    assert running(play) == set()
    assert play.serving == ["f1", "f1"]


def test_they_end_before_the_service_does() -> None:
    play = play_with(stop_s=1.0)
    play.stop()
    play.wait(30.0)
    play.history.check_ended()
