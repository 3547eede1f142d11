"""docs/air.md is what happens: a project of Air's as it is."""

from __future__ import annotations

import pytest

from tests.docs.shop import PROGRAM
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

DEV = "midair dev"
WALK = Walk("docs/air.md", goes_on={DEV: "live"})


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal:
        # Air's own example builds a Go program, which takes seconds.
        terminal.write(".air.toml", '[build]\ncmd = "mkdir -p tmp && cp server tmp/main"\nbin = "tmp/main"\n')
        terminal.write("server", PROGRAM)
        terminal.prepare("chmod +x server")
        WALK.whole(terminal)
