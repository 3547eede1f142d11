"""docs/forking.md is what happens: what a fork would break is named."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

WALK = Walk("docs/forking.md")


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal("/srv/hello") as terminal:
        terminal.lend_environment()
        terminal.write("midair.toml", 'app = "app:app"\n')
        terminal.write("app.py", shop(before='import sqlite3\n\nshop = sqlite3.connect("shop.db")\n'))
        WALK.whole(terminal)
