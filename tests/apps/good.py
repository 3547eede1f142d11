"""A plain ASGI application that does nothing wrong until it is asked to."""

import asyncio
import json
import os
import time
from urllib.parse import parse_qs

VERSION = "0"

leaked = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        await http(scope, receive, send)


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def http(scope, receive, send):
    query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
    match scope["path"]:
        case "/" | "/health":
            await answer(scope, send, about())
        case "/slow":
            await asyncio.sleep(float(query.get("s", "2")))
            await answer(scope, send, about())
        case "/echo":
            await answer(scope, send, await read_body(receive))
        case "/stream":
            await stream(scope, receive, send, float(query.get("every", "0.1")))
        case "/crash":
            os._exit(7)
        case "/hang":
            time.sleep(float(query.get("s", "60")))  # noqa: ASYNC251 - blocks the event loop: this is the point
            await answer(scope, send, about())
        case "/leak":
            leaked.append(bytearray(int(query.get("bytes", "1000000"))))
            await answer(scope, send, about())
        case "/error":
            raise RuntimeError("asked to fail")
        case _:
            await answer(scope, send, about(), 404)


def about():
    """Who answers: the code's own version, the process, and what midair says this process is."""
    return json.dumps(
        {
            "version": VERSION,
            "pid": os.getpid(),
            "generation": os.environ.get("MIDAIR_GENERATION"),
            "slot": os.environ.get("MIDAIR_SLOT"),
            "named": os.environ.get("MIDAIR_VERSION"),
        }
    ).encode()


def headers_for(scope, *more):
    nonce = next((value for name, value in scope["headers"] if name == b"x-nonce"), b"")
    return [(b"x-version", VERSION.encode()), *([(b"x-nonce", nonce)] if nonce else []), *more]


async def answer(scope, send, body, status=200):
    headers = headers_for(scope, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive):
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def stream(scope, receive, send, every_s):
    """Numbered events until the client leaves."""
    await read_body(receive)
    headers = headers_for(scope, (b"content-type", b"text/event-stream"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    left = asyncio.ensure_future(receive())
    number = 0
    while not left.done():
        event = b"data: " + json.dumps({"n": number, "version": VERSION}).encode() + b"\n\n"
        try:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        except OSError:  # ASGI: sending to a client that has left
            break
        number += 1
        await asyncio.wait((left,), timeout=every_s)
    left.cancel()


async def websocket(scope, receive, send):
    """Echo; ``version`` is answered with the version."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text = message.get("text")
        if text == "version":
            await send({"type": "websocket.send", "text": VERSION})
        elif text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
