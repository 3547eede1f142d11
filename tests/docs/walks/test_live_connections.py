"""docs/live-connections.md is what happens: one connection counts on, from version 1 to version 2."""

from __future__ import annotations

import re

import pytest

from tests.docs.terminal import Terminal
from tests.docs.walking import Walk
from tests.support.waiting import wait_for

TALK = "python talk.py"
WALK = Walk(
    "docs/live-connections.md", goes_on={"midair run main:app": "update done", TALK: "1: hello, says version 1"}
)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal, WALK.begun(terminal) as walker:
        walker.rest()
        talk = walker.going_on[TALK]
        wait_for(
            talk.printed, until=lambda said: said[-1].endswith("version 2"), what="an answer of version 2", every_s=0.1
        )
        heard = [re.fullmatch(r"(\d+): hello, says version (\d)", line) for line in talk.printed()]
        assert [found[1] for found in heard if found] == [str(number + 1) for number in range(len(heard))]
