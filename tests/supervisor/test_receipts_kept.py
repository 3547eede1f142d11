"""What is kept of receipts on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from midair.config.schema import Receipts as Bounds
from midair.core.effects import Closed, Opened
from midair.core.ids import GenerationId, RequestId, UpdateId
from midair.errors import Fault
from midair.supervisor.clock import SystemClock
from midair.supervisor.ledger import Ledger
from midair.supervisor.loop import Loop
from midair.supervisor.offload import Offload
from midair.supervisor.processes import Processes

T = TypeVar("T")


class AtOnce(Offload):
    """Does it there and then."""

    def begin(
        self,
        what: str,
        function: Callable[[], T],
        result: type[T],
        done: Callable[[T | Fault], None],
        *,
        limit_s: float = 0.0,
    ) -> None:
        done(function())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    loop = Loop(SystemClock())
    yield Ledger(str(tmp_path), Bounds(), loop, AtOnce(loop, Processes()), lambda event, fields: None)
    loop.close()


def update(ledger: Ledger, number: int, says: str = "") -> None:
    generation = GenerationId(number)
    ledger.opened(Opened(UpdateId(number), generation, RequestId(number), "uid 0", says, None), "")
    ledger.closed(Closed(UpdateId(number), generation, "committed", "1.0", generation), "1.0", [])


def kept(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.iterdir())


def test_a_thousand_receipts_are_kept_and_fifty_mebibytes_of_them() -> None:
    assert Bounds() == Bounds(keep=1000, max_size_bytes=50 * 1024 * 1024)


def test_beyond_their_number_the_oldest_go(ledger: Ledger, tmp_path: Path) -> None:
    ledger.bounds = Bounds(keep=5)
    for number in range(1, 12):
        update(ledger, number)
    assert kept(tmp_path) == [7, 8, 9, 10, 11]


def test_beyond_their_size_the_oldest_go_though_there_are_few(ledger: Ledger, tmp_path: Path) -> None:
    ledger.bounds = Bounds(max_size_bytes=12_000)
    for number in range(1, 12):
        update(ledger, number, says="x" * 2000)
    assert kept(tmp_path) == [8, 9, 10, 11]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 12_000


def test_fewer_are_kept_from_the_next_one_on_if_the_bound_is_lowered(ledger: Ledger, tmp_path: Path) -> None:
    for number in range(1, 12):
        update(ledger, number)
    assert len(kept(tmp_path)) == 11
    ledger.bounds = Bounds(keep=2)
    update(ledger, 12)
    assert kept(tmp_path) == [11, 12]
