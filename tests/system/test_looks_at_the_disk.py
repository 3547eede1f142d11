"""Who looks at the disk: a child for each look, or, under ``midair dev``, one that stays; and an update comes in any case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.developed import Developed
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow


def scouts(service: Service) -> list[Process]:
    return [process for process in service.processes() if "midair.supervisor.scout" in process.command]


def wait_for_first_version(service: Service) -> None:
    wait_for(lambda: service.get()[0], until=(200).__eq__, what="the first version")


def test_one_that_stays_looks_at_each_save_and_another_one_if_it_dies(tmp_path: Path) -> None:
    with Developed(tmp_path, "good") as service:
        wait_for_first_version(service)
        (scout,) = wait_for(lambda: scouts(service), what="somebody who looks")
        assert (service.update("2").code, service.update("3").code) == (0, 0)
        assert scouts(service) == [scout]
        scout.kill()
        assert service.update("4").code == 0
        (other,) = wait_for(lambda: scouts(service), what="another one")
        assert other != scout
        assert service.update("5").code == 0
        assert service.serving_version() == "5"


def test_in_production_nobody_stays_to_look(tmp_path: Path) -> None:
    with Service(tmp_path, workers=1) as service:
        assert service.update("2").code == 0
        assert not scouts(service)


def test_a_worker_that_is_forked_under_dev_has_all_that_it_needs_imported(tmp_path: Path) -> None:
    with Developed(tmp_path, "imported_since") as service:
        wait_for_first_version(service)
        assert json.loads(service.get("/since")[1]) == []
