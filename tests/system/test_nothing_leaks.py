"""Updates leave nothing behind: no process, descriptor, thread, file or memory, however many there were.

What there is after each of them is fitted by a line: its slope is what one update leaves behind.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for

KIB = 1024
ASKING = Load(connections=4, keep_alive=False, think_s=0.02)
COUNTS = ("processes", "descriptors", "threads", "files")
MEMORY = ("supervisor_kib", "base_kib", "zygote_kib")


@dataclass(frozen=True, slots=True)
class Reading:
    """What there is after an update, once all that it replaced is gone."""

    processes: int
    descriptors: int
    """Of the supervisor and the base."""
    threads: int
    files: int
    """In the runtime folder and the state folder, receipts aside."""
    receipts: int
    supervisor_kib: float
    """What it has allocated: of anonymous memory, since that of files depends on who else has them open."""
    base_kib: float
    zygote_kib: float
    """The serving generation's: another process each time, forked from the base."""


def reading(service: Service) -> Reading:
    processes = wait_for(
        lambda: settled(service), until=lambda found: found is not None, what="the end of all that the update replaced"
    )
    assert processes is not None
    by_name = {process.name: process for process in processes}
    base, zygote = by_name["midair base"], by_name[f"midair z{service.status()['serving']}"]
    state = Path(str(service.settings["state_dir"]))
    files = [path for folder in (service.runtime, state) for path in folder.rglob("*") if not path.is_dir()]
    receipts = [path for path in files if path.parent.name == "receipts"]
    return Reading(
        processes=len(processes),
        descriptors=len(service.supervisor.descriptors) + len(base.descriptors),
        threads=sum(process.threads for process in processes),
        files=len(files) - len(receipts),
        receipts=len(receipts),
        supervisor_kib=service.supervisor.anonymous_bytes / KIB,
        base_kib=base.anonymous_bytes / KIB,
        zygote_kib=zygote.anonymous_bytes / KIB,
    )


def settled(service: Service) -> list[Process] | None:
    """Its processes, if nothing of an update is under way any more: no worker that retires, no child that writes a receipt."""
    status = service.status()
    if any(found["role"] == "retiring" for found in status["generations"]):
        return None
    processes = service.processes()
    # The supervisor, the base, a zygote of the serving generation and one of that before it; the workers.
    return processes if len(processes) == 4 + len(service.worker_pids()) else None


def slopes(readings: list[Reading], every: int = 1) -> dict[str, float]:
    """What each figure grows by an update. every: so many updates lie between two readings."""
    rows = [asdict(each) for each in readings]
    places = range(0, len(rows) * every, every)
    return {name: statistics.linear_regression(places, [row[name] for row in rows]).slope for name in rows[0]}


def updated(service: Service, updates: int, every: int = 1) -> list[Reading]:
    """What there is after every so many of them."""
    readings = []
    for number in range(1, updates + 1):
        service.update(f"{number + 1}")
        if number % every == 0:
            readings.append(reading(service))
    return readings


def counts(found: Reading) -> dict[str, int]:
    return {name: getattr(found, name) for name in COUNTS}


@pytest.mark.slow
def test_updates_leave_nothing_behind(tmp_path: Path) -> None:
    settings = {"bake": {"for": 0}, "receipts": {"keep": 12}}
    with Service(tmp_path, workers=1, settings=settings) as service, service.asked(ASKING) as client:
        # From the second update on there is a kept zygote of the version before: the state that lasts.
        readings = updated(service, 20)[1:]
        wait_for(lambda: counts(reading(service)), until=counts(readings[0]).__eq__, what=f"again {readings[0]}")
        assert readings[-1].receipts == 12
        assert client.report.failed == 0, client.report.summary()
    # The last 200 receipts are in memory, and as many lines of the log: that much it may grow by at first.
    grows = slopes(readings)
    assert {name: grows[name] for name in MEMORY if grows[name] > 40} == {}, readings


@pytest.mark.soak
def test_a_thousand_updates_leave_nothing_behind(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"bake": {"for": 0}}) as service, service.asked(ASKING) as client:
        readings = updated(service, 1050, every=10)
        assert readings[-1].receipts == 1000
        assert client.report.failed == 0, client.report.summary()
    # By now memory holds all that it may: 200 receipts, the last lines of the log, the figures of the last minute.
    grows = slopes(readings[40:], every=10)
    print({name: round(slope, 4) for name, slope in grows.items()})
    assert {name: grows[name] for name in COUNTS if abs(grows[name]) > 0.002} == {}, readings
    assert {name: grows[name] for name in MEMORY if grows[name] > 0.5} == {}, readings
