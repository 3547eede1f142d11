"""``midair.before_fork``, ``after_fork`` and ``worker_exited`` are called where and when the documentation says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow


def _lines(service: Service) -> Counter[str]:
    return Counter((service.folder / "hooks.log").read_text().splitlines())


def test_each_is_called_once_a_worker_in_its_process(tmp_path: Path) -> None:
    with Service(tmp_path, "hooks_around_fork") as service:
        # What the import made is frozen, so that no collection in a worker unshares it; and workers collect.
        frozen = {"frozen-True collecting-True forked": 2}
        assert _lines(service) == {"before imported-here": 2, "after forked": 2} | frozen
        killed = service.worker_pids()[0]
        Process(killed).kill()
        wait_for(lambda: _lines(service)[f"exited-{killed} imported-here"], what="the end of a worker, told")
        wait_for(lambda: _lines(service)["after forked"], until=(3).__eq__, what="its replacement")
        assert _lines(service)["before imported-here"] == 3


def test_a_worker_that_is_spawned_calls_after_fork_alone(tmp_path: Path) -> None:
    with Service(tmp_path, "hooks_around_fork", settings={"zygote": "never"}) as service:
        wait_for(lambda: _lines(service)["after imported-here"], until=(2).__eq__)
        assert not _lines(service)["before imported-here"]


def test_a_worker_that_is_forked_has_all_that_it_needs_imported(tmp_path: Path) -> None:
    with Service(tmp_path, "imported_since") as service:
        assert json.loads(service.get("/since")[1]) == []
