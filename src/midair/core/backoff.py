"""How long to wait before a dead worker is replaced."""

from __future__ import annotations

from collections.abc import Sequence

WINDOW_S = 60.0
"""Deaths older than this are forgiven."""
FIRST_S = 0.5
CAP_S = 30.0
CRASH_LOOP = 5
"""Deaths within the window from which on it is called a crash loop, in the log and in the metrics."""


def recent(deaths_s: Sequence[float], now_s: float) -> list[float]:
    """Those of the deaths (monotonic seconds) that still count."""
    return [death for death in deaths_s if now_s - death < WINDOW_S]


def after_death(deaths_s: Sequence[float], now_s: float) -> tuple[list[float], float]:
    """Of something there is one of: the deaths that count, this one among them, and the seconds to wait. Pure."""
    deaths = [*recent(deaths_s, now_s), now_s]
    return deaths, delay_s(len(deaths), 1)


def delay_s(deaths: int, workers: int) -> float:
    """Seconds to wait after this many recent deaths among so many workers.

    The first death of each worker is replaced at once: a single ``kill -9`` must cost nothing, nor an out-of-memory kill of
    them all. Then 0.5 s, doubled each time, up to 30 s. Pure.
    """
    beyond = deaths - max(workers, 1)
    return 0.0 if beyond <= 0 else min(CAP_S, FIRST_S * 2.0 ** (beyond - 1))
