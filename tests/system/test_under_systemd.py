"""A service as a unit of a real systemd: written by ``midair systemd``, started, updated and stopped by ``systemctl``, and hurt.

The tests of this module share one booted systemd (``tests/support/systemd.py``); each has a service of its own in it, run by a user
who is not root.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from midair.systemd.unit_text import command_line, literal, word
from midair.testing.background import Background
from midair.testing.client import Load
from midair.testing.report import Report
from tests.support import booting
from tests.support.processes import Process, all_processes
from tests.support.service import QUICK
from tests.support.systemd import MIDAIR, ROOT, Machine
from tests.support.toml import Setting, toml
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(180)]

USER = "daemon"
"""A user that every machine has."""
LOADS = (Load(connections=2), Load(connections=2, keep_alive=False, think_s=0.01))
QUICKLY = "[Service]\nRestartSec=100ms\n"


class Unit:
    """A service in the machine: its folder, its unit, its address."""

    def __init__(
        self,
        machine: Machine,
        name: str,
        port: int,
        *,
        runs: Mapping[str, Setting] | None = None,
        **settings: Setting,
    ) -> None:
        """runs: in the place of an application. settings: of midair.toml."""
        self.machine, self.name, self.folder = machine, name, f"/srv/{name}"
        self.address = f"127.0.0.1:{port}"
        self.service = f"{name}.service"
        runs = runs or {"app": "app:app", "workers": 2}
        self.settings: dict[str, Setting] = {
            **QUICK,
            "log": {"format": "auto"},
            "bind": self.address,
            **runs,
            **settings,
        }
        machine.place(f"{self.folder}/midair.toml", toml(self.settings))
        self.write("good", "1")

    def write(self, app: str, version: str) -> None:
        self.machine.write(self.folder, app, version, owner=USER)

    def made(self, *words: str, also: str = QUICKLY) -> str:
        """Have midair write the units, and say what else stands in a drop-in; what it printed."""
        printed = self.midair("systemd", "--user", USER, "--write", *words)
        self.machine.place(f"/etc/systemd/system/{self.service}.d/test.conf", also)
        self.machine.must("systemctl", "daemon-reload")
        return printed

    def midair(self, *words: str) -> str:
        return self.machine.must(str(MIDAIR), *words, folder=self.folder)

    def start(self) -> None:
        self.machine.start(self.service)
        assert self.version() == "1"

    def version(self) -> str:
        return str(self.machine.about(self.address)["version"])

    def show(self) -> dict[str, str]:
        return self.machine.show(self.service)

    def came_back(self, before: Process, restarts: int) -> None:
        """Wait until another supervisor serves, the one after so many restarts."""
        wait_for(lambda: not before.is_alive, 20, what="the end of the one before")
        seen = wait_for(
            self.show, 20, until=lambda seen: seen["ActiveState"] == "active" and seen["SubState"] == "running"
        )
        assert seen["NRestarts"] == str(restarts), self.machine.log(self.service)
        assert self.version() == "1"
        assert self.machine.main_process(self.service) != before


def test_what_midair_writes_starts_updates_and_stops_without_a_failed_request(machine: Machine) -> None:
    shop = Unit(machine, "shop", 8000)
    assert "systemctl enable --now shop.service" in shop.made()
    shop.start()
    assert re.fullmatch(r"version \w+ serves \(generation 1\); 2 workers, 0 connections", shop.show()["StatusText"])
    with machine.asked(shop.address, *LOADS) as client:
        shop.write("good", "2")
        machine.must("systemctl", "reload", "shop")
        assert shop.version() == "2"
        version = shop.show()["StatusText"].split()[1]

        shop.write("import_error", "3")
        refused = machine.systemctl("reload", "shop")
        assert refused.returncode != 0
        seen = shop.show()
        assert (seen["ActiveState"], seen["SubState"], seen["NRestarts"]) == ("active", "running", "0")
        assert f"version {version} serves (generation 2); update 3 refused: " in seen["StatusText"]
        assert shop.version() == "2"
    assert client.report.failed == 0, client.report.summary()

    # Connections that are idle are closed; a request that is under way is answered.
    with machine.asked(shop.address, Load("/slow?s=1", connections=2, limit=1), Load(connections=1, limit=1)) as client:
        machine.must("systemctl", "stop", "shop")
    assert client.report.failed == 0, client.report.summary()
    assert client.report.ok == 3
    seen = shop.show()
    assert (seen["ActiveState"], seen["Result"]) == ("inactive", "success")
    _journal_has_the_fields(machine, version)


def _journal_has_the_fields(machine: Machine, version: str) -> None:
    entries = machine.journal("shop.service")
    (done,) = [
        entry for entry in entries if entry.get("MIDAIR_EVENT") == "update_done" and entry["MIDAIR_UPDATE"] == "2"
    ]
    assert done["PRIORITY"] == "6"
    assert done["SYSLOG_IDENTIFIER"] == done["MIDAIR_SERVICE"] == "shop"
    assert (done["MIDAIR_VERSION"], done["MIDAIR_GENERATION"]) == (version, "2")
    assert done["MIDAIR_STATUS"] == "hot-update-done"
    assert done["MIDAIR_NODE"] == machine.must("hostname").strip()
    assert done["MESSAGE"].startswith("update done  ")
    # By a field alone: that very update and no other.
    lines = machine.must(
        "journalctl", "--output=json", "MIDAIR_UPDATE=3", "MIDAIR_STATUS=hot-update-refused"
    ).splitlines()
    (refused,) = map(json.loads, lines)
    assert refused["PRIORITY"] == "3"
    assert "the import of this version fails on purpose" in refused["MIDAIR_DETAIL"]


def test_a_socket_unit_starts_its_service_and_no_request_notices_a_restart(machine: Machine) -> None:
    shelf = Unit(machine, "shelf", 8001)
    shelf.made("--socket")
    machine.must("systemctl", "start", "shelf.socket")
    assert shelf.show()["ActiveState"] == "inactive"
    assert shelf.version() == "1"
    before = machine.main_process(shelf.service)
    with machine.asked(shelf.address, *LOADS) as client:
        shelf.write("good", "2")
        machine.must("systemctl", "restart", "shelf")
        assert shelf.version() == "2"
    assert client.report.failed == 0, client.report.summary()
    assert machine.main_process(shelf.service) != before
    machine.must("systemctl", "stop", "shelf.socket", "shelf.service")


def test_midair_replaces_workers_and_systemd_a_supervisor_that_dies_or_hangs(machine: Machine) -> None:
    till = Unit(machine, "till", 8002)
    till.made(also=QUICKLY + "WatchdogSec=3s\n")
    till.start()
    before = machine.main_process(till.service)
    with machine.asked(till.address, *LOADS) as client:
        with pytest.raises(OSError, match=r".+"):
            machine.get(till.address, "/crash")
        wait_for(lambda: _deaths(machine), 20, what="the death in the journal")
    # What was under way in that worker, one request a connection, and nothing else.
    assert client.report.failed <= 4, client.report.summary()
    for restarts, number in enumerate((signal.SIGKILL, signal.SIGSTOP)):
        assert till.show()["NRestarts"] == str(restarts)
        with machine.asked(till.address, *LOADS) as client:
            before.send(number)
            till.came_back(before, restarts + 1)
            _asks_on(client)
        # Whoever came meanwhile has waited in the listener's queue.
        assert client.report.failed == 0, client.report.summary()
        before = machine.main_process(till.service)
    machine.must("systemctl", "stop", "till")


def _asks_on(client: Background[Report]) -> None:
    """Wait for ten answers more."""
    before = client.report.ok
    wait_for(lambda: client.report.ok, 20, until=lambda ok: ok >= before + 10, what="ten more answers")


def _deaths(machine: Machine) -> list[object]:
    return [entry for entry in machine.journal("till.service") if entry.get("MIDAIR_EVENT") == "worker_died"]


def test_an_update_may_take_longer_than_systemd_waits(machine: Machine) -> None:
    slow = Unit(machine, "slow", 8005, env_files=["slow.env"], version_from="env:VERSION")
    machine.place("/srv/slow/slow.env", "VERSION=1\n", owner=USER)
    slow.made()
    slow.start()
    # Longer than the command needs to ask, shorter than the import.
    slow.made(also=QUICKLY + "TimeoutStartSec=3s\n")
    machine.place("/srv/slow/slow.env", "VERSION=2\nIMPORT_S=4\n", owner=USER)
    slow.write("import_slow", "2")
    machine.must("systemctl", "reload", "slow")
    assert slow.version() == "2"
    machine.must("systemctl", "stop", "slow")


def test_the_template_runs_a_program_that_binds_by_itself_as_a_user_of_its_own(machine: Machine) -> None:
    """The hardening lets a socket be lent: seccomp notification, descriptors of another process, a memfd."""
    runs: dict[str, Setting] = {"command": [sys.executable, "app.py"], "listener": "lent", "workers": 1}
    unit = Unit(machine, "daemon", 8006, runs=runs, env={"PORT": "8006"})
    unit.write("binds", "1")
    unit.midair("systemd", "--template", "--write")
    machine.must("systemctl", "daemon-reload")
    machine.start("midair@daemon")
    with machine.asked(unit.address, Load(connections=1, keep_alive=False, think_s=0.01)) as client:
        told = machine.about(unit.address)
        unit.write("binds", "2")
        machine.must("systemctl", "reload", "midair@daemon")
        assert unit.version() == "2"
    assert client.report.failed == 0, client.report.summary()
    assert told["environment"]["USER"] == "daemon"
    machine.must("systemctl", "stop", "midair@daemon")


def test_the_doctor_judges_the_unit_that_the_service_runs_under(machine: Machine) -> None:
    machine.write("/srv/ill", "good", "1")
    machine.place("/srv/ill/midair.toml", 'app = "app:app"\nbind = "127.0.0.1:8011"\nbake = { for = "0s" }\n')
    machine.install(
        "ill.service",
        f"[Service]\nType=notify\nWorkingDirectory=/srv/ill\nExecStart={MIDAIR} run\nRuntimeDirectory=midair/ill\n"
        "KillMode=control-group\nTimeoutStopSec=5\nLimitNOFILE=1000\n",
    )
    machine.start("ill.service")
    done = machine.run(str(MIDAIR), "doctor", "--json", folder="/srv/ill")
    told = json.loads(done.stdout)
    levels = {finding["code"]: finding["level"] for finding in told["findings"]}
    assert (done.returncode, told["unit"]) == (1, "ill.service"), done
    expected = {
        "unit-kill-mode": "warning",
        "unit-oom-policy": "warning",
        "unit-stop-timeout": "problem",
        "unit-restart": "warning",
        "open-files": "warning",
    }
    assert expected.items() <= levels.items(), levels
    assert "unit-type" not in levels
    machine.must("systemctl", "kill", "--signal=SIGKILL", "--kill-whom=all", "ill.service")


def test_a_user_has_a_unit_without_root(machine: Machine) -> None:
    uid = 4321
    machine.must("useradd", f"--uid={uid}", "--create-home", "ann")
    machine.start(f"user@{uid}.service")
    unit = Unit(machine, "hers", 8007)
    machine.must("chown", "-R", "ann:", unit.folder)
    who = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    hers = (*who, "env", "HOME=/home/ann", f"XDG_RUNTIME_DIR=/run/user/{uid}")
    wrote = machine.must(*hers, str(MIDAIR), "systemd", "--user-unit", "--write", folder=unit.folder)
    assert "systemctl --user enable --now hers.service" in wrote
    machine.must(*hers, "systemctl", "--user", "enable", "--now", "hers.service")
    assert unit.version() == "1"
    assert machine.path(f"/run/user/{uid}/midair/hers/control.sock").exists()
    machine.must(*hers, "systemctl", "--user", "stop", "hers.service")


def test_systemd_reads_any_word_as_it_was_meant(machine: Machine) -> None:
    odd = ["a b", "", 'say "x"', "it's", "$HOME ${HOME} $$", "50% %n %%", "back\\slash \\n", "tab\there", ";", "é", "#"]
    folder, script = (
        "/srv/50% of\ta $HOME",
        "import json, os, sys; json.dump([sys.argv[1:], os.environ['ODD']], open('said', 'w'))",
    )
    machine.path(folder).mkdir(parents=True)
    command = command_line([sys.executable, "-c", script, *odd])
    machine.install(
        "odd.service",
        f"[Service]\nType=oneshot\nWorkingDirectory={literal(folder)}\nEnvironment={word('ODD=' + ' '.join(odd))}\n"
        f"ExecStart={command}\n",
    )
    machine.start("odd.service")
    assert json.loads(machine.path(f"{folder}/said").read_text()) == [odd, " ".join(odd)]


def test_tests_that_are_killed_leave_no_systemd_behind() -> None:
    script = (
        "from tests.support.systemd import Machine\nwith Machine() as m: print(m.must('hostname'), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline()
        family = Process(tests.pid).descendants
        assert {"systemd-nspawn", "systemd", "systemd-journal"} <= {process.name for process in family}
        tests.send_signal(signal.SIGKILL)
    wait_for(lambda: [each for each in family if each.is_alive], until=lambda left: not left, what="their end")
    wait_for(lambda: _groups(tests.pid), until=lambda left: not left, what="the end of its control groups")
    assert not [each for each in all_processes() if f"midair-tested-{tests.pid}" in each.command]
    assert "/run/place" not in Path("/proc/mounts").read_text()


def _groups(pid: int) -> list[Path]:
    return list(booting.CGROUPS.glob(f"**/midair-tested-{pid}-*"))
