"""Updates leave nothing behind: no process, no descriptor in the supervisor."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service
from tests.support.waiting import wait_for


@pytest.mark.slow
def test_updates_leave_no_process_and_no_descriptor_behind(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.asked(Load(connections=4, keep_alive=False, think_s=0.02)) as client:

        def settled() -> tuple[int, int]:
            return len(service.processes()), len(service.supervisor.descriptors)

        def retired() -> list[str]:
            return [found["role"] for found in service.status()["generations"] if found["role"] == "retiring"]

        # From the second update on there is a kept zygote of the version before: the state that lasts.
        for number in (2, 3):
            service.update(str(number))
        wait_for(retired, until=lambda left: not left, what="the end of the retired generations")
        before = settled()
        for number in range(4, 8):
            service.update(str(number))
        after = wait_for(settled, until=lambda seen: seen <= before, what=f"no more than {before} (processes, fds)")
        assert after == before
        assert client.report.failed == 0, client.report.summary()
