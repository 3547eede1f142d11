"""Who has the kernel's inotify watches and instances, in words: the limits are a user's, and others often hold the most."""

from __future__ import annotations

import os
from collections.abc import Iterator

PROC = "/proc"
LIMITS = "/proc/sys/fs/inotify"
HOLDERS_SHOWN = 5
INOTIFY = "anon_inode:inotify"


def watches_message(ours: int) -> str:
    return (
        f"the limit of {_limit('max_user_watches')} inotify watches is reached, {ours} of them ours; "
        f"most are held by {watch_holders() or 'processes that cannot be looked into'}"
    )


def instances_message() -> str:
    return (
        f"the limit of {_limit('max_user_instances')} inotify instances is reached; "
        f"most are held by {instance_holders() or 'processes that cannot be looked into'}"
    )


def watch_holders() -> str:
    """The processes that hold the most watches: ``node (812): 120000, code (99): 40000``."""
    return _shown((sum(_watches(pid, fd) for fd in fds), pid) for pid, fds in _instances())


def instance_holders() -> str:
    return _shown((len(fds), pid) for pid, fds in _instances())


def _shown(counted: Iterator[tuple[int, int]]) -> str:
    most = sorted((each for each in counted if each[0]), reverse=True)[:HOLDERS_SHOWN]
    return ", ".join(f"{_name(pid)} ({pid}): {count}" for count, pid in most)


def _instances() -> Iterator[tuple[int, list[str]]]:
    """Each process that we may look into and that has inotify open, with its descriptors."""
    uid = os.getuid()
    for entry in os.scandir(PROC):
        if not entry.name.isdigit():
            continue
        try:
            if entry.stat().st_uid != uid:
                continue  # The limits are a user's.
            folder = f"{PROC}/{entry.name}/fd"
            fds = [fd for fd in os.listdir(folder) if _link(f"{folder}/{fd}") == INOTIFY]
        except OSError:
            continue  # It has ended, or is nobody's business.
        if fds:
            yield int(entry.name), fds


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _watches(pid: int, fd: str) -> int:
    try:
        with open(f"{PROC}/{pid}/fdinfo/{fd}") as lines:
            return sum(line.startswith("inotify ") for line in lines)
    except OSError:
        return 0


def _name(pid: int) -> str:
    try:
        with open(f"{PROC}/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "?"


def _limit(name: str) -> str:
    try:
        with open(f"{LIMITS}/{name}") as file:
            return file.read().strip()
    except OSError:
        return "an unknown number of"
