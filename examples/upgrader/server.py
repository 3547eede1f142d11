"""A server of lines whose connections and counters go on over every update.

    nc 127.0.0.1 7000

Each line is answered with its number on this connection, the version that counted it, and itself; `total` with the number of all
lines. There is no web server in it: asyncio's sockets, and midair.Upgrader. Alone (`python server.py`) it is the same server.
"""

import asyncio
import json
import socket
from collections import Counter

import midair

VERSION = "1"
LINE_MAX_BYTES = 4096
GIVE_UP_S = 3
"""A version that leaves tries for so long to pass a connection on; then nobody follows, and it is closed."""

upgrader = midair.Upgrader()
lines = Counter()
tasks = set()


def begin(connection, count=0, unread=b""):
    connection.setblocking(False)
    task = asyncio.create_task(serve(connection, count, unread))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def serve(connection, count, unread):
    """Until the client hangs up, or goes on with the next version: between two lines, or in the middle of one."""
    loop = asyncio.get_running_loop()
    give_up_s = None
    try:
        while len(unread) <= LINE_MAX_BYTES:
            while b"\n" in unread:
                line, unread = unread.split(b"\n", 1)
                count += 1
                await loop.sock_sendall(connection, answer(count, line))
            if upgrader.is_leaving:
                give_up_s = give_up_s or loop.time() + GIVE_UP_S
                # What was read and not used goes along; what was not read yet stays in the socket.
                state = json.dumps({"count": count, "unread": unread.decode("latin-1")}).encode()
                if await upgrader.pass_on(connection, state=state, name="connection") or loop.time() > give_up_s:
                    return
            data = await receive(connection)
            if data == b"":
                return
            unread += data or b""
    except OSError:
        pass  # It has hung up.
    finally:
        connection.close()


def answer(count, line):
    lines["total"] += 1
    return b"%d\n" % lines["total"] if line == b"total" else b"%d v%s %s\n" % (count, VERSION.encode(), line)


async def receive(connection):
    """What the client sends; empty when it has hung up, None when there is something else to do."""
    loop = asyncio.get_running_loop()
    receiving = loop.create_task(loop.sock_recv(connection, 4096))
    leaving = loop.create_task(asyncio.sleep(0.2) if upgrader.is_leaving else upgrader.leaving())
    await asyncio.wait((receiving, leaving), return_when="FIRST_COMPLETED")
    leaving.cancel()
    if receiving.done():
        return receiving.result()
    receiving.cancel()  # Nothing was read.
    return None


async def accept(listener):
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(listener)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin(connection)


async def take_over(passed):
    """What the version before had."""
    state = json.loads(passed.state)
    if passed.name == "connection":
        begin(passed.socket(), state["count"], state["unread"].encode("latin-1"))
    else:
        lines.update(state)


async def main():
    upgrader.on_passed(take_over)
    listener = upgrader.listen("127.0.0.1:7000")
    listener.setblocking(False)
    accepting = asyncio.create_task(accept(listener))
    upgrader.ready(f"version {VERSION}")
    await upgrader.leaving()

    accepting.cancel()
    listener.close()
    while tasks:
        await asyncio.wait(tasks)
    await upgrader.pass_on(state=json.dumps(lines).encode(), name="lines")


asyncio.run(main())
