"""Before a candidate starts, what the serving generation takes is compared with what is left: it starts only where it fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.groups import MIB, Group
from tests.support.service import Service
from tests.support.toml import Setting

pytestmark = [pytest.mark.slow, pytest.mark.root]

LARGE_MIB = 60


def _large(tmp_path: Path, group: Group, workers: int = 2, **settings: Setting) -> Service:
    env = {"LARGE_BYTES": str(LARGE_MIB * MIB)}
    return Service(tmp_path, "large", workers=workers, settings=settings, env=env, prefix=group.prefix)


def test_what_fits_starts_all_at_once(tmp_path: Path, group: Group) -> None:
    with _large(tmp_path, group) as service:
        group.leave(4 * LARGE_MIB)
        service.update("2")
        assert not [e for e in service.receipt()["events"] if e["event"] == "surge_by_slot"]


def test_what_fits_only_one_by_one_goes_slot_by_slot_and_nothing_is_lost(tmp_path: Path, group: Group) -> None:
    with _large(tmp_path, group, workers=3) as service:
        # Room for one new worker and what it is forked from; not for three.
        group.leave(2 * LARGE_MIB + LARGE_MIB // 2)
        with service.asked(
            Load(connections=2, keep_alive=False, think_s=0.02), Load(connections=4, think_s=0.02)
        ) as client:
            service.update("2")
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert service.serving_version() == "2"
        assert len(service.worker_pids()) == 3
        why = [e["fields"]["why"] for e in service.receipt()["events"] if e["event"] == "surge_by_slot"]
        assert len(why) == 1
        assert "3 new workers need about" in why[0]
        assert group.kills() == 0
        assert group.peak() <= group.limit()


def test_workers_that_import_by_themselves_are_not_ended_for_want_of_room(tmp_path: Path, group: Group) -> None:
    """Their files are gone: they could not be started again if the new version failed half-way."""
    with _large(tmp_path, group, workers=3, zygote="never") as service:
        pids = service.worker_pids()
        group.leave(2 * LARGE_MIB + LARGE_MIB // 2)
        service.write("large", "2")
        refused = service.reload()
        assert (refused.code, refused.data["result"]) == (4, "refused"), refused
        fault = service.receipt()["fault"]
        assert fault["code"] == "no-memory"
        assert "could not be started again" in fault["message"]
        assert 'surge = "slot"' in fault["hint"]
        assert sorted(service.worker_pids()) == sorted(pids)
        service.configure(surge="slot")
        assert service.reload().code == 0, service.log()
        assert service.serving_version() == "2"


def test_what_does_not_fit_is_refused_with_the_figures_and_nobody_notices(tmp_path: Path, group: Group) -> None:
    with _large(tmp_path, group) as service:
        pids = service.worker_pids()
        group.leave(LARGE_MIB // 2)
        with service.asked(Load(connections=2, keep_alive=False, think_s=0.02)) as client:
            service.write("large", "2")
            refused = service.reload()
        assert (refused.code, refused.data["result"]) == (4, "refused"), refused
        assert client.report.failed == 0, client.report.summary()
        fault = service.receipt()["fault"]
        assert fault["code"] == "no-memory"
        assert "2 new workers need about" in fault["message"]
        assert "MiB are left" in fault["message"]
        assert "surge" in fault["hint"]
        assert sorted(service.worker_pids()) == sorted(pids)
        # With more room the same version is taken up.
        group.leave(4 * LARGE_MIB)
        assert service.reload().code == 0, service.log()
        assert service.serving_version() == "2"
