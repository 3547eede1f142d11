"""docs/proxies.md is what happens: who asks, as a proxy says it."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

HEADERS = "midair run shop.main:app --bind 0.0.0.0:8000 --forwarded-allow-ips 10.0.0.0/8"
PROXY_PROTOCOL = "midair run shop.main:app --bind 0.0.0.0:8000 --proxy-protocol --forwarded-allow-ips 10.0.0.0/8"
WALK = Walk("docs/proxies.md", goes_on={HEADERS: "update done", PROXY_PROTOCOL: "update done"})


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal, WALK.begun(terminal) as walker:
        terminal.write("shop/main.py", shop())
        walker.through(HEADERS)
        walker.going_on[HEADERS].end()
        walker.rest()
