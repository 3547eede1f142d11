"""Says in its lifespan start-up that it failed."""

import good

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the database is on fire"})
        return
    await good.app(scope, receive, send)
