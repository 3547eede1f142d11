"""Does a worker's event loop turn? The sums behind ``pulse.py``. No I/O."""

from __future__ import annotations

STEP_MAX_S = 1.5
"""What one look adds at most to how long a loop has stood still. A machine that slept, a stopped container, a supervisor that
was not given the processor: then nobody could look, and nobody could beat."""


class Stillness:
    """How long a worker's loop has stood still, as far as was looked."""

    __slots__ = ("_beat_ns", "_looked_s", "for_s", "is_told", "told_s")

    def __init__(self) -> None:
        self._beat_ns = 0
        self._looked_s: float | None = None
        self.for_s = 0.0
        self.is_told = False
        """This standstill is in the log."""
        self.told_s: float | None = None
        """When the core was told last that it hangs."""

    def look(self, beat_ns: int, now_s: float) -> float:
        """Take in the beat's time (the worker's monotonic clock; 0: it has never turned) and return for how many seconds
        the loop has stood still."""
        looked_s, self._looked_s = self._looked_s, now_s
        if beat_ns != self._beat_ns or beat_ns == 0 or looked_s is None:
            self._beat_ns, self.for_s, self.is_told, self.told_s = beat_ns, 0.0, False, None
        else:
            self.for_s += min(now_s - looked_s, STEP_MAX_S)
        return self.for_s
