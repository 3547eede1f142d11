"""docs/containers.md is what happens, as far as it goes without an engine."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

NO_DOCKER = "there is no Docker engine here"
WALK = Walk(
    "docs/containers.md",
    not_typed={
        "docker compose up --build --detach": NO_DOCKER,
        "docker compose exec shop midair status": NO_DOCKER,
        "docker compose exec shop midair reload": NO_DOCKER,
    },
)


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal("/srv/shop") as terminal:
        terminal.write("app.py", shop())
        WALK.whole(terminal)
