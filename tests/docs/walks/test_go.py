"""docs/go.md is what happens: its program compiles, and is updated."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.terminal import QUICK, Terminal
from tests.docs.walking import Walk
from tests.support.installed import needs

WALK = Walk("docs/go.md", goes_on={"midair run": "update done"})


@pytest.fixture
def cache() -> str:
    """Where net/http is compiled already: an empty cache takes half a minute, which the reader's machine has behind it."""
    needs("go")
    source = Path(__file__).parent.parent.parent.parent / "examples" / "go"
    subprocess.run(["go", "build", "-o", "/dev/null", "."], cwd=source, check=True, timeout=240)
    found = subprocess.run(["go", "env", "GOCACHE"], capture_output=True, text=True, check=True, timeout=20)
    return found.stdout.strip()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_is_what_happens(cache: str) -> None:
    with Terminal("/srv/shop", user="root", environment={**QUICK, "GOCACHE": cache}) as terminal:  # the cache is root's
        WALK.whole(terminal)
