"""``rollback.keep = "workers"``: spawned workers stay parked after the commit, and going back takes no start and no file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

SPAWNED: dict[str, Setting] = {"zygote": "never", "rollback": {"keep": "workers", "warm": "10m"}}
LOADS = (Load(connections=4, keep_alive=False, think_s=0.01), Load(connections=4, think_s=0.02))


def test_a_rollback_after_the_commit_is_at_once_though_the_files_are_gone(tmp_path: Path) -> None:
    with Service(tmp_path, settings=SPAWNED) as service:
        before = sorted(service.worker_pids())
        service.update("2")
        wait_for(lambda: service.worker_pids(1), until=lambda pids: sorted(pids) == before, what="parked workers")
        for file in service.folder.glob("*.py"):
            file.unlink()
        with service.asked(*LOADS) as client:
            began_s = time.monotonic()
            done = service.midair("rollback", "--json")
            took_s = time.monotonic() - began_s
            assert done.code == 0, f"{done}\n{service.log()}"
            assert sorted(service.worker_pids()) == before
            about = service.about()
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert (about["version"], about["generation"]) == ("1", "1")
        phases = {phase["phase"]: phase["at_s"] for phase in service.receipt()["phases"]}
        assert phases["cut-over"] < 0.5, phases
        assert took_s < 3.0, f"the bake of 0.3 s and the start of a command included: {took_s:.2f} s"
        # And forth again: what was gone back from is kept in turn.
        assert service.midair("rollback").code == 0, service.log()
        assert service.serving_version() == "2"


def test_without_it_spawned_workers_have_only_their_files_to_come_back_from(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"zygote": "never"}) as service:
        service.update("2")
        refused = service.midair("rollback", "--json")
        assert refused.code == 4, refused
        assert service.receipt()["fault"]["code"] == "rollback-files-gone"
        assert service.serving_version() == "2"


def test_where_nothing_is_kept_nobody_goes_back(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"rollback": {"keep": "none"}}) as service:
        service.update("2")
        refused = service.midair("rollback", "--json")
        assert refused.code == 1, refused
        assert "rollback.keep" in refused.out + refused.err
        assert service.serving_version() == "2"
