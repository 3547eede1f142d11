"""The commands, on a service that runs: what one does shows in what another tells."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from midair.control import words
from midair.control.framing import encode_request
from tests.support.service import Service, clean_environment
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

SOMEBODY_ELSE = 65534
"""nobody"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path) as running:
        yield running


@pytest.fixture
def at_a_shell(tmp_path: Path) -> Iterator[Service]:
    """Every command is a process."""
    with Service(tmp_path, types=True) as running:
        yield running


def _roles(service: Service) -> dict[str, dict[str, Any]]:
    return {found["role"]: found for found in service.status()["generations"]}


def test_a_hold_refuses_others_and_says_why(at_a_shell: Service) -> None:
    # Both are the same user here; whoever holds may go on, so somebody else has to ask.
    assert at_a_shell.midair("hold", "-m", "month end", "--for", "2h").code == 0
    assert at_a_shell.status()["hold"], at_a_shell.status()
    at_a_shell.supervisor.send(signal.SIGUSR1)
    wait_for(at_a_shell.log, until=lambda log: "month end" in log, what="the refusal of a signal's update")
    assert at_a_shell.midair("hold", "--release").code == 0
    at_a_shell.update("2")


def test_expect_refuses_any_other_version(service: Service) -> None:
    service.write("good", "2")
    refused = service.reload("--expect", "no-such-version")
    assert refused.code == 4, refused
    assert refused.data["fault"]["code"] == "unexpected-version"
    on_disk = service.status()["on_disk"]
    assert service.reload("--expect", on_disk).code == 0


def test_what_is_on_disk_and_what_serves_are_told_apart(service: Service) -> None:
    service.write("startup_raises", "2")
    assert service.reload().code == 4
    status = service.status()
    assert status["on_disk"], status
    assert status["on_disk"] != _roles(service)["serving"]["version"]
    assert "a restart would start that" in service.midair("status").out


def test_check_imports_what_is_on_disk_and_touches_nothing(service: Service) -> None:
    assert service.midair("check").code == 0
    service.write("syntax_error", "2")
    bad = service.midair("check")
    assert bad.code == 1, bad
    assert "SyntaxError" in bad.out + bad.err
    assert service.serving_version() == "1"


def test_history_and_receipts_tell_every_update(at_a_shell: Service) -> None:
    at_a_shell.update("2")
    at_a_shell.write("import_error", "3")
    assert at_a_shell.reload("-m", "friday evening").code == 4
    done = at_a_shell.midair("history", "--json")
    assert done.code == 0, done
    told = json.loads(done.out)
    lines = told if isinstance(told, list) else next(value for value in told.values() if isinstance(value, list))
    assert [(line["number"], line["result"]) for line in lines] == [(3, "refused"), (2, "committed"), (1, "committed")]
    assert at_a_shell.receipt(3)["reason"] == "friday evening"
    probes = [event["fields"] for event in at_a_shell.receipt(2)["events"] if event["event"] == "probed"]
    assert len(probes) >= 2, "every probe's answer is kept"
    assert {probe["verdict"] for probe in probes} == {"healthy"}


def test_config_diff_tells_what_the_file_would_change(service: Service) -> None:
    same = service.midair("config", "--diff")
    assert (same.code, same.out.strip()) == (0, ""), same
    service.configure(bake={"for": "7s"})
    diff = service.midair("config", "--diff")
    assert "bake.for" in diff.out, diff
    assert "7s" in diff.out, diff


def test_stacks_show_where_a_worker_stands(service: Service) -> None:
    stacks = service.midair("stacks", "1.0")
    assert stacks.code == 0, stacks
    assert "worker 1.0" in stacks.out
    assert ".py" in stacks.out


def test_scale_starts_and_ends_workers(service: Service) -> None:
    assert service.midair("scale", "4").code == 0
    wait_for(service.worker_pids, until=lambda pids: len(pids) == 4)
    assert service.midair("scale", "1").code == 0
    wait_for(service.worker_pids, until=lambda pids: len(pids) == 1)


def test_who_does_not_wait_is_told_at_once_and_the_update_goes_on(service: Service) -> None:
    service.write("import_slow", "2")
    assert service.reload("--no-wait").code == 0
    assert service.serving_version() == "1"
    wait_for(service.serving_version, until="2".__eq__)


# --- the control socket -----------------------------------------------------------------------------------------------


def _control(service: Service) -> Path:
    return next(path for path in service.runtime.rglob("*") if stat.S_ISSOCK(path.stat().st_mode))


def test_the_control_socket_is_its_owners_alone(service: Service) -> None:
    assert stat.S_IMODE(_control(service).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"\0\0\0\2{}", b"\0\0\0\4null", b"\0\0\0\0"]
)
def test_garbage_is_answered_and_nothing_is_lost(service: Service, garbage: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(5)
        peer.connect(str(_control(service)))
        peer.sendall(garbage)
        answer = b""
        while chunk := peer.recv(4096):
            answer += chunk
    assert b"fault" in answer, answer
    service.update("2")


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("request_", [words.Scale(workers=4), words.Status()], ids=["act", "look"])
def test_somebody_else_may_neither_look_nor_act(service: Service, request_: words.Request) -> None:
    # The folder would keep them out already; here they get as far as the socket.
    _control(service).chmod(0o666)
    for folder in (service.runtime, *_control(service).relative_to(service.runtime).parents):
        (service.runtime / folder).chmod(0o755)
    ask = (
        "import os, socket, sys\n"
        f"os.setgid({SOMEBODY_ELSE}); os.setgroups([]); os.setuid({SOMEBODY_ELSE})\n"
        "peer = socket.socket(socket.AF_UNIX)\n"
        "peer.connect(sys.argv[1])\n"
        "peer.sendall(sys.stdin.buffer.read())\n"
        "print(peer.recv(4096))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask, str(_control(service))],
        input=encode_request(request_),
        env=clean_environment(),
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert b"not-allowed" in done.stdout, done
    assert len(service.worker_pids()) == 2
    assert "control refused" in service.log()
