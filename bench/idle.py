"""Ten thousand idle connections, or two thousand WebSockets, move at once, beside clients that go on asking: how long it takes,
and who notices.

The pauses are those of the workers' event loops, noted by a task of the application that sleeps for a millisecond again and
again. Processor time is the kernel's figure for the workers that give and for those that take, divided by the connections; what
they answer meanwhile is in it, and in that of the takers the few milliseconds of their start.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.moves import Moves
from tests.support.processes import Process

from bench import crowd, peers, table
from midair.config.load import load_client
from midair.control import client
from midair.control.words import Status, StatusReport
from midair.testing.client import BackgroundClient, Load

CONNECTIONS = 10_000
WEBSOCKETS = 2_000
"""Their application carries a counter with each (``midair.carry_on``), and their handshake is not repeated."""
OTHERS = Load(connections=20, think_s=0.01)
OVER_WITHIN_S = 60.0
SETTINGS = '[bake]\nfor = "5s"\n[drain]\nrate = "100%"'
COLUMNS = (
    "connections",
    "moved in s",
    "lost",
    "giver's longest pause ms",
    "taker's longest pause ms",
    "others' p99 ms",
    "others' max ms",
    "others failed",
    "giver's CPU µs each",
    "taker's CPU µs each",
)


@dataclass(frozen=True, slots=True)
class Run:
    moved_s: float
    lost: int
    giver_pause_s: float
    taker_pause_s: float
    others_s: list[float]
    """Latencies of the other clients, from the request for the update to the last connection."""
    others_failed: int
    giver_cpu_s: float
    """A connection."""
    taker_cpu_s: float


def main() -> None:
    runs = {
        f"{CONNECTIONS:,} keep-alive": run(),
        f"{WEBSOCKETS:,} WebSockets": run(WEBSOCKETS, crowd.WebSocketCrowd),
    }
    rows = [
        [
            name,
            done.moved_s,
            done.lost,
            done.giver_pause_s * 1e3,
            done.taker_pause_s * 1e3,
            _percentile_s(done.others_s, 99) * 1e3,
            max(done.others_s, default=0.0) * 1e3,
            done.others_failed,
            done.giver_cpu_s * 1e6,
            done.taker_cpu_s * 1e6,
        ]
        for name, done in runs.items()
    ]
    table.show('idle connections move at "100%", 2 workers', COLUMNS, rows)
    print(table.versions("midair", "uvloop"))


def run(connections: int = CONNECTIONS, kind: type[crowd.Crowd] = crowd.Crowd) -> Run:
    """Open them, update once, and ask each of them whether it is still there."""
    crowd.make_room(connections)
    with (
        peers.serve(peers.MIDAIR, "gaps", settings=SETTINGS) as server,
        crowd.crowd(server.port, connections, kind) as clients,
        BackgroundClient(server.url, OTHERS) as others,
    ):
        givers = _workers(server, 1)
        server.write("2")
        with Moves(server.folder) as moves:
            before_s, asked, began_s = (
                sum(each.cpu_s for each in givers),
                len(others.report.latencies_s),
                time.monotonic(),
            )
            server.reload_soon()
            moves.wait(connections, OVER_WITHIN_S)
            ended_s = time.monotonic()
            latencies_s = list(others.report.latencies_s)[asked:]
            takers = _workers(server, 2)
            giver_s, taker_s = sum(each.cpu_s for each in givers) - before_s, sum(each.cpu_s for each in takers)
        clients.ask()
        return Run(
            moved_s=moves.seconds(),
            lost=clients.lost,
            giver_pause_s=_longest_pause_s(server.folder, givers, began_s, ended_s),
            taker_pause_s=_longest_pause_s(server.folder, takers, began_s, ended_s),
            others_s=latencies_s,
            others_failed=others.report.failed,
            giver_cpu_s=giver_s / connections,
            taker_cpu_s=taker_s / connections,
        )


def _workers(server: peers.Running, generation: int) -> list[Process]:
    address = load_client(folder=str(server.folder), environ=os.environ)
    report = client.ask_one(address, Status(), StatusReport)
    return [Process(worker.pid) for each in report.generations if each.number == generation for worker in each.workers]


def _longest_pause_s(folder: Path, workers: list[Process], began_s: float, ended_s: float) -> float:
    """Of the event loops of these workers, in this time; 0: none that is worth a word."""
    gaps = [
        (float(at_s), float(gap_s))
        for worker in workers
        if (file := folder / f"gaps.{worker.pid}").exists()
        for at_s, gap_s in (line.split() for line in file.read_text().splitlines())
    ]
    return max((gap_s for at_s, gap_s in gaps if began_s <= at_s + gap_s and at_s <= ended_s), default=0.0)


def _percentile_s(latencies_s: list[float], percent: float) -> float:
    ranked = sorted(latencies_s)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)] if ranked else 0.0
