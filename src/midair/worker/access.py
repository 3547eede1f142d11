"""The access log: uvicorn's lines, written to standard output without ever waiting for its reader.

Lines are gathered for a moment and written together. Standard output is often a pipe whose reader may be slow or
paused: what does not fit is dropped and counted, and the service goes on.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import stat
from collections.abc import Callable
from typing import Any

from midair.worker.asgi import Address, Scope
from midair.worker.response import phrase

_GATHER_S = 0.05
_HELD_MAX_BYTES = 256 * 1024
_PIPE_ATOM = 4096  # PIPE_BUF: poll() says "writable" of a pipe when so much fits


class AccessLog:
    """Writes one line a request. ``dropped`` counts the lines that were lost to a slow reader."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int = 1) -> None:
        self.dropped = 0
        self._loop = loop
        self._lines: list[str] = []
        self._held = b""
        self._timer: asyncio.TimerHandle | None = None
        self._own_fd, self._write = _writer(fd)

    def note(self, scope: Scope, status: int) -> None:
        """Take down an answer. Costs a string; the writing comes later."""
        request = f"{scope['method']} {_target(scope)} HTTP/{scope['http_version']}"
        self._take(f'INFO:     {_peer(scope["client"])} - "{request}" {status} {phrase(status)}\n')

    def note_websocket(self, scope: Scope, status: int) -> None:
        """Take down the answer to a handshake."""
        result = "[accepted]" if status == 101 else status
        self._take(f'INFO:     {_peer(scope["client"])} - "WebSocket {_target(scope)}" {result}\n')

    def _take(self, line: str) -> None:
        self._lines.append(line)
        if self._timer is None:
            self._timer = self._loop.call_later(_GATHER_S, self._flush)

    def close(self) -> None:
        """Write what is held, as far as it goes without waiting."""
        if self._timer is not None:
            self._timer.cancel()
        self._flush(is_last=True)
        if self._own_fd >= 0:
            os.close(self._own_fd)
            self._own_fd, self._write = -1, _nowhere

    def _flush(self, *, is_last: bool = False) -> None:
        self._timer = None
        lines, self._lines = self._lines, []
        if len(self._held) < _HELD_MAX_BYTES:
            self._held += "".join(lines).encode("utf-8", "backslashreplace")
        else:
            self.dropped += len(lines)
        try:
            while self._held and (count := self._write(self._held)):
                self._held = self._held[count:]
        except OSError:
            self._held = b""  # nobody reads standard output any more
        if self._held and not is_last:
            self._timer = self._loop.call_later(_GATHER_S, self._flush)


def _peer(client: Address | None) -> str:
    return f"{client[0]}:{client[1]}" if client else ""


def _target(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    path: bytes = scope["raw_path"]
    return (path + b"?" + query if query else path).decode("latin-1")


def _writer(fd: int) -> tuple[int, Callable[[bytes], int]]:
    """A function that writes what can be written at once and returns how much, and a descriptor to close if any.

    O_NONBLOCK belongs to the open file, which the application's own ``print`` shares: it must not be set on it. Opening
    a pipe or terminal anew through /proc gives an open file of our own.
    """
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return -1, _nowhere
    if stat.S_ISREG(mode):
        return -1, lambda data: os.write(fd, data)
    if stat.S_ISSOCK(mode):
        return -1, _to_socket(fd)
    try:
        own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return -1, _polled(fd)
    return own, _non_blocking(own)


def _nowhere(data: bytes) -> int:
    return len(data)


def _non_blocking(fd: int) -> Callable[[bytes], int]:
    def write(data: bytes) -> int:
        try:
            return os.write(fd, data)
        except BlockingIOError:
            return 0

    return write


def _to_socket(fd: int) -> Callable[[bytes], int]:
    def write(data: bytes) -> int:
        sock = socket.socket(fileno=os.dup(fd))
        try:
            return sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        finally:
            sock.close()

    return write


def _polled(fd: int) -> Callable[[bytes], int]:
    def write(data: bytes) -> int:
        poll: Any = select.poll()
        poll.register(fd, select.POLLOUT)
        return os.write(fd, data[:_PIPE_ATOM]) if poll.poll(0) else 0

    return write
