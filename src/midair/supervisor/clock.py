"""Time, passed in: the only place that reads a clock in the supervisor."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now_s(self) -> float:
        """Monotonic seconds: for every decision and deadline. The same in all processes of the machine."""

    def wall_s(self) -> float:
        """Seconds since the epoch: for people and receipts only."""


class SystemClock:
    def now_s(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time()
