"""Under ``midair dev`` with one worker, what has imported a save's version serves it: no fork, and another worker if it dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.developed import Developed
from tests.support.processes import Process
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow


def names(service: Developed) -> list[str]:
    return sorted(process.name for process in service.processes())


def test_a_saved_version_needs_no_zygote_beside_its_worker(tmp_path: Path) -> None:
    with Developed(tmp_path, "good") as service:
        wait_for(lambda: service.get()[0], until=(200).__eq__, what="the first version")
        for version in ("2", "3"):
            assert service.update(version).code == 0
        generation = int(service.about()["generation"])
        assert f"midair w{generation}.0" in names(service)
        assert f"midair z{generation}" not in names(service)


def test_who_serves_itself_has_a_successor_of_the_same_version_when_it_dies(tmp_path: Path) -> None:
    with Developed(tmp_path, "good") as service:
        wait_for(lambda: service.get()[0], until=(200).__eq__, what="the first version")
        for version in ("2", "3"):
            assert service.update(version).code == 0
        before = service.about()
        Process(int(before["pid"])).kill()
        after = wait_for(service.about, until=lambda about: about["pid"] != before["pid"], what="its successor")
        assert (after["version"], after["generation"]) == ("3", before["generation"])
        assert service.update("4").code == 0
        assert service.serving_version() == "4"
