"""A page with everything that a reload could lose: scroll, focus, what was typed, a script's variable, a style sheet."""

from __future__ import annotations

from pathlib import Path

VERSION = "1"
STATIC = Path(__file__).parent / "static"
KINDS = {"css": "text/css", "js": "text/javascript"}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>shop {version}</title>
<link rel="stylesheet" href="/static/shop.css"><script src="/static/shop.js"></script></head>
<body><h1>{version}</h1>
<form><input name="name"><input name="other"><input type="password" name="secret"></form>
<div style="height: 4000px"></div></body></html>"""


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    kind, body, more = b"text/html", PAGE.format(version=VERSION).encode(), []
    if scope["path"].startswith("/static/"):
        path = STATIC / scope["path"].removeprefix("/static/")
        kind, body = KINDS[path.suffix[1:]].encode(), path.read_bytes()
    elif scope["path"] == "/strict":
        policy = b"default-src 'none'; script-src 'nonce-n0nce' 'strict-dynamic'; style-src 'self'"
        more = [(b"content-security-policy", policy)]
    elif scope["path"] == "/raises":
        raise RuntimeError("<img src=x onerror=alert(1)>")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind), *more]})
    await send({"type": "http.response.body", "body": body})
