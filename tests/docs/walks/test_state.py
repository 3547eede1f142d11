"""docs/state.md is what happens: state that the new version cannot take keeps it from serving."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

WALK = Walk("docs/state.md")
ROOMS = """\
import midair

rooms = {"tea": {"title": "tea"}}


def load(states):
    for state in states:
        for name, room in state.items():
            rooms[name] = {"title": room["title"]}


midair.carry("rooms", export=lambda: rooms, restore=load)
"""


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal:
        terminal.write("midair.toml", 'app = "app:app"\nversion_from = "file:VERSION"\n')
        terminal.write("VERSION", "1.8.2\n")
        terminal.write("app.py", shop(before=ROOMS))
        terminal.begin("midair run").wait_said("update done")
        terminal.write("VERSION", "1.9.0\n")
        terminal.write("app.py", shop(before=ROOMS.replace("title", "topic")))
        WALK.whole(terminal)
