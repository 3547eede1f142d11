"""docs/tls.md is what happens: a renewed certificate is shown without an update."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.terminal import QUICK, Terminal
from tests.docs.walking import Walk
from tests.support.authority import Authority

WALK = Walk("docs/tls.md")
LIVE = "/etc/letsencrypt/live/shop.example"
APP = """\
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello"})
"""
# What certbot does to the files, and then what a reader does who waits: as long as the log is silent nothing is looked at.
CERTBOT = f"""\
#!/bin/sh
told=$(grep -c certificate_loaded log)  # at the start, for the first one
mv new/key.pem {LIVE}/privkey.pem
mv new/cert.pem {LIVE}/fullchain.pem
until [ "$(grep -c certificate_loaded log)" -gt "$told" ]; do sleep 0.05; done
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_page_is_what_happens(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    ends_soon, renewed = authority.issue("shop.example", days=20), authority.issue("shop.example", days=90)
    bind = {"MIDAIR_BIND": "0.0.0.0:8443", "MIDAIR_TLS_CERTFILE": f"{LIVE}/fullchain.pem"}
    key = {"MIDAIR_TLS_KEYFILE": f"{LIVE}/privkey.pem", "MIDAIR_TLS_RELOAD_INTERVAL": "200ms"}
    with Terminal("/srv/shop", user="root", environment={**QUICK, **bind, **key}) as terminal:
        terminal.prepare("echo 127.0.0.1 shop.example >> /etc/hosts; groupadd shop; mkdir -p /etc/letsencrypt/archive")
        terminal.write("/usr/local/bin/certbot", CERTBOT)
        terminal.write("app.py", APP)
        for folder, certfile, keyfile, pair in (
            (LIVE, "fullchain.pem", "privkey.pem", ends_soon),
            ("new", "cert.pem", "key.pem", renewed),
        ):
            terminal.write(f"{folder}/{certfile}", pair.certfile.read_text())
            terminal.write(f"{folder}/{keyfile}", pair.keyfile.read_text())
        terminal.prepare(
            "chmod +x /usr/local/bin/certbot; midair run app:app > log 2>&1 & until grep -q update_done log; do sleep 0.05; done"
        )
        (shown,) = (each.typed for each in WALK.commands() if "s_client" in each.typed)
        assert terminal.type(shown).lines == ["Certificate will expire"]
        WALK.whole(terminal)
