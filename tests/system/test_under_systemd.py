"""A service as a unit of a real systemd: started, updated, stopped by ``systemctl``, and what becomes of it when it is hurt.

The tests of this module share one booted systemd (``tests/support/systemd.py``); each has a service of its own in it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import booting
from tests.support.processes import Process, all_processes
from tests.support.systemd import MIDAIR, ROOT, Machine
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.root]


def test_a_notify_unit_starts_and_answers(machine: Machine) -> None:
    machine.write("/srv/first", "good", "1")
    machine.place("/srv/first/midair.toml", 'app = "app:app"\nbind = "127.0.0.1:8000"\nbake = { for = "0s" }\n')
    machine.install(
        "first.service",
        f"[Service]\nType=notify\nWorkingDirectory=/srv/first\nExecStart={MIDAIR} run\nRuntimeDirectory=midair/first\n",
    )
    machine.start("first.service")
    assert machine.about("127.0.0.1:8000")["version"] == "1"
    assert machine.show("first.service")["StatusText"].endswith("serves (generation 1)")
    machine.must("systemctl", "stop", "first.service")


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
    wait_for(lambda: [each for each in family if each.is_alive], 20, until=lambda left: not left, what="their end")
    wait_for(lambda: _groups(tests.pid), 20, until=lambda left: not left, what="the end of its control groups")
    assert not [each for each in all_processes() if f"midair-tested-{tests.pid}" in each.command]
    assert "/run/place" not in Path("/proc/mounts").read_text()


def _groups(pid: int) -> list[Path]:
    return list(booting.CGROUPS.glob(f"**/midair-tested-{pid}-*"))
