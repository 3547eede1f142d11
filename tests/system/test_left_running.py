"""What an application runs beside its requests, when its version is replaced: the table of docs/survives.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for


@pytest.mark.slow
def test_what_belongs_to_a_call_is_waited_for_and_the_rest_ends_with_its_worker(tmp_path: Path) -> None:
    with Service(tmp_path, "leaves_running", workers=1) as service:
        service.get("/after")
        service.update("2", "good")
        wait_for(lambda: service.worker_pids(1), until=lambda left: not left, what="the end of the old version")
        started, *notes = [json.loads(line) for line in (service.folder / "notes-1").read_text().splitlines()]
        program = Process(int(started.removeprefix("child ")))
        # Its thread has said nothing: nobody waits for one. What it started goes on until somebody ends it.
        assert notes == ["after the answer", "shutdown", "task cancelled", "job done"]
        assert program.is_alive
        program.kill()
        wait_for(lambda: program.is_alive, until=lambda alive: not alive)
