"""README.md is what happens: a minute with it, any program, while you write it."""

from __future__ import annotations

import pytest

from tests.docs.shop import PROGRAM, shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

RUN, ANY_PROGRAM, DEV = (
    "midair run app:app",
    "midair run --bind 127.0.0.1:8000 -- ./server --flag",
    "midair dev app.main:app",
)
WALK = Walk("README.md", goes_on={RUN: "update done", ANY_PROGRAM: "update done", DEV: "live"})


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal("/srv/hello") as terminal, WALK.begun(terminal) as walker:
        walker.through(RUN)
        walker.through("midair rollback")
        walker.through("curl -s http://127.0.0.1:8000/")
        walker.going_on[RUN].end()
        terminal.write("server", PROGRAM)
        terminal.prepare("chmod +x server")
        walker.through(ANY_PROGRAM)
        walker.going_on[ANY_PROGRAM].end()
        terminal.prepare("mkdir -p /srv/shop && cd /srv/shop")
        terminal.write("app/main.py", shop("1"))
        walker.through(DEV)
        for version in ("2", "3"):  # where an import can be cut short is found at the first save of a file
            terminal.write("app/main.py", shop(version))
            walker.going_on[DEV].wait_said("app/main.py")
        walker.rest()
