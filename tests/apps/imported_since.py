"""Tells at /since what its worker has imported since the application was imported."""

import json
import sys

import good

VERSION = "0"

imported = set(sys.modules)


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/since":
        await good.answer(scope, send, json.dumps(sorted(set(sys.modules) - imported)).encode())
    else:
        await good.app(scope, receive, send)
