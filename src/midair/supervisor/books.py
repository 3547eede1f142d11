"""The books of a generation: what became of every connection, and whether that adds up. No I/O here.

    accepted + adopted = closed (by whom and why) + handed over + lost + open

``open`` is zero once the last worker has left. ``lost`` are the connections of workers that were killed or died: nobody
could close them, the kernel did. The figures are the workers' own (``observe/counters.py``), read from the shared page after
the worker's end, so they hold after ``kill -9`` too.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from midair.observe.counters import LATENCY_BOUNDS_S

NOW = frozenset({"open", "active", "websockets", "streams"})
"""Figures that say how it is now: of a worker that has ended they say what was lost, and are no sum."""

NO_CONNECTIONS = ("latency_sum_us", "spans_exported", "spans_dropped")
"""Figures that say nothing of connections."""
CLOSED = "closed_"
GRACEFUL = "exit 0"


class Sums(msgspec.Struct):
    """What workers that have ended had counted, added up."""

    workers: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    latency_buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_S) + 1))

    def add_worker(self, figures: Mapping[str, int], buckets: list[int], how: str) -> None:
        """Fold a worker's last figures in. how: its end, as ``processes.describe`` says it."""
        self.workers += 1
        counts = {name: value for name, value in figures.items() if name not in NOW}
        if how == GRACEFUL:
            # Whatever it says is open it has neither closed nor handed over: the books will not balance.
            counts["open"] = figures.get("open", 0)
        else:
            # Not its ``open``: it may have died between two cells.
            counts["lost"] = max(0, -balance(counts))
            counts["requests_lost"] = figures.get("active", 0)
        self._add(counts, buckets)

    def add(self, other: Sums) -> None:
        self.workers += other.workers
        self._add(other.counts, other.latency_buckets)

    def _add(self, counts: Mapping[str, int], buckets: list[int]) -> None:
        for name, value in counts.items():
            self.counts[name] = self.counts.get(name, 0) + value
        self.latency_buckets = [a + b for a, b in zip(self.latency_buckets, buckets, strict=True)]


def balance(counts: Mapping[str, int]) -> int:
    """Ends minus beginnings: 0 if every connection is accounted for, negative if some are missing.

    >>> balance({"accepted": 3, "adopted": 1, "closed_by_client": 2, "closed_cut": 1, "lost": 1})
    0
    """
    ends = sum(value for name, value in counts.items() if name.startswith(CLOSED))
    ends += counts.get("handed_over", 0) + counts.get("lost", 0)
    return ends - counts.get("accepted", 0) - counts.get("adopted", 0)


def close(sums: Sums) -> tuple[dict[str, int], str]:
    """The books of a generation whose last worker has left, for its receipt; and what is wrong with them, or nothing."""
    counts = sums.counts
    books = {name: value for name, value in counts.items() if value or name in {"accepted", "requests"}}
    for name in NO_CONNECTIONS:
        books.pop(name, None)
    books["workers"] = sums.workers
    missing, still_open = -balance(counts), counts.get("open", 0)
    if missing == 0 and still_open == 0:
        return books, ""
    began = f"{counts.get('accepted', 0)} accepted + {counts.get('adopted', 0)} adopted"
    return books, f"of {began} connections {missing} are unaccounted for, {still_open} were left open"
