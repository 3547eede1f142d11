"""As raw.py, and it notes when its event loop stood still: a line a gap in ``gaps.PID``, when it began and how long it was.

To a WebSocket it says how many messages it has had on it, which goes on with the next version (``midair.carry_on``).
"""

import asyncio
import json
import os
import time

import midair

VERSION = "0"
LOOK_EVERY_S = 0.001
NOTED_S = 0.003
"""A timer of a millisecond is often one or two late: nobody's fault and no news."""

tasks = set()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        tasks.add(asyncio.create_task(watch()))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        tasks.pop().cancel()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await converse(scope, receive, send)
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


async def converse(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    counts = midair.carry_on(scope, {"messages": 0}).value
    while (await receive())["type"] == "websocket.receive":
        counts["messages"] += 1
        await send({"type": "websocket.send", "text": str(counts["messages"])})


async def watch():
    file = os.open(f"gaps.{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    while True:
        began_s = time.monotonic()
        await asyncio.sleep(LOOK_EVERY_S)
        gap_s = time.monotonic() - began_s - LOOK_EVERY_S
        if gap_s > NOTED_S:
            os.write(file, b"%.6f %.6f\n" % (began_s, gap_s))


BODY = json.dumps({"version": VERSION}).encode()
