"""The application that Prometheus scrapes: ``GET /metrics``. Runs in a child of its own, never in the supervisor.

Plain ASGI, so it is served by midair's own worker. Where the figures come from is handed in: ``fetch`` asks the
supervisor. If that fails the answer is 503, never an old figure: a scrape that fails is seen, a stale one is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from midair.errors import MidairError
from midair.observe.exposition import CONTENT_TYPE, exposition
from midair.observe.footprint import Footprint
from midair.observe.metrics import MetricsSnapshot

FETCH_TIMEOUT_S = 5.0
"""Half of Prometheus' own default time-out for a scrape."""

MEMORY_WITHIN_S = 1.0
"""A scrape waits so long for a look at the memory of processes; what is not known then is left out."""

SCRAPES_MAX = 8
"""Scrapes at one time. More than a pair of servers is a mistake, or somebody who means harm."""

Fetch = Callable[[], Awaitable[MetricsSnapshot]]
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_TEXT = "text/plain; charset=utf-8"


def exporter(fetch: Fetch) -> Application:
    """An ASGI application that answers with what ``fetch`` gives.

    fetch may raise OSError or MidairError (nobody answers), and may take FETCH_TIMEOUT_S.
    """
    scrapes = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal scrapes
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["path"] != "/metrics":
            await _answer(scope, send, 404, "the metrics are at /metrics\n")
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(scope, send, 405, "GET\n", headers=[(b"allow", b"GET, HEAD")])
        elif scrapes >= SCRAPES_MAX:
            await _answer(scope, send, 503, "too many scrapes at one time\n")
        else:
            scrapes += 1
            try:
                status, kind, text = await _scrape(fetch)
            finally:
                scrapes -= 1
            await _answer(scope, send, status, text, kind)

    return application


async def with_memory(snapshot: MetricsSnapshot, footprint: Footprint) -> MetricsSnapshot:
    """The snapshot with the memory of its processes, which a thread looks up."""
    looking = asyncio.get_running_loop().run_in_executor(None, footprint.look, snapshot.processes)
    await asyncio.wait({looking}, timeout=MEMORY_WITHIN_S)
    return footprint.filled(snapshot)


async def _scrape(fetch: Fetch) -> tuple[int, str, str]:
    try:
        snapshot = await asyncio.wait_for(fetch(), FETCH_TIMEOUT_S)
    except TimeoutError:
        return 503, _TEXT, f"the supervisor did not answer within {FETCH_TIMEOUT_S:.0f} s\n"
    except (OSError, MidairError) as exc:
        return 503, _TEXT, f"the supervisor does not answer: {exc}\n"
    return 200, CONTENT_TYPE, exposition(snapshot)


async def _answer(
    scope: Scope,
    send: Send,
    status: int,
    text: str,
    kind: str = _TEXT,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    body = text.encode()
    fields = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body)), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
