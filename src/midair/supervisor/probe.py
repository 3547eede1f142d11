"""A health probe: one GET over a connection of its own, and what the status line of the answer means.

The supervisor is a client here, of its own children only; it writes a fixed request and reads one line. For an application
the connection is one end of a socket pair that the worker takes as if accepted, so that very worker answers. For a command
child it is a connection to an address that is not a bind.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Literal

from midair.supervisor.loop import Loop

Verdict = Literal["healthy", "unhealthy", "no-route"]
LINE_MAX = 256
AUTO_PATH = "/health"


def judge(status: int, path: str) -> Verdict:
    """What an answer's status means. ``path`` as configured: ``auto`` is lenient about what is no health route at all.

    >>> judge(404, "auto"), judge(404, "/health"), judge(503, "auto")
    ('no-route', 'unhealthy', 'unhealthy')
    """
    if path != "auto":
        return "healthy" if status == 200 else "unhealthy"
    if 200 <= status < 300:
        return "healthy"
    return "unhealthy" if status >= 500 else "no-route"


def request(path: str, host: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: midair-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    ).encode("latin-1", "replace")


class Probe:
    """One question and its answer. ``done(verdict, detail)`` is called exactly once, unless it is cancelled."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        path: str,
        host: str,
        timeout_s: float,
        done: Callable[[Verdict, str], None],
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._path = path
        self._done = done
        self._out = request(AUTO_PATH if path == "auto" else path, host)
        self._line = b""
        connection.setblocking(False)
        self._timer = loop.call_later(timeout_s, lambda: self._end("unhealthy", f"no answer within {timeout_s:g} s"))
        loop.on_writable(connection.fileno(), self._on_writable)
        loop.on_readable(connection.fileno(), self._on_readable)

    def _on_writable(self) -> None:
        try:
            sent = self._connection.send(self._out)
        except BlockingIOError:
            return
        except OSError as exc:
            self._end("unhealthy", exc.strerror or str(exc))
            return
        self._out = self._out[sent:]
        if not self._out:
            self._loop.on_writable(self._connection.fileno(), None)

    def _on_readable(self) -> None:
        try:
            data = self._connection.recv(4096)
        except BlockingIOError:
            return
        except OSError as exc:
            self._end("unhealthy", exc.strerror or str(exc))
            return
        self._line += data
        line, found, _ = self._line.partition(b"\r\n")
        if found or not data or len(self._line) > LINE_MAX:
            self._judge(line)

    def _judge(self, line: bytes) -> None:
        words = line.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            self._end("unhealthy", "the connection was closed without an answer" if not line else "not an HTTP answer")
            return
        status = int(words[1])
        if status < 200:
            self._line = b""  # An interim answer: the real one follows. Whatever follows its line is skipped with it.
            return
        self._end(judge(status, self._path), line.decode("latin-1")[9:80])

    def _end(self, verdict: Verdict, detail: str) -> None:
        done, self._done = self._done, _nobody
        self.cancel()
        done(verdict, detail)

    def cancel(self) -> None:
        """Ask no more; nobody is told."""
        self._done = _nobody
        self._timer.cancel()
        if self._connection.fileno() >= 0:
            self._loop.forget(self._connection.fileno())
            self._connection.close()


class Knock(Probe):
    """Asks nothing: a connection that is accepted is the answer."""

    def _on_writable(self) -> None:
        error = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._end("unhealthy", os.strerror(error))
        else:
            self._end("healthy", "accepted")


def _nobody(verdict: Verdict, detail: str) -> None:
    """Whoever asked is gone or has been told."""
