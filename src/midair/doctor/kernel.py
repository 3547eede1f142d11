"""What midair needs of the kernel, and the clock."""

from __future__ import annotations

from midair.doctor.facts import Facts
from midair.doctor.finding import Finding, check

OLDEST = (5, 3)
"""pidfd_open."""
WATCHES_LEAST = 8192
INSTANCES_LEAST = 128


@check("kernel", "kernel")
def kernel(facts: Facts) -> Finding | None:
    """process descriptors (pidfd) and files without a name (memfd)"""
    found = facts.machine.kernel
    missing = [name for name, has in (("pidfd_open", found.has_pidfd), ("memfd_create", found.has_memfd)) if not has]
    if not missing:
        return None
    release = ".".join(map(str, found.release))
    return Finding(
        "problem",
        f"this kernel ({release}) does not have {' and '.join(missing)}, or something forbids it",
        "midair cannot run: it watches processes and passes state with these",
        f"Linux {OLDEST[0]}.{OLDEST[1]} or newer; in a container, a seccomp profile that allows them (Docker 20.10.10 or newer)",
    )


@check("lending", "kernel")
def lending(facts: Facts) -> Finding | None:
    """seccomp notifications, for programs that bind by themselves"""
    found = facts.machine.kernel
    if facts.settings.listener != "lent" or (found.can_lend and found.may_copy_descriptors):
        return None
    if found.can_lend:
        return Finding(
            "warning",
            "a filter around us, as of a container, refuses pidfd_getfd: programs cannot be lent a socket",
            "versions take turns: each starts when the one before it has ended, and clients wait meanwhile",
            "docker run --cap-add SYS_PTRACE (Docker's filter allows it then), or let the program take its socket from LISTEN_FDS",
        )
    return Finding(
        "problem",
        f'listener = "lent" needs Linux 5.9 on x86-64 or arm64; this is {".".join(map(str, found.release))} on {found.machine}',
        "the program would bind for itself, and the next version could not",
        'let the program take its socket from LISTEN_FDS, and write listener = "shared"',
    )


@check("watching", "kernel")
def watching(facts: Facts) -> Finding | None:
    """the limits of inotify, for midair dev"""
    found = facts.machine.kernel
    if not facts.settings.is_dev:
        return None
    few_watches = found.inotify_watches is not None and found.inotify_watches < WATCHES_LEAST
    few_instances = found.inotify_instances is not None and found.inotify_instances < INSTANCES_LEAST
    if not few_watches and not few_instances:
        return None
    return Finding(
        "note",
        f"inotify allows {found.inotify_watches} watches and {found.inotify_instances} instances",
        "with a large tree files are compared from time to time instead: saves are seen later",
        "sysctl -w fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512",
    )


@check("clock", "kernel")
def clock(facts: Facts) -> Finding | None:
    """whether the clock is set by somebody"""
    if facts.machine.kernel.is_clock_synchronized is not False or facts.machine.is_container:
        return None
    return Finding(
        "note",
        "the clock is not synchronized",
        "midair counts on a clock of its own, but logs and receipts of several machines do not fit together, and TLS may fail",
        "timedatectl set-ntp true (or install chrony)",
    )
