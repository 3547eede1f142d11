"""docs/drop-in.md is what happens: a program that served itself is a service."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

RUN = "python main.py"
WALK = Walk("docs/drop-in.md", goes_on={RUN: "update done"})
SERVE = """

if __name__ == "__main__":
    midair.serve(app, host="127.0.0.1", port=8000, workers=2)
"""


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal, WALK.begun(terminal) as walker:
        terminal.write("main.py", shop(before="import midair\n") + SERVE)
        walker.rest()
        assert terminal.prepare("curl -sf http://127.0.0.1:8000/") == ["version 1"]
