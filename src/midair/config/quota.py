"""How many CPUs this process may really use: what ``workers = "auto"`` means.

A container sees all CPUs of its machine and may use a part of their time; the kernel says so in the cgroup files.
"""

from __future__ import annotations

import math
import os
from pathlib import Path


def usable_cpus(root: str = "/") -> int:
    """The smaller of the CPUs we may run on and the CPU quota of our cgroups, rounded up; at least 1.

    root: where ``proc`` and ``sys`` are, for tests.
    """
    base = Path(root)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for quota in (*_unified(base), *_legacy(base)) if quota is not None]
    return max(1, min(allowed, *(math.ceil(quota) for quota in quotas))) if quotas else max(1, allowed)


def _unified(root: Path) -> list[float | None]:
    """cgroup v2: the quota of our cgroup and of each above it; every one of them binds."""
    return [_cpu_max(folder / "cpu.max") for folder in _upwards(root / "sys/fs/cgroup", _cgroup(root, ""))]


def _legacy(root: Path) -> list[float | None]:
    """cgroup v1."""
    return [_cfs_quota(folder) for folder in _upwards(root / "sys/fs/cgroup/cpu", _cgroup(root, "cpu"))]


def _cgroup(root: Path, controller: str) -> str:
    """Our path in the tree of ``controller`` (empty: the v2 tree), as /proc says; ``/`` if it does not."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "", "")[:3]
        if controller in controllers.split(","):
            return path
    return "/"


def _upwards(top: Path, path: str) -> list[Path]:
    """``top`` and every folder on the way to ``path`` below it. In a container the path may name what only the host
    sees; then just ``top`` has files, and it is ours."""
    folders = [top]
    for part in path.split("/"):
        if part not in ("", ".", ".."):
            folders.append(folders[-1] / part)
    return folders


def _cpu_max(file: Path) -> float | None:
    """``max 100000`` or ``150000 100000``: time per period."""
    words = _read(file).split()
    if len(words) != 2 or words[0] == "max":
        return None
    return _ratio(words[0], words[1])


def _cfs_quota(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip())


def _ratio(quota: str, period: str) -> float | None:
    """None: no quota (-1), or a file that is not there or says nonsense."""
    if not (quota.isdigit() and period.isdigit()) or int(period) == 0 or int(quota) == 0:
        return None
    return int(quota) / int(period)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
