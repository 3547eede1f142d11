"""A program that ends in midair.serve(): ``python app.py FD WORKERS [MORE…]``."""

import json
import sys

from good import answer, app, headers_for

import midair

VERSION = "0"
MORE = {}


def noted(it: int):
    """What its annotation is depends on a ``__future__`` that is not this file's."""


async def application(scope, receive, send):
    if scope["type"] == "http" and scope["path"].removeprefix(scope["root_path"]) in {"/", "/health"}:
        body = json.dumps(
            {
                "version": VERSION,
                "argv": sys.argv,
                "name": __name__,
                "root": scope["root_path"],
                "kind": type(noted.__annotations__["it"]).__name__,
            }
        ).encode()
        headers = headers_for(scope, (b"content-length", b"%d" % len(body)))
        headers[0] = (b"x-version", VERSION.encode())
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    elif scope["type"] == "http" and scope["path"] == "/again":
        try:
            midair.serve(application)
        except midair.errors.MidairError as error:
            await answer(scope, send, str(error).encode())
    else:
        await app(scope, receive, send)


if __name__ == "__main__":
    midair.serve(application, fd=int(sys.argv[1]), workers=int(sys.argv[2]), access_log=False, **MORE)
    raise AssertionError("midair.serve() has returned")
