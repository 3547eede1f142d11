"""While no version can serve, something answers all the same, and no version's failure ends the service."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.developed import Developed, developing
from tests.support.service import Service
from tests.support.waiting import wait_for
from tests.system.test_lending import Binding


class Lent(Binding):
    def line(self, fd: int) -> list[str]:
        return developing(self)


def until_serving(service: Service, version: str) -> None:
    def version_now() -> str:
        status, body = service.get("/")
        return service.serving_version() if status == 200 else body.decode()

    wait_for(version_now, until=lambda seen: seen == version, what=f"version {version}")
    # A command answers as soon as it accepts, which may be before it is known to be ready.
    wait_for(lambda: service.status()["state"], until=lambda state: state == "serving")


def until_stood_in_for(service: Service) -> None:
    def answer() -> int:
        try:
            return service.get("/")[0]
        except OSError:
            return 0  # Its worker died with this request.

    wait_for(answer, 30.0, until=lambda status: status == 503, what="the stand-in")


def test_a_first_version_that_is_broken_is_waited_for(tmp_path: Path) -> None:
    with Developed(tmp_path, "import_error") as service:
        assert service.get("/")[0] == 503
        wait_for(lambda: service.status()["state"], until=lambda state: state == "waiting")
        done = service.reload()
        assert (done.code, done.data["generation"]) == (1, 0)
        service.update("2", "good")
        assert service.serving_version() == "2"
        assert [line["result"] for line in service.status()["last"]] == ["committed", "refused", "refused"]
        left = [p for p in service.processes() if p.name == "midair w0.0"]
        wait_for(lambda: [p for p in left if p.is_alive], until=lambda alive: not alive)


def test_a_connection_to_it_goes_on_with_the_first_version(tmp_path: Path) -> None:
    with (
        Developed(tmp_path, "import_error") as service,
        contextlib.closing(http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=10)) as connection,
    ):
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
        assert response.status == 503
        mine = connection.sock
        service.update("2", "good")

        def answer() -> tuple[int, bytes]:
            connection.request("GET", "/")
            answered = connection.getresponse()
            return answered.status, answered.read()

        # It moves right after the update, in which the stand-in may yet be asked.
        _, body = wait_for(answer, until=lambda answered: answered[0] == 200, what="the version")
        assert json.loads(body)["version"] == "2"
        assert connection.sock is mine


def test_it_gets_over_an_upgrade_of_midair(tmp_path: Path) -> None:
    with Developed(tmp_path, "import_error") as service:
        assert service.get("/")[0] == 503
        assert service.midair("upgrade").code == 0, service.log()
        assert service.get("/")[0] == 503
        service.update("2", "good")
        assert service.serving_version() == "2"


def test_a_version_whose_workers_die_comes_back_from_its_zygote_whatever_is_on_disk(tmp_path: Path) -> None:
    # With one worker there may be no zygote any more: it has become the worker.
    with Developed(tmp_path, "good", workers=2) as service:
        until_serving(service, "1")
        service.write("syntax_error", "2")
        assert service.reload().code == 4
        for pid in service.worker_pids():
            os.kill(pid, signal.SIGKILL)
        assert service.serving_version() == "1"
        assert "stand-in" not in {g["role"] for g in service.status()["generations"]}


@pytest.mark.parametrize("kind", ["application", "command"])
def test_where_it_cannot_come_back_who_asks_is_told_so(tmp_path: Path, kind: str) -> None:
    command = ("{python}", "app.py") if kind == "command" else ()
    app = "program" if kind == "command" else "good"
    with Developed(tmp_path, app, command=command, zygote="never") as service:
        until_serving(service, "1")
        service.write("syntax_error", "2")
        assert service.reload().code == 4
        (pid,) = service.worker_pids()
        os.kill(pid, signal.SIGKILL)
        until_stood_in_for(service)
        assert "its files have changed since it started" in service.log()
        # What is on the disk was tried: why that does not serve is what can be mended.
        wait_for(
            lambda: service.get("/")[1], until=lambda page: b"invalid syntax" in page, what="the reason on the page"
        )
        service.update("3", app)
        until_serving(service, "3")


def test_a_version_that_dies_at_each_request_is_given_up(tmp_path: Path) -> None:
    with Developed(tmp_path, "crashes_after", env={"CRASH_AFTER_S": "0.05"}) as service:
        wait_for(lambda: "update done" in service.log())
        until_stood_in_for(service)
        assert "ended again and again" in service.log()
        assert "exit 7" in service.log()


def test_a_programs_listener_stays_in_its_mode_while_it_is_stood_in_for(tmp_path: Path) -> None:
    """Set non-blocking by anybody, it is so for the program that waits in accept(2)."""
    with Developed(tmp_path, "syntax_error", command=("{python}", "app.py")) as service:
        for _ in range(20):
            assert service.get("/")[0] == 503
        service.update("2", "program")
        until_serving(service, "2")
        assert service.about()["blocking"] == [True]
        assert "listener mode set" not in service.log()


def test_a_port_that_a_program_has_bound_by_itself_is_stood_in_for_as_well(tmp_path: Path) -> None:
    with Lent(tmp_path) as service:
        assert service.serving_version() == "1"
        service.write("syntax_error", "2")
        assert service.reload().code == 4
        os.kill(service.about()["pid"], signal.SIGKILL)
        until_stood_in_for(service)
        service.update("3", "binds")
        until_serving(service, "3")
