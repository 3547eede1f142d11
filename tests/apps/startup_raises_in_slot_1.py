"""Imports well and starts up, but not in slot 1: there it raises."""

import os

import good

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] == "lifespan" and os.environ["MIDAIR_SLOT"] == "1":
        await receive()
        raise RuntimeError("slot 1 of this version fails on purpose")
    await good.app(scope, receive, send)
