"""docs/systemd.md is what happens, in a systemd that was booted for it."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk
from tests.support.systemd import Machine

WALK = Walk("docs/systemd.md")


@pytest.mark.slow
@pytest.mark.root
def test_the_page_is_what_happens() -> None:
    with (
        Machine() as machine,
        Terminal(user="root", within=machine.inside()) as terminal,
        WALK.begun(terminal) as walker,
    ):
        terminal.prepare("useradd --system --user-group shop")
        terminal.lend_environment()
        terminal.write("shop/web.py", shop())
        walker.through("sudo systemctl enable --now shop.service")
        terminal.write("shop/web.py", shop("2"))
        walker.through("sudo systemctl reload shop")
        assert terminal.prepare("curl -sf http://127.0.0.1:8000/") == ["version 2"]
        terminal.prepare("printf '\\n[stop]\\ntimeout = \"60s\"\\n' >> midair.toml")
        walker.rest()
