"""A shop with one shelf. Change VERSION, or break it, and `midair reload`."""

import json

VERSION = "1"


async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = json.dumps({"shop": VERSION, "path": scope["path"]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
