"""A supervisor is killed under a real systemd, with the unit that ``midair systemd`` makes: clients lose nothing."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from midair.testing.client import Load
from tests.support.systemd import MIDAIR, Machine
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.root]

FOLDER = "/srv/killed"
UNIT = "killed.service"
ADDRESS = "127.0.0.1:8000"
SETTINGS = f"""
app = "app:app"
bind = "{ADDRESS}"
workers = 2
bake = {{ for = "0s" }}
serve = {{ access_log = false }}
metrics = {{ address = "127.0.0.1:9464" }}
"""
NEW = Load(connections=4, keep_alive=False, think_s=0.02)


def status(machine: Machine) -> dict[str, Any]:
    told = json.loads(machine.must(str(MIDAIR), "status", "--json", folder=FOLDER))
    assert isinstance(told, dict)
    return told


def test_nobody_is_refused_and_no_request_is_lost_when_it_is_killed_and_a_stop_leaves_nothing(machine: Machine) -> None:
    machine.write(FOLDER, "good", "1")
    machine.place(f"{FOLDER}/midair.toml", SETTINGS)
    machine.install(UNIT, machine.must(str(MIDAIR), "systemd", "--plain", "--user", "root", folder=FOLDER))
    machine.start(UNIT)
    wait_for(lambda: machine.show(UNIT)["NFileDescriptorStore"], 20, until=lambda number: number == "3")
    before = status(machine)
    arrived = Load("/slow?s=2", connections=2, keep_alive=False, limit=2)
    with machine.asked(ADDRESS, NEW, arrived) as client:
        wait_for(lambda: client.report.connections, 20, until=lambda count: count > 20)
        supervisor = machine.main_process(UNIT)
        old = supervisor.descendants
        supervisor.kill()
        wait_for(lambda: machine.show(UNIT)["NRestarts"], 20, until=lambda number: number == "1")
        machine.wait_state(UNIT, "active")
        least = client.report.ok + 50
        wait_for(lambda: client.report.ok, 20, until=lambda count: count > least)
        wait_for(lambda: [each for each in old if each.is_alive], 20, until=lambda left: not left, what="their end")
    print(client.report.summary())
    assert client.report.failed == 0, client.report.summary() + machine.log(UNIT)
    after = status(machine)
    assert (after["binds"], after["metrics"]) == (before["binds"], before["metrics"])
    assert (before["serving"], after["serving"]) == (1, 2)
    assert [each["number"] for each in after["last"]] == [2, 1]
    assert after["store"] == {"state": "used", "names": ["metrics", "web", "midair-state"]}
    _restart_and_stop(machine, after)


def _restart_and_stop(machine: Machine, before: dict[str, Any]) -> None:
    """A restart keeps who asks all the while, and a stop empties the store."""
    with machine.asked(ADDRESS, NEW) as client:
        machine.must("systemctl", "restart", UNIT)
        least = client.report.ok + 50
        wait_for(lambda: client.report.ok, 20, until=lambda count: count > least)
    assert client.report.failed == 0, client.report.summary() + machine.log(UNIT)
    assert status(machine)["serving"] == before["serving"] + 1
    machine.must("systemctl", "stop", UNIT)
    assert machine.show(UNIT)["NFileDescriptorStore"] == "0"
    with machine.network(), socket.socket() as client_socket:
        assert client_socket.connect_ex(("127.0.0.1", 8000)) != 0
    began_s = time.monotonic()
    machine.start(UNIT)
    assert machine.about(ADDRESS)["version"] == "1"
    print(f"started {time.monotonic() - began_s:.1f} s after it was asked to")
    machine.must("systemctl", "stop", UNIT)
