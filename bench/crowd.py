"""Many keep-alive connections that mostly say nothing: opened at once, each asks when it is told to."""

from __future__ import annotations

import resource
import select
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from midair.testing.frames import FIN, TEXT, frame

REQUEST = b"GET / HTTP/1.1\r\nHost: crowd\r\n\r\n"
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: crowd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MESSAGE = frame(TEXT, b"so many?")
ANSWER_WITHIN_S = 30.0
AT_ONCE = 500
"""Connections that ask at a time: more would wait in the listen queue, and that is not what is measured."""
SPARE_DESCRIPTORS = 1000


def make_room(connections: int) -> None:
    """Let this process, and what it starts, have so many descriptors. Raises RuntimeError if the system says no."""
    wanted = connections + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise RuntimeError(f"{wanted} descriptors are needed, and {hard} are allowed: raise the limit (ulimit -Hn)")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Crowd:
    """So many connections to one port. ``lost`` counts those that were closed without having been asked for."""

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._socks = [self._connect() for _ in range(connections)]
        self.lost = 0

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=ANSWER_WITHIN_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def ask(self) -> Counter[str]:
        """Each asks once; what they were answered, by body. One that cannot ask, or gets no answer, is lost."""
        bodies: Counter[str] = Counter()
        for first in range(0, len(self._socks), AT_ONCE):
            asked = [sock for sock in self._socks[first : first + AT_ONCE] if self._say(sock)]
            bodies.update(body for sock in asked if (body := self._hear(sock)))
        return bodies

    def _say(self, sock: socket.socket) -> bool:
        try:
            sock.sendall(self._request())
        except OSError:
            self.lost += 1
            return False
        return True

    def _hear(self, sock: socket.socket) -> str:
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        body = self._body(data)
        if not body:
            self.lost += 1
        return body

    def _request(self) -> bytes:
        return REQUEST

    def _body(self, data: bytes) -> str:
        """Of an answer; empty: it is none."""
        return data.partition(b"\r\n\r\n")[2].decode() if data.startswith(b"HTTP/1.1 200") else ""

    def close(self) -> None:
        """End of all; whoever has news by now, which can only be its end, was lost."""
        poll = select.poll()
        for sock in self._socks:
            poll.register(sock, select.POLLIN | select.POLLRDHUP)
        self.lost += len(poll.poll(0))
        for sock in self._socks:
            sock.close()


class WebSocketCrowd(Crowd):
    """WebSockets: each sends a message and hears how many there were on it."""

    def _connect(self) -> socket.socket:
        sock = super()._connect()
        sock.sendall(HANDSHAKE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (data := sock.recv(1)):
                raise ConnectionError("no WebSocket")
            head += data
        return sock

    def _request(self) -> bytes:
        return MESSAGE

    def _body(self, data: bytes) -> str:
        # Few messages, so that an answer is one short frame.
        return data[2:].decode() if data[:1] == bytes([FIN | TEXT]) and data[1:2] == bytes([len(data) - 2]) else ""


@contextmanager
def crowd(port: int, connections: int, kind: type[Crowd] = Crowd) -> Iterator[Crowd]:
    """Opened, and each has had an answer."""
    made = kind(port, connections)
    try:
        made.ask()
        yield made
    finally:
        made.close()
