"""docs/nginx.md is what happens, and more is asked of it than the page shows: POST, new connections, WebSockets, no repeating."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.terminal import Terminal
from tests.docs.walking import Walk
from tests.support.authority import Authority
from tests.support.nginx import as_command

WALK = Walk("docs/nginx.md", goes_on={"midair run": "update done"})
# Both versions have to be met by clients on a busy machine, too: the new one has the bake for it.
QUICKLY = {"MIDAIR_BAKE_FOR": "2s", "MIDAIR_SERVE_ACCESS_LOG": "false", "MIDAIR_DRAIN_RATE": "100%"}
APP = '''\
"""What the page takes for granted: it says its version, and who asked; what is sent to it, it sends back."""

import json

import midair

VERSION = "1"


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await talk(scope, receive, send)
    if scope["type"] != "http":
        return
    body = b""
    while (message := await receive()).get("more_body"):
        body += message["body"]
    body += message.get("body", b"")
    told = {"version": VERSION, "scheme": scope["scheme"], "client": (scope["client"] or ("the probe",))[0]}
    nonce = next((value for name, value in scope["headers"] if name == b"x-nonce"), b"")
    headers = [(b"x-version", VERSION.encode()), *([(b"x-nonce", nonce)] if nonce else [])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body or json.dumps(told).encode()})


async def talk(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    session = midair.carry_on(scope, {"count": 0})
    if not session.is_resumed:
        await send({"type": "websocket.send", "text": json.dumps({"hello": VERSION})})
    while (message := await receive())["type"] == "websocket.receive":
        session.value["count"] += 1
        said = json.loads(message["text"])
        await send({"type": "websocket.send", "text": json.dumps({**said, **session.value, "version": VERSION})})
'''
ASK = '''\
"""Until the file ``enough`` is there; then what was counted, as JSON."""

import json
import pathlib
import ssl
import time

from midair.testing.client import BackgroundClient, Load, Target
from midair.testing.websocket import BackgroundWebSockets, Sockets

target = Target.parse("https://shop.example", ssl.create_default_context(cafile="ca.pem"))
loads = Load(connections=3, keep_alive=False, think_s=0.05), Load.posts("/", connections=3)
talks = Sockets(connections=10, think_s=0.1)
with BackgroundClient(target, *loads) as client, BackgroundWebSockets("http://127.0.0.1:8080", talks) as sockets:
    pathlib.Path("asking").touch()
    while not pathlib.Path("enough").exists():
        time.sleep(0.05)  # Whoever makes the file is a shell, and tells nobody.
talked = sockets.report
print(json.dumps({
    "failed": client.report.failed, "versions": list(client.report.versions), "said": client.report.summary(),
    "wrong": talked.wrong, "moves": talked.moves, "talked": talked.summary(),
}))
'''


OPEN = "awk '$3 ~ /:01BB$/ && $4 == \"01\"' /proc/net/tcp | wc -l"
"""Connections to port 443."""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_page_is_what_happens(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    pair = authority.issue("shop.example")
    with Terminal("/srv/shop", user="root", environment=QUICKLY) as terminal:
        terminal.write("/usr/local/bin/nginx", as_command())
        terminal.prepare("chmod +x /usr/local/bin/nginx; echo 127.0.0.1 shop.example >> /etc/hosts")
        terminal.write("shop/web.py", APP)
        terminal.write("ask.py", ASK)
        terminal.write("ca.pem", authority.ca_certs.read_text())
        for path, text in (("fullchain.pem", pair.certfile.read_text()), ("privkey.pem", pair.keyfile.read_text())):
            terminal.write(f"/etc/letsencrypt/live/shop.example/{path}", text)
        with WALK.begun(terminal) as walker:
            walker.through("sudo mkdir -p /run/shop")
            # Nothing may be mended by asking twice. And the client of WebSockets speaks no TLS.
            changes = "-e 's/^http {/& proxy_next_upstream off;/' -e 's/listen 443 ssl;/& listen 8080;/'"
            terminal.prepare(f"sed -i {changes} /etc/nginx/nginx.conf")
            walker.through("curl -s -o /dev/null -w '%{http_code}\\n' --cacert ca.pem https://shop.example/readyz")
            terminal.prepare("python ask.py > counted.json 2>&1 & asker=$!; until [ -e asking ]; do sleep 0.05; done")
            (client,) = (each.typed for each in WALK.commands() if "midair.testing.client" in each.typed)
            walker.through(client)
            # A reader is not as quick with the next line as we are: by then its connections are open.
            terminal.prepare(f"until [ $({OPEN}) -ge 20 ]; do sleep 0.05; done")
            walker.rest()
            counted = "\n".join(terminal.prepare("touch enough; wait $asker; cat counted.json"))
        report = json.loads(counted)
        assert report["failed"] == 0, report["said"]
        assert report["versions"] == ["1", "2"], report["said"]
        assert report["wrong"] == 0, report["talked"]
        assert report["moves"] == 10, report["talked"]
