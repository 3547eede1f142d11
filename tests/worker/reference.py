"""A second reading of HTTP/1.1, for tests: the whole stream at once, by regular expressions, sharing nothing with the product.

It is as strict as ours means to be. Where even the RFC leaves it to the reader it says so: ``Reading.is_unsure``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) +(/[\x21-\x7e]*) +HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff][ \t]*)*)")
_HOST = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]\x80-\xff]*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})")
_TRAILERS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n")
METHODS = (b"GET", b"POST", b"PUT", b"HEAD", b"DELETE")

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Message:
    method: bytes
    target: bytes
    headers: Fields
    body: bytes


@dataclass
class Reading:
    messages: list[Message] = field(default_factory=list)
    """Whole requests, in order."""
    is_refused: bool = False
    """What follows them is no request and can be none any more."""
    is_over: bool = False
    """The last one ended the connection."""
    is_unsure: bool = False
    """What follows them may be read in this way or in that."""


class _Refused(Exception):
    pass


class _Unsure(Exception):
    pass


def read(stream: bytes) -> Reading:
    """All that a server has to understand of ``stream``."""
    reading = Reading()
    rest = stream
    try:
        while not reading.is_over:
            while rest.startswith(b"\r\n"):
                rest = rest[2:]
            head, end, behind = rest.partition(b"\r\n\r\n")
            if not end:
                break
            method, target, headers, keeps, length = _head(head)
            body, after = _chunks(behind) if length is None else _counted(behind, length)
            if after is None:
                break
            reading.messages.append(Message(method, target, headers, body))
            reading.is_over, rest = not keeps, after
    except _Refused:
        reading.is_refused = True
    except _Unsure:
        reading.is_unsure = True
    return reading


def _head(head: bytes) -> tuple[bytes, bytes, Fields, bool, int | None]:
    """Method, target, headers, whether the connection goes on, and the body's length (None: chunked)."""
    first, *lines = head.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None or line[1] not in METHODS:
        raise _Refused
    if b"#" in line[2]:
        raise _Unsure
    fields = [_FIELD.fullmatch(each) for each in lines]
    headers = tuple((each[1].lower(), each[2].rstrip(b" \t")) for each in fields if each is not None)
    if len(headers) != len(lines):
        raise _Refused
    hosts, lengths, codings = ([value for name, value in headers if name == wanted] for wanted in _WEIGHTY)
    is_11 = line[3] == b"1"
    if len(hosts) > 1 or (is_11 and not hosts) or not all(_HOST.fullmatch(host) for host in hosts):
        raise _Refused
    options = [
        option.strip(b" \t").lower() for name, value in headers if name == b"connection" for option in value.split(b",")
    ]
    if any(name in (b"upgrade", b"expect", b"proxy-connection", b"keep-alive") for name, _ in headers):
        raise _Unsure
    keeps = b"close" not in options if is_11 else b"keep-alive" in options
    return line[1], line[2], headers, keeps, _length(lengths, codings, is_11)


_WEIGHTY = (b"host", b"content-length", b"transfer-encoding")


def _length(lengths: list[bytes], codings: list[bytes], is_11: bool) -> int | None:
    if codings:
        if lengths or not is_11 or [coding.lower() for coding in codings] != [b"chunked"]:
            raise _Refused
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise _Refused
    return int(lengths[0])


def _counted(data: bytes, length: int) -> tuple[bytes, bytes | None]:
    return data[:length], data[length:] if len(data) >= length else None


def _chunks(data: bytes) -> tuple[bytes, bytes | None]:
    body = b""
    while True:
        line, end, data = data.partition(b"\r\n")
        if b";" in line:
            raise _Unsure
        if not end and (not line or line[-1:] == b"\r" or _CHUNK.fullmatch(line)):
            return body, None
        size = _CHUNK.fullmatch(line)
        if size is None:
            raise _Refused
        if int(size[1], 16) == 0:
            return _trailers(body, data)
        count = int(size[1], 16)
        chunk, mark, data = data[:count], data[count : count + 2], data[count + 2 :]
        if mark not in (b"\r\n", b"\r", b""):
            raise _Refused
        if len(mark) < 2:
            return body, None
        body += chunk


def _trailers(body: bytes, data: bytes) -> tuple[bytes, bytes | None]:
    whole = _TRAILERS.match(data)
    if whole is not None:
        return body, data[whole.end() :]
    if b"\r\n\r\n" in data:
        raise _Refused
    return body, None
