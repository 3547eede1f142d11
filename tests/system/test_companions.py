"""Once-only processes beside the workers (``[[process]]``): of the serving version, never one too many, never one too few."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.support.processes import Process
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

# It notes its start and its end, and holds a lock meanwhile: two of one name at a time would be seen.
BESIDE = """
import fcntl, os, signal, sys, time
name, generation = os.environ["MIDAIR_PROCESS"], os.environ["MIDAIR_GENERATION"]
def note(what):
    with open("processes.log", "a") as file:
        file.write(f"{name} {generation} {what} {os.getpid()}\\n")
def end(number, frame):
    time.sleep(float(os.environ.get("ENDING_S", "0")))
    note("ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
lock = open(f"{name}.lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    note("overlaps")
note("began")
while True:
    signal.pause()
"""


def _process(name: str, update: str = "overlap", **more: Setting) -> dict[str, Setting]:
    return {"name": name, "command": [sys.executable, "-c", BESIDE], "update": update, **more}


def _noted(service: Service) -> list[str]:
    """What they noted, without PIDs."""
    path = service.folder / "processes.log"
    return [line.rpartition(" ")[0] for line in path.read_text().splitlines()] if path.exists() else []


def _running(service: Service) -> dict[str, int]:
    """``name generation`` of those that live, with their PIDs."""
    found = {}
    for line in (service.folder / "processes.log").read_text().splitlines():
        name, generation, what, pid = line.split()
        if what == "began" and Process(int(pid)).is_alive:
            found[f"{name} {generation}"] = int(pid)
    return found


def _wait_running(service: Service, *names: str) -> None:
    """Until these live and no others: one that has noted its end has still to come to it."""
    wait_for(lambda: set(_running(service)), until=set(names).__eq__, what=f"{names} alone {service.log()}")


def _wait_noted(service: Service, *lines: str) -> None:
    wait_for(lambda: _noted(service), until=lambda seen: set(lines) <= set(seen), what=f"{lines} {service.log()}")


@pytest.mark.slow
def test_overlapping_ones_run_side_by_side_while_an_update_bakes(tmp_path: Path) -> None:
    settings: dict[str, Setting] = {"process": [_process("queue")], "bake": {"for": "60s"}}
    with Service(tmp_path, settings=settings) as service:
        _wait_noted(service, "queue 1 began")
        service.write("good", "2")
        reload = service.reload_in_background()
        _wait_noted(service, "queue 2 began")
        assert set(_running(service)) == {"queue 1", "queue 2"}
        # Going back ends the new one and never touched the old one.
        assert service.midair("rollback", "--json").code == 0
        reload.communicate(timeout=20)
        _wait_noted(service, "queue 2 ended")
        assert _noted(service).count("queue 1 began") == 1
        assert set(_running(service)) == {"queue 1"}


@pytest.mark.slow
def test_an_exclusive_one_starts_when_its_predecessor_has_ended_and_a_rollback_undoes_that(tmp_path: Path) -> None:
    settings: dict[str, Setting] = {"process": [_process("clock", "exclusive")], "bake": {"for": "60s"}}
    with Service(tmp_path, settings=settings, env={"ENDING_S": "0.3"}) as service:
        _wait_noted(service, "clock 1 began")
        service.write("good", "2")
        reload = service.reload_in_background()
        _wait_noted(service, "clock 2 began")
        assert service.midair("rollback", "--json").code == 0
        reload.communicate(timeout=20)
        wait_for(lambda: _noted(service), until=lambda seen: len(seen) == 5, what="the old one again")
        assert _noted(service) == [
            "clock 1 began",
            "clock 1 ended",
            "clock 2 began",
            "clock 2 ended",
            "clock 1 began",
        ]


@pytest.mark.slow
def test_after_a_commit_only_those_of_the_new_version_run(tmp_path: Path) -> None:
    processes = [_process("queue"), _process("clock", "exclusive")]
    with Service(tmp_path, settings={"process": processes}) as service:
        _wait_noted(service, "queue 1 began", "clock 1 began")
        service.update("2")
        _wait_noted(service, "queue 1 ended", "clock 1 ended", "queue 2 began", "clock 2 began")
        _wait_running(service, "queue 2", "clock 2")
        # A version without one takes it away; a refused version changes nothing.
        service.configure(process=[_process("queue")])
        service.update("3")
        _wait_noted(service, "clock 2 ended", "queue 3 began", "queue 2 ended")
        service.write("import_error", "4")
        assert service.reload().code == 4
        _wait_running(service, "queue 3")


@pytest.mark.slow
def test_one_that_dies_is_started_again_later_and_later(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"process": [_process("queue")]}) as service:
        _wait_noted(service, "queue 1 began")
        for starts in (2, 3):
            Process(_running(service)["queue 1"]).kill()
            wait_for(lambda: _noted(service).count("queue 1 began"), until=starts.__eq__)
        died = [line for line in service.log().splitlines() if "process died" in line]
        waits = [float(line.split("again_in_s=")[1].split()[0]) for line in died]
        assert waits == sorted(waits), died
        assert waits[-1] > waits[0], died
        assert "SIGKILL" in died[0]
        assert service.serving_version() == "1"


@pytest.mark.slow
def test_an_upgrade_keeps_them_with_their_pids_and_still_hears_of_their_end(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"process": [_process("clock", "exclusive")]}) as service:
        _wait_noted(service, "clock 1 began")
        before = _running(service)
        assert service.midair("upgrade").code == 0, service.log()
        assert _running(service) == before
        service.update("2")
        _wait_noted(service, "clock 1 ended", "clock 2 began")
        assert "clock 2 overlaps" not in _noted(service)
        Process(_running(service)["clock 2"]).kill()
        wait_for(lambda: _noted(service).count("clock 2 began"), until=lambda n: n == 2, what="another one")


@pytest.mark.slow
def test_one_that_does_not_end_in_its_time_is_killed_with_what_it_started(tmp_path: Path) -> None:
    deaf = "trap '' TERM; sleep 60 & echo $! > child.pid; while :; do sleep 60; done"
    process: dict[str, Setting] = {"name": "deaf", "command": ["sh", "-c", deaf], "stop_timeout": "0.3s"}
    with Service(tmp_path, settings={"process": [process]}) as service:
        wait_for((service.folder / "child.pid").exists, what="the process")
        child = Process(int((service.folder / "child.pid").read_text()))
        service.configure(process=[])
        service.update("2")
        # Its own 0.3 s; the default would be 10 s.
        wait_for(lambda: not child.is_alive, 5.0, what="the end of what it had started")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_stop_ends_them_in_good_order_and_a_forced_one_at_once(tmp_path: Path, number: signal.Signals) -> None:
    settings: dict[str, Setting] = {"process": [_process("queue")]}
    with Service(tmp_path, settings=settings, env={"ENDING_S": "0.5"}) as service:
        _wait_noted(service, "queue 1 began")
        service.supervisor.send(number)
        service.wait_ended()
        assert ("queue 1 ended" in _noted(service)) is (number == signal.SIGTERM)


@pytest.mark.slow
def test_they_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"process": [_process("queue")]}) as service:
        _wait_noted(service, "queue 1 began")
        one = Process(_running(service)["queue 1"])
        service.supervisor.kill()
        wait_for(lambda: not one.is_alive, what="its end")
