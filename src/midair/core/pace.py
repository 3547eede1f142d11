"""How many connections may move to the serving generation by now: the drain budget.

One allowance for the whole service, over all old generations together. It is earned with time, granted to one worker at a
time in small parts, and each part is answered with how much of it was used; the rest lapses. Two bounds hold together:

    earning    rate x N0 a second, at most 100 ms of it in hand: a stalled loop does not make up for it in a burst
    window     in any second at most ceil(rate x N0) + 1 move, however late a worker uses what it was granted

The second is why answers are waited for: when a granted connection moves lies anywhere between grant and answer, so whatever
is granted and unanswered counts as moving, and what was answered counts for a second from then on.

Pure: time comes in, nothing goes out but numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct, field

from midair.core.ids import WorkerId

UNPACED = 1.0
"""From this rate on (100 % a second) nothing is held back."""
WINDOW_S = 1.0
CREDIT_S = 0.1
"""Unused allowance lapses after this long."""
PASSED_OVER_S = 5.0
"""A worker that had nothing to move comes after the others for so long: trying it again costs what it was granted."""
AT_ONCE = 1_000_000
"""What an unpaced worker is granted: all that it has."""


class Pace(Struct):
    """The budget since the latest cut-over. ``rate_per_s``: share of ``at_cut_over`` a second, 0.05 for 5 %."""

    rate_per_s: float
    at_cut_over: int
    """Connections that were not on the serving generation when it began to serve (N0)."""
    since_s: float
    """Monotonic seconds up to which allowance was earned."""
    credit: float = 0.0
    granted: dict[WorkerId, int] = field(default_factory=dict)
    """Not answered yet."""
    moved: list[tuple[float, int]] = field(default_factory=list)
    """Answers of the last second: when, how many. Plain, like all here: it is written down at an upgrade of midair."""
    busiest: int = 0
    """The most that moved in any second so far."""
    unused_s: dict[WorkerId, float] = field(default_factory=dict)
    """When a worker has used nothing of its latest grant: what it has cannot move, for now or ever."""

    @property
    def per_s(self) -> float:
        """Connections a second. Few connections: one a second, or they would never be over."""
        return max(self.rate_per_s * self.at_cut_over, 1.0)

    @property
    def most_in_window(self) -> int:
        return math.ceil(self.per_s) + 1

    def grant(
        self, now_s: float, waiting: Iterable[tuple[WorkerId, int]], *, share: float = 1.0
    ) -> list[tuple[WorkerId, int]]:
        """Who may move how many now.

        waiting: workers with connections to move and how many, in the order in which they are served (oldest generation
        first). share: 0..1, how much of the rate the new side can take at present; 0 halts.

        A worker whose connections wait for their applications would use up the allowance of the others by being asked first.
        """
        if self.rate_per_s >= UNPACED and share > 0:
            return [(worker, AT_ONCE) for worker, count in waiting if count and self._open(worker, AT_ONCE)]
        if share <= 0:
            self.credit = 0.0  # What was in hand would still go.
        self._earn(now_s, share)
        grants = []
        for worker, count in sorted(waiting, key=lambda each: self._is_passed_over(each[0], now_s)):
            part = min(count, int(self.credit), self.most_in_window - self._in_window(now_s))
            if part > 0 and self._open(worker, part):
                self.credit -= part
                grants.append((worker, part))
        return grants

    def answered(self, worker: WorkerId, used: int, now_s: float) -> None:
        """A worker has moved ``used`` of what it was granted, and will not use the rest."""
        granted = self.granted.pop(worker, 0)
        if granted and used:
            self.moved.append((now_s, used))
            self.busiest = max(self.busiest, self._moved_in_window(now_s))
            self.unused_s.pop(worker, None)
        elif granted:
            self.unused_s[worker] = now_s

    def gone(self, worker: WorkerId, now_s: float) -> None:
        """A worker has ended without an answer: nobody knows how much it used, so all of it."""
        if self.rate_per_s < UNPACED:
            self.answered(worker, self.granted.get(worker, 0), now_s)
        self.granted.pop(worker, None)
        self.unused_s.pop(worker, None)

    def left_s(self, waiting: int) -> float:
        """For how many seconds ``waiting`` connections will go on moving, if they can and nothing slows them."""
        return 0.0 if self.rate_per_s >= UNPACED else waiting / self.per_s

    def _is_passed_over(self, worker: WorkerId, now_s: float) -> bool:
        return now_s - self.unused_s.get(worker, -PASSED_OVER_S) < PASSED_OVER_S

    def _open(self, worker: WorkerId, part: int) -> bool:
        if worker in self.granted:
            return False
        self.granted[worker] = part
        return True

    def _earn(self, now_s: float, share: float) -> None:
        elapsed_s = min(now_s - self.since_s, CREDIT_S)
        self.since_s = now_s
        most = max(1.0, CREDIT_S * self.per_s)
        self.credit = min(self.credit + elapsed_s * self.per_s * share, most)

    def _in_window(self, now_s: float) -> int:
        return self._moved_in_window(now_s) + sum(self.granted.values())

    def _moved_in_window(self, now_s: float) -> int:
        self.moved = [(at_s, count) for at_s, count in self.moved if at_s > now_s - WINDOW_S]
        return sum(count for _, count in self.moved)
