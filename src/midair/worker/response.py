"""The head of a response as bytes. Checked, because an application may put anything there; cached, because it rarely does.

A name is checked once and then known. Values are checked all together: a block of n lines that we made ourselves holds
exactly n line ends, unless a value brought one along.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from http import HTTPStatus

ORDINARY, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, DATE, SERVER = range(6)

_NAMES_MAX = 512  # a response's names come from its program, not from its users; more is somebody's mistake
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OURS: dict[object, int] = {
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"date": DATE,
    b"server": SERVER,
}
KINDS = dict(_OURS)
"""Names that are known to be good, and what they mean to us. ``learn`` judges the others."""
BODILESS = (204, 304)


class InvalidResponse(RuntimeError):
    """The application's response cannot be put on the wire as it is."""


def kind_of(name: object) -> int:
    """What a header's name means to us, by any spelling. Raises InvalidResponse for what is no name."""
    kind = KINDS.get(name)
    return learn(name) if kind is None else kind


def learn(name: object) -> int:
    """Judge a name that is not in KINDS yet. Raises InvalidResponse for what is no name."""
    if not isinstance(name, bytes) or _TOKEN.fullmatch(name) is None:
        raise InvalidResponse(f"invalid header name {name!r}")
    if len(KINDS) > _NAMES_MAX:
        KINDS.clear()
        KINDS.update(_OURS)
    kind = KINDS[name] = _OURS.get(name.lower(), ORDINARY)
    return kind


def check_block(block: bytes, lines: int) -> None:
    """Raise InvalidResponse unless ``block`` is exactly ``lines`` header lines."""
    if block.count(b"\n") != lines or block.count(b"\r") != lines or b"\0" in block:
        raise InvalidResponse("a header value holds a line end or a NUL")


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


class HeadStarts:
    """The first lines of every response: status line, Date and Server, made once a second and status."""

    __slots__ = ("_bare", "_date", "_server", "_starts", "_with_date", "get", "lines")

    def __init__(self, *, date_header: bool, server_header: bool) -> None:
        self._with_date = date_header
        self._server = b"server: midair\r\n" if server_header else b""
        self._bare: dict[int, bytes] = {}
        self._starts: dict[int, bytes] = {}
        self._date = b""
        self.get = self._starts.get
        """The lines for a status, or None: then ``make`` has them."""
        self.lines = 1 + date_header + server_header

    def tick(self, wall_s: float) -> None:
        """Take the time of day (seconds since the epoch) for the Date of the responses to come."""
        date = b"date: " + formatdate(wall_s, usegmt=True).encode() + b"\r\n" if self._with_date else b""
        if date != self._date:
            self._date = date
            self._starts.clear()

    def make(self, status: int) -> bytes:
        """Status line and our own headers, with their line ends. Raises InvalidResponse for an impossible status."""
        start = self._starts[status] = self.status_line(status) + self._date + self._server
        return start

    def without(self, status: int, kinds: set[int]) -> bytes:
        """As ``make``, leaving out DATE or SERVER, which the application has given itself."""
        date = b"" if DATE in kinds else self._date
        return self.status_line(status) + date + (b"" if SERVER in kinds else self._server)

    def status_line(self, status: int) -> bytes:
        """The first line alone. Raises InvalidResponse for an impossible status."""
        line = self._bare.get(status)
        if line is None:
            # 1xx cannot end an exchange, and 101 through HTTP would leave the connection to nobody.
            if not 200 <= status <= 999:
                raise InvalidResponse(f"invalid status {status!r}")
            line = self._bare[status] = f"HTTP/1.1 {int(status)} {phrase(status)}\r\n".encode()
        return line

    def whole(self, status: int, text: str) -> bytes:
        """A short complete answer of our own, after which the connection is closed."""
        body = text.encode()
        head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        return self.make(status) + head + body
