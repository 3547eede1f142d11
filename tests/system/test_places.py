"""Where midair runs: as the first process of a container, and in a terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.processes import Process
from tests.support.service import Service, clean_environment
from tests.support.waiting import wait_for

needs_namespaces = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("unshare") or not shutil.which("nsenter"),
    reason="a PID namespace needs root, unshare and nsenter",
)
IN_A_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
IN_THE_FOREGROUND = ("setsid", "--ctty")
CTRL_C = b"\x03"
CTRL_BACKSLASH = b"\x1c"


@needs_namespaces
@pytest.mark.slow
@pytest.mark.root
def test_as_the_first_process_it_reaps_strangers_updates_and_stops(tmp_path: Path) -> None:
    with Service(tmp_path, prefix=IN_A_NAMESPACE) as service:
        [supervisor] = service.supervisor.children
        assert service.status()["pid"] == 1

        two_orphans = "(exit 3) & (sleep 0.3; exit 4) &"
        subprocess.run(["nsenter", "-t", str(supervisor.pid), "-p", "sh", "-c", two_orphans], check=True, timeout=10)
        wait_for(
            lambda: [str(each) for each in supervisor.children if each.state == "Z" or "sleep" in each.command],
            until=lambda strangers: not strangers,
            what="the end of all strangers",
        )
        service.update("2")
        assert service.serving_version() == "2"
        supervisor.send(signal.SIGTERM)
        assert service.wait_ended() == 0


@needs_namespaces
@pytest.mark.root
def test_as_the_first_process_it_hears_a_stop_that_comes_while_it_starts(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = [*IN_A_NAMESPACE, sys.executable, "-m", "midair", "run", "app:app", "--bind", address]
        places = {"MIDAIR_RUNTIME_DIR": str(tmp_path / "run"), "MIDAIR_STATE_DIR": str(tmp_path / "state")}
        with subprocess.Popen(
            line, cwd=tmp_path, env=clean_environment(**places), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as wrapper:
            try:
                assert wrapper.stderr is not None
                assert b"trying for" in wrapper.stderr.readline()  # It waits for the address, and serves nothing yet.
                [first] = Process(wrapper.pid).children
                first.send(signal.SIGTERM)
                assert wrapper.wait(20) == 128 + signal.SIGTERM
            finally:
                wrapper.kill()


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a new terminal. Nobody reads what is printed there: it is paused after some kilobytes."""
    master, slave = os.openpty()
    try:
        yield master, slave
    finally:
        for fd in (master, slave):
            with contextlib.suppress(OSError):
                os.close(fd)


def _state(service: Service) -> str:
    done = service.midair("status", "--json")
    return str(done.data["state"]) if done.code == 0 else "gone"


def _active(service: Service) -> int:
    """Requests in flight, as the workers' own pages say."""
    return sum(worker["active"] for found in service.status()["generations"] for worker in found["workers"])


@pytest.mark.slow
@pytest.mark.parametrize("keys", [CTRL_C, CTRL_BACKSLASH, CTRL_C + CTRL_C])
def test_keys_in_the_terminal_stop_the_service_and_reach_no_worker(tmp_path: Path, keys: bytes) -> None:
    with terminal() as (master, slave), Service(tmp_path, prefix=IN_THE_FOREGROUND, terminal=slave) as service:
        with service.asked(Load(limit=1), Load("/slow?s=3", connections=2, limit=1)) as client:
            wait_for(lambda: _active(service), until=(2).__eq__, what="two requests in flight")
            for key in keys:  # one by one: the kernel keeps one pending signal of a kind
                os.write(master, bytes([key]))
                wait_for(lambda: _state(service), until="serving".__ne__, what="the stop")
            assert service.wait_ended() == 0
        failed = 0 if keys == CTRL_C else 2
        assert client.report.failed == failed, client.report.summary()


@pytest.mark.slow
def test_a_terminal_that_is_gone_is_a_stop_not_an_update(tmp_path: Path) -> None:
    with terminal() as (master, slave), Service(tmp_path, prefix=IN_THE_FOREGROUND, terminal=slave) as service:
        os.close(slave)
        os.close(master)
        assert service.wait_ended() == 0


@pytest.mark.slow
def test_a_paused_terminal_stops_nobody(tmp_path: Path) -> None:
    chatty = {"serve": {"access_log": True}}
    with (
        terminal() as (_, slave),
        Service(tmp_path, prefix=IN_THE_FOREGROUND, terminal=slave, settings=chatty) as service,
    ):
        with service.asked(Load(connections=4, limit=500)) as client:
            service.update("2")
            wait_for(lambda: client.report.ok, until=lambda done: done >= 2000, what="2,000 answers")
        assert client.report.failed == 0, client.report.summary()
