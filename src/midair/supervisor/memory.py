"""Is there room for a second set of workers beside the first? Figures from the kernel, and a sentence if there is not.

Reading them can take milliseconds a process (the kernel walks page tables), so it is done where nobody waits: in the child that
looks at the disk for the next version. And which process the kernel has ended for want of memory: that is one small file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import msgspec

from midair.observe.footprint import proportional_bytes

MIB = 1 << 20
RESERVE = 0.05
"""Share of the need that must be left over: an import's peak, and everybody else."""


class Lack(msgspec.Struct, frozen=True):
    """There is no room for all new workers beside the present ones."""

    why: str
    """A sentence with the figures."""
    fits_by_slot: bool
    """Whether they fit if each starts when the one before it has taken an old one's place."""


def lack_of_room(workers: Sequence[int], zygotes: Sequence[int], count: int, root: str = "/") -> Lack | None:
    """Whether ``count`` new workers do not fit beside the present ones; None: they fit.

    workers, zygotes: PIDs of the serving generation. root: where ``proc`` and ``sys`` are, for tests. Assumes that a new
    worker needs what an old one does. What cannot be read does not stand in the way.
    """
    own, shared = (sum(proportional_bytes(pid, root) for pid in pids) for pids in (workers, zygotes))
    left = left_bytes(root)
    if not own or left is None:
        return None
    # What the zygote shares with its workers is counted in parts, one in each: its own part says how large the whole is.
    private = max(0, own // len(workers) - shared)
    common = own + shared - private * len(workers)
    if not zygotes:
        common, private = 0, own // len(workers)
    at_most_more = max(1, count - len(workers) + 1)
    need, need_by_slot = (int((common + private * each) * (1 + RESERVE)) for each in (count, at_most_more))
    if need <= left:
        return None
    those = f"the {len(workers)} that serve" if len(workers) > 1 else "the one that serves"
    figures = f"need about {need // MIB} MiB beside {those}, one by one {need_by_slot // MIB} MiB"
    return Lack(f"{count} new workers {figures}, and {left // MIB} MiB are left", need_by_slot <= left)


class Killings:
    """Tells an end that the kernel has brought about for want of memory from any other SIGKILL."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._known = kills(root)

    def explain_one(self) -> bool:
        """Whether there is such an end that explained none before. Asked once for each process that was killed."""
        found = kills(self._root) > self._known
        self._known += found
        return found


def kills(root: str = "/") -> int:
    """How many processes the kernel has ended for want of memory, of our control group: those of a service are in one. Of the
    machine, where no group counts them."""
    unified = _upwards(f"{root}/sys/fs/cgroup", _cgroup(root, ""))
    legacy = _upwards(f"{root}/sys/fs/cgroup/memory", _cgroup(root, "memory"))
    places = [f"{folder}/memory.events" for folder in unified] + [f"{folder}/memory.oom_control" for folder in legacy]
    counted = [path for path in places if os.path.exists(path)]
    return _field(counted[-1] if counted else f"{root}/proc/vmstat", "oom_kill")


def left_bytes(root: str = "/") -> int | None:
    """What may still be taken: the least of what the machine has and what our cgroups allow. None: unknown."""
    found = [*_unified(root), *_legacy(root)]
    if available := _field(f"{root}/proc/meminfo", "MemAvailable:"):
        found.append(available * 1024)
    return max(0, min(found)) if found else None


def _unified(root: str) -> Iterator[int]:
    """cgroup v2: every group above us binds. Cached files that nobody has used lately are given back under pressure."""
    for folder in _upwards(f"{root}/sys/fs/cgroup", _cgroup(root, "")):
        limit, used = _number(f"{folder}/memory.max"), _number(f"{folder}/memory.current")
        if limit is not None and used is not None:
            yield limit - max(0, used - _field(f"{folder}/memory.stat", "inactive_file"))


def _legacy(root: str) -> Iterator[int]:
    """cgroup v1. Without a limit the file holds a number beyond any machine."""
    for folder in _upwards(f"{root}/sys/fs/cgroup/memory", _cgroup(root, "memory")):
        limit, used = _number(f"{folder}/memory.limit_in_bytes"), _number(f"{folder}/memory.usage_in_bytes")
        if limit is not None and used is not None and limit < 1 << 60:
            yield limit - max(0, used - _field(f"{folder}/memory.stat", "total_inactive_file"))


def _cgroup(root: str, controller: str) -> str:
    for line in _text(f"{root}/proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "", "")[:3]
        if controller in controllers.split(","):
            return path
    return "/"


def _upwards(top: str, path: str) -> list[str]:
    """``top`` and each folder on the way down. In a container the path may be one that only the host sees."""
    folders = [top]
    for part in path.split("/"):
        if part not in ("", ".", ".."):
            folders.append(os.path.join(folders[-1], part))
    return folders


def _field(path: str, name: str) -> int:
    """The number after ``name`` in a file of lines; 0 if there is none."""
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return 0


def _number(path: str) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
