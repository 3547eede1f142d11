"""A supervisor is killed under a systemd that keeps its descriptors: the next one goes on where it was."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from midair.testing.client import Load
from midair.testing.report import Answer
from tests.support.keeper import Keeper, KeptService
from tests.support.processes import Process
from tests.support.toml import Setting
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow
NEW = Load(connections=4, keep_alive=False, think_s=0.02)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with Keeper() as keeping:
        yield keeping


def test_nobody_is_refused_and_no_number_is_used_twice(tmp_path: Path, keeper: Keeper) -> None:
    with KeptService(tmp_path, keeper, settings={"metrics": {"address": "127.0.0.1:0"}}) as service:
        service.wait_stored("web", "metrics")
        service.update("2")
        service.midair("hold", "-m", "a quiet week")
        # Over an upgrade in place it stays in use.
        assert service.midair("upgrade").code == 0, service.log()
        before, inodes = service.status(), _inodes(keeper)
        assert before["store"] == {"state": "used", "names": ["metrics", "web", "midair-state"]}
        arrived = Load("/slow?s=1", connections=2, keep_alive=False, limit=2)
        with service.asked(NEW, arrived) as client:
            wait_for(lambda: client.report.connections, 20, until=lambda count: count > 10)
            service.kill()
            service.start()
            least = client.report.ok + 50
            wait_for(lambda: client.report.ok, 20, until=lambda count: count > least)
        assert client.report.failed == 0, client.report.summary() + service.log()
        after = service.status()
        assert (after["binds"], after["metrics"]) == (before["binds"], before["metrics"])
        assert after["serving"] == before["serving"] + 1
        assert [each["number"] for each in after["last"]] == [4, 3, 2, 1]
        assert min(_workers(after)) > max(_workers(before))
        assert after["hold"]["reason"] == "a quiet week"
        assert after["warnings"] == []
        assert len(service.events("supervisor restored")) == 1
        service.wait_stored("web", "metrics")
        assert _inodes(keeper) == inodes


def test_other_code_on_the_disk_is_no_silent_update_and_an_update_that_went_on_has_a_receipt(
    tmp_path: Path, keeper: Keeper
) -> None:
    with KeptService(tmp_path, keeper, settings={"bake": {"for": "60s"}}) as service:
        service.wait_stored("web")
        service.write("good", "2")
        with service.heard("cut over"):
            reload = service.reload_in_background()
        service.wait_recorded()
        service.kill()
        reload.communicate(timeout=20)
        service.start()
        (told,) = service.events("disk differs")
        version = service.receipt(1)["version"]
        assert f"served={version}" in told
        (warning,) = service.status()["warnings"]
        assert version in warning
        assert service.receipt(2)["result"] == "unknown"
        assert service.receipt(2)["generation"] == 2
        assert service.receipt(3)["result"] == "committed"
        assert service.serving_version() == "2"
        # Somebody's own update ends it.
        service.configure(bake={"for": "0s"})
        service.update("3")
        assert service.status()["warnings"] == []


def test_a_restart_keeps_who_waits_in_the_queue_and_the_numbers_and_is_no_crash(tmp_path: Path, keeper: Keeper) -> None:
    settings: dict[str, Setting] = {"bind": [f"unix:{tmp_path}/web.sock", "127.0.0.1:0"]}
    with KeptService(tmp_path, keeper, settings=settings) as service:
        service.wait_stored("web", "web2")
        before, inode = service.status(), os.stat(tmp_path / "web.sock").st_ino
        service.stop()
        with socket.create_connection(_address(before["binds"][1])) as waiting, socket.socket(socket.AF_UNIX) as beside:
            beside.connect(f"{tmp_path}/web.sock")
            service.write("good", "2")
            service.start()
            for each in (waiting, beside):
                each.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                assert each.recv(100).startswith(b"HTTP/1.1 200"), service.log()
        after = service.status()
        assert after["binds"] == before["binds"]
        assert os.stat(tmp_path / "web.sock").st_ino == inode
        assert after["serving"] == 2
        assert min(_workers(after)) > max(_workers(before))
        assert after["warnings"] == []
        assert service.events("supervisor restored") == service.events("disk differs") == []
        # A socket file that is gone is made anew: nobody would find the old socket.
        service.kill()
        os.unlink(tmp_path / "web.sock")
        service.start()
        assert service.about()["version"] == "2"
        assert len(service.events("listener given up")) == 1


@pytest.mark.soak
def test_addresses_that_are_configured_no_more_are_closed_and_new_ones_are_opened(
    tmp_path: Path, keeper: Keeper
) -> None:
    settings: dict[str, Setting] = {"bind": ["127.0.0.1:0", "[::1]:0"], "metrics": {"address": "127.0.0.1:0"}}
    with KeptService(tmp_path, keeper, settings=settings) as service:
        service.wait_stored("web", "web2", "metrics")
        first, second = service.status()["binds"]
        service.kill()
        # What was the second is the first now, and the place of the first is taken by another address of it.
        port = first.rpartition(":")[2]
        service.configure(bind=["[::1]:0", f"0.0.0.0:{port}"], metrics={"address": ""})
        service.start()
        after = service.status()
        assert after["binds"] == [second, f"0.0.0.0:{port}"]
        assert len(service.events("listener given up")) == 2
        service.wait_stored("web", "web2")
        service.kill()
        service.start()
        assert service.status()["binds"] == after["binds"]


@pytest.mark.soak
def test_every_slot_of_a_command_gets_its_own_socket_back(tmp_path: Path, keeper: Keeper) -> None:
    with KeptService(
        tmp_path, keeper, "program", settings={"listener": "own"}, command=("{python}", "app.py")
    ) as service:
        service.wait_stored("web", "web.1")
        before = _inodes(keeper)
        with service.asked(NEW) as client:
            service.kill()
            service.start()
            least = client.report.ok + 50
            wait_for(lambda: client.report.ok, 20, until=lambda count: count > least)
        # The program ends at SIGTERM as it stands, and drops whom it serves.
        assert client.report.counts[Answer.REFUSED] == 0, client.report.summary()
        assert client.report.failed <= NEW.connections, client.report.summary()
        assert _inodes(keeper) == before
        service.midair("scale", "1")
        service.wait_stored("web")


@pytest.mark.soak
def test_a_state_that_makes_no_sense_is_put_aside_and_the_service_starts(tmp_path: Path, keeper: Keeper) -> None:
    with KeptService(tmp_path, keeper) as service:
        service.wait_stored("web")
        before = service.status()
        service.kill()
        (state,) = [fd for name, fd in keeper.kept if name == "midair-state"]
        os.pwrite(state, b"\xff" * 4096, 0)
        os.pwrite(state, b"\xff" * 4096, 1024 * 1024)
        service.start()
        assert len(service.events("stored state unreadable")) == 1
        after = service.status()
        assert after["binds"] == before["binds"]
        assert after["serving"] == before["serving"] + 1, "the receipts know the number"
        service.kill()
        service.start()
        assert service.status()["binds"] == before["binds"]


def test_without_a_store_nothing_is_kept_and_with_a_small_one_that_is_said(tmp_path: Path) -> None:
    with Keeper(room=0) as nobody, KeptService(tmp_path, nobody) as service:
        assert service.stored == {"state": "none", "names": []}
        assert [each["FDNAME"] for each in nobody.said if "FDSTORE" in each] == ["midair-question"]
        nobody.room = 2
        service.stop()
        service.start()
        service.wait_stored("web")
        wait_for(lambda: service.stored["state"], 20, until=lambda state: state == "full")
        assert service.stored["names"] == ["midair-state"], "whether there was room for the last one is not known"
        assert len(service.events("store full")) == 1


@pytest.mark.soak
def test_a_command_that_does_not_listen_to_its_end_does_not_outlive_its_supervisor_for_long(
    tmp_path: Path, keeper: Keeper
) -> None:
    settings: dict[str, Setting] = {"exit": {"timeout": "1s"}, "stop": {"timeout": "1s"}}
    command = ("{python}", "app.py", "deaf")
    with KeptService(tmp_path, keeper, "program", settings=settings, command=command, workers=1) as service:
        service.wait_stored("web")
        (deaf,) = service.worker_pids()
        service.wait_recorded()
        service.kill()
        service.start()
        wait_for(lambda: Process(deaf).is_alive, 20, until=lambda alive: not alive, what="its end")
        wait_for(lambda: service.events("leftover killed"), 20, until=lambda told: len(told) == 1)


@pytest.mark.soak
def test_a_socket_of_a_unit_is_told_from_what_was_stored(tmp_path: Path, keeper: Keeper) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        host, port = passed.getsockname()
        more = (("web", passed.fileno()),)
        settings = {"metrics": {"address": "127.0.0.1:0"}}
        with KeptService(tmp_path, keeper, more=more, settings=settings) as service:
            service.wait_stored("metrics")
            before = service.status()
            assert before["binds"] == [f"{host}:{port}"]
            service.kill()
            service.start()
            after = service.status()
            assert (after["binds"], after["metrics"]) == (before["binds"], before["metrics"])
            service.wait_stored("metrics")


# --- at any moment ------------------------------------------------------------------------------------------------


class Watched:
    """Kills a service at many moments, and holds it to what it promises each time."""

    def __init__(self, service: KeptService, keeper: Keeper) -> None:
        self._service, self._keeper = service, keeper
        self._numbers: dict[str, int] = {}
        self._bind = service.status()["binds"]
        self._inode = _inodes(keeper)["web"]

    def kill(self) -> None:
        """Kill it, and start it again: on the same listener, and no number of before is used again."""
        self._service.kill()
        used = _numbers_said(self._service)
        self._service.start()
        status = self._service.status()
        assert status["binds"] == self._bind, self._service.log()
        assert _inodes(self._keeper)["web"] == self._inode
        for name, numbers in _numbers_of(status).items():
            assert min(numbers) > used.get(name, 0), (name, numbers, used, self._service.log())
        assert self._service.about()["generation"] == str(status["serving"])


def _numbers_said(service: KeptService) -> dict[str, int]:
    """The highest of each kind in the log."""
    found: dict[str, int] = {}
    for name, number in re.findall(r"\b(generation|update|worker)=(\d+)", service.log_path.read_text()):
        found[name] = max(found.get(name, 0), int(number))
    return found


def _numbers_of(status: dict[str, Any]) -> dict[str, list[int]]:
    return {
        "generation": [status["serving"]],
        "worker": _workers(status),
        "update": [max(line["number"] for line in status["last"])],
    }


def test_killed_in_each_phase_it_comes_back_on_its_listener_and_counts_on(tmp_path: Path, keeper: Keeper) -> None:
    with KeptService(tmp_path, keeper, settings={"bake": {"for": "60s"}}, workers=1) as service:
        service.wait_stored("web")
        watched = Watched(service, keeper)
        for phase, app in (("start", "startup_hangs"), ("bake", "good")):
            service.write(app, phase)
            with service.heard(f"phase={phase}"):
                reload = service.reload_in_background()
            service.write("good", phase)
            watched.kill()
            reload.communicate(timeout=20)
        with service.heard("upgrade started"):
            upgrade = service.midair_in_background("upgrade")
        watched.kill()
        upgrade.communicate(timeout=20)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_killed_at_any_moment_it_comes_back_on_its_listener_and_counts_on(tmp_path: Path, keeper: Keeper) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    chance = random.Random(seed)
    with KeptService(tmp_path, keeper, settings={"metrics": {"address": "127.0.0.1:0"}}) as service:
        service.wait_stored("web", "metrics")
        watched = Watched(service, keeper)
        for number in range(25):
            doing = chance.choice(("nothing", "reload", "upgrade", "stop", "start"))
            commands = []
            if doing in {"reload", "upgrade"}:
                service.write("good", str(number))
                commands = [service.midair_in_background(doing)]
            elif doing == "stop":
                service.supervisor.send(signal.SIGTERM)
            elif doing == "start":
                service.kill()
                service.begin()
            time.sleep(chance.uniform(0.0, 1.5))  # Any moment: that is what is tried.
            watched.kill()
            for command in commands:
                command.communicate(timeout=20)


def _workers(status: dict[str, Any]) -> list[int]:
    return [worker["id"] for generation in status["generations"] for worker in generation["workers"]]


def _address(bound: str) -> tuple[str, int]:
    host, _, port = bound.rpartition(":")
    return host, int(port)


def _inodes(keeper: Keeper) -> dict[str, int]:
    return {name: os.fstat(fd).st_ino for name, fd in keeper.kept}
