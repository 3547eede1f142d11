"""Processes of a supervisor that was killed are ended, and nobody else is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from midair.supervisor.leftovers import began, end
from midair.supervisor.remembered import Left
from tests.support.processes import Process
from tests.support.waiting import wait_for


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, process_group=0) as started:
        yield started
        started.kill()


def test_one_that_stays_is_killed_with_what_it_started() -> None:
    script = "import subprocess, sys; print(subprocess.Popen(['sleep', '1000']).pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as started:
        assert started.stdout is not None
        child = Process(int(started.stdout.readline()))
        assert end(Left(pid=started.pid, began=began(started.pid)))
        assert started.wait(20) == -9
        wait_for(lambda: child.is_alive, 20, until=lambda alive: not alive)


def test_another_process_with_its_number_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    assert not end(Left(pid=sleeper.pid, began=began(sleeper.pid) - 1))
    assert sleeper.poll() is None


def test_one_that_is_gone_is_no_trouble(sleeper: subprocess.Popen[bytes]) -> None:
    left = Left(pid=sleeper.pid, began=began(sleeper.pid))
    sleeper.kill()
    sleeper.wait()
    assert not end(left)
    assert began(sleeper.pid) == 0
    assert began(os.getpid()) > 0
