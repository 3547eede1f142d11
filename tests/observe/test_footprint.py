"""What processes take of memory, looked up within bounds."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from midair.observe import exporter
from midair.observe.exporter import with_memory
from midair.observe.footprint import FRESH_S, READ_FOR_S, Footprint, proportional_bytes
from midair.observe.metrics import MetricsSnapshot, ProcessFigures

FIRST, SECOND, THIRD = (ProcessFigures(kind="worker", pid=pid, generation="1") for pid in (1, 2, 3))


class Kernel:
    """Says of each process how often it was asked; that takes it ``cost_s``."""

    def __init__(self, cost_s: float = 0.0) -> None:
        self.now_s, self.cost_s = 100.0, cost_s
        self.asked: dict[int, int] = {}

    def read(self, pid: int) -> int:
        self.now_s += self.cost_s
        self.asked[pid] = self.asked.get(pid, 0) + 1
        return self.asked[pid]

    def footprint(self) -> Footprint:
        return Footprint(self.read, lambda: self.now_s)


def told(footprint: Footprint, *processes: ProcessFigures) -> list[int]:
    return [each.memory_bytes for each in footprint.filled(MetricsSnapshot(processes=processes)).processes]


def test_a_figure_is_not_asked_for_again_at_once() -> None:
    kernel = Kernel()
    footprint = kernel.footprint()
    for _ in range(3):
        footprint.look([FIRST])
    assert told(footprint, FIRST) == [1]
    kernel.now_s += FRESH_S
    footprint.look([FIRST])
    assert told(footprint, FIRST) == [2]


def test_who_is_gone_leaves_nothing() -> None:
    kernel = Kernel()
    footprint = kernel.footprint()
    footprint.look([FIRST, SECOND])
    footprint.look([SECOND])
    assert told(footprint, FIRST, SECOND) == [0, 1]


def test_a_look_ends_in_time_and_the_next_begins_with_those_that_were_left_out() -> None:
    kernel = Kernel(cost_s=READ_FOR_S * 0.6)
    footprint = kernel.footprint()
    footprint.look([FIRST, SECOND, THIRD])
    assert told(footprint, FIRST, SECOND, THIRD) == [1, 1, 0]
    kernel.now_s += FRESH_S
    footprint.look([FIRST, SECOND, THIRD])
    assert kernel.asked == {1: 2, 2: 1, 3: 1}
    assert told(footprint, FIRST, SECOND, THIRD) == [2, 1, 1]


def test_a_process_that_holds_the_kernel_up_does_not_hold_up_a_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "MEMORY_WITHIN_S", 0.01)
    go_on = threading.Event()
    footprint = Footprint(lambda pid: int(pid == 1 or go_on.wait(20)))

    async def scrape() -> list[int]:
        snapshot = MetricsSnapshot(processes=(FIRST, SECOND))
        found = [await with_memory(snapshot, footprint) for _ in range(2)]
        go_on.set()
        return [each.memory_bytes for each in found[-1].processes]

    assert asyncio.run(scrape()) == [0, 0]
    assert told(footprint, FIRST, SECOND) == [1, 1]


def test_the_kernel_says_what_this_process_takes() -> None:
    assert proportional_bytes(os.getpid()) > 1 << 20
    assert proportional_bytes(0) == 0
