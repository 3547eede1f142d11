"""``midair.Upgrader``: the connections and the state of any server go on over updates, and alone it is an ordinary server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.lines import Lines
from tests.support.processes import Process
from tests.support.service import Service, clean_environment
from tests.support.waiting import wait_for

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "upgrader" / "server.py"


class LineServer(Service):
    """The example, or an application of tests/apps, as a command of midair."""

    def start(self) -> None:
        super().start()
        wait_for(lambda: "update done" in self.log(), what="the first version")

    def write(self, app: str, version: str) -> None:
        if app != "example":
            super().write(app, version)
            return
        text = EXAMPLE.read_text().replace("127.0.0.1:7000", urlsplit(self.url).netloc)
        (self.folder / "app.new").write_text(
            re.sub('^VERSION = ".*"$', f'VERSION = "{version}"', text, flags=re.MULTILINE)
        )
        (self.folder / "app.new").replace(self.folder / "app.py")

    def lines(self, connections: int = 20) -> Lines:
        address = urlsplit(self.url)
        assert address.hostname
        assert address.port
        return Lines(address.hostname, address.port, connections)

    def children(self) -> list[dict[str, Any]]:
        return [each for generation in self.status()["generations"] for each in generation["workers"]]

    def child(self) -> Process:
        """The process that serves now."""
        [serving] = [each for each in self.children() if each["state"] == "serving"]
        return Process(int(serving["pid"]))


def server(tmp: Path, app: str, **settings: object) -> LineServer:
    return LineServer(
        tmp,
        app,
        command=("{python}", "app.py"),
        workers=1,
        ready_path="",
        settings={"drain": {"rate": "100%", "timeout": "20s"}, **settings},  # type: ignore[dict-item]  # as toml takes it
    )


@pytest.mark.parametrize("app", ["example", "blocking_lines"])
def test_connections_and_their_counters_go_on_over_three_updates_and_a_rollback(tmp_path: Path, app: str) -> None:
    with server(tmp_path, app) as service:
        with service.lines() as lines:
            for version in ("2", "3", "4"):
                service.update(version, app)
                lines.wait_for(version, 100)
            service.write(app, "3")
            assert service.midair("rollback", "--json").code == 0, service.log()
            lines.wait_for("3", 100)
        assert lines.broken == [], service.log()
        assert set(lines.versions) == {"v1", "v2", "v3", "v4"}
        assert service.log().count("passing on") == 4


def test_state_without_a_connection_is_passed_on_too(tmp_path: Path) -> None:
    with server(tmp_path, "example") as service:
        with service.lines(3) as lines:
            service.update("2", "example")
            lines.wait_for("2", 10)
        wait_for(lambda: len(service.children()) == 1, what="the end of version 1")
        address = urlsplit(service.url)
        with socket.create_connection((address.hostname, address.port), 10) as asking:
            asking.sendall(b"total\n")
            assert int(asking.recv(100)) == lines.answered + 1


def test_a_follower_that_is_killed_in_the_middle_takes_nothing_with_it(tmp_path: Path) -> None:
    with server(tmp_path, "blocking_lines") as service:
        with service.lines() as lines:
            (service.folder / "hang").touch()
            service.update("2", "blocking_lines")
            follower = service.child()
            wait_for(lambda: follower.state == "T", what="the follower to stop in the middle")
            (service.folder / "hang").unlink()
            os.kill(follower.pid, signal.SIGKILL)
            lines.wait_for("2", 100)
        assert lines.broken == [], service.log()


def test_what_a_follower_cannot_take_stays_and_goes_to_the_one_after(tmp_path: Path) -> None:
    with server(tmp_path, "blocking_lines") as service:
        with service.lines(5) as lines:
            (service.folder / "raise").touch()
            service.update("2", "blocking_lines")
            wait_for(lambda: "this version cannot read that" in service.log(), what="the error")
            lines.wait_for("1", 50)
            (service.folder / "raise").unlink()
            lines.wait_for("2", 50)
        assert lines.broken == [], service.log()


def test_an_upgrade_of_the_supervisor_keeps_the_way_from_program_to_program(tmp_path: Path) -> None:
    with server(tmp_path, "example") as service:
        with service.lines() as lines:
            assert service.midair("upgrade", "--json").code == 0, service.log()
            service.update("2", "example")
            lines.wait_for("2", 100)
        assert lines.broken == [], service.log()


def test_workers_of_one_version_follow_each_other_when_there_are_fewer(tmp_path: Path) -> None:
    with server(tmp_path, "example") as service:
        assert service.midair("scale", "2", "--json").code == 0
        wait_for(lambda: sum(e["state"] == "serving" for e in service.children()) == 2, what="two workers")
        with service.lines() as lines:
            assert service.midair("scale", "1", "--json").code == 0
            wait_for(lambda: len(service.children()) == 1, what="one worker")
            before = lines.answered
            wait_for(lambda: lines.answered > before + 100, what="answers")
        assert lines.broken == [], service.log()


def test_a_stop_ends_the_programs_and_passes_nothing_on(tmp_path: Path) -> None:
    with server(tmp_path, "example") as service, service.lines(3):
        began_s = time.monotonic()
        assert service.midair("stop", "--json").code == 0
        assert time.monotonic() - began_s < 10
        assert "passing on" not in service.log()


def test_alone_it_binds_says_so_once_and_ends_at_sigterm(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "server.py")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = (tmp_path / "server.py").read_text().replace("127.0.0.1:7000", f"127.0.0.1:{port}")
    (tmp_path / "server.py").write_text(text)
    alone = subprocess.Popen(
        [sys.executable, "server.py"], cwd=tmp_path, env=clean_environment(), stderr=subprocess.PIPE, text=True
    )
    assert alone.stderr
    with alone.stderr:
        try:
            assert "midair run --bind" in alone.stderr.readline()
            wait_for(lambda: connects(port), what="the server")
            with Lines("127.0.0.1", port, 3) as lines:
                wait_for(lambda: lines.answered > 50, what="answers")
            assert lines.broken == []
            alone.terminate()
            assert alone.wait(10) == 0
            assert alone.stderr.read() == ""
        finally:
            alone.kill()
            alone.wait()


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import midair\nmidair.Upgrader()\nmidair.Upgrader()", "a second Upgrader was made"),
        (
            "import midair, threading\nt = threading.Thread(target=midair.Upgrader)\nt.start(); t.join()",
            "an Upgrader was made in a thread",
        ),
        ("import midair\nmidair.Upgrader().listen('example.org:80')", "names are not looked up"),
        (
            "import midair\nasync def take(passed): ...\nmidair.Upgrader().on_passed(take)",
            "outside of an event loop",
        ),
        ("import midair\nprint(midair.Upgrader().pass_on(state=b'x').result())", "running alone"),
    ],
)
def test_what_is_misused_is_an_error_that_says_so(tmp_path: Path, text: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert said in done.stderr
    if "pass_on" in text:
        assert done.stdout == "False\n"
