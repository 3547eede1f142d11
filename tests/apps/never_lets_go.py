"""Cannot be ended politely: a request that swallows its cancellation, and a shutdown that waits for ever."""

import asyncio

import good

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await shut_down_never(receive, send)
    elif scope["path"] == "/stubborn":
        await stay_whatever_comes()
    else:
        await good.app(scope, receive, send)


async def shut_down_never(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await asyncio.Event().wait()


async def stay_whatever_comes():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
