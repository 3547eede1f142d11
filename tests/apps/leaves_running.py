"""Leaves things running that belong to no request: a task and a job of the loop, a thread, a program."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time

import good

VERSION = "0"

told = []
stop = threading.Event()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await start_and_stop(receive, send)
    elif scope["path"] == "/after":
        await good.answer(scope, send, b"{}")
        await asyncio.sleep(0.5)
        note("after the answer")
    else:
        await good.app(scope, receive, send)


async def start_and_stop(receive, send):
    await receive()
    start_program()
    told.append(asyncio.ensure_future(go_on()))
    threading.Thread(target=wait).start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    note("shutdown")
    told.append(asyncio.get_running_loop().run_in_executor(None, work))
    await send({"type": "lifespan.shutdown.complete"})


def start_program():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # what outlives us
    note(f"child {child.pid}")


async def go_on():
    try:
        await asyncio.Event().wait()
    finally:
        note("task cancelled")


def work():
    time.sleep(0.3)  # still at work when the shutdown is complete
    note("job done")


def wait():
    stop.wait()
    note("thread ended")


def note(what):
    with open(f"notes-{os.environ['MIDAIR_GENERATION']}", "a") as file:
        file.write(json.dumps(what) + "\n")
