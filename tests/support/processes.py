"""Processes as /proc shows them: parents, state, descriptors, memory. For tests; Linux only."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, order=True)
class Process:
    """A process by its pid. What is asked of one that is gone is empty, zero or False."""

    pid: int

    @property
    def _stat(self) -> list[str]:
        try:
            return (PROC / str(self.pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # gone
            return []

    @property
    def state(self) -> str:
        """R, S, D, T, Z …; empty when there is no such process."""
        stat = self._stat  # read once: it may be gone at the second look
        return stat[0] if stat else ""

    @property
    def is_alive(self) -> bool:
        """It runs code: neither gone nor a zombie."""
        return self.state not in ("", "Z", "X")

    @property
    def parent(self) -> int:
        stat = self._stat
        return int(stat[1]) if stat else 0

    @property
    def command(self) -> str:
        try:
            return (PROC / str(self.pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""

    @property
    def name(self) -> str:
        """What ``ps -o comm`` shows."""
        try:
            return (PROC / str(self.pid) / "comm").read_text().strip()
        except OSError:
            return ""

    @property
    def environment(self) -> dict[str, str]:
        """As it was when the process executed."""
        try:
            entries = (PROC / str(self.pid) / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # gone, or somebody else's
            return {}
        return dict(entry.split("=", 1) for entry in entries if "=" in entry)

    @property
    def descriptors(self) -> dict[int, str]:
        """Open descriptors and what they are (``socket:[123]``, a path …)."""
        found: dict[int, str] = {}
        with contextlib.suppress(OSError):
            for entry in (PROC / str(self.pid) / "fd").iterdir():
                with contextlib.suppress(OSError):
                    found[int(entry.name)] = os.readlink(entry)
        return found

    @property
    def threads(self) -> int:
        try:
            return len(list((PROC / str(self.pid) / "task").iterdir()))
        except OSError:
            return 0

    @property
    def cpu_s(self) -> float:
        """Processor time that it has used."""
        # schedstat counts nanoseconds of each thread; stat's ticks of 10 ms would do for longer times only.
        try:
            tasks = (PROC / str(self.pid) / "task").glob("*/schedstat")
            return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
        except OSError:
            return 0.0

    @property
    def switches(self) -> int:
        """How often a thread of it was given the processor: while nothing happens, how often it woke up."""
        found = 0
        # A thread may end between the list and the look.
        with contextlib.suppress(OSError):
            for task in (PROC / str(self.pid) / "task").glob("*/status"):
                lines = [line.split() for line in task.read_text().splitlines()]
                found += sum(int(words[1]) for words in lines if words and words[0].endswith("_ctxt_switches:"))
        return found

    @property
    def rss_bytes(self) -> int:
        return self._rollup("Rss")

    @property
    def pss_bytes(self) -> int:
        """Proportional set size: a page that n processes share counts 1/n in each, so sums mean something."""
        return self._rollup("Pss")

    @property
    def anonymous_bytes(self) -> int:
        """What it has allocated, and what it shares of that with whom it was forked from: no file's pages."""
        return self._rollup("Anonymous")

    def _rollup(self, name: str) -> int:
        try:
            lines = (PROC / str(self.pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)

    @property
    def children(self) -> list[Process]:
        return sorted(process for process in all_processes() if process.parent == self.pid)

    @property
    def descendants(self) -> list[Process]:
        """All below it, nearest first."""
        found: list[Process] = []
        level = [self]
        while level:
            level = [child for process in level for child in process.children]
            found += level
        return found

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a process that is gone already is no error."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def __str__(self) -> str:
        return f"{self.pid} ({self.state or 'gone'}, child of {self.parent}) {self.command}"


def all_processes() -> list[Process]:
    return [Process(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit()]


def marked(name: str, value: str) -> list[Process]:
    """Living processes that were started with this variable in their environment, and all forked from them.

    Orphans are found as well: a mark in the environment cannot be lost, a parent can.
    """
    return sorted(process for process in all_processes() if process.is_alive and process.environment.get(name) == value)
