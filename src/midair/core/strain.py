"""How the new side bears what has moved to it: what share of the pace it can take for now.

A generation is measured by what its workers have counted: the share of its answers that are errors, and the share that are
much slower than its predecessor's were. Only what is worse than the predecessor counts: an application that has always failed
one time in ten is not failing now. Two bounds keep the measure honest:

    enough     fewer than 20 answers in the last seconds say nothing: not being able to measure is not a failure
    slow       beyond what 95 % of the predecessor's answers took, by two bounds of the histogram (four times or more), and
               at least 50 ms: moving alone costs others some milliseconds

A request that waits for its answer longer than that is as slow as one that was answered late, or a version that answers
nothing at all would look fine. How many do is known at least, not exactly (``Figures.waiting``).

The brake goes down at once and up again slowly, so that a new side that recovers because nobody moves to it is not flooded
anew. It never holds for ever: whoever has to end moves before its deadline, whatever stands here.

Pure: time and counts come in, a share goes out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, field

ENOUGH_ANSWERS = 20
"""Fewer than this say nothing."""
WINDOW_S = 5.0
"""The new side is judged by so much of its latest past: long enough for twenty answers, short enough to see it recover."""
BEFORE_S = 60.0
"""And the old one by so much before the cut-over."""
SAMPLES_MAX = 90
"""One a second, and one at each cut-over."""
ORDINARY = 0.95
SLOWER_BY = 2
"""Bounds of the histogram."""
NEVER_SLOW_S = 0.05
FULL_BELOW = 0.5
"""Of the share at which nothing moves: up to here the pace is whole, from here on it falls."""
RISE_PER_S = 0.1
"""From standing still to the whole pace in ten seconds."""


class Figures(Struct, frozen=True):
    """What a generation has answered since it began. Totals never go backwards."""

    at_s: float
    """Monotonic seconds."""
    answers: int
    """Responses begun."""
    errors: int
    active: int
    """Requests in flight now."""
    finished: tuple[int, ...]
    """Whole responses by how long they took: one count a bound of the histogram, and one for those above."""
    adopted: int = 0
    """Responses that another generation had begun."""

    @property
    def waiting(self) -> int:
        """At least so many requests have no answer yet: those in flight, less the responses under way. A response that was
        broken off counts as under way for good, so it may be more, never less."""
        return max(0, self.active - (self.answers + self.adopted - sum(self.finished)))


class Stretch(Struct, frozen=True):
    """What a generation has answered in some time."""

    answers: int = 0
    errors: int = 0
    finished: tuple[int, ...] = ()
    overdue: int = 0
    """At least so many requests have waited too long already, and still have no answer."""

    @property
    def error_share(self) -> float:
        """0..1; 0 if it has not answered."""
        return self.errors / self.answers if self.answers > 0 else 0.0

    def slow_share(self, over: int) -> float:
        """0..1: share that took longer than the bound at ``over``, those overdue included."""
        total = sum(self.finished) + self.overdue
        return (sum(self.finished[over + 1 :]) + self.overdue) / total if total > 0 else 0.0


class Record:
    """The latest figures of one generation, oldest first."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[Figures] = deque(maxlen=SAMPLES_MAX)

    def add(self, figures: Figures) -> None:
        if not self._samples:
            # It begins at nothing: who was never seen before has answered all of it since then.
            self._samples.append(Figures(figures.at_s, 0, 0, 0, (0,) * len(figures.finished)))
        self._samples.append(figures)

    def over(self, window_s: float, *, overdue_s: float = math.inf) -> Stretch:
        """What was answered in the last ``window_s`` seconds that were looked at. A request that has had no answer for
        ``overdue_s`` is overdue."""
        if not self._samples:
            return Stretch()
        last = self._samples[-1]
        samples = [each for each in self._samples if last.at_s - each.at_s <= window_s]
        first = samples[0]
        # Whoever waited then waits still, but for as many as were answered since.
        waiting = [
            each.waiting - (last.answers - each.answers) for each in samples if last.at_s - each.at_s >= overdue_s
        ]
        return Stretch(
            answers=last.answers - first.answers,
            errors=last.errors - first.errors,
            finished=tuple(now - then for now, then in zip(last.finished, first.finished, strict=True)),
            overdue=max(0, min(max(waiting, default=0), last.waiting)),
        )


class Before(Struct, frozen=True):
    """What clients were used to: the version that served until the cut-over. Plain: it is written down at an upgrade."""

    error_share: float = 0.0
    slow_over: int = -1
    """Which bound of the histogram is slow; -1: not known."""
    slow_share: float = 0.0


def before_of(record: Record, bounds_s: Sequence[float]) -> Before:
    """What it was like in its last minute."""
    minute = record.over(BEFORE_S)
    if minute.answers < ENOUGH_ANSWERS:
        return Before()
    over = slow_over(minute.finished, bounds_s)
    if over < 0:
        return Before(minute.error_share)
    lately = record.over(WINDOW_S, overdue_s=bounds_s[over])
    return Before(minute.error_share, over, max(minute.slow_share(over), lately.slow_share(over)))


def slow_over(finished: Sequence[int], bounds_s: Sequence[float]) -> int:
    """Which of the bounds is slow for whoever took ``finished``; -1: there is none, or it is not known."""
    total = sum(finished)
    if total < ENOUGH_ANSWERS:
        return -1
    ordinary, seen = 0, finished[0]
    while seen < ORDINARY * total:
        ordinary += 1
        seen += finished[ordinary]
    never = next(place for place, bound_s in enumerate(bounds_s) if bound_s >= NEVER_SLOW_S)
    over = max(ordinary + SLOWER_BY, never)
    return over if over < len(bounds_s) else -1


class Strain(Struct, frozen=True):
    """How much worse the new side is than what clients were used to: shares of its answers, 0..1."""

    errors: float = 0.0
    slow: float = 0.0

    @property
    def worst(self) -> float:
        return max(self.errors, self.slow)


def strain_of(record: Record, before: Before, bounds_s: Sequence[float]) -> Strain:
    """How the new side did in its latest past."""
    is_known = before.slow_over >= 0
    return compared(record.over(WINDOW_S, overdue_s=bounds_s[before.slow_over] if is_known else math.inf), before)


def compared(now: Stretch, before: Before) -> Strain:
    """None at all as long as too little was answered."""
    errors = now.error_share - before.error_share if now.answers >= ENOUGH_ANSWERS else 0.0
    slow = 0.0
    if before.slow_over >= 0 and sum(now.finished) + now.overdue >= ENOUGH_ANSWERS:
        slow = now.slow_share(before.slow_over) - before.slow_share
    return Strain(max(0.0, errors), max(0.0, slow))


def bearable(strain: float, halt_at: float) -> float:
    """What share of the pace is right under this strain: all of it up to half of ``halt_at``, none from there on.

    >>> [bearable(strain, 0.2) for strain in (0.0, 0.1, 0.15, 0.2, 1.0)]
    [1.0, 1.0, 0.5, 0.0, 0.0]
    """
    return min(1.0, max(0.0, round((halt_at - strain) / (halt_at * (1.0 - FULL_BELOW)), 6)))


Level = Literal["full", "slowed", "halted"]


class Brake(Struct):
    """What share of the pace is used. Down at once, up slowly; plain: it is written down at an upgrade of midair."""

    share: float = 1.0
    at_s: float = 0.0
    level: Level = "full"
    """The worst since the pace was whole: what was said. It is whole again only when it has wholly risen, so that a new side
    on the edge is told of once and not each second."""
    spent_s: dict[Level, float] = field(default_factory=lambda: {"full": 0.0, "slowed": 0.0, "halted": 0.0})

    def set(self, wanted: float, now_s: float) -> Level | None:
        """Go towards ``wanted``. Returns the level if that has changed: worse, or whole again."""
        elapsed_s = max(0.0, now_s - self.at_s) if self.at_s else 0.0
        self.spent_s["full" if self.share >= 1.0 else "slowed" if self.share > 0.0 else "halted"] += elapsed_s
        self.at_s = now_s
        self.share = min(wanted, self.share + RISE_PER_S * elapsed_s)
        level: Level = "full" if self.share >= 1.0 else "halted" if self.share <= 0.0 else "slowed"
        if level == self.level or (level == "slowed" and self.level == "halted"):
            return None
        self.level = level
        return level
