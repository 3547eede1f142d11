"""The smallest WSGI application that says its version."""

import json
import os

VERSION = "1"


def app(environ, start_response):
    body = json.dumps({"version": VERSION, "pid": os.getpid()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
