"""docs/websocket-differences.md shows a command of this suite."""

from __future__ import annotations

from tests.docs.terminal import ROOT
from tests.docs.walking import Walk

TESTS = "tests/differential/test_websocket.py"
WALK = Walk(
    "docs/websocket-differences.md",
    not_typed={f".venv/bin/python -m pytest {TESTS}": "it is a part of this suite, and would run twice"},
)


def test_the_page_names_tests_that_are_there() -> None:
    assert [command.typed for command in WALK.commands()] == list(WALK.not_typed)
    assert (ROOT / TESTS).is_file()
