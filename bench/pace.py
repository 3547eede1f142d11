"""How evenly connections move: two thousand at 5 % a second, once in peace and once with a second update at half time.

Counted by the workers themselves, looked at fifty times a second. Two looks that lie within a second of each other may be no
more than 101 apart, and all is over in 20 to 22 s, from the last update on. The curves are drawn in ``bench/results/pace.svg``.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.moves import Moves
from tests.support.waiting import wait_for

from bench import crowd, peers, plot, table
from midair.cli.curve import blocks

CONNECTIONS = 2000
RATE = 0.05
OVER_WITHIN_S = 60.0
RESULT = Path(__file__).parent / "results" / "pace.svg"
COLUMNS = ("run", "connections", "moved", "most in 1 s", "allowed", "over after s", "lost")


@dataclass(frozen=True, slots=True)
class Run:
    moved: int
    most: int
    """In any second."""
    allowed: int
    over_s: float
    """From the last cut-over to the last connection."""
    lost: int
    curve: list[tuple[float, float]]
    """Seconds since the first update, and how many have moved."""


def main() -> None:
    runs = {"one update": run(), "a second one at half time": run(has_second=True)}
    rows = [
        [name, CONNECTIONS, each.moved, each.most, each.allowed, each.over_s, each.lost] for name, each in runs.items()
    ]
    table.show(f"connections that move at {RATE:.0%}/s, 2 workers, keep-alive, idle", COLUMNS, rows)
    for name, each in runs.items():
        left = [each.moved - round(moved) for _, moved in each.curve]
        print(f"{blocks(left, each.moved, width=48)}  {name}: left to move, {each.curve[-1][0]:.1f} s")
    plot.write(
        RESULT, f"{CONNECTIONS} connections at {RATE:.0%}/s", "s", "moved", {n: r.curve for n, r in runs.items()}
    )
    print(f"drawn in {RESULT}")
    print(table.versions("midair"))


def run(connections: int = CONNECTIONS, rate: float = RATE, *, has_second: bool = False) -> Run:
    """Move them once, or, with a second update at half time, one and a half times."""
    crowd.make_room(connections)
    settings = f'[bake]\nfor = "0s"\n[drain]\nrate = "{rate:.0%}"'
    with peers.serve(peers.MIDAIR, settings=settings) as server, crowd.crowd(server.port, connections) as clients:
        with Moves(server.folder) as moves:
            began_s = time.monotonic()
            updated_s = _update(server, "2")
            total = connections
            if has_second:
                wait_for(lambda: moves.moved, OVER_WITHIN_S, until=lambda moved: moved >= connections // 2)
                total = moves.moved + connections
                updated_s = _update(server, "3")
            moves.wait(total, OVER_WITHIN_S)
        # Each answers once more, from the version that it has moved to.
        clients.ask()
        lost = clients.lost
    first = moves.looks[0].moved
    curve = [(look.answered_s - began_s, float(look.moved - first)) for look in moves.looks]
    end_s = next(look.answered_s for look in moves.looks if look.moved == moves.looks[-1].moved)
    return Run(
        moved=moves.moved,
        most=moves.most_in(1.0),
        allowed=math.ceil(rate * connections) + 1,
        over_s=end_s - updated_s,
        lost=lost,
        curve=[point for point in curve if point[0] >= 0 and point[0] <= end_s - began_s],
    )


def _update(server: peers.Running, version: str) -> float:
    """When it was done: without a bake that is the cut-over (monotonic seconds)."""
    server.write(version)
    server.reload()
    return time.monotonic()
