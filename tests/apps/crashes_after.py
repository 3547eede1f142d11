"""Serves well, and dies CRASH_AFTER_S (1) seconds after its first request that is not a probe."""

import asyncio
import os

import good

VERSION = "0"

is_armed = False


async def app(scope, receive, send):
    global is_armed
    if scope["type"] == "http" and scope["path"] != "/health" and not is_armed:
        is_armed = True
        asyncio.get_running_loop().call_later(float(os.environ.get("CRASH_AFTER_S", "1")), os._exit, 7)
    await good.app(scope, receive, send)
