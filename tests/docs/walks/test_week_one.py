"""docs/week-one.md is what happens, with uvicorn as the server that one has."""

from __future__ import annotations

import sys

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

WALK = Walk("docs/week-one.md", goes_on={"midair run": "update done"})


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_page_is_what_happens() -> None:
    with Terminal("/srv/shop") as terminal:
        terminal.prepare(f"ln -s {sys.prefix} .venv")
        terminal.write("shop.py", shop())
        WALK.whole(terminal)
