"""docs/deploy.md is what happens: two releases, and the ways back."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

RUN = "midair run -C /srv/shop/current"
WALK = Walk("docs/deploy.md", goes_on={RUN: "update done"})


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal("/home/you/shop") as terminal:
        terminal.write("midair.toml", 'app = "app:app"\n')
        terminal.write("app.py", shop("1"))
        with WALK.begun(terminal) as walker:
            walker.through(RUN)
            walker.stands_for["20261126-081500"] = terminal.prepare("ls /srv/shop/releases")[0]
            terminal.write("app.py", shop("2"))
            walker.rest()
