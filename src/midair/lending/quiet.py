"""Whether a program has come to rest without listening anywhere: a queue's consumer, a command line. Read from /proc.

A program that starts slowly, or on a busy machine, is not at rest: it runs, or wants to, or waits for its disk.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

BUSY = frozenset(b"RD")
"""States of processes that are on their way: running or waiting for a processor, waiting for a disk."""
TICKS_MAX = 1
"""Of processor time from one look to the next: a program at rest has a timer, too."""


@dataclass(slots=True)
class Quiet:
    """How long a process group has been at rest, as it is looked at from time to time."""

    group: int
    besides: int
    """A member that does not count: who looks."""
    since_s: float
    """When the rest began."""
    ticks: int = 0

    def lasts_s(self, now_s: float, proc: str = "/proc") -> float:
        """Look once more; how long the rest has lasted by now."""
        ticks, is_busy = look(self.group, self.besides, proc)
        if is_busy or not 0 <= ticks - self.ticks <= TICKS_MAX:
            self.since_s = now_s
        self.ticks = ticks
        return now_s - self.since_s


def look(group: int, besides: int, proc: str = "/proc") -> tuple[int, bool]:
    """Processor time (ticks) of all members of the group, and whether any is busy."""
    ticks, is_busy = 0, False
    for name in os.listdir(proc):
        if not name.isdigit() or int(name) == besides:
            continue
        try:
            with open(f"{proc}/{name}/stat", "rb") as file:
                # The name in parentheses may hold anything; what follows the last one is plain.
                words = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # It has ended meanwhile.
        if len(words) > 12 and int(words[2]) == group:
            ticks += int(words[11]) + int(words[12])
            is_busy = is_busy or words[0][0] in BUSY
    return ticks, is_busy
