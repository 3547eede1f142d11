"""Release folders under a real service: whatever becomes of a deployment, nothing is lost, and ``current`` names what serves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from midair.config.load import ServiceAddress
from midair.control import client
from midair.control.words import Rollback, Status, StatusReport
from midair.testing.client import Load
from tests.support.service import Done, Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

BUSY = (Load(connections=4, keep_alive=False, think_s=0.02), Load(connections=6, think_s=0.05))


class Deployed(Service):
    """A service in ROOT/current. Its first release is deployed before it starts; what is written goes into a project beside it."""

    def __init__(self, tmp: Path, app: str = "good", **more: Any) -> None:
        self.root = tmp / "root"
        super().__init__(tmp, app, flags=("-C", str(self.root / "current")), **more)
        self.project = self.folder
        self.put("one")
        self.folder = self.root / "current"

    def write(self, app: str, version: str) -> None:
        """Into the project, also when the service's folder is another one."""
        here, self.folder = self.folder, getattr(self, "project", self.folder)
        super().write(app, version)
        self.folder = here

    def put(self, name: str, *flags: str) -> Done:
        return self.midair("deploy", str(self.project), "--to", str(self.root), "--id", name, "--json", *flags)

    def put_in_background(self, name: str) -> subprocess.Popen[str]:
        return self.midair_in_background("deploy", str(self.project), "--to", str(self.root), "--id", name)

    @property
    def current(self) -> str:
        return os.path.basename(os.readlink(self.root / "current"))

    @property
    def control(self) -> ServiceAddress:
        return ServiceAddress(name=str(self.settings["name"]), folder="/", runtime_dirs=(str(self.runtime),))

    def look(self) -> StatusReport:
        """The status, without a process for it."""
        return client.ask_one(self.control, Status(), StatusReport)

    @property
    def phase(self) -> str:
        """Of the update that goes on; empty: none."""
        going = self.look().update
        return going.phase if going else ""


BAKES: dict[str, Setting] = {"bake": {"for": "60s"}}
"""Long enough to kill somebody meanwhile, and to ask for the way back, which ends it."""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_good_and_bad_deployments_and_the_way_back_lose_nothing(tmp_path: Path) -> None:
    with Deployed(tmp_path) as service:
        with service.asked(*BUSY) as asking:
            service.write("good", "2")
            done = service.put("two")
            assert (done.code, done.data["release"], service.current) == (0, "two", "two"), f"{done}{service.log()}"
            assert service.serving_version() == "2"
            steps = service.receipt()["steps"]
            assert [each["step"] for each in steps] == ["fetch", "check", "switch"], steps
            assert all(each["at_s"] < 0 <= each["took_s"] for each in steps), steps
            service.write("import_error", "3")
            assert service.put("three").code == 1, "midair check sees it, and nothing is switched"
            assert not (service.root / "releases" / "three").exists()
            service.write("startup_raises", "4")
            done = service.put("four")
            assert (done.code, service.current) == (4, "two"), f"{done}{service.log()}"
            assert "current names two again" in done.data["fault"]["message"]
            assert service.midair("rollback", "-C", str(service.folder)).code == 0
            assert (service.serving_version(), service.current) == ("1", "one")
        assert asking.report.failed == 0, asking.report.summary() + service.log()
        listed = service.midair("deploy", "--list", "--to", str(service.root), "--json").data
        states = {release["id"]: release["state"] for release in listed["releases"]}
        assert (states["one"], states["four"]) == ("serves", "failed")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_deployer_that_is_killed_leaves_current_to_the_service(tmp_path: Path) -> None:
    with Deployed(tmp_path, settings=BAKES) as service:
        with service.asked(*BUSY) as asking:
            service.write("good", "2")
            deployer = service.put_in_background("two")
            wait_for(lambda: service.phase == "bake", what="the bake")
            deployer.send_signal(signal.SIGKILL)
            deployer.communicate()
            assert service.current == "two"
            # As anybody may ask who knows nothing of release folders:
            client.follow(service.control, Rollback(), told=lambda word: None, timeout_s=60)
            wait_for(lambda: service.current == "one" and not service.phase, what="the end of the update")
            assert service.serving_version() == "1"
            assert "current followed" in service.log_path.read_text()
        assert asking.report.failed == 0, asking.report.summary() + service.log()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_what_an_old_version_imports_late_comes_from_its_own_release(tmp_path: Path) -> None:
    with LateImports(tmp_path, "imports_late") as service:
        made, answers = tmp_path / "made", list[dict[str, str]]()
        asked = threading.Thread(
            target=lambda: answers.append(json.loads(service.get(f"/late?after={made}", timeout_s=150)[1])), daemon=True
        )
        asked.start()
        wait_for(lambda: any(worker.active for each in service.look().generations for worker in each.workers))
        service.write("imports_late", "2")
        (service.project / "later.py").write_text('VERSION = "2"\n')
        assert service.put("two").code == 0, service.log()
        made.touch()
        asked.join(150)
        assert answers == [{"version": "1", "file": str(service.root / "releases" / "one" / "later.py")}]
        assert json.loads(service.get(f"/late?after={made}")[1])["version"] == "2"


class LateImports(Deployed):
    """With a module that its application imports late."""

    def put(self, name: str, *flags: str) -> Done:
        if name == "one":
            (self.project / "later.py").write_text('VERSION = "1"\n')
        return super().put(name, *flags)
