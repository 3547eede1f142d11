"""What systemd is told (``Type=notify``), heard on a socket as systemd has one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for


class Systemd:
    """The other end of NOTIFY_SOCKET: messages in the order they came, each with when."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self._heard: list[tuple[float, dict[str, str]]] = []

    def heard(self) -> list[dict[str, str]]:
        while True:
            try:
                message = self._socket.recv(4096).decode()
            except BlockingIOError:
                return [message for _, message in self._heard]
            lines = dict(line.split("=", 1) for line in message.split("\n"))
            self._heard.append((time.monotonic(), lines))

    def said(self, key: str) -> list[str]:
        """The values of this key, in order."""
        return [message[key] for message in self.heard() if key in message]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    # A short path: that of a Unix socket has 107 bytes.
    folder = tempfile.mkdtemp(prefix="midair-")
    heard = Systemd(folder)
    yield heard
    heard.close()
    shutil.rmtree(folder)


def _under(systemd: Systemd, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": systemd.path, **more}


@pytest.mark.slow
def test_ready_is_said_once_the_first_version_serves_and_never_which_process_is_the_main_one(
    tmp_path: Path, systemd: Systemd
) -> None:
    with Service(tmp_path, "import_slow", env=_under(systemd, IMPORT_S="1"), ready_path="") as service:
        wait_for(lambda: systemd.said("STATUS"), what="a first status")
        assert systemd.said("READY") == []
        wait_for(lambda: systemd.said("READY"), what="READY")
        assert service.get("/", timeout_s=1)[0] == 200
        assert systemd.said("RELOADING") == []
        assert systemd.said("MAINPID") == []
        assert "serves (generation 1)" in systemd.said("STATUS")[-1]


@pytest.mark.slow
def test_a_service_that_cannot_start_never_says_ready(tmp_path: Path, systemd: Systemd) -> None:
    with Service(tmp_path, "import_error", env=_under(systemd), ready_path="") as service:
        assert service.wait_ended() == 1
        assert systemd.said("READY") == []


@pytest.mark.slow
@pytest.mark.parametrize(("app", "code", "result"), [("good", 0, ""), ("startup_raises", 4, "refused")])
def test_an_update_is_a_reload_that_is_over_before_who_asked_is_told(
    tmp_path: Path, systemd: Systemd, app: str, code: int, result: str
) -> None:
    with Service(tmp_path, env=_under(systemd)) as service:
        wait_for(lambda: systemd.said("READY"))
        before_us = time.monotonic_ns() // 1000
        service.write(app, "2")
        assert service.reload().code == code
        # Nothing is waited for here: READY has come by now.
        told = systemd.heard()
        (begun,) = [number for number, message in enumerate(told) if message.get("RELOADING") == "1"]
        assert before_us <= int(told[begun]["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        readies = [number for number, message in enumerate(told) if message.get("READY") == "1"]
        assert len(readies) == 2
        assert readies[1] > begun
        status = told[readies[1]]["STATUS"]
        assert result in status
        assert "; 2 workers, 0 connections" in status
        assert int(told[begun]["EXTEND_TIMEOUT_USEC"]) >= 5e6
        assert f"generation {2 if code == 0 else 1}" in status
        phases = [message["STATUS"] for message in told[begun:] if message.get("STATUS", "").startswith("update 2")]
        assert any("start" in phase for phase in phases), told


@pytest.mark.slow
def test_a_stop_is_said_and_asks_for_the_time_it_needs(tmp_path: Path, systemd: Systemd) -> None:
    slow, quick = Load("/slow?s=2", connections=1, limit=1), Load(connections=1, limit=1)
    with Service(tmp_path, env=_under(systemd)) as service:
        with service.asked(slow, quick) as client:
            service.supervisor.send(signal.SIGTERM)
            wait_for(lambda: systemd.said("STOPPING"), what="STOPPING")
            assert service.exit_code is None
            service.wait_ended()
        assert client.report.failed == 0, client.report.summary()
        assert systemd.said("STOPPING") == ["1"]
        assert int(systemd.said("EXTEND_TIMEOUT_USEC")[-1]) >= 5e6


@pytest.mark.alone
@pytest.mark.slow
def test_the_watchdog_hears_twice_an_interval_also_over_an_upgrade(tmp_path: Path, systemd: Systemd) -> None:
    interval_s = 1.0
    watched = _under(systemd, WATCHDOG_USEC=str(int(interval_s * 1e6)))
    with Service(tmp_path, env=watched) as service:
        wait_for(lambda: systemd.said("WATCHDOG"), until=lambda said: len(said) >= 3, every_s=0.01)
        upgrade = service.midair_in_background("upgrade")
        wait_for(lambda: (systemd.heard(), upgrade.poll())[1] is not None, every_s=0.01)
        upgrade.communicate(timeout=20)
        assert upgrade.returncode == 0, service.log()
        count = len(systemd.said("WATCHDOG"))
        wait_for(lambda: systemd.said("WATCHDOG"), until=lambda said: len(said) >= count + 3, every_s=0.01)
        beats = [at_s for at_s, message in systemd._heard if "WATCHDOG" in message]
        gaps = [b - a for a, b in pairwise(beats)]
        assert max(gaps) < interval_s, gaps
        assert systemd.said("READY") == ["1"], "an upgrade is no reload"


@pytest.mark.slow
def test_a_watchdog_that_is_meant_for_another_process_is_left_alone(tmp_path: Path, systemd: Systemd) -> None:
    with Service(tmp_path, env=_under(systemd, WATCHDOG_USEC="200000", WATCHDOG_PID="1")) as service:
        wait_for(lambda: systemd.said("READY"))
        service.update("2")
        assert systemd.said("WATCHDOG") == []


@pytest.mark.slow
def test_words_meant_for_the_supervisor_reach_nobody_else(tmp_path: Path, systemd: Systemd) -> None:
    settings: dict[str, Setting] = {
        "process": [{"name": "beside", "command": ["sleep", "1000"]}],
        "metrics": {"address": "127.0.0.1:0"},
        "hooks": {"before": ["sh", "-c", "env > hook.env"]},
    }
    with Service(tmp_path, settings=settings, env=_under(systemd, WATCHDOG_USEC="60000000")) as service:
        wait_for(lambda: [p for p in service.processes() if p.command == "sleep 1000"], what="the process")
        children = [p for p in service.processes() if p != Process(service.pid)]
        assert len(children) >= 5
        for child in children:
            assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"} & child.environment.keys(), child
        assert "NOTIFY_SOCKET" not in (service.folder / "hook.env").read_text()


@pytest.mark.slow
def test_a_systemd_that_does_not_read_holds_up_nothing(tmp_path: Path, systemd: Systemd) -> None:
    with Service(tmp_path, env=_under(systemd, WATCHDOG_USEC="20000")) as service:
        # The queue of a datagram socket is short: with a word each 10 ms it is full by now.
        for version in "23":
            service.update(version)
        # What it had no room for comes late, in order, and the last word stands.
        wait_for(
            lambda: systemd.said("STATUS"),
            until=lambda said: bool(said) and "(generation 3)" in said[-1],
            every_s=0.01,
        )
        assert systemd.said("READY").count("1") == 3
