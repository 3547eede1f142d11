"""A WebSocket application that keeps a counter for each connection, and lets it outlive the version: see midair.carry_on.

What it says is what ``midair.testing.websocket`` checks. With CARRIES=no in the environment it carries nothing.
"""

import asyncio
import json
import os

import midair

VERSION = "0"
CARRIES = os.environ.get("CARRIES", "yes") == "yes"
PUSH_EVERY_S = 0.1


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        body = json.dumps({"version": VERSION}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    else:
        await converse(scope, receive, send)


async def converse(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    counts, is_resumed = {"messages": 0, "pushes": 0}, False
    if CARRIES:
        session = midair.carry_on(scope, counts)
        counts, is_resumed = session.value, session.is_resumed
    if not is_resumed:
        await say(send, {"hello": VERSION})
    pushing = asyncio.create_task(push(counts, send)) if scope["path"] == "/push" else None
    try:
        while (message := await receive())["type"] == "websocket.receive":
            counts["messages"] += 1
            await say(send, {**json.loads(message["text"]), "count": counts["messages"], "version": VERSION})
    finally:
        if pushing is not None:
            pushing.cancel()


async def push(counts, send):
    try:
        while True:
            await asyncio.sleep(PUSH_EVERY_S)
            await say(send, {"push": counts["pushes"], "version": VERSION})
            counts["pushes"] += 1  # only once it is said: one that could not be said is the next version's
    except OSError:
        pass  # the client has gone, or the connection has


async def say(send, words):
    await send({"type": "websocket.send", "text": json.dumps(words)})
