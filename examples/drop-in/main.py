"""A web service that starts itself: `python main.py`, and from then on `midair reload` in this folder."""

import argparse
import json

import midair

VERSION = "1"


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = json.dumps({"version": VERSION}).encode()
    headers = [(b"content-type", b"application/json"), (b"x-version", VERSION.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    midair.serve(app, host="127.0.0.1", port=arguments.port, workers=2)


if __name__ == "__main__":
    main()
