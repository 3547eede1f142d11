"""What pages take for granted: a small application."""

from __future__ import annotations

TARGET = "app:app"


def shop(version: str = "1", *, before: str = "") -> str:
    """An ASGI application, ``app``, that says which version it is. before: lines above it."""
    return f'''{before}
VERSION = "{version}"


async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({{"type": "http.response.start", "status": 200}})
    await send({{"type": "http.response.body", "body": f"version {{VERSION}}\\n".encode()}})
'''


PROGRAM = '''\
#!/usr/bin/env python3
"""A server as any other: it takes its socket from outside, and says when it can serve."""

import os
import socket

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
    told.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
listener = socket.socket(fileno=3)
listener.setblocking(True)
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\nConnection: close\\r\\n\\r\\nhello\\n")
    connection.close()
'''
