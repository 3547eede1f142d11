"""An update waits for no open stream and no slow request: it takes effect at once for whoever connects."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service
from tests.support.waiting import wait_for


@pytest.mark.slow
def test_three_of_three_updates_take_effect_while_streams_are_open(tmp_path: Path) -> None:
    """gunicorn, uvicorn, granian and circus: one of three."""
    busy = (Load.streams(connections=50), Load("/slow?s=2", connections=20, keep_alive=False))
    with Service(tmp_path) as service:
        with service.asked(*busy) as client:
            wait_for(lambda: client.report.streams_open == 50, what="fifty open streams")
            for version in ("2", "3", "4"):
                began_s = time.monotonic()
                service.update(version)
                assert time.monotonic() - began_s < 5.0
                assert {service.serving_version() for _ in range(10)} == {version}
            # All of them are still the streams that were opened on version 1.
            assert client.report.streams_open == 50
            assert client.report.connections >= 70
            draining = [found["number"] for found in service.status()["generations"] if found["role"] == "retiring"]
            assert 1 in draining, service.status()
        assert client.report.failed == 0, client.report.summary() + service.log()
