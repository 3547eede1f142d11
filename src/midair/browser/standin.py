"""Generation 0: what serves while there is no version to serve. 503 for everybody, a page that refreshes itself for browsers.

An ordinary application in an ordinary worker (``midair.browser.standin:app``), so the first good version cuts over from it as from
any other, and its pages' sockets move. How things are it finds where the worker's layer leaves it.
"""

from __future__ import annotations

from midair.browser import page
from midair.browser.messages import SNAPSHOT, Hello
from midair.worker.asgi import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1013})  # try again later
    else:
        await _answer(scope, send)


async def _answer(scope: Scope, send: Send) -> None:
    hello: Hello = scope["extensions"].get(SNAPSHOT) or Hello(generation=0, status="waiting")
    if any(name == b"accept" and b"text/html" in value for name, value in scope["headers"]):
        await page.answer(send, 503, page.waiting_page(hello))
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": page.as_text(hello).encode()})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
