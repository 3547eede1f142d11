"""docs/from-uvicorn-gunicorn.md is what happens: the same application, served by either."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

UVICORN = "uvicorn shop.main:app --host 0.0.0.0 --port 8000 --workers 4 --proxy-headers"
MIDAIR = "midair run shop.main:app --bind 0.0.0.0:8000 --workers 4"
WALK = Walk("docs/from-uvicorn-gunicorn.md", goes_on={UVICORN: "Application startup complete", MIDAIR: "update done"})


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal, WALK.begun(terminal) as walker:
        terminal.write("shop/main.py", shop())
        walker.through(UVICORN)
        assert terminal.prepare("curl -sf http://127.0.0.1:8000/") == ["version 1"]
        walker.going_on[UVICORN].end()
        walker.rest()
        assert terminal.prepare("curl -sf http://127.0.0.1:8000/") == ["version 1"]
