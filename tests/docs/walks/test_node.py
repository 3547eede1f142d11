"""docs/node.md is what happens."""

from __future__ import annotations

import pytest

from tests.docs.terminal import Terminal
from tests.docs.walking import Walk
from tests.support.installed import needs

WALK = Walk("docs/node.md", goes_on={"midair run": "update done"})


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    needs("node")
    with Terminal("/srv/shop") as terminal:
        WALK.whole(terminal)
