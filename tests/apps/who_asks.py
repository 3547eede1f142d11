"""Answers who is asking, as it is told."""

import json

import good

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] != "http":
        await good.app(scope, receive, send)
        return
    told = {"version": VERSION, "client": scope["client"], "scheme": scope["scheme"]}
    await good.answer(scope, send, json.dumps(told).encode())
