"""May a process that has imported the application be forked? What a fork would share that must not be shared, by name.

Safe is: one Python thread, and no descriptor that the import opened and that two processes cannot use side by side: a
connected socket (both would read the other's answers), an epoll instance, a pipe, a GPU, a file open for writing. Native
threads (OpenBLAS) are no obstacle: their pools notice the fork. Measured in HANDOVER: with a connection opened at import, 40
of 500 answers in one worker belonged to the other.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading

FINDINGS_MAX = 8
_ACCESS_MODE = 0o3


RESTARTED = (
    "OtelBatchSpanProcessor",
    "OtelBatchSpanRecordProcessor",
    "OtelBatchLogRecordProcessor",
    "OtelPeriodicExportingMetricReader",
)
"""Threads of OpenTelemetry, by the beginning of their names: each is started again, by its own hook, after a fork."""

Descriptor = tuple[int, str]
"""A number and what it leads to: an import that closes one descriptor and opens another under its number is seen."""


def open_descriptors() -> frozenset[Descriptor]:
    """The descriptors open now. Taken before the import, to know what it opened."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        # The listing's own descriptor is in the listing, and closed by now: counted as open, it would hide the very
        # first one that the import opens, which gets its number.
        with contextlib.suppress(FileNotFoundError):
            found.append((int(name), os.readlink(f"/proc/self/fd/{name}")))
    return frozenset(found)


def findings(before: frozenset[Descriptor], allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Why this process should not be forked, each reason a phrase; empty: it may be. allowed: beginnings of names of threads
    that may be running."""
    threads = [t for t in threading.enumerate() if t is not threading.main_thread()]
    found = [f"thread {t.name!r} is running" for t in threads if not allowed or not t.name.startswith(allowed)]
    for fd, target in sorted(open_descriptors() - before):
        if reason := _reason(fd, target):
            found.append(reason)
    if len(found) > FINDINGS_MAX:
        found = [*found[:FINDINGS_MAX], f"and {len(found) - FINDINGS_MAX} more"]
    return tuple(found)


def _reason(fd: int, target: str) -> str:
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):
        return _socket_reason(fd)
    if stat.S_ISFIFO(mode):
        return f"a pipe is open (descriptor {fd})"
    if target == "anon_inode:[eventpoll]":
        return "an event loop was made at import (epoll)"
    if target.startswith(("/dev/nvidia", "/dev/kfd", "/dev/dri")):
        return f"a GPU is in use ({target})"
    if stat.S_ISREG(mode) and target.startswith("/") and _is_writable(fd):
        if _is_sqlite(target):
            return f"a SQLite database is open ({target})"
        return f"a file is open for writing ({target})"
    return ""


def _socket_reason(fd: int) -> str:
    # socket.socket(fileno=...) takes ownership: hand it a copy.
    with socket.socket(fileno=os.dup(fd)) as sock:
        try:
            peer = sock.getpeername()
        except OSError:
            return ""  # Not connected: a bound or fresh socket can be shared.
        where = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer) or "a local peer"
        return f"a connection is open to {where}"


def _is_writable(fd: int) -> bool:
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:
        flags = next(int(line.split()[1], 8) for line in info if line.startswith("flags:"))
    return flags & _ACCESS_MODE != os.O_RDONLY


def _is_sqlite(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError:
        return False
    # A database that was only just created is still empty.
    return head == b"SQLite format 3\0" or (not head and path.endswith((".db", ".sqlite", ".sqlite3")))
