"""docs/installing.md is what happens, by pip, pipx and uv, whose packages are found in a folder."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.terminal import ROOT, Terminal
from tests.docs.walking import Walk
from tests.support.installed import needs

WALK = Walk("docs/installing.md", figures=(r"\d+\.\d+(\.\d+)*",))
PROGRAMS = ("pipx", "uv", "uvx")
"""Of the lock."""


@pytest.fixture
def wheel() -> Iterator[Path]:
    """Where a terminal sees it."""
    with tempfile.TemporaryDirectory(dir=sys.prefix, prefix="built-") as folder:
        line = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, str(ROOT)]
        subprocess.run(line, check=True, capture_output=True, timeout=100)
        os.chmod(folder, 0o755)
        yield next(Path(folder).glob("*.whl"))


@pytest.mark.soak  # `make wheel` installs by pip, pipx and uv each time
@pytest.mark.timeout(240)  # three environments are made and filled, beside whatever else runs
def test_the_page_is_what_happens(wheel: Path, from_wheels: dict[str, str]) -> None:
    needs("man")
    path = {"PATH": f"/home/you/.local/bin:/home/you/programs:{from_wheels['PATH']}"}
    with Terminal("/home/you/programs", environment={**from_wheels, **path}) as terminal:
        for program in PROGRAMS:
            terminal.prepare(f"ln -s {shlex.quote(str(Path(sys.executable).parent / program))} .")
        terminal.prepare(f"ln -s {shlex.quote(str(wheel))} ~/{wheel.name} && mkdir /srv/shop && cd /srv/shop")
        WALK.whole(terminal)
