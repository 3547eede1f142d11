"""Receipts on a disk that does not take them, and receipts that people read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from midair.config.schema import Receipts
from midair.core.effects import Opened
from midair.core.ids import GenerationId, RequestId, UpdateId
from midair.errors import Fault
from midair.supervisor.clock import SystemClock
from midair.supervisor.ledger import AGAIN_S, Ledger
from midair.supervisor.loop import Loop, Timer
from midair.supervisor.offload import Offload

FULL = Fault("world", "No space left on device: /srv/receipts")


class Laid:
    """Work that was begun, to be done or to fail when the test says so; and what the loop was asked to do later."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.work: list[tuple[Callable[[], int], Callable[[int | Fault], None]]] = []
        self.later: list[Timer] = []

    def begin(self, _what: str, function: Callable[[], int], _result: type[int], done: Callable[[Any], None]) -> None:
        self.work.append((function, done))

    def call_later(self, after_s: float, callback: Callable[[], None]) -> Timer:
        assert after_s == AGAIN_S
        self.later.append(Timer(0.0, callback))
        return self.later[-1]

    def finish(self, fault: Fault | None = None) -> None:
        function, done = self.work.pop(0)
        done(fault or function())

    def fire(self) -> None:
        for timer in self.later:
            if timer.callback:
                timer.callback()
        self.later = []


@pytest.fixture
def laid() -> Laid:
    return Laid()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def ledger(tmp_path: Path, laid: Laid, said: list[str]) -> Ledger:
    return Ledger(
        str(tmp_path), Receipts(), cast("Loop", laid), cast("Offload", laid), lambda event, _fields: said.append(event)
    )


def opened(ledger: Ledger, number: int) -> None:
    update = Opened(UpdateId(number), GenerationId(number), RequestId(0), "uid 0 (root)", "", None)
    ledger.write(ledger.opened(update, ""))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.json"))


def test_what_a_full_disk_did_not_take_is_written_with_the_next_receipt(
    ledger: Ledger, laid: Laid, said: list[str], tmp_path: Path
) -> None:
    opened(ledger, 1)
    laid.finish(FULL)
    assert (ledger.trouble, names(tmp_path)) == (FULL.message, [])
    assert [receipt.number for receipt in ledger.unwritten()] == [1], "it would be lost with the process"
    opened(ledger, 2)
    laid.finish()
    assert (ledger.trouble, names(tmp_path)) == ("", ["00000001.json", "00000002.json"])
    assert said == ["receipt_unwritten", "receipts_written"]


def test_without_another_receipt_it_is_tried_again_after_a_while_one_try_at_a_time(
    ledger: Ledger, laid: Laid, said: list[str], tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        opened(ledger, number)
        laid.finish(FULL)
    laid.fire()
    assert len(laid.work) == 1, "three failures wait for one try"
    laid.finish()
    assert len(names(tmp_path)) == 3
    assert said == ["receipt_unwritten", "receipts_written"], "each is said once"


def test_a_probe_that_is_answered_alike_is_one_line_with_a_count(ledger: Ledger) -> None:
    opened(ledger, 1)
    for _ in range(300):
        for worker in (5, 6):
            ledger.happened(1, "probed", {"worker": worker, "answer": "GET /health: 503"})
    ledger.happened(1, "probed", {"worker": 5, "answer": "200 OK"})
    ledger.happened(1, "worker_died", {"worker": 5})
    ledger.happened(1, "probed", {"worker": 5, "answer": "200 OK"})
    receipt = ledger.get(1)
    assert receipt
    assert [(each.event, each.fields.get("times")) for each in receipt.events] == [
        ("probed", 300),
        ("probed", 300),
        ("probed", None),
        ("worker_died", None),
        ("probed", None),
    ]
