"""Connections that go on with the next version: a WebSocket that counts, one that pushes, an event stream."""

import asyncio
import json

import midair

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    elif scope["path"] == "/events":
        await events(scope, send)
    else:
        body = json.dumps({"version": VERSION, "draining": midair.draining.is_set()}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-version", VERSION.encode())]})
        await send({"type": "http.response.body", "body": body})


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def events(scope, send):
    sent = midair.carry_on(scope, 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    while True:
        event = b"data: " + json.dumps({"n": sent.value, "version": VERSION}).encode() + b"\n\n"
        await send({"type": "http.response.body", "body": event, "more_body": True})
        sent.value += 1
        await asyncio.sleep(0.01)


async def websocket(scope, receive, send):
    """Answers ``N TEXT`` as ``COUNT VERSION N TEXT``; on ``/push`` it also sends ``push NUMBER VERSION`` by itself."""
    await receive()
    await send({"type": "websocket.accept"})
    state = midair.carry_on(scope, {"count": 0, "pushed": 0}).value

    async def push():
        while True:
            state["pushed"] += 1
            await send({"type": "websocket.send", "text": f"push {state['pushed']} {VERSION}"})
            await asyncio.sleep(0.02)

    pushing = asyncio.ensure_future(push()) if scope["path"] == "/push" else None
    while (message := await receive())["type"] == "websocket.receive":
        state["count"] += 1
        await send({"type": "websocket.send", "text": f"{state['count']} {VERSION} {message['text']}"})
    if pushing:
        pushing.cancel()
