"""docs/admin.md is what happens: an address for people."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

RUN = "midair run app:app --admin 127.0.0.1:9465"
WALK = Walk(
    "docs/admin.md",
    goes_on={RUN: "update done"},
    not_typed={"ssh -N -L 9465:127.0.0.1:9465 you@server": "there is no other machine to come from"},
)


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal, WALK.begun(terminal) as walker:
        terminal.write("app.py", shop())
        walker.through(RUN)
        assert "<title>" in "\n".join(
            terminal.prepare("curl --retry 20 --retry-connrefused -sf http://127.0.0.1:9465/")
        )
        walker.rest()
