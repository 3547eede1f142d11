"""Who holds a port: what ``ss -ltnp`` would say, read from /proc, for the error that names it.

Best effort and bounded: another user's processes are not readable, and a container sees its own only.
"""

from __future__ import annotations

import os
import time

from msgspec import Struct

LOOK_MAX_S = 0.5
"""A busy machine has many processes with many descriptors (40 ms for 130 processes here); start-up must not wait for all."""

_LISTENING = "0A"  # TCP_LISTEN in the ``st`` column


class Holder(Struct, frozen=True):
    """A process. ``program`` is its short name, ``command`` its command line, cut to 200 characters."""

    pid: int
    program: str
    command: str

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid})"


def port_holder(port: int, is_v6: bool, proc: str = "/proc") -> Holder | None:
    """The process that listens on a TCP port, the oldest if several share it; None if that cannot be read."""
    # An IPv4 port may be taken by an IPv6 socket that takes both, and the other way round.
    tables = ("tcp6", "tcp") if is_v6 else ("tcp", "tcp6")
    for table in tables:
        inodes = _listening_inodes(f"{proc}/net/{table}", port)
        if inodes and (holder := _process_with(inodes, proc)):
            return holder
    return None


def _listening_inodes(table: str, port: int) -> set[str]:
    suffix = f":{port:04X}"
    try:
        with open(table, encoding="ascii") as lines:
            rows = [line.split() for line in lines]
    except OSError:
        return set()
    return {row[9] for row in rows if len(row) > 9 and row[3] == _LISTENING and row[1].endswith(suffix)}


def _process_with(inodes: set[str], proc: str) -> Holder | None:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    try:
        pids = sorted(int(name) for name in os.listdir(proc) if name.isdigit())
    except OSError:
        return None
    deadline_s = time.monotonic() + LOOK_MAX_S
    for pid in pids:
        if time.monotonic() > deadline_s:
            break
        if _holds(f"{proc}/{pid}/fd", wanted):
            return Holder(pid, _read(f"{proc}/{pid}/comm").strip() or "?", _command(f"{proc}/{pid}/cmdline"))
    return None


def _holds(folder: str, wanted: set[str]) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(_link(entry.path) in wanted for entry in entries)
    except OSError:  # gone meanwhile, or another user's
        return False


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _command(path: str) -> str:
    return _read(path).replace("\0", " ").strip()[:200]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""
