"""What the machine and the control group allow."""

from __future__ import annotations

from midair.doctor.facts import Facts
from midair.doctor.finding import Finding, check

FILES_LEAST = 1024
"""Descriptors that a worker has for what is not a connection are a few dozen."""
FILES_GOOD = 4096
PROCESSES_BESIDE = 8
"""Base, zygotes, metrics, a hook, a child that looks at the disk."""


@check("open-files", "limits")
def open_files(facts: Facts) -> Finding | None:
    """descriptors: each connection is one"""
    limits, wanted = facts.machine.limits, facts.settings.serve.limit_concurrency or 0
    how = "LimitNOFILE=65536 in the unit, or ulimit -n 65536 before midair run"
    if wanted and wanted + 100 > limits.open_files:
        return Finding(
            "problem",
            f"limit_concurrency = {wanted}, and a worker may open {limits.open_files} files",
            "it cannot have so many connections: accepting fails before the limit answers 503",
            how,
        )
    if limits.open_files >= FILES_GOOD:
        return None
    return Finding(
        "warning" if limits.open_files <= FILES_LEAST else "note",
        f"a worker may open {limits.open_files} files, its connections among them",
        "beyond that no connection is accepted; clients wait in the queue",
        how,
    )


@check("processes", "limits")
def processes(facts: Facts) -> Finding | None:
    """processes: an update needs a second set of workers"""
    left = facts.machine.limits.pids_left
    need = facts.settings.workers + PROCESSES_BESIDE
    if left is None or left >= need:
        return None
    return Finding(
        "problem",
        f"the control group allows {left} more processes, and an update takes about {need}",
        "the update is refused (no-process)",
        "TasksMax=infinity in the unit; in a container a larger --pids-limit",
    )


@check("memory", "limits")
def memory(facts: Facts) -> Finding | None:
    """memory: whether a second set of workers fits beside the first"""
    limits = facts.machine.limits
    if not limits.lack or facts.settings.surge != "auto":
        return None
    fits = limits.lack_fits_by_slot
    return Finding(
        "note" if fits else "warning",
        limits.lack,
        "updates go slot by slot, and take as long as the old workers take to end"
        if fits
        else "the next update is refused (no-memory)",
        "raise MemoryMax= (a container's memory limit), or write fewer workers in midair.toml",
    )


@check("queue", "limits")
def queue(facts: Facts) -> Finding | None:
    """how many connections the kernel queues"""
    limits, wanted = facts.machine.limits, facts.settings.serve.backlog
    if limits.somaxconn >= wanted:
        return None
    return Finding(
        "warning",
        f"serve.backlog = {wanted}, and the kernel cuts it to {limits.somaxconn}",
        "at a cut-over or a crash new connections wait in that queue; beyond it they are turned away",
        f"sysctl -w net.core.somaxconn={wanted} (for good: in /etc/sysctl.d/), then restart",
    )


@check("group-kill", "limits")
def group_kill(facts: Facts) -> Finding | None:
    """what is killed out of memory: a process, or all of them"""
    if not facts.machine.limits.kills_group:
        return None
    fix = (
        "singleProcessOOMKill: true in the kubelet's configuration (1.32), or worker.max_memory well below the limit"
        if facts.machine.is_container
        else "OOMPolicy=continue in the unit, then systemctl daemon-reload and restart"
    )
    return Finding(
        "warning",
        "out of memory, the kernel kills the whole control group (memory.oom.group is 1)",
        "one worker that leaks takes the supervisor and all connections with it, instead of being replaced",
        fix,
    )
