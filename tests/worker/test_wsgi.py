"""WSGI applications through a2wsgi, in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

from midair.worker.wsgi import as_asgi
from tests.worker.serving import get, post, serving


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    headers = [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"]), ("X-Peer", environ["REMOTE_ADDR"])]
    start_response("200 OK", headers)
    return [environ["REQUEST_METHOD"].encode(), b" ", body]


async def test_a_wsgi_application_is_served() -> None:
    async with serving(as_asgi(echo, 2)) as served:
        client = await served.connect()
        response = await client.ask(post(b"hello", "/a%20b"))
        assert (response.body, response.header("x-path")) == (b"POST hello", "/a b")
        assert response.header("x-peer") == "127.0.0.1"
        response = await client.ask(post(b"x" * 300_000))
        assert len(response.body) == 300_005


async def test_as_many_requests_run_at_a_time_as_there_are_threads() -> None:
    both = threading.Barrier(2, timeout=5)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        both.wait()
        start_response("204 No Content", [])
        return []

    async with serving(as_asgi(app, 2)) as served:
        clients = [await served.connect() for _ in range(2)]
        responses = await asyncio.gather(*(client.ask(get()) for client in clients))
        assert [response.status for response in responses] == [204, 204]


async def test_a_wsgi_application_may_raise() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise ValueError("on purpose")

    async with serving(as_asgi(app, 2)) as served:
        assert (await (await served.connect()).ask(get())).status == 500
