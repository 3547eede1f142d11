"""What an update to a bad version costs: ours beside the reload that each peer documents.

One version does not start; one starts, is healthy where it is asked for its health, and answers everything else with 500. The
same strict client in all rows. Ten seconds after the reload new connections are asked: who fails then goes on failing until
somebody mends it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from bench import peers, table
from bench.reload_loss import failures
from midair.testing.client import BackgroundClient, Load
from midair.testing.report import Answer, Report

LOADS = (Load(connections=10, think_s=0.05), Load(connections=2, keep_alive=False, think_s=0.02))
WATCHED_S = 10.0
SETTINGS = '[bake]\nfor = "5s"\n[health]\npath = "/health"'
AFTERWARDS = 20
COLUMNS = ("version", "server", "requests", "failed", "of these", "right 10 s later")


def does_not_start(text: str) -> str:
    return "VERSION = = 2\n" + text


def answers_500(text: str) -> str:
    return text.replace('"status": 200', '"status": 200 if scope["path"] == "/health" else 500')


BAD: dict[str, Callable[[str], str]] = {"does not start": does_not_start, "starts, answers 500": answers_500}


def main() -> None:
    rows = [_cells(name, peer, *run(peer, spoil)) for name, spoil in BAD.items() for peer in peers.ALL]
    table.show("one update to a bad version, 2 workers, a client that never retries", COLUMNS, rows)
    print(table.versions(*(peer.package for peer in peers.ALL)))


def run(peer: peers.Peer, spoil: Callable[[str], str], watched_s: float = WATCHED_S) -> tuple[Report, int]:
    """What the clients saw, and how many of twenty new connections get the first version's answer in the end."""
    with peers.serve(peer, settings=SETTINGS) as server, BackgroundClient(server.url, *LOADS) as client:
        server.settle()
        (server.folder / "app.new").write_text(spoil((server.folder / "app.py").read_text()))
        (server.folder / "app.new").replace(server.folder / "app.py")
        began_s = time.monotonic()
        _reload(server)
        time.sleep(max(0.0, began_s + watched_s - time.monotonic()))  # As long for each server: what is counted.
        report = client.stop()
        return report, sum(_is_right(server) for _ in range(AFTERWARDS))


def _reload(server: peers.Running) -> None:
    try:
        server.reload()
    except subprocess.CalledProcessError:
        pass  # Refused or rolled back: midair says so, the others do not.


def _is_right(server: peers.Running) -> bool:
    try:
        return b'"1"' in server.ask(timeout_s=1.0)
    except OSError:
        return False


def _cells(name: str, peer: peers.Peer, report: Report, right: int) -> list[object]:
    assert sum(report.counts.values()) == report.requests
    assert report.failed == report.requests - report.counts[Answer.OK]
    return [name, peer.name, report.requests, report.failed, failures(report), f"{right} of {AFTERWARDS}"]
