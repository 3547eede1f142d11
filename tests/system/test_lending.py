"""A program that binds its port by itself is updated as one that inherits it: it is lent the service's socket."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from midair.lending import kernel
from midair.testing.client import Load
from tests.support.developed import developing
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

ANEW = Load(connections=4, keep_alive=False, think_s=0.01)


class Binding(Service):
    """Runs tests/apps/binds.py. Nobody tells midair the port, unless ``is_told``."""

    def __init__(self, tmp: Path, *faults: str, is_told: bool = False, **settings: Setting) -> None:
        self._is_told = is_told
        chosen: dict[str, Setting] = {"listener": "lent", **({} if is_told else {"bind": []}), **settings}
        super().__init__(
            tmp, "binds", command=("{python}", "app.py", *faults), workers=1, settings=chosen, prefix=self.prefix()
        )
        self._env["PORT"] = self.url.rpartition(":")[2]

    def prefix(self) -> tuple[str, ...]:
        return ()

    def _bind(self, unix: bool) -> socket.socket:
        """Bound, so that nobody gets the port; it listens only if midair is to inherit it."""
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{held.getsockname()[1]}"
        if self._is_told:
            held.listen()
        return held

    def line(self, fd: int) -> list[str]:
        bind = ["--bind", f"fd://{fd}"] if self._is_told else []
        return [*self._prefix, sys.executable, "-m", "midair", "run", *bind]

    def start(self) -> None:
        path, self._ready_path = self._ready_path, ""
        super().start()
        wait_for(lambda: "update done" in self.log() or self.exit_code is not None, what="the first version")
        self._ready_path = path

    def told(self, *faults: str) -> None:
        self.configure(command=[sys.executable, "app.py", *faults])


def changed(service: Service, version: str) -> None:
    service.write("binds", version)
    done = service.reload()
    assert done.code == 0, f"{done}\n{service.log()}"
    assert service.serving_version() == version


@pytest.mark.parametrize("is_told", [False, True], ids=["unknown port", "bind"])
def test_versions_follow_each_other_on_a_port_that_each_binds_and_nothing_is_lost(
    tmp_path: Path, is_told: bool
) -> None:
    with Binding(tmp_path, is_told=is_told) as service, service.asked(ANEW) as client:
        for version in ("2", "3"):
            changed(service, version)
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert list(client.report.versions) == ["1", "2", "3"]
        assert service.status()["binds"] == [service.url.removeprefix("http://")]
        words = service.about()["environment"]
        assert words["LISTEN_FDS"] == "1"
        assert "LISTEN_PID" in words


def test_a_version_that_dies_before_it_listens_is_refused(tmp_path: Path) -> None:
    with Binding(tmp_path) as service:
        service.told("dies")
        done = service.reload()
        assert done.code == 4, service.log()
        assert "no database" in str(done.data["fault"])
        assert service.serving_version() == "1"
        service.told("slow")
        changed(service, "2")


def test_a_port_that_a_stranger_has_is_the_programs_own_error(tmp_path: Path) -> None:
    service = Binding(tmp_path, start={"timeout": "1s"})
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", int(service.url.rpartition(":")[2])))
        stranger.listen()
        with service:
            wait_for(lambda: service.exit_code is not None, what="the end")
            assert "Address already in use" in service.log()


def test_what_a_shell_line_has_started_is_told_to_leave_in_the_way_that_was_chosen(tmp_path: Path) -> None:
    line = f"true && {sys.executable} app.py interrupt; exit 3"
    with Binding(tmp_path, exit={"signal": "INT", "timeout": "3s"}, command=["/bin/sh", "-c", line]) as service:
        first = service.about()["pid"]
        changed(service, "2")
        wait_for(lambda: not os.path.exists(f"/proc/{first}"), what="the end of the first version")
        assert "SIGKILL" not in service.log()


def test_the_socket_goes_along_when_the_supervisor_is_replaced(tmp_path: Path) -> None:
    with Binding(tmp_path) as service, service.asked(ANEW) as client:
        done = service.midair("upgrade")
        assert done.code == 0, f"{done}\n{service.log()}"
        changed(service, "2")
        assert client.report.failed == 0, client.report.summary() + service.log()


def test_a_lent_socket_has_the_mode_that_the_program_has_set(tmp_path: Path) -> None:
    with Binding(tmp_path) as service:
        assert service.about()["blocking"] is True
        service.told("waits")
        changed(service, "2")
        assert service.about()["blocking"] is False


def test_a_socket_for_both_families_is_as_the_program_wanted_it(tmp_path: Path) -> None:
    with Binding(tmp_path, "v6") as service:
        port = service.url.rpartition(":")[2]
        assert service.status()["binds"] == [f"[::]:{port}"]
        changed(service, "2")


class Watched(Binding):
    """As it is developed."""

    def line(self, fd: int) -> list[str]:
        return developing(self)


@pytest.mark.slow
def test_a_program_that_is_long_in_starting_is_not_taken_for_one_that_listens_nowhere(tmp_path: Path) -> None:
    with Watched(tmp_path, "warms") as service:
        assert service.serving_version() == "1"  # As soon as the update is done.


def test_a_program_that_listens_nowhere_is_ready_when_it_is_at_rest_and_one_that_has_ended_waits(
    tmp_path: Path,
) -> None:
    with Watched(tmp_path, "idle") as service:
        service.told("quits")
        assert service.reload().code == 0, service.log()
        assert "nothing to do" in service.log()
        service.told()
        changed(service, "2")


class NotHere(Binding):
    """On a processor of which midair does not know the calls."""

    def prefix(self) -> tuple[str, ...]:
        return ("setarch", "linux32")


@pytest.mark.skipif(shutil.which("setarch") is None, reason="setarch (util-linux) is not installed")
def test_where_nothing_can_be_lent_versions_take_turns_and_it_is_said(tmp_path: Path) -> None:
    with NotHere(tmp_path) as service:
        assert "each version starts when the one before it has ended" in service.log()
        wait_for(lambda: _version(service), until=lambda now: now == "1", what="version 1")
        service.write("binds", "2")
        assert service.reload().code == 0, service.log()
        wait_for(lambda: _version(service), until=lambda now: now == "2", what="version 2")


def _version(service: Service) -> str:
    try:
        return str(json.loads(service.get()[1])["version"])
    except OSError:
        return ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_needs_no_privilege() -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os.write(writing, b"y" if kernel.stop_at_calls() >= 0 else b"n")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 1) == b"y"
    os.close(reading)
    os.close(writing)
