"""What ten updates cost the clients: ours beside the reload that each peer documents.

The same strict client in all rows: keep-alive connections that think for 50 ms, and new connections. It never retries.
An update counts as arrived when 20 new connections in a row get the new version; if they do not within 10 s, the row
says so, as a set of mixed versions is a cost too.
"""

from __future__ import annotations

import json
import statistics
import time

from bench import peers, table
from midair.testing.client import BackgroundClient, Load
from midair.testing.report import Answer, Report

UPDATES = 10
LOADS = (Load(connections=40, think_s=0.05), Load(connections=4, keep_alive=False, think_s=0.02))
ARRIVED = 20
ARRIVES_WITHIN_S = 10.0
COLUMNS = ("server", "requests", "failed", "of these", "reconnects", "gap ms", "p99 ms", "update s", "arrived")


def main() -> None:
    rows = [_row(peer) for peer in peers.ALL]
    table.show(f"{UPDATES} updates under load, 2 workers, a client that never retries", COLUMNS, rows)
    print(table.versions(*(peer.package for peer in peers.ALL)))


def _row(peer: peers.Peer) -> list[object]:
    with peers.serve(peer, settings='[bake]\nfor = "0.3s"') as server, BackgroundClient(server.url, *LOADS) as client:
        took_s, arrived = update(server, UPDATES)
        report = client.stop()
    return _cells(peer, report, statistics.median(took_s), arrived)


def update(server: peers.Running, updates: int) -> tuple[list[float], int]:
    """Update so often; how long each took, and how many arrived."""
    took_s, arrived = [], 0
    for version in range(2, updates + 2):
        server.settle()
        server.write(str(version))
        began_s = time.monotonic()
        server.reload()
        arrived += _arrives(server, str(version))
        took_s.append(time.monotonic() - began_s)
    return took_s, arrived


def _arrives(server: peers.Running, version: str) -> bool:
    """Wait for the new version; False if old answers are still mixed in at the limit."""
    deadline_s, in_a_row = time.monotonic() + ARRIVES_WITHIN_S, 0
    while in_a_row < ARRIVED:
        try:
            is_new = json.loads(server.ask())["version"] == version
        except OSError:
            is_new = False  # the strict client counts such answers; here they only are not the new version
        in_a_row = in_a_row + 1 if is_new else 0
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.005)
    return True


def _cells(peer: peers.Peer, report: Report, median_s: float, arrived: int) -> list[object]:
    return [
        peer.name,
        report.requests,
        report.failed,
        failures(report),
        report.reconnects + report.planned_reconnects,
        report.longest_gap_s * 1e3,
        report.percentile_s(99) * 1e3,
        median_s,
        f"{arrived} of {UPDATES}",
    ]


def failures(report: Report) -> str:
    """``12 reset, 3 eof_before``."""
    kinds = [f"{count} {answer.value}" for answer, count in report.counts.items() if count and answer is not Answer.OK]
    return ", ".join(kinds) or "–"
