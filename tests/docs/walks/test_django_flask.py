"""docs/django-flask.md is what happens: Flask is updated, and Django, whose tables are there before it serves."""

from __future__ import annotations

import pytest

from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

RUN = "midair run"
WALK = Walk("docs/django-flask.md", goes_on={RUN: "update done"})
TABLES = """
import sqlite3
print(*(name for (name,) in sqlite3.connect("db.sqlite3").execute("SELECT name FROM sqlite_master")), sep="\\n")
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal, WALK.begun(terminal) as walker:
        terminal.lend_environment()
        walker.through("curl -s http://127.0.0.1:8000/")
        walker.going_on[RUN].end()
        walker.through("mkdir -p ~/site && cd ~/site")
        terminal.lend_environment()
        walker.rest()
        assert "auth_user" in terminal.prepare("python -c '" + TABLES + "'")
