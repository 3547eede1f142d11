"""Headers that every response gets (``--header``): unless the application sends that name itself."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.asyncio.client import connect

from midair.worker.asgi import Receive, Scope, Send
from tests.worker.serving import get, hello, respond, serving

HEADERS = ("X-Frame-Options: DENY", "x-shop:till 1, 2")


def named(response: Any, *names: str) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in response.headers if name.lower() in names]


async def test_every_response_has_them_our_own_answers_too() -> None:
    async with serving(hello, headers=HEADERS) as served:
        for request in (get(), b"nonsense\r\n\r\n"):
            response = await (await served.connect()).ask(request)
            assert named(response, "x-frame-options", "x-shop", "server") == [
                ("server", "midair"),
                ("x-frame-options", "DENY"),
                ("x-shop", "till 1, 2"),
            ]


async def test_what_the_application_sends_itself_is_sent_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, headers=[(b"X-FRAME-options", b"SAMEORIGIN"), (b"content-length", b"0")])

    async with serving(app, headers=HEADERS) as served:
        client = await served.connect()
        for _ in range(2):
            response = await client.ask(get())
            assert named(response, "x-frame-options", "x-shop") == [
                ("x-shop", "till 1, 2"),
                ("x-frame-options", "SAMEORIGIN"),
            ]


async def test_a_server_of_theirs_replaces_ours_and_a_date_too() -> None:
    async with serving(hello, headers=("Server: shop", "Date: never")) as served:
        response = await (await served.connect()).ask(get())
        assert named(response, "server", "date") == [("server", "shop"), ("date", "never")]


async def test_a_handshake_has_them_too() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

    async with (
        serving(app, headers=HEADERS) as served,
        connect("ws://{}:{}/".format(*served.listener_address), proxy=None) as client,
    ):
        assert client.response is not None
        assert client.response.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("server_header", [False, True])
async def test_two_servers_in_a_process_have_each_its_own(server_header: bool) -> None:
    async with serving(hello, headers=HEADERS) as one, serving(hello, server_header=server_header) as other:
        assert named(await (await one.connect()).ask(get()), "x-shop") == [("x-shop", "till 1, 2")]
        response = await (await other.connect()).ask(get())
        assert named(response, "x-shop", "server") == [("server", "midair")] * server_header
