"""What can be said of processes from outside, without their help: who lives below them, and who is connected to them.

Read from /proc, in a child: with many processes and sockets it takes a while. What another user's process keeps to itself is
left out.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

import msgspec

from midair.observe import holding
from midair.observe.holding import cut
from midair.supervisor.family import members

ESTABLISHED, LISTENS = "01", "0A"
SOCKETS_MAX = 50_000
"""Lines of a table of sockets that are read."""
TICKS = os.sysconf("SC_CLK_TCK")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Of one process and of all below it."""

    processes: tuple[holding.Process, ...] = ()
    """Without the one that was asked for."""
    connections: tuple[holding.Connection, ...] = ()
    """Clients of all of them."""
    connections_more: int = 0


def look(leaders: Iterable[int], ports: frozenset[int], proc: str = "/proc") -> dict[int, Seen]:
    """What there is of each of these processes. ports: where clients of theirs connect to."""
    return {leader: _seen(leader, ports, proc) for leader in leaders}


def processor_s(pid: int, proc: str = "/proc") -> float:
    """Processor time that a process has used; 0 if it is gone."""
    try:
        words = _stat(pid, proc)
        return (int(words[11]) + int(words[12])) / TICKS
    except (OSError, IndexError, ValueError):
        return 0.0


def _seen(leader: int, ports: frozenset[int], proc: str) -> Seen:
    pids = members(leader, proc)
    inodes = {pid: _sockets(pid, proc) for pid in pids}
    rows = list(_table(leader, proc))
    listening = {local for state, local, _, inode in rows if state == LISTENS and _held(inode, inodes)}
    peers = {inode: peer for state, local, peer, inode in rows if state == ESTABLISHED and local in (ports | listening)}
    clients = [peers[inode] for inode in sorted({inode for held in inodes.values() for inode in held} & peers.keys())]
    below = [_process(pid, len(inodes[pid] & peers.keys()), proc) for pid in pids if pid != leader]
    return Seen(
        processes=tuple(each for each in below if each)[: holding.PROCESSES_MAX],
        connections=tuple(
            holding.Connection(peer=peer, kind="open", age_s=0.0) for peer in clients[: holding.CONNECTIONS_MAX]
        ),
        connections_more=max(0, len(clients) - holding.CONNECTIONS_MAX),
    )


def _held(inode: int, inodes: Mapping[int, frozenset[int]]) -> bool:
    return any(inode in held for held in inodes.values())


def _process(pid: int, connections: int, proc: str) -> holding.Process | None:
    try:
        words = _stat(pid, proc)
        with open(f"{proc}/{pid}/cmdline", "rb") as file:
            command = file.read(4096).replace(b"\0", b" ").decode(errors="replace").strip()
        with open(f"{proc}/uptime", encoding="ascii") as file:
            up_s = float(file.read().split()[0])
        return holding.Process(
            pid=pid,
            parent=int(words[1]),
            command=command if len(command) <= holding.TEXT_MAX else command[: holding.TEXT_MAX - 1] + "…",
            state=words[0].decode(),
            age_s=max(0.0, up_s - int(words[19]) / TICKS),
            threads=int(words[17]),
            connections=connections,
        )
    except (OSError, IndexError, ValueError):
        return None  # It has ended meanwhile.


def _stat(pid: int, proc: str) -> list[bytes]:
    """What follows the name in /proc/PID/stat: the state is the first."""
    with open(f"{proc}/{pid}/stat", "rb") as file:
        # The name in parentheses may hold anything; what follows the last one is numbers.
        return file.read().rpartition(b")")[2].split()


def _sockets(pid: int, proc: str) -> frozenset[int]:
    """Inodes of the sockets that a process has open."""
    found = set()
    with suppress(OSError):
        for name in os.listdir(f"{proc}/{pid}/fd"):
            with suppress(OSError, ValueError):
                kind, _, number = os.readlink(f"{proc}/{pid}/fd/{name}").partition(":")
                if kind == "socket":
                    found.add(int(number.strip("[]")))
    return frozenset(found)


def _table(pid: int, proc: str) -> Iterator[tuple[str, int, str, int]]:
    """State, local port, peer and inode of the TCP sockets of a process's network."""
    for name in ("tcp", "tcp6"):
        with suppress(OSError), open(f"{proc}/{pid}/net/{name}", encoding="ascii") as file:
            next(file, None)
            for number, line in enumerate(file):
                words = line.split()
                if number >= SOCKETS_MAX or len(words) < 10:
                    break
                local_port = int(words[1].rpartition(":")[2], 16)
                yield words[3], local_port, cut(_address(words[2])), int(words[9])


def _address(text: str) -> str:
    """``0100007F:1F90`` as ``127.0.0.1:8080``. The kernel writes words of 4 bytes in the machine's order."""
    host, _, port = text.partition(":")
    raw = b"".join(struct.pack("=I", int(host[place : place + 8], 16)) for place in range(0, len(host), 8))
    if len(raw) == 4:
        return f"{socket.inet_ntop(socket.AF_INET, raw)}:{int(port, 16)}"
    mapped = raw.removeprefix(b"\0" * 10 + b"\xff\xff")
    if len(mapped) == 4:
        return f"{socket.inet_ntop(socket.AF_INET, mapped)}:{int(port, 16)}"
    return f"[{socket.inet_ntop(socket.AF_INET6, raw)}]:{int(port, 16)}"
