"""An old version that will not end is ended all the same, within its times, and what still ran is named."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

SHORT: dict[str, Setting] = {"drain": {"rate": "100%", "timeout": "1s"}, "exit": {"timeout": "1s"}}


def test_a_shutdown_that_never_ends_is_named_and_ended(tmp_path: Path) -> None:
    with Service(tmp_path, "never_lets_go", settings=SHORT) as service:
        service.update("2", "good")
        wait_for(lambda: service.worker_pids(1), until=lambda left: not left, what="the end of the old version")
        assert "shutdown did not finish within 1 s" in service.log()


def test_a_request_that_swallows_its_cancellation_is_named_with_its_stack_and_ended(tmp_path: Path) -> None:
    with Service(tmp_path, "never_lets_go", settings=SHORT) as service:
        with contextlib.suppress(OSError):
            service.get("/stubborn", timeout_s=0.5)
        service.update("2", "good")
        wait_for(lambda: service.worker_pids(1), until=lambda left: not left, what="the end of the old version")
        named = " ".join(service.receipt(1)["cut"] + service.receipt(2)["cut"]) + service.log()
        assert "still running after it was cancelled" in named, service.log()
        assert "stay_whatever_comes" in named, named
