"""``midair.exclusive``: one worker of the serving version is inside, never two, and never nobody for long."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for

GAP_S = 1.5
"""Nobody inside for longer than this is too long: the body looks every 50 ms, the rest is a busy machine."""


@dataclass(frozen=True, slots=True)
class Line:
    what: str
    version: str
    pid: int
    at_s: float


def _journal(service: Service) -> list[Line]:
    path = service.folder / "journal"
    rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [Line(what, version, int(pid), float(at_s)) for what, version, pid, at_s in rows]


def _inside(service: Service) -> Line | None:
    """Whoever entered last, if it has not left."""
    lines = _journal(service)
    return lines[-1] if lines and lines[-1].what == "in" else None


def _wait_inside(service: Service, version: str, but: int = 0, within_s: float = 20.0) -> Line:
    def look() -> Line | None:
        line = _inside(service)
        return line if line and line.version == version and line.pid != but else None

    found = wait_for(look, within_s, what=f"version {version} inside")
    assert found is not None
    return found


def _check(service: Service, gap_s: float = GAP_S) -> None:
    lines = _journal(service)
    assert all(line.what != "twice" for line in lines), lines
    for one, other in itertools.pairwise(lines):
        if other.what == "in":
            assert other.at_s - one.at_s < gap_s, lines


@pytest.mark.slow
def test_one_worker_is_inside_over_updates(tmp_path: Path) -> None:
    with Service(tmp_path, "exclusive", workers=3) as service:
        _wait_inside(service, "1")
        for number in range(2, 6):
            service.update(str(number))
            _wait_inside(service, str(number))
        _check(service)
        # Another old worker may be inside for a moment, if it hears later than the one that leaves.
        versions = [line.version for line in _journal(service) if line.what == "in"]
        assert versions == sorted(versions)
        assert set(versions) == {"1", "2", "3", "4", "5"}


@pytest.mark.slow
def test_a_killed_holder_is_followed_by_another(tmp_path: Path) -> None:
    with Service(tmp_path, "exclusive", workers=3) as service:
        for _ in range(3):
            holder = _wait_inside(service, "1")
            Process(holder.pid).kill()
            _wait_inside(service, "1", but=holder.pid)
        _check(service)


@pytest.mark.slow
def test_a_rollback_gives_it_back(tmp_path: Path) -> None:
    with Service(tmp_path, "exclusive", settings={"bake": {"for": "30s"}}) as service:
        first = _wait_inside(service, "1")
        service.write("exclusive", "2")
        with service.reload_in_background() as reload:
            _wait_inside(service, "2")
            assert service.midair("rollback").code == 0
            reload.communicate(timeout=20)
        assert _wait_inside(service, "1").pid in {first.pid, *service.worker_pids()}
        _check(service)


@pytest.mark.slow
def test_a_candidate_that_is_refused_never_enters(tmp_path: Path) -> None:
    with Service(tmp_path, "exclusive", settings={"ready": {"timeout": "2s"}}) as service:
        _wait_inside(service, "1")
        service.write("startup_raises", "2")
        assert service.reload().code == 4
        service.write("exclusive", "3")
        service.configure(health={"path": "/nowhere"})
        assert service.reload().code == 4
        assert {line.version for line in _journal(service)} == {"1"}


@pytest.mark.slow
def test_who_does_not_leave_is_cancelled(tmp_path: Path) -> None:
    with Service(tmp_path, "exclusive", "stubborn") as service:
        _wait_inside(service, "stubborn")
        service.update("2", "exclusive")
        _wait_inside(service, "2", within_s=10.0)
        _check(service, gap_s=5.0 + GAP_S)


@pytest.mark.slow
def test_it_outlives_an_upgrade_of_midair(tmp_path: Path) -> None:
    with Service(tmp_path, "exclusive") as service:
        holder = _wait_inside(service, "1")
        assert service.midair("upgrade").code == 0, service.log()
        assert _inside(service) == holder
        service.update("2")
        _wait_inside(service, "2")
        _check(service)
