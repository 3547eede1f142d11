"""What a command takes before it does anything, beside an interpreter that does nothing at all.

Processor time, the least of several runs of each, taken in turn: what else the machine does makes each longer, none shorter.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.cli.fake_service import FakeService
from tests.cli.reports import draining
from tests.support.service import clean_environment

pytestmark = [pytest.mark.alone, pytest.mark.slow]

RUNS = 9
NOTHING = ("-c", "pass")


def least_cpu_s(lines: Mapping[str, Sequence[str]], folder: Path) -> dict[str, float]:
    """Of RUNS of each of these command lines of the interpreter, in turn."""
    times: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(RUNS):
        for name, words in lines.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            line = [sys.executable, *words]
            subprocess.run(line, cwd=folder, env=clean_environment(), capture_output=True, check=True, timeout=20)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times[name].append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return {name: min(taken) for name, taken in times.items()}


def test_help_and_what_an_application_imports_take_little_more_than_the_interpreter(tmp_path: Path) -> None:
    lines = {"nothing": NOTHING, "import": ("-c", "import midair"), "help": ("-m", "midair", "--help")}
    taken = least_cpu_s(lines, tmp_path)
    assert taken["import"] < taken["nothing"] * 1.3, taken
    assert taken["help"] < taken["nothing"] * 2, taken


def test_a_status_takes_a_few_times_as_long_as_the_interpreter(tmp_path: Path) -> None:
    with FakeService(tmp_path, lambda _: [draining()]) as service:
        taken = least_cpu_s({"nothing": NOTHING, "status": ("-m", "midair", "status")}, service.folder)
    assert taken["status"] < taken["nothing"] * 9, taken
