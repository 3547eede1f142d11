"""Does a worker's event loop turn, and how often did a version fail in its last minute? The sums behind ``pulse.py``. No I/O."""

from __future__ import annotations

from collections import deque

STEP_MAX_S = 1.5
"""What one look adds at most to how long a loop has stood still. A machine that slept, a stopped container, a supervisor that
was not given the processor: then nobody could look, and nobody could beat."""
LAST_MINUTE_S = 60.0
SAMPLES_MAX = 90
"""One a second, and one at each cut-over."""


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


class ErrorShare:
    """The share of errors among a generation's answers in the last minute that it was looked at."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        # It begins at nothing: who was never seen before has answered all of it since then.
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=SAMPLES_MAX)

    def sample(self, now_s: float, responses: int, errors: int) -> None:
        """Totals so far. They never go backwards."""
        if not self._samples:
            self._samples.append((now_s, 0, 0))
        self._samples.append((now_s, responses, errors))

    def last_minute(self) -> float:
        """0..1; 0 if it has not answered.

        >>> share = ErrorShare()
        >>> for second in range(100): share.sample(float(second), second * 10, max(0, second - 89))
        >>> round(share.last_minute(), 4)
        0.0167
        """
        if not self._samples:
            return 0.0
        last_s, responses, errors = self._samples[-1]
        _, responses_before, errors_before = next(s for s in self._samples if last_s - s[0] <= LAST_MINUTE_S)
        answered = responses - responses_before
        return (errors - errors_before) / answered if answered > 0 else 0.0
