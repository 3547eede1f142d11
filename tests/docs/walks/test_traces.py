"""docs/traces.md is what happens: a check without a collector, and an update that stands in the trace of whoever asked."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk
from tests.support.waiting import wait_for

TAP, RUN = "oteltap", "midair run"
RELOAD = 'midair reload -m "cheaper tea" --traceparent 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
WALK = Walk(
    "docs/traces.md",
    goes_on={TAP: "Listening", RUN: "update done"},
    not_typed={"pip install 'midair[traces]'": "the tests' environment has it, and no registry is asked"},
)


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal:
        terminal.lend_environment()
        terminal.write("app.py", shop("1"))
        with WALK.begun(terminal) as walker:
            walker.through(RUN)
            terminal.write("app.py", shop("2"))
            walker.through(RELOAD)
            told = "midair receipt 2 | grep 'exported *8'"
            wait_for(lambda: terminal.type(told).code == 0, what="spans that were taken, the old version's drain too")
            walker.rest()
