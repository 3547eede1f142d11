"""What decides whether the suite has passed: a test that fails beside others has one more chance, alone, and is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "side_by_side"
TESTS = """
import pathlib
import pytest

@pytest.mark.parametrize("number", range({unsteady}))
def test_unsteady(number):
    tried = pathlib.Path(__file__).with_name(f"tried{{number}}")
    had, _ = tried.exists(), tried.touch()
    assert had

def test_steady():
    assert {steady}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unsteady", "steady", "code"),
    [(0, True, 0), (2, True, 0), (2, False, 1), (4, True, 1)],
    ids=["all pass", "two pass alone", "one fails alone", "too many"],
)
def test_what_passes_alone_is_named_and_what_does_not_fails(
    tmp_path: Path, unsteady: int, steady: bool, code: int
) -> None:
    (tmp_path / "test_it.py").write_text(TESTS.format(unsteady=unsteady, steady=steady))
    # With nothing but what it needs: up to seven processes are started here, and our own plugins take a second each.
    line = [str(SCRIPT), sys.executable, "-p", "xdist", "-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path)]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    named = done.stdout.partition("failed beside others and passed alone")[2]
    assert [f"test_unsteady[{number}]" in named for number in range(2)] == [bool(unsteady) and code == 0] * 2
    assert "test_steady" not in named
