"""Imports a module of its own only when it is asked to, and only once somebody has made a file: ``/late?after=FILE``."""

import asyncio
import json
import os
from urllib.parse import parse_qs

import good

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] != "http" or scope["path"] != "/late":
        await good.app(scope, receive, send)
        return
    after = parse_qs(scope["query_string"].decode())["after"][0]
    while not os.path.exists(after):  # noqa: ASYNC110, ASYNC240 - a test makes it, in another process
        await asyncio.sleep(0.02)
    import later

    await good.answer(scope, send, json.dumps({"version": later.VERSION, "file": later.__file__}).encode())
