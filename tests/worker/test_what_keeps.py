"""What a worker says of what keeps it: each connection by what it is at, tasks and threads; bounded, and never the query."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec

from midair.observe.holding import BYTES_MAX, CONNECTIONS_MAX, Connection, Holding, Task, fitting
from midair.worker.asgi import Receive, Scope, Send
from midair.worker.holding import report
from tests.worker.serving import get, respond, serving, until

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await until_told(receive)
    elif scope["path"] == "/slow":
        await until_told(receive)
    elif scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await until_told(receive)
    elif scope["path"] == "/late":
        await respond(send, b"")
        await asyncio.sleep(60)
    else:
        await respond(send, b"")


async def until_told(receive: Receive) -> None:
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass


async def test_each_connection_is_told_by_what_it_is_at() -> None:
    async with serving(app) as served:
        for request in (get(), get("/slow?token=secret"), get("/stream"), get("/ws", *UPGRADE)):
            client = await served.connect()
            client.writer.write(request)
        half = await served.connect()
        half.writer.write(b"GET / HT")

        def kinds() -> dict[str, int]:
            return report(served.server, None).kinds

        expected = {"idle": 1, "request": 1, "response": 1, "websocket": 1, "reading": 1}
        await until(lambda: kinds() == expected)
        found = report(served.server, 7.5)
        assert found.ends_in_s == 7.5
        assert [each.kind for each in found.connections] == ["websocket", "response", "request", "reading", "idle"]
        socket, stream, slow, _, idle = found.connections
        assert slow.request == "GET /slow", "the query may be a secret"
        assert slow.stack[-1].endswith(" in app")
        assert "until_told" in slow.stack[0]
        assert not any("midair/worker" in call for call in slow.stack)
        assert (slow.can_move, slow.why_not) == (True, "")
        assert socket.why_not == stream.why_not == "its application carries nothing (midair.carry_on)"
        assert idle.peer.startswith("127.0.0.1:")
        assert (idle.request, idle.stack, idle.can_move) == ("", (), True)


async def test_a_call_that_goes_on_after_its_answer_is_told_though_its_connection_is_idle() -> None:
    async with serving(app) as served:
        client = await served.connect()
        await client.ask(get("/late"))
        found = report(served.server, None)
        assert found.kinds == {"background": 1, "idle": 1}
        late = next(each for each in found.connections if each.kind == "background")
        assert late.request == "GET /late"
        assert late.stack[-1].endswith(" in app")
        for call in tuple(served.server.running):
            assert call.task is not None
            call.task.cancel()


async def test_tasks_and_threads_of_the_application_are_told_and_ours_are_not() -> None:
    gate, pool = threading.Event(), ThreadPoolExecutor(1, thread_name_prefix="pool")
    thread = threading.Thread(target=gate.wait, name="export")
    thread.start()
    pool.submit(int).result()

    async def refresh() -> None:
        await asyncio.sleep(60)

    task = asyncio.create_task(refresh(), name="rates")
    try:
        async with serving(app) as served:
            client = await served.connect()
            await client.ask(get())
            await asyncio.sleep(0)
            found = report(served.server, None)
            assert "rates" in [each.name for each in found.tasks]
            named = {each.name: each for each in found.threads}
            assert not named["export"].is_daemon
            assert not named["export"].is_idle
            assert any("in wait" in call for call in named["export"].stack)
            assert named["pool_0"].is_idle
    finally:
        gate.set()
        thread.join()
        pool.shutdown()
        task.cancel()


async def test_of_many_connections_those_are_told_that_end_least_by_themselves() -> None:
    async with serving(app) as served:
        idle = [await served.connect() for _ in range(CONNECTIONS_MAX + 5)]
        for client in idle:
            await client.ask(get())
        busy = await served.connect()
        busy.writer.write(get("/slow"))
        await until(lambda: "request" in report(served.server, None).kinds)
        found = report(served.server, None)
        assert len(found.connections) == CONNECTIONS_MAX
        assert found.connections[0].request == "GET /slow"
        assert found.kinds == {"request": 1, "idle": CONNECTIONS_MAX + 5}


def test_what_a_worker_says_fits_into_a_message_however_long_the_names_are() -> None:
    row = Connection(peer="1.2.3.4:5", kind="request", age_s=1.0, request="é" * 160, stack=("é" * 160,) * 6)
    huge = Holding(connections=(row,) * 40, tasks=(Task(name="x", stack=("é" * 160,) * 6),) * 20)
    found = fitting(huge)
    assert len(msgspec.msgpack.encode(found)) <= BYTES_MAX
    assert 10 <= len(found.connections) < 40
    assert found.tasks_more + len(found.tasks) == 20
