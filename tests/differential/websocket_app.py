"""The application that all servers run: it sends back what comes; its path says how else it may behave."""

from midair.worker.asgi import Receive, Scope, Send

BIG = b"0123456789abcdef" * 65536


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"http"})
    else:
        await websocket(scope, receive, send)


async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    how = scope["path"].strip("/").split("/")
    if how[0] == "deny":
        await send({"type": "websocket.close"})
    elif how[0] == "deny-at-length":
        await send(
            {"type": "websocket.http.response.start", "status": 401, "headers": [(b"content-type", b"text/plain")]}
        )
        await send({"type": "websocket.http.response.body", "body": b"not you"})
    elif how[0] == "raise-first":
        raise ValueError("on purpose")
    elif how[0] != "return-first":
        headers = [(b"x-mine", b"mine")] if how[0] == "headers" else []
        await send(
            {"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0], "headers": headers}
        )
        await opened(how, receive, send)


async def opened(how: list[str], receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        if how[0] == "close":
            await send({"type": "websocket.close", "code": int(how[1]), "reason": "".join(how[2:])})
        elif how[0] == "last-word":
            await send({"type": "websocket.send", "text": "last word"})
            await send({"type": "websocket.close"})
        elif how[0] == "big":
            await send({"type": "websocket.send", "bytes": BIG})
        elif how[0] == "return":
            return
        elif how[0] == "raise":
            raise ValueError("on purpose")
        elif message.get("text") is not None:
            await send({"type": "websocket.send", "text": message["text"]})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
