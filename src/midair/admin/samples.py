"""What was counted, moment by moment: for rates, and for the plot of a drain. Pure; the bound is in ``Samples``."""

from __future__ import annotations

from collections import deque

import msgspec

from midair.control.words import StatusReport
from midair.observe.counters import LATENCY_BOUNDS_S
from midair.observe.latency import quantile_s
from midair.observe.metrics import GenerationFigures, MetricsSnapshot

KEPT = 900
"""A quarter of an hour while somebody looks on, more if nobody does; below 1 MB."""
RATE_OVER_S = 5.0
"""Long enough for a steady figure, short enough to see a cut-over."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """One generation at one moment."""

    generation: int
    version: str
    open: int = 0
    requests: int = 0
    errors: int = 0
    latency_buckets: tuple[int, ...] = ()


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One moment."""

    number: int
    time_s: float
    """Seconds since the epoch."""
    serving: int
    """Generation; 0: none."""
    left: int
    """Connections that are not on the serving generation."""
    of: int = 0
    """How many they were when it began to serve; 0: none is on its way."""
    generations: tuple[Counted, ...] = ()


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How a generation has answered in the last seconds."""

    requests_per_s: float
    errors: float
    """Share of them that were 5xx."""
    median_s: float | None = None
    slow_s: float | None = None
    """One in twenty took longer. None: nothing was answered."""


class Samples:
    """The last KEPT of them, oldest first."""

    def __init__(self) -> None:
        self._kept: deque[Sample] = deque(maxlen=KEPT)
        self._number = 0

    def add(self, time_s: float, status: StatusReport, figures: MetricsSnapshot) -> Sample:
        self._number += 1
        counted = tuple(_counted(each) for each in figures.generations)
        left = sum(each.open for each in counted if each.generation != status.serving) if status.serving else 0
        sample = Sample(
            number=self._number,
            time_s=time_s,
            serving=status.serving,
            left=left,
            of=status.moving.of if status.moving else 0,
            generations=counted,
        )
        self._kept.append(sample)
        return sample

    def after(self, number: int) -> list[Sample]:
        """Those that are newer than ``number``."""
        return [sample for sample in self._kept if sample.number > number]

    def rate(self, generation: int) -> Rate | None:
        """None: it has not been seen twice yet."""
        newest = self._kept[-1] if self._kept else None
        for earlier in reversed(self._kept):
            if newest and earlier.time_s <= newest.time_s - RATE_OVER_S:
                return _rate(earlier, newest, generation)
        return _rate(self._kept[0], newest, generation) if newest else None


def _counted(figures: GenerationFigures) -> Counted:
    counts = figures.counts
    return Counted(
        generation=figures.generation,
        version=figures.version,
        open=counts.get("open", 0),
        requests=counts.get("requests", 0),
        errors=counts.get("responses_5xx", 0),
        latency_buckets=figures.latency_buckets,
    )


def _rate(earlier: Sample, newest: Sample, generation: int) -> Rate | None:
    now = next((each for each in newest.generations if each.generation == generation), None)
    # One that was not there yet had answered nothing.
    nothing = Counted(generation=generation, version="")
    then = next((each for each in earlier.generations if each.generation == generation), nothing)
    took_s = newest.time_s - earlier.time_s
    if now is None or took_s <= 0:
        return None
    answered = max(0, now.requests - then.requests)
    before = then.latency_buckets or (0,) * len(now.latency_buckets)
    buckets = [max(0, a - b) for a, b in zip(now.latency_buckets, before, strict=True)]
    return Rate(
        requests_per_s=answered / took_s,
        errors=min(1.0, max(0, now.errors - then.errors) / answered) if answered else 0.0,
        median_s=quantile_s(buckets, LATENCY_BOUNDS_S, 0.5),
        slow_s=quantile_s(buckets, LATENCY_BOUNDS_S, 0.95),
    )
