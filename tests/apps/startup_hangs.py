"""Never finishes its lifespan start-up."""

import asyncio

import good

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await asyncio.Event().wait()
    await good.app(scope, receive, send)
