"""Whom a proxy told moves with the connection, and what an extension has begun stays where it is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect

import midair
from midair.worker.asgi import Asgi, Receive, Scope, Send
from tests.worker.serving import get, until
from tests.worker.test_moving import moving
from tests.worker.test_moving_calls import events

TOLD = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"
ENDS = (("192.0.2.1", 56324), ("198.51.100.2", 443))


def streaming(seen: list[Any], *, last: int, **start: Any) -> Asgi:
    """Numbers, in a response that can move; ``seen`` gets the ends of the connection and the scheme."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["client"], scope["server"], scope["scheme"]))
        sent = midair.carry_on(scope, 0)
        if hint := start.get("hint"):
            await send({"type": "http.response.early_hint", "links": [hint]})
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": "trailers" in start})
        while sent.value < last:
            await send({"type": "http.response.body", "body": b"n %d\n" % sent.value, "more_body": True})
            sent.value += 1
            await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": b""})
        if "trailers" in start:
            await send({"type": "http.response.trailers", "headers": start["trailers"]})

    return application


@pytest.mark.parametrize(
    ("headers", "client", "scheme"),
    [
        ((), ENDS[0], "http"),
        (("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"), ENDS[0], "http"),
    ],
)
async def test_a_stream_keeps_the_ends_that_the_proxy_protocol_told(headers: Any, client: Any, scheme: str) -> None:
    old: list[Any] = []
    new: list[Any] = []
    async with moving(streaming(old, last=10_000), streaming(new, last=60), proxy_protocol=True) as move:
        asking = await move.old.connect()
        asking.send(TOLD + get("/", *headers))
        await asking.head()
        await events(asking, 5)
        move.source.grant_all()
        await events(asking, 55)
        assert old == new == [(client, ENDS[1], scheme)]


async def test_a_stream_keeps_whom_a_header_told() -> None:
    old: list[Any] = []
    new: list[Any] = []
    async with moving(streaming(old, last=10_000), streaming(new, last=60)) as move:
        client = await move.old.connect()
        client.send(get("/", "X-Forwarded-For: 192.0.2.1:7", "X-Forwarded-Proto: https"))
        await client.head()
        await events(client, 5)
        move.source.grant_all()
        await events(client, 55)
        assert old[0][0] == ("192.0.2.1", 7)
        assert old[0][2] == "https"
        assert [(who, scheme) for who, _, scheme in new] == [(who, scheme) for who, _, scheme in old]


async def test_a_websocket_keeps_whom_a_header_told() -> None:
    seen: list[Any] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["client"], scope["scheme"]))
        await receive()
        await send({"type": "websocket.accept"})
        midair.carry_on(scope, {})
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": "here"})

    headers = {"X-Forwarded-For": "192.0.2.1:7", "X-Forwarded-Proto": "https"}
    async with moving(application, application) as move:
        address = "ws://{}:{}/".format(*move.old.listener_address)
        async with connect(address, proxy=None, additional_headers=headers) as client:
            await client.send("where?")
            await client.recv()
            move.source.grant_all()
            await until(lambda: move.moved == 1)
            await client.send("where?")
            await client.recv()
    assert seen == [(("192.0.2.1", 7), "wss")] * 2


async def test_early_hints_that_a_client_has_had_are_not_sent_again() -> None:
    seen: list[Any] = []
    app = streaming(seen, last=60, hint=b"</a.css>; rel=preload")
    async with moving(app, app) as move:
        client = await move.old.connect()
        client.send(get("/"))
        assert [(await client.head())[0] for _ in range(2)] == [103, 200]
        first = await events(client, 5)
        move.source.grant_all()
        rest = await events(client, 55)
        assert [number for _, number in first + rest] == list(range(60))
        assert (len(seen), move.moved) == (2, 1)


async def test_a_response_that_owes_trailers_is_finished_where_it_was_begun() -> None:
    old: list[Any] = []
    new: list[Any] = []
    trailers = [(b"x-sum", b"1")]
    async with moving(streaming(old, last=60, trailers=trailers), streaming(new, last=60)) as move:
        client = await move.old.connect()
        client.send(get("/", "TE: trailers"))
        await client.head()
        await events(client, 5)
        move.source.grant_all()
        await events(client, 55)
        assert await client.reader.readuntil(b"\r\n\r\n") == b"0\r\nx-sum: 1\r\n\r\n"
        assert new == []
        await until(lambda: move.moved == 1)
