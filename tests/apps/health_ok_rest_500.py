"""Looks healthy and is not: /health answers 200, everything else 500. Keeps count in broken.log, a line an answer."""

from pathlib import Path

import good

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] != "/health":
        await good.read_body(receive)
        with Path("broken.log").open("a") as log:  # noqa: ASYNC230 - a few bytes
            log.write("1\n")
        await good.answer(scope, send, b'{"status": "broken"}', 500)
    else:
        await good.app(scope, receive, send)
