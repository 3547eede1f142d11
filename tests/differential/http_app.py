"""The application that every server serves: it remembers what it got, and tells it once on ``/differential/seen``."""

from __future__ import annotations

import json
from typing import Any

SEEN: dict[int, list[dict[str, Any]]] = {}
"""By the client's port: connections are told apart although what they send may be nonsense."""
OK = [(b"content-length", b"2")]
TOLD = "/differential/seen"


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return await _lifespan(receive, send)
    if scope["path"] == TOLD:
        told = json.dumps(SEEN).encode()
        SEEN.clear()
        return await _answer(send, told)
    seen = _remember(scope)
    action = scope["path"].partition("/status/")
    if scope["path"] == "/early":
        await _answer(send, b"ok")
    elif await _read(receive, seen):
        await RESPONSES.get(scope["path"], _ok)(send, int(action[2] or 200))
    return None


def _remember(scope: Any) -> dict[str, Any]:
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode("latin-1"),
        "version": scope["http_version"],
        "headers": sorted([name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]),
        "body": "",
        "is_whole": False,
    }
    SEEN.setdefault(scope["client"][1], []).append(seen)
    return seen


async def _read(receive: Any, seen: dict[str, Any]) -> bool:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return False
        seen["body"] += bytes(message.get("body", b"")).decode("latin-1")
        if not message.get("more_body", False):
            seen["is_whole"] = True
            return True


async def _answer(send: Any, body: bytes, status: int = 200, headers: Any = None) -> None:
    length = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": length if headers is None else headers})
    await send({"type": "http.response.body", "body": body})


async def _ok(send: Any, status: int) -> None:
    await _answer(send, b"ok" if status == 200 else b"", status, None if status == 200 else [])


async def _stream(send: Any, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    for _ in range(3):
        await send({"type": "http.response.body", "body": b"ok", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _close(send: Any, status: int) -> None:
    await _answer(send, b"ok", status, [*OK, (b"connection", b"close")])


async def _longer(send: Any, status: int) -> None:
    await _answer(send, b"okok", status, OK)


async def _shorter(send: Any, status: int) -> None:
    await _answer(send, b"o", status, OK)


async def _split(send: Any, status: int) -> None:
    await _answer(send, b"ok", status, [*OK, (b"x", b"a\r\ny: b")])


async def _fail(send: Any, status: int) -> None:
    raise RuntimeError("on purpose")


async def _nothing(send: Any, status: int) -> None:
    return


RESPONSES = {
    "/fail": _fail,
    "/nothing": _nothing,
    "/stream": _stream,
    "/close": _close,
    "/longer": _longer,
    "/shorter": _shorter,
    "/split": _split,
}


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
