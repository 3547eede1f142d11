"""Imports well and raises in its lifespan start-up."""

import good

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        raise RuntimeError("the start-up of this version fails on purpose")
    await good.app(scope, receive, send)
