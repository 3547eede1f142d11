"""Opens its database connection at import: forked, all workers would share it and read each other's answers.

The database is a line protocol on 127.0.0.1:DATABASE_PORT that answers each line with the same line. ``/query`` sends
the request's number through it and answers with the number that came back.
"""

import os
import socket

import good

VERSION = "0"

database = socket.create_connection(("127.0.0.1", int(os.environ["DATABASE_PORT"])), timeout=5)


def query(line):
    database.sendall(line + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        answer += database.recv(1024)
    return answer[:-1]


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/query":
        headers = [(name, query(value) if name == b"x-nonce" else value) for name, value in scope["headers"]]
        await good.answer({**scope, "headers": headers}, send, good.about())
    else:
        await good.app(scope, receive, send)
