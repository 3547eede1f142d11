"""Any program as a service: it gets its sockets as systemd would pass them, and an update is the same transaction."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.installed import needs
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

PROGRAM = ("{python}", "app.py")


class Program(Service):
    """A service that runs tests/apps/program.py. Entered once its first version is committed."""

    def start(self) -> None:
        super().start()
        # A command serves as soon as it accepts: its answer may come before the supervisor has heard that it is ready.
        logged(self, "update done")


def program(tmp: Path, *faults: str, workers: int = 1, unix: bool = False, **settings: Setting) -> Program:
    return Program(tmp, "program", command=(*PROGRAM, *faults), workers=workers, settings=settings, unix=unix)


def told(service: Service, *faults: str, **changes: Setting) -> None:
    """From the next update on the program has these faults."""
    python = str(service.settings["command"][0])  # type: ignore[index]  # a list, as Service wrote it
    service.configure(command=[python, "app.py", *faults], **changes)


def refused(service: Service, *, code: str) -> str:
    """Reload; it must be refused for this reason, and version 1 serve on. The whole answer, for what it says."""
    done = service.reload(within_s=20)
    assert done.code == 4, f"{done}\n{service.log()}"
    fault = done.data["fault"]
    assert fault["code"] == code, f"{done}\n{service.log()}"
    # It has listened as well, and is about to end.
    wait_for(lambda: len(service.status()["generations"]), until=(1).__eq__, what="the end of the refused version")
    assert service.serving_version() == "1"
    return "\n".join(str(fault[part]) for part in ("message", "hint", "detail"))


def logged(service: Service, event: str) -> str:
    """The first line of the log with this event, once it is there."""

    def lines() -> list[str]:
        return [line for line in service.log_path.read_text(errors="replace").splitlines() if event in line]

    return wait_for(lines, what=f"{event!r} in the log")[0]


def says(text: str, *words: str) -> None:
    """All of these words stand in the text."""
    missing = [word for word in words if word not in text]
    assert not missing, f"{missing} not in {text}"


# --- what it gets -------------------------------------------------------------------------------------------------


def test_a_program_gets_its_sockets_and_words_as_systemd_gives_them(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        about = service.about()
        words = about["environment"]
        assert words["LISTEN_PID"] == str(about["pid"])
        assert (words["LISTEN_FDS"], words["LISTEN_FDNAMES"]) == ("1", "web")
        assert Path(words["NOTIFY_SOCKET"]).is_socket()
        assert "WATCHDOG_USEC" not in words
        assert about["blocking"] == [True]
        assert about["descriptors"][:5] == [0, 1, 2, 3, 4]
        assert words["MIDAIR_HANDOVER"] == "4"
        # Nothing of the supervisor's leaks in: what is there besides is the connection and the listing itself.
        assert len(about["descriptors"]) <= 7, about["descriptors"]
        said = service.status()["generations"][-1]["workers"][0]["said"]
        assert said == "version 1 serves"


def test_several_binds_come_in_their_order_with_their_names(tmp_path: Path) -> None:
    path = tmp_path / "second.sock"
    service = Program(tmp_path, "program", command=PROGRAM, workers=1, flags=("--bind", f"unix:{path}"))
    with service:
        words = service.about()["environment"]
        assert (words["LISTEN_FDS"], words["LISTEN_FDNAMES"]) == ("2", "web:web2")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(path))
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")


def test_what_a_program_prints_bears_its_generation_and_slot(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        service.update("2")
        assert logged(service, "version 1 starts").startswith("1.0 | ")
        assert logged(service, "version 2 starts").startswith("2.0 | ")
        assert "version 2 starts" in service.midair("logs", "-g", "2").out
        assert "version 1 starts" not in service.midair("logs", "-g", "2").out


def test_inherited_output_is_left_alone(tmp_path: Path) -> None:
    with program(tmp_path, log={"output": "inherit", "format": "console"}) as service:
        assert logged(service, "version 1 starts") == "version 1 starts"
        child, supervisor = Process(service.about()["pid"]), service.supervisor
        assert child.descriptors[1] == supervisor.descriptors[1]
        assert child.descriptors[2] == supervisor.descriptors[2]


# --- when it is ready ---------------------------------------------------------------------------------------------


def _reload_that_waits(service: Service) -> tuple[subprocess.Popen[str], Path]:
    """An update whose program waits for the pipe; entered once it is started."""
    go = service.folder / "go"
    os.mkfifo(go)
    told(service, "waits")
    service.write("program", "2")
    reload = service.reload_in_background()
    logged(service, "version 2 starts")
    return reload, go


def test_the_old_one_is_told_to_go_only_after_the_new_has_said_ready(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        old = Process(service.about()["pid"])
        reload, go = _reload_that_waits(service)
        assert service.status()["serving"] == 1
        assert reload.poll() is None
        assert old.is_alive
        go.write_text("")  # The program reads to the end of the pipe, and says READY=1.
        assert reload.wait(10) == 0, service.log()
        wait_for(lambda: not old.is_alive, what="the end of the old one")
        assert service.serving_version() == "2"
        reload.communicate()


def test_a_program_that_never_says_ready_is_refused_and_told_how(tmp_path: Path) -> None:
    with program(tmp_path, ready={"timeout": "0.6s"}) as service:
        told(service, "silent")
        service.write("program", "2")
        says(refused(service, code="not-ready"), "did not say READY=1", "NOTIFY_SOCKET")
        wait_for(lambda: len(service.processes()), until=(2).__eq__, what="the refused program's end")


def test_a_program_that_ends_before_it_is_ready_is_refused_with_its_last_lines(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        told(service, "dies")
        service.write("program", "2")
        says(refused(service, code="worker-exited"), "exit 3", "no such table: orders")


def test_a_program_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        service.configure(command=["./nothing", "--flag"])
        assert "./nothing" in refused(service, code="command-failed")
        (service.folder / "data").write_text("not a program")
        service.configure(command=["./data"])
        assert "Permission denied" in refused(service, code="command-failed")


def test_a_first_start_of_a_program_that_is_not_there_ends_with_the_reason(tmp_path: Path) -> None:
    service = Service(tmp_path, "program", command=("./nothing",), ready_path="")
    with service:
        assert service.wait_ended() == 1, "asking again for the five minutes of a first start would not mend it"
        assert "./nothing" in service.log()


# --- probes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def health_port() -> Iterator[int]:
    """A port that nobody else gets, and that a program may bind, too (SO_REUSEPORT)."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def _asked_at(port: int, scheme: str, status: int) -> dict[str, Setting]:
    path = "/health" if scheme == "http" else ""
    return {
        "health": {"probe": f"{scheme}://127.0.0.1:{port}{path}", "timeout": "1s"},
        "env": {"HEALTH_PORT": str(port), "HEALTH_STATUS": str(status)},
        "ready": {"timeout": "1s"},
    }


def test_http_on_an_address_of_its_own_gates_the_update(tmp_path: Path, health_port: int) -> None:
    with program(tmp_path) as service:
        told(service, "silent", "private", **_asked_at(health_port, "http", 503))
        service.write("program", "2")
        assert "503" in refused(service, code="not-ready") + str(service.receipt())
        told(service, "silent", "private", **_asked_at(health_port, "http", 200))
        service.update("3")
        assert service.serving_version() == "3"
        assert any(event["event"] == "probed" for event in service.receipt()["events"])


def test_tcp_on_an_address_of_its_own_gates_the_update(tmp_path: Path, health_port: int) -> None:
    with program(tmp_path) as service:
        told(service, "silent", **_asked_at(health_port, "tcp", 200))
        service.write("program", "2")
        refused(service, code="not-ready")  # Nobody listens there.
        told(service, "silent", "private", **_asked_at(health_port, "tcp", 200))
        service.update("3")
        assert service.serving_version() == "3"


def test_a_private_listener_asks_that_very_process(tmp_path: Path) -> None:
    with program(tmp_path, "silent", health={"probe": "listener:/health"}) as service:
        assert service.about()["environment"]["LISTEN_FDNAMES"] == "web:health"
        service.update("2")
        assert service.serving_version() == "2"


def test_a_delay_is_waited_for_and_a_death_meanwhile_is_seen(tmp_path: Path) -> None:
    with program(tmp_path, "silent", health={"probe": "delay:400ms"}) as service:
        assert service.update("2").data["duration_s"] >= 0.4
        told(service, "dies")
        service.write("program", "3")
        done = service.reload()
        assert done.code == 4, f"{done}\n{service.log()}"
        assert service.serving_version() == "2"


def test_a_probe_of_the_bind_is_refused_since_the_old_version_answers_there(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        told(service, health={"probe": service.url + "/health"})
        service.write("program", "2")
        assert "listener:/" in refused(service, code="probe-is-bind")


# --- how it ends --------------------------------------------------------------------------------------------------


def test_a_program_that_ignores_sigterm_is_killed_after_its_time_and_named(tmp_path: Path) -> None:
    with program(tmp_path, "deaf", drain={"timeout": "0.3s"}, exit={"timeout": "0s"}) as service:
        deaf = Process(service.about()["pid"])
        told(service)
        service.update("2")
        # The defaults would be 5 min and 10 s.
        wait_for(lambda: not deaf.is_alive, 5.0, what="the end of the deaf one")
        assert "generation=1" in logged(service, "worker killed")
        assert service.figures().ends == {"left": 0, "died": 0, "killed": 1, "failed": 0}


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "within_s"), [("parent", 3.0), ("deaf-child", 8.0)])
def test_what_a_program_leaves_behind_is_ended(tmp_path: Path, fault: str, within_s: float) -> None:
    with program(tmp_path, fault) as service:
        logged(service, "child")
        leader = Process(service.about()["pid"])
        (child,) = leader.children
        told(service)
        service.update("2")
        wait_for(lambda: not leader.is_alive)
        wait_for(lambda: not child.is_alive, within_s, what="the end of what it left behind")


def _answer(service: Service) -> dict[str, Any]:
    """Empty where a program that was killed had still taken the connection, with the last of its threads."""
    try:
        return service.about()
    except ConnectionError:
        return {}


def test_a_killed_program_is_started_again(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        first = Process(service.about()["pid"])
        first.kill()
        about = wait_for(lambda: _answer(service) if not first.is_alive else {})
        assert about["pid"] != first.pid
        assert (about["version"], about["generation"]) == ("1", "1")
        assert service.figures().ends == {"left": 0, "died": 1, "killed": 0, "failed": 0}


def test_other_code_never_comes_in_under_the_old_number(tmp_path: Path) -> None:
    """Two workers; one is killed after the files changed: the other serves on alone, and status says so."""
    with program(tmp_path, workers=2) as service:
        service.write("program", "2")
        pids = wait_for(service.worker_pids, until=lambda found: len(found) == 2)
        Process(pids[0]).kill()
        wait_for(service.worker_pids, until=[pids[1]].__eq__)
        logged(service, "runs short")
        assert {service.serving_version() for _ in range(5)} == {"1"}


def test_when_no_program_is_left_the_disks_version_starts_as_an_update_of_its_own(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        service.write("program", "2")
        last = Process(service.about()["pid"])
        last.kill()
        about = wait_for(lambda: _answer(service), until=lambda about: about.get("version") == "2")
        assert about["generation"] == "2"
        ended = wait_for(service.receipt, until=lambda receipt: bool(receipt["result"]) and receipt["number"] == 2)
        assert ended["result"] == "committed"


@pytest.mark.slow
def test_children_leave_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with program(tmp_path, workers=2) as service:
        service.supervisor.kill()
        service.wait_ended()
        wait_for(service.processes, until=lambda left: not left, what="the end of the children")


# --- the way back -------------------------------------------------------------------------------------------------


def test_a_rollback_starts_the_old_files_again_if_they_are_the_same(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        service.update("2")
        gone = service.midair("rollback", "--json")
        assert gone.code == 4, gone
        fault = gone.data["fault"]
        assert fault["code"] == "rollback-files-gone", gone
        says(fault["hint"], "put the files")
        assert service.serving_version() == "2"
        service.write("program", "1")
        done = service.midair("rollback", "--json")
        assert done.code == 0, f"{done}\n{service.log()}"
        about = wait_for(service.about, until=lambda about: about["version"] == "1")
        assert about["generation"] == "4", "a rollback after the commit has a number of its own"


# --- over an upgrade of the supervisor ------------------------------------------------------------------------------


def test_an_upgrade_keeps_the_program_and_goes_on_hearing_it(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        before, notify = service.about(), service.about()["environment"]["NOTIFY_SOCKET"]
        done = service.midair("upgrade", "--json")
        assert done.code == 0, f"{done}\n{service.log()}"
        assert service.about()["pid"] == before["pid"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"STATUS=not its own", notify)
        logged(service, "notify ignored")
        service.update("2")
        assert service.serving_version() == "2"
        wait_for(lambda: not Process(before["pid"]).is_alive)


# --- what it does to the socket that all share ---------------------------------------------------------------------


def test_a_mode_that_hits_the_older_version_is_said_with_the_culprit(tmp_path: Path) -> None:
    with program(tmp_path, "nonblocking") as service:
        assert service.about()["blocking"] == [False]
        assert "generation=1" in logged(service, "listener mode set")


def test_a_mode_that_is_set_while_serving_is_said_soon(tmp_path: Path) -> None:
    with program(tmp_path, "nonblocking-later") as service:
        service.get("/nonblocking")
        assert service.about()["blocking"] == [False]
        says(logged(service, "listener mode set"), "generation=1", "mode=non-blocking")


def test_the_one_that_changes_the_mode_under_another_is_named(tmp_path: Path) -> None:
    with program(tmp_path, "deaf", drain={"timeout": "3s"}, exit={"timeout": "0s"}) as service:
        told(service, "nonblocking")
        service.update("2")
        says(logged(service, "listener mode changed"), "generation=2", "mode=non-blocking", "program=python")


def test_a_shut_listener_listens_again_and_the_culprit_is_named(tmp_path: Path) -> None:
    with program(tmp_path) as service:
        told(service, "shuts")
        service.update("2")
        says(logged(service, "listener shut"), "generation=2", "program=python")
        assert service.serving_version() in {"1", "2"}


def test_a_shut_unix_listener_is_lost_and_said_so(tmp_path: Path) -> None:
    with program(tmp_path, unix=True) as service:
        told(service, "shuts")
        service.write("program", "2")
        assert service.reload().code == 0
        says(logged(service, "listener lost"), "generation=2", "program=python")


class OwnListeners(Program):
    """With ``listener = "own"`` midair binds: the sockets cannot be the test's."""

    def start(self) -> None:
        self._sock.close()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "midair", "run"],
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        address = logged(self, "listening").rpartition("address=")[2].split()[0]
        self.url = f"http://{address}"
        logged(self, "update done")


def sockets_of(service: Service) -> dict[str, str]:
    """The listening socket of each of two slots, as the kernel names it."""
    found: dict[str, str] = {}
    while len(found) < 2:
        about = service.about()
        found[about["slot"]] = Process(about["pid"]).descriptors[3]
    return found


@pytest.mark.slow
def test_own_listeners_are_one_a_slot_and_inherited_by_every_version(tmp_path: Path) -> None:
    settings: dict[str, Setting] = {"bind": "127.0.0.1:0", "listener": "own"}
    with OwnListeners(tmp_path, "program", command=PROGRAM, workers=2, settings=settings) as service:
        first = sockets_of(service)
        assert len(set(first.values())) == 2
        service.update("2")
        wait_for(lambda: [service.serving_version() for _ in range(8)], until=lambda seen: set(seen) == {"2"})
        assert sockets_of(service) == first
        assert service.midair("upgrade").code == 0
        service.update("3")
        wait_for(lambda: [service.serving_version() for _ in range(8)], until=lambda seen: set(seen) == {"3"})
        assert sockets_of(service) == first


@pytest.mark.slow
def test_an_own_listener_without_a_program_takes_no_clients(tmp_path: Path) -> None:
    settings: dict[str, Setting] = {"bind": "127.0.0.1:0", "listener": "own"}
    with OwnListeners(tmp_path, "program", command=PROGRAM, workers=2, settings=settings) as service:
        kept = sockets_of(service)["0"]
        assert service.midair("scale", "1").code == 0
        wait_for(service.worker_pids, until=lambda pids: len(pids) == 1)
        asked = [service.about() for _ in range(20)]  # None of them may wait in the queue of nobody.
        assert {about["slot"] for about in asked} == {"0"}
        assert Process(asked[0]["pid"]).descriptors[3] == kept
        assert service.midair("scale", "2").code == 0
        wait_for(service.worker_pids, until=lambda pids: len(pids) == 2)
        assert {service.about()["version"] for _ in range(20)} == {"1"}


def test_a_link_that_is_swapped_back_is_a_rollback(tmp_path: Path) -> None:
    """A folder for each release: the way that the how-to for commands recommends."""
    with program(tmp_path) as service:
        for version in ("1", "2"):
            (service.folder / "releases" / version).mkdir(parents=True)
            service.write("program", version)
            (service.folder / "app.py").rename(service.folder / "releases" / version / "app.py")

        def link(version: str) -> None:
            (service.folder / "new").symlink_to(f"releases/{version}")
            (service.folder / "new").replace(service.folder / "current")

        for version in ("1", "2"):
            link(version)
            told(service, chdir="current")
            assert service.reload().code == 0, service.log()
            wait_for(service.serving_version, until=version.__eq__)
        link("1")
        done = service.midair("rollback", "--json")
        assert done.code == 0, f"{done}\n{service.log()}"
        wait_for(service.serving_version, until="1".__eq__)


def test_a_shell_script_says_ready_by_systemd_notify(tmp_path: Path) -> None:
    needs("systemd-notify")
    with program(tmp_path) as service:
        (service.folder / "start.sh").write_text(f"systemd-notify --ready\nexec {sys.executable} app.py silent\n")
        service.configure(command=["sh", "start.sh"])
        service.update("2")
        wait_for(service.serving_version, until="2".__eq__)
