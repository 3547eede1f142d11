"""What stands between a worker and its application while a service is developed: pages get the script, our own paths an answer.

    /__midair/client.js   the script, for whoever has the token
    /__midair/live        a page's WebSocket (``hub.py``)
    /__midair/open        POST: open a file of the project in the editor

Everything else is the application's. Outside ``midair dev`` none of this is made, and a request passes nothing of it.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

from midair.browser import editor, errors, page
from midair.browser.guard import Guard
from midair.browser.hub import Hub
from midair.browser.inject import Injector, Wanted, ask_plainly, read_request, script_tag
from midair.browser.messages import SNAPSHOT
from midair.worker.asgi import Asgi, Receive, Scope, Send, is_departure
from midair.worker.settings import DevSettings

PREFIX = "/__midair/"
SAID_MAX = 100
"""Reasons that are said. Whoever knocks with ever new names is not heard for ever."""

Fields = dict[str, str | int | float | None]


class Layer:
    """An ASGI application around another."""

    def __init__(
        self,
        app: Asgi,
        dev: DevSettings,
        hub: Hub,
        guard: Guard,
        *,
        say: Callable[[str, Fields], None],
        is_apart: bool = False,
    ) -> None:
        """say: takes an event of the log; each is said once. is_apart: the pages are another program's, from another port."""
        self._app = app
        self._dev = dev
        self._hub = hub
        self._guard = guard
        self._folder = dev.folder
        self._say = say
        self._said: set[tuple[str, str]] = set()
        self._is_apart = is_apart

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if is_own(scope):
            what = scope["path"].removeprefix(scope["root_path"]).removeprefix(PREFIX)
            await self._answer(what, scope, receive, send)
        elif scope["type"] == "http":
            await self._pass_on(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def script(self, root_path: str, nonce: str = "") -> str:
        """The tag that a page gets."""
        source = f"{root_path}{PREFIX}client.js?t={self._dev.token}&g={self._hub.hello.generation}"
        return script_tag(source, nonce)

    # --- the application's pages ------------------------------------------------------------------------------------

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = self._guard.peer(scope)
        scope["extensions"][SNAPSHOT] = self._hub.hello_for(is_known=not peer.why_not, is_local=peer.is_local)
        if peer.why_not or not self._dev.inject:
            await self._app(scope, receive, send)
            return
        wanted = read_request(scope)
        ask_plainly(scope)
        injector = self._injector(scope, send, wanted)
        try:
            await self._app(scope, receive, injector.send)
        except Exception as exc:
            if wanted.is_document and not injector.is_begun and not is_departure(exc):
                await self._show(exc, scope, send, wanted, is_local=peer.is_local)
            raise
        await injector.flush()

    def _injector(self, scope: Scope, send: Send, wanted: Wanted) -> Injector:
        return Injector(
            send,
            wanted,
            functools.partial(self.script, scope["root_path"]),
            lambda event, why: self._say_once(event, scope["path"], why),
        )

    async def _show(self, exc: Exception, scope: Scope, send: Send, wanted: Wanted, *, is_local: bool) -> None:
        """A page instead of a bare 500: where it was raised, and it refreshes itself when that is mended."""
        own = exc.__traceback__  # says nothing
        text = "".join(traceback.format_exception(type(exc), exc, own.tb_next if own else None))
        error = errors.read("request", text, self._folder)
        error = errors.with_source(error, self._folder).bounded()
        injector = self._injector(scope, send, wanted)
        await page.answer(injector.send, 500, page.error_page(error if is_local else error.without_source()))

    def _say_once(self, event: str, path: str, why: str) -> None:
        if (event, why) not in self._said and len(self._said) < SAID_MAX:
            self._said.add((event, why))
            self._say(event, {"path": path[:200], "what": why[:200]})

    # --- our own paths ----------------------------------------------------------------------------------------------

    async def _answer(self, what: str, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        why_not = self._guard.why_not(scope, query.get("t", [""])[0])
        is_socket = scope["type"] == "websocket"
        if why_not:
            self._say_once("page_refused", scope["path"], why_not)
            await _refuse(send, 403, why_not, is_socket=is_socket)
        elif is_socket and what == "live":
            await self._hub.serve(receive, send, scope, is_local=self._guard.peer(scope).is_local)
        elif is_socket or what not in ("client.js", "open"):
            await _refuse(send, 404, "there is nothing here", is_socket=is_socket)
        elif what == "client.js" and scope["method"] in ("GET", "HEAD"):
            reach = b"cross-origin" if self._is_apart else b"same-origin"
            await _respond(send, 200, client_script(), b"text/javascript; charset=utf-8", reach)
        elif what == "open" and scope["method"] == "POST":
            await self._open(query, send, is_local=self._guard.peer(scope).is_local)
        else:
            await _refuse(send, 405, "that is not how this is asked", is_socket=False)

    async def _open(self, query: dict[str, list[str]], send: Send, *, is_local: bool) -> None:
        if not is_local or not self._dev.editor:
            await _refuse(send, 403, "there is no editor for this page", is_socket=False)
            return
        try:
            file = editor.within(self._folder, query.get("file", [""])[0])
            line, column = (int(query.get(name, ["1"])[0] or 1) for name in ("line", "column"))
            editor.start(editor.command(self._dev.editor, file, line, column), self._folder)
        except (ValueError, OSError) as exc:
            await _refuse(send, 422, str(exc), is_socket=False)
            return
        await _respond(send, 200, b"opened", b"text/plain")


def is_own(scope: Scope) -> bool:
    """It asks midair itself, not the application."""
    path: str = scope["path"]
    return path.removeprefix(scope["root_path"]).startswith(PREFIX)


@functools.cache
def client_script() -> bytes:
    """The script as it stands in this package."""
    return (Path(__file__).parent / "client.js").read_bytes()


async def _respond(send: Send, status: int, body: bytes, kind: bytes, reach: bytes = b"same-origin") -> None:
    """reach: which pages may have it; browsers hold to that."""
    headers = [
        (b"content-type", kind),
        (b"cache-control", b"no-store"),
        (b"cross-origin-resource-policy", reach),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, status: int, why: str, *, is_socket: bool) -> None:
    """A WebSocket's handshake is refused with a status, so that it never opens."""
    if not is_socket:
        await _respond(send, status, f"{why}\n".encode(), b"text/plain; charset=utf-8")
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": f"{why}\n".encode()})
