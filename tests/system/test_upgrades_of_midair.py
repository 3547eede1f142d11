"""Another midair takes the running one's place; one that cannot leaves everything as it was, and says so."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path

import pytest

import midair
from midair.testing.client import Load
from tests.support.service import Service
from tests.support.waiting import wait_for

ASKING = (Load(connections=4, keep_alive=False, think_s=0.02), Load(connections=6, think_s=0.1))
NEWER = "99.1"


class Installed:
    """midair in release folders, the way a deployment has it: ``current`` is a link that is swapped."""

    def __init__(self, tmp: Path) -> None:
        self._tmp = tmp
        self.current = tmp / "current"
        self.add("first")
        self.swap("first")

    def add(self, name: str) -> Path:
        """A release folder with a copy of midair; its package."""
        package = self._tmp / "releases" / name / "midair"
        shutil.copytree(Path(midair.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
        return package

    def swap(self, name: str) -> None:
        link = self._tmp / "current.new"
        link.symlink_to(self._tmp / "releases" / name)
        link.replace(self.current)

    def service(self, tmp: Path) -> Service:
        return Service(tmp, env={"PYTHONPATH": str(self.current)})


def _edit(path: Path, pattern: str, new: str) -> None:
    text, count = re.subn(pattern, new, path.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1, f"{path.name} does not say {pattern}"
    path.write_text(text)


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


@pytest.mark.slow
def test_a_newer_midair_takes_over_in_place(tmp_path: Path, installed: Installed) -> None:
    _edit(installed.add("second") / "__init__.py", "^__version__ = .*$", f'__version__ = "{NEWER}"')
    with installed.service(tmp_path) as service:
        with service.asked(*ASKING) as client:
            before = service.status()
            installed.swap("second")
            assert service.midair("upgrade", "--json").code == 0, service.log()
            after = service.status()
            assert (after["pid"], after["midair"]) == (before["pid"], NEWER)
            # Workers of the midair before serve on under it, and are updated by it.
            assert service.worker_pids() == [
                worker["pid"] for found in before["generations"] for worker in found["workers"]
            ]
            service.update("2")
            assert service.serving_version() == "2"
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.slow
def test_a_midair_that_cannot_be_imported_is_refused_before_anything_happens(
    tmp_path: Path, installed: Installed
) -> None:
    (installed.add("broken") / "supervisor" / "fleet.py").write_text("this is no Python\n")
    with installed.service(tmp_path) as service:
        with service.asked(*ASKING) as client:
            before = service.status()
            installed.swap("broken")
            refused = service.midair("upgrade", "--json")
            assert refused.code == 4, f"{refused}\n{service.log()}"
            assert refused.data["fault"]["code"] == "upgrade-preflight"
            assert "SyntaxError" in refused.data["fault"]["detail"]
            # With SIGUSR2 no update follows: it would start workers of a midair that is broken.
            service.write("good", "2")
            service.supervisor.send(signal.SIGUSR2)
            wait_for(lambda: service.log().count("upgrade refused"), until=lambda count: count == 2)
            after = service.status()
            assert (after["pid"], after["serving"]) == (before["pid"], before["serving"])
            installed.swap("first")
            assert service.reload().code == 0
            assert service.serving_version() == "2"
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.slow
@pytest.mark.parametrize("way", [pytest.param("raises in resume", marks=pytest.mark.soak), "raises when it lives"])
def test_a_midair_that_fails_after_the_leap_leads_back_to_the_one_before(
    tmp_path: Path, installed: Installed, way: str
) -> None:
    main = installed.add("broken") / "supervisor" / "main.py"
    if way == "raises in resume":
        _edit(main, r"^    state = read\(fd\)$", '    raise RuntimeError("planted in the new midair")')
    else:
        _edit(
            main,
            r"^    life\.adopt\(state\)$",
            '    life.adopt(state)\n    raise RuntimeError("planted in the new midair")',
        )
    with installed.service(tmp_path) as service:
        with service.asked(*ASKING) as client:
            before = service.status()
            installed.swap("broken")
            refused = service.midair("upgrade", "--json")
            assert refused.code == 4, f"{refused}\n{service.log()}"
            assert "planted in the new midair" in str(refused.data["fault"])
            after = service.status()
            assert (after["pid"], after["midair"]) == (before["pid"], before["midair"])
            assert service.worker_pids() == [
                worker["pid"] for found in before["generations"] for worker in found["workers"]
            ]
            # What came back is whole: it updates, and can be upgraded once the mistake is mended.
            installed.swap("first")
            service.update("2")
            _edit(installed.add("mended") / "__init__.py", "^__version__ = .*$", f'__version__ = "{NEWER}"')
            installed.swap("mended")
            assert service.midair("upgrade", "--json").code == 0, service.log()
            assert service.status()["midair"] == NEWER
            service.update("3")
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert list(client.report.versions) == ["1", "2", "3"]
