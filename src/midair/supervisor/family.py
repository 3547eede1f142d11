"""Who belongs to a child: its process group, and whoever descends from it. Read from /proc, which never waits for a disk."""

from __future__ import annotations

import os

LEVELS_MAX = 32
"""Generations of parents that are followed: a wrapper in a wrapper, not a chain without end."""


def parent_and_group(pid: int, proc: str = "/proc") -> tuple[int, int] | None:
    """Parent and process group of a process; None when it is gone."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything; what follows the last one is numbers.
            words = file.read().rpartition(b")")[2].split()
        return int(words[1]), int(words[2])
    except (OSError, IndexError, ValueError):
        return None


def is_of(pid: int, leader: int, proc: str = "/proc") -> bool | None:
    """Whether ``pid`` is ``leader``, of its group or below it; None: it is gone, so nobody can say any more."""
    for level in range(LEVELS_MAX):
        if pid == leader:
            return True
        found = parent_and_group(pid, proc)
        if found is None:
            return None if level == 0 else False
        parent, group = found
        if group == leader:
            return True
        if parent <= 1:
            return False
        pid = parent
    return False


def members(leader: int, proc: str = "/proc") -> list[int]:
    """``leader`` and all that live in its group or below it, as far as they can be seen."""
    try:
        pids = [int(name) for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return [leader]
    return [pid for pid in pids if is_of(pid, leader, proc)]
