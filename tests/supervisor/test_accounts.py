"""What is told of workers, out of what they and the core know."""

from __future__ import annotations

from typing import cast

import pytest

from midair.core.state import WorkerState
from midair.observe.counters import Cell
from midair.observe.metrics import STATES
from midair.supervisor.accounts import Accounts, connections_of, why_ended
from midair.supervisor.estate import Estate

CELLS = dict.fromkeys(Cell, 0) | {Cell.OPEN: 10, Cell.ACTIVE: 4, Cell.STREAMS: 1, Cell.WEBSOCKETS: 2}


def test_each_connection_is_in_one_state() -> None:
    found = connections_of(CELLS, is_draining=False)
    assert found == {"idle": 4, "active": 3, "websocket": 2, "stream": 1}
    assert connections_of(CELLS, is_draining=True) == {"draining": 10}
    assert found.keys() | {"draining"} == set(STATES)


def test_cells_that_are_a_moment_apart_make_no_negative_figure() -> None:
    found = connections_of(CELLS | {Cell.OPEN: 1, Cell.ACTIVE: 0}, is_draining=False)
    assert min(found.values()) == 0


def test_lines_that_the_log_dropped_are_counted_over_an_upgrade_and_over_one_that_failed() -> None:
    before, after = (Accounts(cast("Estate", None)) for _ in range(2))
    before.lines_dropped = lambda: 3
    state, fds = before.freeze()
    after.thaw(state, fds)
    assert after.dropped_ever() == 3
    after.lines_dropped = lambda: 2
    assert after.dropped_ever() == 5
    before.thaw(state, fds)
    assert before.dropped_ever() == 3


@pytest.mark.parametrize(
    ("state", "how", "why"),
    [
        (WorkerState.LEAVING, "exit 0", "left"),
        (WorkerState.LEAVING, "SIGSEGV", "died"),
        (WorkerState.ACCEPTING, "exit 0", "died"),
        (WorkerState.PARKED, "SIGKILL", "died"),
        (WorkerState.KILLED, "SIGKILL", "killed"),
        (WorkerState.STARTING, "exit 1", "failed"),
        (WorkerState.READY, "SIGKILL", "failed"),
        (None, "it never started", "failed"),
    ],
)
def test_an_end_has_one_reason(state: WorkerState | None, how: str, why: str) -> None:
    assert why_ended(state, how) == why
