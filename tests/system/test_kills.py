"""kill -9 of anything: the service stays, one version serves in the end, and nothing keeps the port for ever."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from midair.testing.client import Load
from midair.testing.report import Answer
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for

NEW = Load(connections=4, keep_alive=False, think_s=0.02)
BROKEN_OFF = {Answer.RESET, Answer.EOF_BEFORE, Answer.EOF_INSIDE}


def _serves_in_full(service: Service) -> list[int]:
    """The serving workers' pids, once both slots are serving."""

    def serving() -> list[int]:
        status = service.status()
        return [
            worker["pid"]
            for found in status["generations"]
            if found["number"] == status["serving"]
            for worker in found["workers"]
            if worker["state"] in ("serving", "accepting")
        ]

    return wait_for(serving, until=lambda pids: len(pids) == 2, what="two serving workers")


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_costs_what_it_held(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with service.asked(NEW) as client:
            victim, survivor = _serves_in_full(service)
            Process(victim).kill()
            wait_for(lambda: _serves_in_full(service), until=lambda pids: victim not in pids)
            assert survivor in _serves_in_full(service)
        report = client.report
        assert {answer for answer, count in report.counts.items() if count} <= BROKEN_OFF | {Answer.OK}, (
            report.summary()
        )
        assert report.failed <= NEW.connections, report.summary()
        assert list(report.versions) == ["1"]
        service.update("2")
        assert service.serving_version() == "2"


@pytest.mark.slow
def test_a_killed_zygote_costs_nothing_and_brings_in_no_other_code(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with service.asked(NEW) as client:
            workers = set(_serves_in_full(service))
            zygotes = [process for process in service.processes() if process.pid not in workers | {service.pid}]
            assert zygotes, "no zygote is there"
            for zygote in zygotes:
                zygote.kill()
            wait_for(lambda: [zygote for zygote in zygotes if zygote.is_alive], until=lambda left: not left)
            assert service.serving_version() == "1"
            service.update("2")
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert list(client.report.versions) == ["1", "2"]


@pytest.mark.slow
def test_code_on_disk_comes_in_by_an_update_alone(tmp_path: Path) -> None:
    """After a ``git pull`` a killed worker and a killed zygote leave the generation what it was, or short."""
    with Service(tmp_path) as service:
        service.write("good", "2")
        for process in service.processes():
            if process.pid not in (service.pid, service.worker_pids()[0]):
                process.kill()
        with service.asked(NEW) as client:
            wait_for(lambda: client.report.ok >= 100)
        assert list(client.report.versions) == ["1"], client.report.summary() + service.log()
        status = service.status()
        assert status["serving"] == 1
        assert service.reload().code == 0
        assert service.serving_version() == "2"


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["import_hangs", "startup_hangs", "health_503"])
def test_a_candidate_killed_before_the_cut_over_is_refused(tmp_path: Path, phase: str) -> None:
    with Service(tmp_path, settings={"ready": {"timeout": "20s"}}) as service, service.asked(NEW) as client:
        _serves_in_full(service)
        before = set(service.processes())
        service.write(phase, "2")
        with service.reload_in_background() as reload:
            deadline_s = time.monotonic() + 15
            # Whatever is started for the candidate, one process after the other, until the supervisor gives up.
            while reload.poll() is None and time.monotonic() < deadline_s:
                for process in set(service.processes()) - before:
                    process.kill()
                time.sleep(0.05)
            out, err = reload.communicate(timeout=20)
        assert reload.returncode == 4, out + err + service.log()
        wait_for(lambda: set(service.processes()) <= before, what="the end of the candidate")
        assert service.serving_version() == "1"
        service.update("3", "good")
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.slow
def test_a_candidate_killed_in_the_bake_is_rolled_back(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"bake": {"for": "10s"}}) as service, service.asked(NEW) as client:
        old = set(_serves_in_full(service))
        service.write("good", "2")
        with service.reload_in_background() as reload:
            wait_for(lambda: "2" in client.report.versions, what="the cut-over")
            for pid in set(_serves_in_full(service)) - old:
                Process(pid).kill()
            out, err = reload.communicate(timeout=20)
        assert reload.returncode == 4, out + err + service.log()
        assert service.serving_version() == "1"
        assert client.report.failed <= NEW.connections, client.report.summary()


@pytest.mark.slow
def test_children_of_a_killed_supervisor_leave_and_free_the_port(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with service.asked(Load("/slow?s=1", connections=3, limit=1)) as client:
            wait_for(lambda: service.status()["generations"][0]["workers"])
            service.supervisor.kill()
            service.wait_ended()
            # The promise: 5 s for requests, and 2 s for those that do not look.
            wait_for(service.processes, 9, until=lambda left: not left, what="the end of all children")
        with pytest.raises(ConnectionRefusedError):
            service.get("/")
        assert client.report.counts[Answer.OK] >= 1


@pytest.mark.slow
def test_a_request_in_flight_outlives_the_supervisor(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        arrived = Load("/slow?s=2", connections=4, keep_alive=False, limit=1)
        with service.asked(Load(connections=1, limit=1), arrived) as client:
            wait_for(lambda: client.report.connections == 5)
            time.sleep(0.2)  # the requests are written; nothing tells us that the worker has read them
            service.supervisor.kill()
            wait_for(lambda: client.report.requests == 5, what="five answers")
        assert client.report.failed == 0, client.report.summary()


def _children(pid: int) -> list[int]:
    """As the kernel lists them: quick enough to see a process that lives for a millisecond."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.slow
def test_a_process_killed_between_two_forks_leaves_nobody_behind(tmp_path: Path) -> None:
    """Every fork goes through a process in the middle; killed at the wrong moment, it has made a child that nobody named."""
    with Service(tmp_path, settings={"ready": {"timeout": "3s"}}) as service, service.asked(NEW) as client:
        _serves_in_full(service)
        before = set(service.processes())
        service.write("import_hangs", "2")
        killed = 0
        for _ in range(5):
            with service.reload_in_background() as reload:
                while reload.poll() is None:
                    for parent in before:
                        for middle in _children(parent.pid) if parent.pid != service.pid else ():
                            Process(middle).kill()
                            killed += 1
                out, err = reload.communicate(timeout=20)
            assert reload.returncode == 4, out + err + service.log()
            wait_for(lambda: set(service.processes()) <= before, what="the end of the candidate")
        assert killed, "no process in the middle was ever seen"
        service.update("3", "good")
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("app", "zygote", "name"),
    [
        ("import_hangs", "auto", "midair z2"),
        ("import_hangs", "never", "midair w2.0"),
        ("startup_hangs", "auto", "midair w2.0"),
    ],
)
def test_a_candidate_that_hangs_does_not_outlive_the_supervisor(
    tmp_path: Path, app: str, zygote: str, name: str
) -> None:
    """It never looks at its link: the kernel has to tell it."""
    with Service(tmp_path, settings={"ready": {"timeout": "40s"}, "zygote": zygote}) as service:
        service.write(app, "2")
        assert service.reload("--no-wait").code == 0
        wait_for(lambda: name in [process.name for process in service.processes()], what=name)
        service.supervisor.kill()
        service.wait_ended()
        # As promised: the kernel's signal, and an alarm 7 s later.
        wait_for(service.processes, 9, until=lambda left: not left, what="the end of all children")
