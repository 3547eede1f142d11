"""What is served at the admin address: a page, the same as JSON, metrics, and whether the service lives and serves.

Nothing here changes anything: there is GET and HEAD, and behind them questions that the supervisor answers from memory.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec

from midair.admin import page
from midair.admin.asking import SILENT, NoReceipt
from midair.admin.guard import Guard
from midair.admin.lookout import Lookout, TooMany
from midair.admin.text import Html
from midair.worker.asgi import Asgi, Receive, Scope, Send

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"
NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class Reply(NamedTuple):
    """One answer."""

    status: int
    kind: str
    body: str | bytes
    more: tuple[tuple[bytes, bytes], ...] = ()


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """What the page's script gets."""

    title: str
    parts: dict[str, Html]


def site(lookout: Lookout, guard: Guard, metrics: Asgi) -> Asgi:
    """The application. metrics: answers ``/metrics``."""
    routes = _Routes(lookout).by_path()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            raise ValueError(f"an application without a lifespan was asked for {scope['type']}")
        elif why := guard.why_not(scope):
            await _send(scope, send, Reply(403, TEXT, f"{why}\n"))
        elif scope["method"] not in ("GET", "HEAD"):
            said = "nothing can be changed here; the command line can: midair --help\n"
            await _send(scope, send, Reply(405, TEXT, said, ((b"allow", b"GET, HEAD"),)))
        elif scope["path"] == "/metrics":
            await metrics(scope, receive, send)
        else:
            await _send(scope, send, await _reply(routes, lookout, scope))

    return application


Route = Callable[[Scope], Awaitable[Reply]]


async def _reply(routes: dict[str, Route], lookout: Lookout, scope: Scope) -> Reply:
    path: str = scope["path"]
    route = routes.get(path)
    try:
        if route is not None:
            return await route(scope)
        for folder, answer in (("/receipts/", _receipt_page), ("/api/receipts/", _receipt_json)):
            if path.startswith(folder) and NUMBER.fullmatch(path.removeprefix(folder)):
                return answer(await lookout.receipt(int(path.removeprefix(folder))))
    except NoReceipt as error:
        return _no_receipt(path, str(error))
    except TooMany as error:
        return Reply(503, TEXT, f"{error}\n", ((b"retry-after", b"1"),))
    except SILENT as error:
        return Reply(503, TEXT, f"the supervisor does not answer: {str(error) or 'it takes too long'}\n")
    return Reply(404, TEXT, f"here are: {', '.join(sorted([*routes, '/metrics', '/receipts/N', '/api/receipts/N']))}\n")


def _receipt_page(document: bytes) -> Reply:
    return Reply(200, HTML, page.receipt_page(document))


def _receipt_json(document: bytes) -> Reply:
    return Reply(200, JSON, document)


def _no_receipt(path: str, text: str) -> Reply:
    if path.startswith("/api/"):
        return Reply(404, TEXT, f"{text}\n")
    return Reply(404, HTML, page.problem_page("No receipt", text))


class _Routes:
    """What is answered at fixed paths."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    def by_path(self) -> dict[str, Route]:
        return {
            "/": self._page,
            "/parts": self._parts,
            "/api/status": self._status,
            "/api/history": self._history,
            "/api/events": self._events,
            "/livez": self._livez,
            "/readyz": self._readyz,
        }

    async def _page(self, scope: Scope) -> Reply:
        return Reply(200, HTML, page.page(await self._lookout.view()))

    async def _parts(self, scope: Scope) -> Reply:
        view = await self._lookout.view()
        now = Now(title=page.title(view), parts=page.parts(view))
        return Reply(200, JSON, msgspec.json.encode(now))

    async def _status(self, scope: Scope) -> Reply:
        return _json(await self._lookout.status())

    async def _history(self, scope: Scope) -> Reply:
        view = await self._lookout.view()
        return _json({"receipts": view.updates})

    async def _events(self, scope: Scope) -> Reply:
        """Samples, those after ``?after=N``."""
        view = await self._lookout.view()
        after = parse_qs(scope["query_string"].decode("latin-1")).get("after", ["0"])[-1]
        return _json({"samples": view.samples.after(int(after) if NUMBER.fullmatch(after) else 0)})

    async def _livez(self, scope: Scope) -> Reply:
        await self._lookout.status()
        return Reply(200, TEXT, "alive\n")

    async def _readyz(self, scope: Scope) -> Reply:
        status = await self._lookout.status()
        return Reply(200 if status.is_ready else 503, TEXT, f"{status.state}\n")


def _json(value: object) -> Reply:
    fields = msgspec.to_builtins(value)
    if isinstance(fields, dict):
        fields.pop("word", None)
    return Reply(200, JSON, msgspec.json.encode(fields))


async def _send(scope: Scope, send: Send, reply: Reply) -> None:
    body = reply.body.encode() if isinstance(reply.body, str) else reply.body
    headers = [
        (b"content-type", reply.kind.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", page.policy().encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        *reply.more,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
