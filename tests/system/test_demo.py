"""What ``make demo`` shows is what happens: three updates of a busy service, one of them refused, and nothing lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import clean_environment

TOP = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_the_demo_loses_nothing_and_tells_how_each_update_ended() -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=TOP,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    said = [" ".join(line.split()) for line in demo.stdout.splitlines()]
    assert said.count("✓ committed: version 2 serves") == 1
    assert said.count("✗ refused, exit code 4: version 2 serves on") == 1
    assert said.count("✓ committed: version 4 serves") == 1
    assert "NameError: name 'load_prices' is not defined" in said
    for phase in ("build", "start", "ready", "cut-over", "bake", "commit"):
        assert sum(line.startswith(f"{phase} ") for line in said) >= 2, phase
    assert "failed 0" in said
    assert demo.stderr == ""
