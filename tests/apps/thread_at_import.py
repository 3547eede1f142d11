"""Starts a thread at import: after a fork it would not be there, and whoever waits for it would wait for ever."""

import asyncio
import queue
import threading

import good

VERSION = "0"

jobs = queue.SimpleQueue()


def work():
    while True:
        loop, done = jobs.get()
        loop.call_soon_threadsafe(done.set)


threading.Thread(target=work, daemon=True, name="worker-of-the-application").start()


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/query":
        done = asyncio.Event()
        jobs.put((asyncio.get_running_loop(), done))
        await done.wait()
    await good.app({**scope, "path": "/"} if scope.get("path") == "/query" else scope, receive, send)
