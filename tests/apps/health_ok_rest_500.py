"""Looks healthy and is not: /health answers 200, everything else 500."""

import good

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] != "/health":
        await good.read_body(receive)
        await good.answer(scope, send, b'{"status": "broken"}', 500)
    else:
        await good.app(scope, receive, send)
