"""Who looks at the disk: a child for each look, or, under ``midair dev``, one that stays; and a save is served in any case."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow


class Developed(Service):
    """The same under ``midair dev``."""

    def line(self, fd: int) -> list[str]:
        return [*self._prefix, sys.executable, "-m", "midair", "dev", "--bind", f"fd://{fd}", *self._flags]


def scouts(service: Service) -> list[Process]:
    return [process for process in service.processes() if "midair.supervisor.scout" in process.command]


def save(service: Service, version: str) -> None:
    service.write("good", version)
    wait_for(service.serving_version, 20, until=version.__eq__, what=f"version {version}")


def test_one_that_stays_looks_at_each_save_and_another_one_if_it_dies(tmp_path: Path) -> None:
    with Developed(tmp_path, workers=1) as service:
        (scout,) = wait_for(lambda: scouts(service), 10, what="somebody who looks")
        save(service, "2")
        save(service, "3")
        assert scouts(service) == [scout]
        scout.kill()
        save(service, "4")
        (other,) = wait_for(lambda: scouts(service), 10, what="another one")
        assert other != scout
        save(service, "5")


def test_in_production_nobody_stays_to_look(tmp_path: Path) -> None:
    with Service(tmp_path, workers=1) as service:
        assert service.update("2").code == 0
        assert not scouts(service)


def test_a_worker_that_is_forked_under_dev_has_all_that_it_needs_imported(tmp_path: Path) -> None:
    with Developed(tmp_path, "imported_since", workers=1) as service:
        assert json.loads(service.get("/since")[1]) == []
