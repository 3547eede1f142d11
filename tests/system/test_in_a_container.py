"""midair as process 1 of what Docker and Kubernetes start containers with (runc), with as few rights as a container may have."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import sys
from pathlib import Path

import pytest

from midair.testing.client import BackgroundClient, Load
from tests.support.container import MIDAIR, RUNTIME, STATE, Container
from tests.support.service import APPS, QUICK
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.root]
PLACES = {"MIDAIR_RUNTIME_DIR": RUNTIME, "MIDAIR_STATE_DIR": STATE}
"""As an image says it for whoever is in it: the service, and commands."""
APP = """\
import asyncio, subprocess

VERSION = "1"


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/orphans":
        for _ in range(30):
            subprocess.run(["sh", "-c", "(sh -c 'exit 3' &); (sh -c 'sleep 0.1' &)"])
    head = [(b"content-length", b"1"), (b"x-version", VERSION.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    if scope["path"] == "/slow":
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await asyncio.sleep(1)
    await send({"type": "http.response.body", "body": VERSION.encode()})
"""


def test_it_updates_reaps_orphans_and_stops_as_process_1_without_any_right(tmp_path: Path) -> None:
    settings = {"app": "app:app", "workers": 2, **QUICK}
    with Container(tmp_path, {"app.py": APP}, settings) as container:
        # No variable says where its socket is, and nobody's home is: commands find the last resort.
        status = container.run("midair", "status", "--json")
        assert '"pid":1,' in status.out.replace(" ", ""), status
        assert container.run("midair", "doctor", "--json").code == 0
        assert container.run("midair", "status", "--ready").code == 0

        with BackgroundClient(container.url, Load(connections=4)) as client:
            wait_for(lambda: client.report.ok >= 20, what="answers of version 1")
            container.publish({"app.py": APP.replace('"1"', '"2"', 1)})
            updated = container.run("midair", "reload")
            assert updated.code == 0, updated
            container.publish({"app.py": APP.replace('"1"', '"3"', 1)})
            container.init.send(signal.SIGHUP)  # docker kill -s HUP
            wait_for(lambda: "3" in client.report.versions, what="answers of version 3")
        assert client.report.failed == 0, client.report

        assert container.get("/orphans")[0] == 200
        wait_for(
            lambda: [str(each) for each in container.init.children if each.state == "Z" or "sleep" in each.command],
            until=lambda strangers: not strangers,
            what="the end of all orphans",
        )

        with contextlib.closing(http.client.HTTPConnection(container.address, timeout=20)) as asked:
            asked.request("GET", "/slow")
            answer = asked.getresponse()  # Its head; the body is not made yet.
            container.init.send(signal.SIGTERM)
            assert answer.read() == b"3"
        assert container.wait() == 0


def test_a_first_start_that_fails_ends_the_container_with_its_reason(tmp_path: Path) -> None:
    settings = {"app": "app:app", **QUICK, "start": {"timeout": "1s"}}
    with Container(tmp_path, {"app.py": "import shelf\n"}, settings, environment=PLACES, answers=False) as container:
        assert container.wait() == 1
        assert "error: " in container.log()
        assert "No module named 'shelf'" in container.log()


def test_a_program_that_binds_by_itself_takes_turns_where_its_descriptors_cannot_be_seen(tmp_path: Path) -> None:
    """Docker's filter refuses pidfd_getfd(2): the program is not stopped at its bind, where nobody could help it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "command": [sys.executable, "binds.py"],
        "listener": "lent",
        "bind": [],
        "env": {"PORT": str(port)},
        **QUICK,
    }
    files = {"binds.py": (APPS / "binds.py").read_text()}
    command = (*MIDAIR, "run")
    with Container(tmp_path, files, settings, command=command, environment=PLACES, answers=False) as container:
        wait_for(
            lambda: "each version starts when the one before it has ended" in container.log(),
            40.0,
            what="that it is said",
        )
        assert "Operation not permitted" in container.log()
        assert "refuses pidfd_getfd" in container.run("midair", "doctor").out
