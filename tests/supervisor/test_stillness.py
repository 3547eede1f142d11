"""Does a loop stand still? Sums over looks at given times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from midair.supervisor.stillness import STEP_MAX_S, Stillness


def test_a_loop_that_beats_never_stands_still() -> None:
    stillness = Stillness()
    assert [stillness.look(beat, float(beat)) for beat in range(1, 60)] == [0.0] * 59


def test_a_loop_that_does_not_beat_stands_still_for_as_long_as_was_looked() -> None:
    stillness = Stillness()
    looks = [stillness.look(7, second) for second in (10.0, 11.0, 12.0, 13.0)]
    assert looks == [0.0, 1.0, 2.0, 3.0]


def test_one_beat_and_all_is_well() -> None:
    stillness = Stillness()
    for second in range(10):
        stillness.look(7, float(second))
    stillness.is_told, stillness.told_s = True, 9.0
    assert stillness.look(8, 10.0) == 0.0
    assert not stillness.is_told
    assert stillness.told_s is None


def test_a_worker_that_never_beat_is_still_starting() -> None:
    stillness = Stillness()
    assert [stillness.look(0, float(second)) for second in range(100)][-1] == 0.0


@given(st.lists(st.floats(0.5, 3600.0), min_size=1, max_size=20))
def test_nobody_is_blamed_for_time_in_which_nobody_looked(pauses_s: list[float]) -> None:
    stillness, now_s = Stillness(), 1000.0
    stillness.look(7, now_s)
    for pause_s in pauses_s:
        now_s += pause_s
        stillness.look(7, now_s)
    assert stillness.for_s <= STEP_MAX_S * len(pauses_s)
    assert stillness.for_s <= sum(pauses_s) + 1e-6
