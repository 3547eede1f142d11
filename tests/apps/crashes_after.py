"""Serves well, and dies CRASH_AFTER_S (1) seconds after its first request that is not a probe.

Its last act is to add a line to broken.log: how many requests it held in flight.
"""

import asyncio
import os
from pathlib import Path

import good

VERSION = "0"

is_armed = False
in_flight = 0


def die():
    with Path("broken.log").open("a") as log:
        log.write(f"{in_flight}\n")
    os._exit(7)


async def app(scope, receive, send):
    global is_armed, in_flight
    if scope["type"] != "http" or scope["path"] == "/health":
        return await good.app(scope, receive, send)
    if not is_armed:
        is_armed = True
        asyncio.get_running_loop().call_later(float(os.environ.get("CRASH_AFTER_S", "1")), die)
    in_flight += 1
    try:
        await good.app(scope, receive, send)
    finally:
        in_flight -= 1
