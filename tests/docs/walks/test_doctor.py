"""docs/doctor.md is what happens: a finding, with why and what to type."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

WALK = Walk("docs/doctor.md")


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal(environment={"MIDAIR_BAKE_FOR": "0"}) as terminal:
        terminal.write("midair.toml", 'app = "app:app"\n')
        terminal.write("app.py", shop())
        WALK.whole(terminal)
