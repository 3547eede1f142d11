"""Five hundred keep-alive connections live through twenty updates, or do not: ours beside the reload that each peer documents.

One load a run: a client that asks again at once, one that thinks for 50 ms, one that thinks for half a second to four. It is
the strict client: what was written and not answered has failed. All connections of a run belong to one process of the client,
the same for every server; without think times that process is the bottleneck, so compare the rows, not the latencies.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from bench import peers, table
from bench.reload_loss import failures, update
from midair.testing.client import BackgroundClient, Load
from midair.testing.report import Report

UPDATES = 20
CONNECTIONS = 500
LOADS = (
    ("0", Load(connections=CONNECTIONS)),
    ("50 ms", Load(connections=CONNECTIONS, think_s=0.05)),
    ("0.5–4 s", Load(connections=CONNECTIONS, think_s=0.5, think_max_s=4.0)),
)
SETTINGS = '[bake]\nfor = "0.3s"\n[drain]\nrate = "100%"'
"""Every connection moves in every update."""
COLUMNS = (
    "thinks",
    "server",
    "requests",
    "failed",
    "of these",
    "reconnects",
    "p50 ms",
    "p99 ms",
    "max ms",
    "update s",
    "arrived",
)


@dataclass(frozen=True, slots=True)
class Run:
    report: Report
    update_s: float
    """From the request to twenty answers of the new version in a row, the median."""
    arrived: int


def main() -> None:
    rows = [_cells(thinks, peer, run(peer, load)) for thinks, load in LOADS for peer in peers.ALL]
    table.show(
        f"{UPDATES} updates, {CONNECTIONS} keep-alive connections, 2 workers, a client that never retries",
        COLUMNS,
        rows,
    )
    print(table.versions(*(peer.package for peer in peers.ALL)))


def run(peer: peers.Peer, load: Load, updates: int = UPDATES) -> Run:
    """One server under one load."""
    with peers.serve(peer, settings=SETTINGS) as server, BackgroundClient(server.url, load) as client:
        took_s, arrived = update(server, updates)
        report = client.stop()
    return Run(report, statistics.median(took_s), arrived)


def _cells(thinks: str, peer: peers.Peer, done: Run) -> list[object]:
    report = done.report
    return [
        thinks,
        peer.name,
        report.requests,
        report.failed,
        failures(report),
        report.reconnects + report.planned_reconnects,
        *(report.percentile_s(percent) * 1e3 for percent in (50, 99, 100)),
        done.update_s,
        f"{done.arrived} of {UPDATES}",
    ]
