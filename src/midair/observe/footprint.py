"""What the service's processes take of memory, for whoever serves figures: looked up there, never by the supervisor.

The kernel adds up a process's page tables each time it is asked, half a millisecond for a small process and some for each
gigabyte, and waits for the process's own changes to them. So it is asked in a thread, about one process after the other, for
READ_FOR_S at most; those that were not reached are known from last time, and come first next time. A figure is renewed after
FRESH_S at the earliest, whoever scrapes how often.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from midair.observe.metrics import MetricsSnapshot, ProcessFigures

READ_FOR_S = 0.2
FRESH_S = 1.0


def proportional_bytes(pid: int, root: str = "/") -> int:
    """Memory of this process; a page that n processes share counts for one n-th in each. 0: it cannot be read.

    root: where ``proc`` is, for tests. Blocks while the kernel adds up.
    """
    try:
        with open(f"{root}/proc/{pid}/smaps_rollup", encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:")), 0)
    except (OSError, ValueError, IndexError):
        return 0


class Reading(Struct, frozen=True):
    bytes: int
    at_s: float


class Footprint:
    """What was read last. One for each process that serves figures."""

    def __init__(
        self, read: Callable[[int], int] = proportional_bytes, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """read: bytes of the process with this PID; 0: unknown."""
        self._read, self._now_s = read, now_s
        self._known: dict[ProcessFigures, Reading] = {}
        self._is_reading = threading.Lock()

    def look(self, processes: Sequence[ProcessFigures]) -> None:
        """Renew what is known of these, and forget all others. Blocks; one at a time: a second call returns at once."""
        if not self._is_reading.acquire(blocking=False):
            return
        try:
            self._look(processes)
        finally:
            self._is_reading.release()

    def _look(self, processes: Sequence[ProcessFigures]) -> None:
        known = {each: self._known[each] for each in processes if each in self._known}
        began_s = self._now_s()
        for each in sorted(processes, key=lambda each: known[each].at_s if each in known else 0.0):
            now_s = self._now_s()
            if now_s - began_s > READ_FOR_S:
                break
            if each not in known or now_s - known[each].at_s >= FRESH_S:
                known[each] = Reading(self._read(each.pid), now_s)
        self._known = known

    def filled(self, snapshot: MetricsSnapshot) -> MetricsSnapshot:
        """The snapshot with what is known of the memory of its processes."""
        known = self._known
        processes = (
            msgspec.structs.replace(each, memory_bytes=known[each].bytes) if each in known else each
            for each in snapshot.processes
        )
        return msgspec.structs.replace(snapshot, processes=tuple(processes))
