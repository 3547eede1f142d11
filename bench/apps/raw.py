"""The application of the benches: bare ASGI, so that the server is what is measured. It knows when it was loaded."""

import json
import os
import time

IMPORT_BEGAN_S = time.monotonic()

VERSION = "0"

times = {"import_began_s": IMPORT_BEGAN_S}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        times["startup_began_s"] = time.monotonic()
        times["startup_ended_s"] = time.monotonic()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = BODY if scope["path"] != "/times" else json.dumps({"version": VERSION, "pid": os.getpid(), **times}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


BODY = json.dumps({"version": VERSION}).encode()
times["import_ended_s"] = time.monotonic()
