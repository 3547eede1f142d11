"""The head of a response as bytes. Checked, because an application may put anything there; cached, because it rarely does.

A name is checked once and then known. Values are checked all together: a block of n lines that we made ourselves holds
exactly n line ends, unless a value brought one along.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from email.utils import formatdate
from http import HTTPStatus

ORDINARY, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, DATE, SERVER = range(6)

_NAMES_MAX = 512  # a response's names come from its program, not from its users; more is somebody's mistake
_NOTHING: frozenset[int] = frozenset()
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


def _reserve(name: bytes) -> int:
    """The kind of a header that we send by default: one of its own, so that the application's takes its place."""
    kind = _OURS.get(name.lower())
    if kind is None:
        kind = _OURS[name.lower()] = len(_OURS) + 1
        KINDS.clear()
        KINDS.update(_OURS)
    return kind


class HeadStarts:
    """The first lines of every response: status line, Date, Server and default headers, made once a second and status."""

    __slots__ = ("_bare", "_date", "_defaults", "_starts", "_with_date", "get", "lines")

    def __init__(self, *, date_header: bool, server_header: bool, headers: tuple[str, ...] = ()) -> None:
        """``headers``: more lines of every response, ``Name: value``, as the configuration has checked them."""
        given = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in headers)]
        kinds = {_reserve(name.encode()) for name, _ in given}
        self._with_date = date_header and DATE not in kinds
        self._defaults: list[tuple[int, bytes]] = []
        """By kind, but for Date: that one changes."""
        if server_header and SERVER not in kinds:
            self._defaults.append((SERVER, b"server: midair\r\n"))
        self._defaults += [(_reserve(name.encode()), f"{name}: {value}\r\n".encode("latin-1")) for name, value in given]
        self._bare: dict[int, bytes] = {}
        self._starts: dict[int, bytes] = {}
        self._date = b""
        self.get = self._starts.get
        """The lines for a status, or None: then ``make`` has them."""
        self.lines = 1 + self._with_date + len(self._defaults)

    def tick(self, wall_s: float) -> None:
        """Take the time of day (seconds since the epoch) for the Date of the responses to come."""
        date = b"date: " + formatdate(wall_s, usegmt=True).encode() + b"\r\n" if self._with_date else b""
        if date != self._date:
            self._date = date
            self._starts.clear()

    def make(self, status: int) -> bytes:
        """Status line and our own headers, with their line ends. Raises InvalidResponse for an impossible status."""
        start = self._starts[status] = self.without(status, _NOTHING)
        return start

    def without(self, status: int, kinds: AbstractSet[int]) -> bytes:
        """As ``make``, leaving out those that the application has given itself."""
        date = b"" if DATE in kinds else self._date
        return self.status_line(status) + date + b"".join(line for kind, line in self._defaults if kind not in kinds)

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
