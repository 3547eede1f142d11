"""Forty services on one host that nobody asks anything: what they take of memory, and how often they wake the processor.

Each is a server of its own with one worker, all of one kind run at the same time, and figures are those of all their processes
together. Memory is the proportional set size (PSS): what they share is counted once. A wake-up is a context switch to one of
their threads; a machine that does other things as well adds some that were none of theirs.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench import peers, table

SERVICES = 40
FOR_S = 30.0
SETTLES_S = 5.0
"""After its start a server may still have something to do: whoever warms up, or closes what the first request left open."""
MIB = 1024 * 1024
COLUMNS = (
    "server",
    "services",
    "processes",
    "PSS MiB each",
    "wake-ups a minute each",
    "CPU ms a minute each",
    "memory × midair",
    "wake-ups × midair",
)


@dataclass(frozen=True, slots=True)
class Idle:
    """Figures a service."""

    services: int
    processes: int
    """Of all services."""
    pss_bytes: float
    wakes_a_minute: float
    cpu_s_a_minute: float


def main() -> None:
    runs = {peer: run(peer) for peer in peers.ALL}
    ours = runs[peers.MIDAIR]
    rows: list[list[object]] = [
        [
            peer.name,
            done.services,
            done.processes,
            done.pss_bytes / MIB,
            done.wakes_a_minute,
            done.cpu_s_a_minute * 1e3,
            done.pss_bytes / ours.pss_bytes,
            done.wakes_a_minute / ours.wakes_a_minute,
        ]
        for peer, done in runs.items()
    ]
    table.show(f"{SERVICES} idle services, one worker each, {FOR_S:g} s", COLUMNS, rows)
    print(table.versions("midair", "uvicorn", "gunicorn", "granian"))


def run(peer: peers.Peer, services: int = SERVICES, for_s: float = FOR_S, settles_s: float = SETTLES_S) -> Idle:
    """Start them, ask each once, leave them alone, and look."""
    with ExitStack() as stack:
        servers = [stack.enter_context(peers.serve(peer, workers=1)) for _ in range(services)]
        time.sleep(settles_s)  # Nothing tells that a server has nothing left to do.
        processes = [process for server in servers for process in server.processes()]
        began_s = time.monotonic()
        switches, cpu_s = sum(each.switches for each in processes), sum(each.cpu_s for each in processes)
        time.sleep(for_s)  # What they do meanwhile is what is measured.
        switches, cpu_s = (
            sum(each.switches for each in processes) - switches,
            sum(each.cpu_s for each in processes) - cpu_s,
        )
        a_minute = 60 / (time.monotonic() - began_s) / services
        pss_bytes = sum(each.pss_bytes for each in processes)
    return Idle(services, len(processes), pss_bytes / services, switches * a_minute, cpu_s * a_minute)
