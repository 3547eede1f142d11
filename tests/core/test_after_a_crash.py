"""A first start after the supervisor was killed: what it goes on with, and what it tells."""

from __future__ import annotations

from midair.core.effects import Note
from midair.core.ids import GenerationId
from midair.core.state import Before
from tests.core.play import Play

DEATHS = 6


def after_crash(fingerprint: str, bake_s: float = 0.0) -> Play:
    """A service that has not begun, and what served before: a version whose workers had died again and again."""
    play = Play(workers=1, bake_s=bake_s)
    play.wait(100.0)
    deaths_s = [play.world.now_s] * DEATHS
    play.history.service.before = Before(GenerationId(7), "1.8.2", fingerprint, deaths_s=deaths_s)
    play.history.service.last_generation = 7
    return play


def test_a_crash_loop_is_not_begun_anew_by_the_same_code() -> None:
    play = after_crash("f1")
    play.serve()
    assert not play.notes("disk_differs")
    play.world.kill_worker(play.worker())
    play.wait(0.1)
    (held_back,) = [effect for effect in play.said(Note) if effect.event == "worker_held_back"]
    assert held_back.fields["deaths"] == DEATHS + 1


def test_other_code_has_its_own_history_and_that_it_serves_is_told() -> None:
    play = after_crash("f0")
    play.history.service.quarantine["f1"] = "it failed"
    play.history.start(force=True)
    play.until(lambda: bool(play.world.accepting()))
    (told,) = [effect.fields for effect in play.said(Note) if effect.event == "disk_differs"]
    assert (told["served"], told["generation"], told["rolled_back"]) == ("1.8.2", 8, "it failed")
    play.world.kill_worker(play.worker())
    play.wait(0.1)
    assert not play.notes("worker_held_back")


def test_it_is_remembered_until_an_update_that_somebody_asked_for_is_committed() -> None:
    play = after_crash("f0", bake_s=5.0)
    play.serve()
    assert play.history.service.before is not None
    update = play.update()
    play.wait(1.0)
    assert play.history.service.before is not None
    assert play.until_end(update).result == "committed"
    assert play.history.service.before is None
