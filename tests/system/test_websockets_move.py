"""WebSockets outlive the version that accepted them: the small twin of ``bench/websockets.py``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.websockets import PLAIN, SQUEEZED, Run

from bench import websockets
from midair.testing.websocket import Sockets

CONNECTIONS = 40

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("updates", "rate", "load"),
    [(3, "100%", PLAIN), (3, "100%", SQUEEZED), (1, "25%", SQUEEZED)],
    ids=["plain", "compressed, with pushes", "paced"],
)
def test_nothing_is_lost_repeated_or_counted_wrong_and_every_websocket_moves(
    updates: int, rate: str, load: Sockets
) -> None:
    run = Run("", updates, rate, replace(load, connections=CONNECTIONS))
    report = websockets.measure(run).report
    assert report.wrong == 0, report.summary()
    assert report.opened == CONNECTIONS
    assert report.moves == CONNECTIONS * updates
    assert (report.pushes > 0) == load.has_pushes


def test_the_client_notices_when_nothing_is_carried() -> None:
    run = Run("", 1, "100%", replace(SQUEEZED, connections=CONNECTIONS), carries=False, within="1s")
    report = websockets.measure(run).report
    assert report.broken == CONNECTIONS, report.summary()
    assert report.moves == 0


def test_a_websocket_whose_turn_comes_before_the_deadline_is_not_sent_away() -> None:
    # At this pace all have moved after 5 s, and the deadline is at 8 s.
    run = Run("", 1, "20%", replace(SQUEEZED, connections=CONNECTIONS), within="8s")
    report = websockets.measure(run).report
    assert report.wrong == 0, report.summary()
