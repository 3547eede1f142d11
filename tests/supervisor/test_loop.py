"""The supervisor's loop, on a clock that stands where it is put."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial

import pytest

from midair.supervisor.loop import TIMERS_SWEPT_FROM, Loop, Timer


class Standing:
    """A clock."""

    def __init__(self) -> None:
        self.s = 0.0

    def now_s(self) -> float:
        return self.s

    def wall_s(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Standing:
    return Standing()


@pytest.fixture
def loop(clock: Standing) -> Iterator[Loop]:
    loop = Loop(clock)
    yield loop
    loop.close()


def timers_in_memory() -> int:
    return sum(isinstance(each, Timer) for each in gc.get_objects())


def test_cancelled_timers_are_forgotten_long_before_their_time(loop: Loop) -> None:
    before = timers_in_memory()  # Other tests' loops, until garbage is looked for.
    loop.call_later(1.0, lambda: None)  # or they would be dropped as the first in line
    for _ in range(TIMERS_SWEPT_FROM * 20):
        loop.call_later(600.0, lambda: None).cancel()
    assert timers_in_memory() - before <= TIMERS_SWEPT_FROM + 1


def test_timers_that_stand_are_called_in_their_order_however_many_were_cancelled(loop: Loop, clock: Standing) -> None:
    called: list[int] = []
    for number in range(TIMERS_SWEPT_FROM * 3):
        loop.call_at(float(1000 - number), partial(called.append, number))
        loop.call_at(500.0, partial(called.append, -1)).cancel()
    clock.s = 1000.0
    loop.turn_now()
    assert called == list(range(TIMERS_SWEPT_FROM * 3 - 1, -1, -1))
