"""Answers with what its environment says, and with how often its warm-up path was asked."""

import json
import os

import good

VERSION = "0"
ASKED = ("COLOUR", "GONE", "PASSWORD")

warmed = []


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/environment":
        values = {name: os.environ.get(name) for name in ASKED}
        await good.answer(scope, send, json.dumps(values).encode())
    elif scope["type"] == "http" and scope["path"] == "/warm":
        warmed.append(scope["path"])
        await good.answer(scope, send, b"{}")
    elif scope["type"] == "http" and scope["path"] == "/warmed":
        await good.answer(scope, send, json.dumps(len(warmed)).encode())
    else:
        await good.app(scope, receive, send)
