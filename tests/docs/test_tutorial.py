"""What the tutorial has its reader type does something, and its service would start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_readme import blocks, without_figures
from tests.support.service import clean_environment

TUTORIAL = Path(__file__).parent.parent.parent / "docs" / "tutorial.md"
SHOWN_PYTHON = "/home/you/shop/.venv/bin/python"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    text = TUTORIAL.read_text()
    (tmp_path / "app.py").write_text(blocks("python", text)[0])
    (tmp_path / "midair.toml").write_text(blocks("toml", text)[0])
    return tmp_path


def edits() -> list[str]:
    """Every command that changes app.py, in the order in which it is typed."""
    return re.findall(r"(?:^\$ |`)((?:sed|echo) [^\n`]*app\.py)", TUTORIAL.read_text(), re.MULTILINE)


def test_every_edit_changes_the_application(shop: Path) -> None:
    assert len(edits()) == 4, "the search finds nothing any more"
    for edit in edits():
        before = (shop / "app.py").read_text()
        subprocess.run(["bash", "-c", edit], cwd=shop, timeout=10, check=True)
        assert (shop / "app.py").read_text() != before, f"does nothing: {edit}"


@pytest.mark.slow
def test_the_service_would_start_and_midair_says_so(shop: Path) -> None:
    shown = re.search(r"^\$ midair check\n(.*)$", TUTORIAL.read_text(), re.MULTILINE)
    assert shown is not None
    done = subprocess.run(
        [sys.executable, "-m", "midair", "check"],
        cwd=shop,
        env=clean_environment(PWD=str(shop), VIRTUAL_ENV=str(Path(sys.executable).parent.parent)),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = re.sub(rf"{re.escape(os.path.dirname(sys.executable))}/python\S*", SHOWN_PYTHON, done.stdout)
    assert without_figures(said.splitlines()) == without_figures([shown[1]]), done.stderr
