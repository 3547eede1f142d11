"""The bench about idle services, small: what a service takes that nobody asks anything."""

from __future__ import annotations

import pytest

from bench import idle_services, peers
from midair.worker.runtime import BEAT_MAX_S, beat_every_s

MIB = 1024 * 1024
WAKES_A_MINUTE = 180
"""The supervisor looks once a second, and the worker's loop beats once a second: 120, and what the machine adds."""
MEMORY_MAX_BYTES = 60 * MIB
"""Supervisor, base, zygote and one worker: 45 MiB at the time of writing, three services at once."""


@pytest.mark.alone
@pytest.mark.slow
def test_a_service_that_nobody_asks_sleeps_most_of_the_time() -> None:
    done = idle_services.run(peers.MIDAIR, services=3, for_s=3.0, settles_s=1.0)
    assert done.processes == 3 * 4
    assert 0 < done.wakes_a_minute < WAKES_A_MINUTE
    assert 0 < done.cpu_s_a_minute < 0.1
    assert 0 < done.pss_bytes < MEMORY_MAX_BYTES


@pytest.mark.parametrize(
    ("hang_warn_s", "every_s"), [(5.0, BEAT_MAX_S), (3600.0, BEAT_MAX_S), (0.0, BEAT_MAX_S), (0.5, 0.1)]
)
def test_a_loop_beats_often_enough_to_be_told_from_one_that_stands_still(hang_warn_s: float, every_s: float) -> None:
    assert beat_every_s(hang_warn_s) == pytest.approx(every_s)
