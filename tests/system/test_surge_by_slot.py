"""``surge = "slot"``: the workers of a new version take the old ones' slots one after the other, and nobody notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

WORKERS = 3
LOADS = (Load(connections=4, keep_alive=False, think_s=0.01), Load("/slow?s=0.2", connections=4, think_s=0.01))


def _full(service: Service) -> bool:
    return len(service.worker_pids()) == WORKERS


def _slots(service: Service, generation: int) -> set[int]:
    """The slots that have a worker of this generation."""
    found = (each for each in service.status()["generations"] if each["number"] == generation)
    return {worker["slot"] for each in found for worker in each["workers"]}


def test_every_slot_changes_hands_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    with Service(tmp_path, workers=WORKERS, settings={"surge": "slot"}) as service:
        with service.asked(*LOADS) as client:
            for version in ("2", "3"):
                service.update(version)
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert service.serving_version() == "3"
        assert len(service.worker_pids()) == WORKERS
        events = service.receipt()["events"]
        assert [e["fields"]["why"] for e in events if e["event"] == "surge_by_slot"] == ['surge = "slot"']
        # Each worker but the last starts when an old one has ended: the receipt has their start-ups in order.
        slots = [e["fields"]["slot"] for e in events if e["event"] == "worker_started"]
        assert slots[:WORKERS] == list(range(WORKERS)), events


def test_a_slot_that_fails_half_way_leads_back_to_a_whole_old_version(tmp_path: Path) -> None:
    with Service(tmp_path, workers=WORKERS, settings={"surge": "slot"}) as service:
        with service.asked(*LOADS) as client:
            service.write("startup_raises_in_slot_1", "2")
            done = service.reload()
            assert (done.code, done.data["result"]) == (4, "rolled-back"), f"{done}\n{service.log()}"
            wait_for(lambda: _full(service), what="a whole old version")
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert "slot 1 of this version fails on purpose" in service.receipt()["fault"]["message"]
        assert service.serving_version() == "1"


def test_a_rollback_in_the_bake_brings_every_old_slot_back(tmp_path: Path) -> None:
    with Service(tmp_path, workers=WORKERS, settings={"surge": "slot", "bake": {"for": "60s"}}) as service:
        with service.asked(*LOADS) as client:
            service.write("good", "2")
            reload = service.reload_in_background()
            wait_for(service.log, until=lambda log: "bake" in log, what="the bake")
            assert service.midair("rollback").code == 0
            assert reload.wait(20) == 4
            reload.communicate()
            wait_for(lambda: _full(service), what="a whole old version")
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert service.serving_version() == "1"


@pytest.mark.alone
def test_the_supervisor_is_upgraded_on_the_way_from_slot_to_slot(tmp_path: Path) -> None:
    """Asked for while a later slot's worker is asked for its health, which takes a while here: its answer must not get lost.

    The old workers hold requests of some seconds, so that there is a quiet moment before the last slot; if the new midair
    takes longer to be tried than that, the next one is in the bake.
    """
    settings: dict[str, Setting] = {"surge": "slot", "health": {"path": "/slow?s=1"}, "bake": {"for": "4s"}}
    with Service(tmp_path, workers=WORKERS, settings=settings) as service:
        with service.asked(Load("/slow?s=2", connections=9), *LOADS) as client:
            service.write("good", "2")
            reload = service.reload_in_background()
            wait_for(lambda: _slots(service, 2), 40, until=lambda slots: 1 in slots, what="the second slot's worker")
            assert service.midair("upgrade").code == 0, service.log()
            assert reload.poll() is None
            out, err = reload.communicate(timeout=40)
            assert reload.returncode == 0, f"{out}{err}{service.log()}"
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert service.serving_version() == "2"
        assert len(service.worker_pids()) == WORKERS
