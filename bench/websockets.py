"""WebSockets through updates: 500 of them, each with a counter in the server's memory, numbered messages and pushes.

The strict client of ``midair.testing.websocket`` sends on each connection every 0.25 to 0.75 s, never twice, and counts
what is broken, lost, repeated, overtaken, or counted wrong. All columns from ``broken`` on should be 0, except in the last
row: there the application carries nothing, its WebSockets end with their version, and the client must see that.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace

from tests.support.waiting import wait_for

from bench import peers, table
from midair.testing.websocket import WRONG, BackgroundWebSockets, SocketReport, Sockets

MIDAIR = replace(peers.MIDAIR, reload="-m midair reload --wait drained")


@dataclass(frozen=True, slots=True)
class Run:
    """A row: how many updates at which pace, on what kind of connections."""

    name: str
    updates: int
    rate: str
    load: Sockets
    carries: bool = True
    within: str = "60s"
    """``drain.timeout``."""


PLAIN = Sockets(connections=500)
PUSHED = replace(PLAIN, path="/push", has_pushes=True)
SQUEEZED = replace(PUSHED, is_compressed=True)
RUNS = (
    Run("plain", 20, "100%", PLAIN),
    Run("with pushes", 20, "100%", PUSHED),
    Run("compressed, with pushes", 20, "100%", SQUEEZED),
    Run("compressed, with pushes", 3, "5%", SQUEEZED),
    Run("nothing is carried", 3, "100%", SQUEEZED, carries=False, within="1s"),
)
COLUMNS = ("connections", "updates", "pace", "answered", "pushes", "moves", *WRONG, "p99 ms", "max ms", "update s")


@dataclass(frozen=True, slots=True)
class Outcome:
    report: SocketReport
    updates_s: list[float]
    """Each from the request to the end of the last old connection."""


def main() -> None:
    rows = [_row(run, measure(run)) for run in RUNS]
    table.show("WebSockets through updates, 2 workers, a client that never retries", COLUMNS, rows)
    print(table.versions("midair", "uvloop", "websockets"))


def measure(run: Run) -> Outcome:
    """Drive one row. Raises CalledProcessError if an update did not come to its end."""
    settings = f"""
        bake.for = "0.3s"
        drain = {{ rate = "{run.rate}", timeout = "{run.within}" }}
        env.CARRIES = "{"yes" if run.carries else "no"}"
    """
    updates_s = []
    with (
        peers.serve(MIDAIR, "counters", settings=settings) as server,
        BackgroundWebSockets(server.url, run.load) as client,
    ):
        _wait_until_heard(client, "1", run.load.connections)
        for version in range(2, run.updates + 2):
            server.write(str(version))
            began_s = time.monotonic()
            server.reload()
            updates_s.append(time.monotonic() - began_s)
            _wait_until_heard(client, str(version), run.load.connections)
        return Outcome(client.stop(), updates_s)


def _wait_until_heard(client: BackgroundWebSockets, version: str, count: int) -> None:
    heard_by = client.report.heard_by
    wait_for(lambda: heard_by.get(version, 0), 30, until=count.__le__, what=f"word from {version} on every connection")


def _row(run: Run, outcome: Outcome) -> list[object]:
    report = outcome.report
    return [
        f"{run.load.connections}, {run.name}",
        run.updates,
        run.rate,
        report.answered,
        report.pushes,
        report.moves,
        *(getattr(report, kind) for kind in WRONG),
        report.percentile_s(99) * 1e3,
        report.percentile_s(100) * 1e3,
        statistics.median(outcome.updates_s),
    ]
