"""docs/watching.md is what happens: why a file counts, or does not."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

WALK = Walk("docs/watching.md")


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal:
        terminal.write("midair.toml", 'app = "app:app"\n')
        terminal.write("app.py", shop())
        terminal.write(".gitignore", "# what is built\ndist/\n")
        terminal.write("dist/app.js", "")
        terminal.prepare("git init -q")
        WALK.whole(terminal)
