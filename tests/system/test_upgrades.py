"""The supervisor takes in new code of its own in place: same PID, children stay children, nothing is lost."""

from __future__ import annotations

import random
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service
from tests.support.waiting import wait_for

ASKING = (Load(connections=4, keep_alive=False, think_s=0.02), Load(connections=10, think_s=0.1))


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("upgrades", [4, pytest.param(20, marks=pytest.mark.soak)])
def test_upgrades_of_the_supervisor_with_signals_thrown_in_lose_nothing(tmp_path: Path, upgrades: int) -> None:
    draw = random.Random(upgrades)
    with Service(tmp_path) as service:
        with service.asked(*ASKING) as client:
            service.update("2")  # from here on a kept zygote is there too: the state that lasts
            before = (len(service.processes()), len(service.supervisor.descriptors))
            pid, version = service.pid, 2
            for _ in range(upgrades):
                if draw.random() < 0.5:
                    version += 1
                    service.write("good", str(version))
                    service.supervisor.send(signal.SIGHUP)
                upgraded = service.midair("upgrade", "--json")
                assert upgraded.code == 0, f"{upgraded}\n{service.log()}"
                assert service.status()["pid"] == pid
            service.update(str(version + 1))
            assert service.serving_version() == str(version + 1)

            def settled() -> tuple[int, int]:
                return len(service.processes()), len(service.supervisor.descriptors)

            wait_for(settled, until=lambda seen: seen <= before, what=f"no more than {before} (processes, fds)")
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.slow
def test_a_signal_upgrades_and_then_updates(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with service.asked(*ASKING) as client:
            service.write("good", "2")
            service.supervisor.send(signal.SIGUSR2)
            wait_for(lambda: "2" in client.report.versions, what="an answer of version 2")
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert list(client.report.versions) == ["1", "2"]


@pytest.mark.slow
def test_who_asks_while_an_upgrade_goes_on_gets_its_answer(tmp_path: Path) -> None:
    with Service(tmp_path) as service, ThreadPoolExecutor(3) as pool:
        asked = list(pool.map(lambda _: service.midair("upgrade", "--json"), range(3)))
        assert [each.code for each in asked] == [0, 0, 0], asked
        assert service.serving_version() == "1"
