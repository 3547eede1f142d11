"""Each worker wants to be the one that schedules. Whoever is inside has a file that nobody else may have at the same time."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

import good

import midair

VERSION = "0"
good.VERSION = VERSION

INSIDE = Path("inside")
JOURNAL = Path("journal")


def note(what):
    with JOURNAL.open("a") as journal:
        journal.write(f"{what} {VERSION} {os.getpid()} {time.monotonic()}\n")


def runs_code(pid):
    """A process that is being ended has no memory any more when its files are closed."""
    try:
        return pid == "" or Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def go_in():
    try:
        descriptor = os.open(INSIDE, os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        if runs_code(INSIDE.read_text()):
            note("twice")
        INSIDE.unlink(missing_ok=True)  # its holder was killed
        descriptor = os.open(INSIDE, os.O_CREAT | os.O_EXCL)
    os.close(descriptor)
    INSIDE.write_text(str(os.getpid()))
    note("in")


def go_out():
    INSIDE.unlink(missing_ok=True)
    note("out")


async def schedule():
    while True:
        async with midair.exclusive("scheduler") as held:
            go_in()
            try:
                if VERSION == "stubborn":
                    await asyncio.Event().wait()
                while not held.leaving.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(held.leaving.wait(), 0.05)
            finally:
                go_out()


async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        await good.app(scope, receive, send)
        return
    await receive()
    task = asyncio.create_task(schedule())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await send({"type": "lifespan.shutdown.complete"})
