"""From the signal to the first answer of the new version, for a bare application; median of 20 updates.

What is the application's own (its import, its start-up) it measures itself, on the same clock, and it is subtracted:
what is left is the server's share. ``all`` is when 20 new connections in a row get the new version.
"""

from __future__ import annotations

import json
import signal
import statistics
import time
from dataclasses import dataclass

from bench import peers, table

UPDATES = 20
PEERS_UPDATES = 6
"""Theirs take seconds each; a median of six says enough beside ours."""
LIMIT_S = 10.0
IN_A_ROW = 20
COLUMNS = (
    "server",
    "first answer ms",
    "slowest ms",
    "server's share ms",
    "application's ms",
    "all ms",
    "ratio",
    "came",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One update. All are seconds from the signal on, but ``application_s``, a length."""

    first_s: float
    application_s: float
    all_s: float


def main() -> None:
    measured = {peer: _measure(peer) for peer in peers.ALL}
    ours = _median(measured[peers.MIDAIR], "first_s")
    rows = [
        [
            peer.name,
            _median(changes, "first_s") * 1e3,
            max(change.first_s for change in changes) * 1e3,
            statistics.median(change.first_s - change.application_s for change in changes) * 1e3,
            _median(changes, "application_s") * 1e3,
            _median(changes, "all_s") * 1e3,
            _median(changes, "first_s") / ours,
            f"{len(changes)} of {_updates(peer)}",
        ]
        for peer, changes in measured.items()
    ]
    table.show("signal to first answer of the new version, bare application, medians", COLUMNS, rows)
    print(table.versions(*(peer.package for peer in peers.ALL)))


def _updates(peer: peers.Peer) -> int:
    return UPDATES if peer is peers.MIDAIR else PEERS_UPDATES


def _median(changes: list[Change], name: str) -> float:
    return statistics.median(float(getattr(change, name)) for change in changes)


def _measure(peer: peers.Peer) -> list[Change]:
    with peers.serve(peer, settings='[bake]\nfor = "0s"') as server:
        changes = []
        for number in range(2, _updates(peer) + 2):
            server.settle()
            server.write(str(number))
            # Ours by signal as well, so that no command's own start is in the figure.
            number_of_signal = peer.reload if isinstance(peer.reload, signal.Signals) else signal.SIGUSR1
            began_s = time.monotonic()
            server.process.send_signal(number_of_signal)
            if (change := _watch(server, str(number), began_s)) is not None:
                changes.append(change)
        return changes


def _watch(server: peers.Running, version: str, began_s: float) -> Change | None:
    """Follow one update; None if it has not come whole within LIMIT_S (old answers still mixed in, for instance)."""
    first: tuple[float, float] | None = None
    in_a_row = 0
    while in_a_row < IN_A_ROW:
        now_s = time.monotonic()
        if now_s - began_s > LIMIT_S:
            return None
        try:
            told = json.loads(server.ask("/times"))
        except OSError:
            in_a_row = 0
            continue
        if told["version"] != version:
            in_a_row = 0
            time.sleep(0.002)  # the machine has two cores: asking in a tight loop would slow down what is measured
            continue
        in_a_row += 1
        if first is None:
            first = (time.monotonic() - began_s, _application_s(told))
    assert first is not None
    return Change(first[0], first[1], time.monotonic() - began_s)


def _application_s(told: dict[str, float]) -> float:
    imported_s = told["import_ended_s"] - told["import_began_s"]
    return imported_s + told.get("startup_ended_s", 0.0) - told.get("startup_began_s", 0.0)
