"""docs/dev.md is what happens: from a save to the answer, and what counts."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk
from tests.support.installed import needs

DEV = "midair dev app.main:app"
AS_WITH_NODEMON = "midair dev -e ts,tsx --ignore dist --exec 'npm run compile && npm run smoke' -- node dist/server.js"
WALK = Walk("docs/dev.md", goes_on={DEV: "live", AS_WITH_NODEMON: "live"})
PACKAGE = '{"scripts": {"compile": "mkdir -p dist && cp src/server.ts dist/server.js", "smoke": "node --check dist/server.js"}}\n'
SERVER = "require('http').createServer((_, answer) => answer.end('hello\\n')).listen(3000)\n"


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    needs("npm")
    with Terminal() as terminal, WALK.begun(terminal) as walker:
        terminal.write("app/main.py", shop())
        terminal.write("node_modules/x.js", "")
        terminal.prepare(
            "mkdir -p app/{carts,orders,people,pages} && touch app/{carts,orders,people,pages}/{1..8}.py midair.txt"
        )
        walker.through("midair dev --explain node_modules/x.js --explain app/main.py")
        walker.going_on[DEV].end()
        terminal.prepare("mkdir -p /srv/front && cd /srv/front")
        terminal.write("package.json", PACKAGE)
        terminal.write("src/server.ts", SERVER)
        walker.rest()
