"""Takes LARGE_BYTES in each worker when it starts, for good."""

import os

import good

VERSION = "0"

held = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        # Written to, so that the kernel has to find it; after the fork, so that no worker shares it.
        held.append(b"x" * int(os.environ["LARGE_BYTES"]))
    await good.app(scope, receive, send)
