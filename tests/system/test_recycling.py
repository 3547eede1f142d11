"""A worker that has served enough, or has grown too large, is replaced, its successor first: nobody notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

LOADS = (Load(connections=4, think_s=0.005), Load(connections=2, keep_alive=False, think_s=0.005))


def _replaced(service: Service, why: str) -> int:
    log = service.log_path.read_text()
    return sum("worker replaced" in line for line in log.splitlines()) if why in log else 0


def test_workers_that_have_served_enough_are_replaced_under_load(tmp_path: Path) -> None:
    settings = {"worker": {"max_requests": 100, "max_requests_jitter": 50}}
    with Service(tmp_path, settings=settings) as service:
        before = set(service.worker_pids())
        with service.asked(*LOADS) as client:
            wait_for(lambda: _replaced(service, "requests"), until=lambda n: n >= 4, what="four replacements")
        assert client.report.failed == 0, client.report.summary() + service.log()
        wait_for(lambda: set(service.worker_pids()), until=lambda now: len(now) == 2 and not now & before)
        assert service.serving_version() == "1"


def test_a_worker_that_has_grown_too_large_is_replaced_under_load(tmp_path: Path) -> None:
    with Service(tmp_path, workers=1, settings={"worker": {"max_memory": "150MiB"}}) as service:
        before = service.worker_pids()
        with service.asked(*LOADS) as client:
            assert service.get("/leak?bytes=200000000")[0] == 200
            wait_for(lambda: _replaced(service, "memory"), what="its replacement")
        assert client.report.failed == 0, client.report.summary() + service.log()
        after = wait_for(service.worker_pids, until=lambda now: len(now) == 1)
        assert after != before
