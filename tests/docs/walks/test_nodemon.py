"""docs/nodemon.md is what happens: a project of nodemon's as it is."""

from __future__ import annotations

import pytest

from tests.docs.terminal import Terminal
from tests.docs.walking import Walk
from tests.support.installed import needs

DEV = "midair dev"
WALK = Walk("docs/nodemon.md", goes_on={DEV: "live"})
SERVER = "require('http').createServer((_, answer) => answer.end('hello\\n')).listen(3000)\n"


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    needs("node")
    with Terminal() as terminal:
        terminal.write("nodemon.json", '{"watch": ["src"], "exec": "node src/server.js"}\n')
        terminal.write("src/server.js", SERVER)
        WALK.whole(terminal)
