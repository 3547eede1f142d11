"""Never healthy: /health answers 503, everything else is right."""

import good

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/health":
        await good.answer(scope, send, b'{"status": "no database"}', 503)
    else:
        await good.app(scope, receive, send)
