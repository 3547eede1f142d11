"""HTTP/1.1 requests out of bytes: no socket, no clock, no event loop.

The rule is to cut before parsing. Bytes stay in our buffer; the parser (llhttp, by way of httptools) is given a head
only when its end is in the buffer, and a body in slices that we have counted ourselves. So every message ends exactly
at the end of a feed, and what follows it was never shown to the parser. That gives three things:

- at any moment it is known whether the connection stands between two messages (``is_at_boundary``) and which bytes
  have been read and not used (``unread``): all that another process needs to go on with the connection;
- there are two opinions about where a message ends, and a request on which they differ is refused: the shapes that
  smuggle a second request past a proxy live in that difference;
- between messages a parser has no state, so a worker keeps a few of them and an idle connection none.

    head wanted --next_request()--> (no body) --> head wanted
                                 `-> (body)   --read_body() until is_body_complete--> head wanted

Anything malformed raises BadRequest. The reader is of no use after that.
"""

from __future__ import annotations

import re

import httptools

CHUNKED = -1
"""``Request.body_length`` of a chunked body."""

_HEAD_END = b"\r\n\r\n"
_CHUNK_LINE_MAX = 1024  # a chunk's size and its extensions; nobody sends longer ones in good faith
_PARSERS_MAX = 64  # kept for reuse; a burst of uploads may have made more
# Names on which framing, routing, the connection's life or who is asking depend.
_WEIGHTY = frozenset(
    (
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"upgrade",
        b"expect",
        b"proxy-connection",
        b"x-forwarded-for",
        b"x-forwarded-proto",
    )
)
_HOST = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]\x80-\xff]*")
_CHUNK_LINE_BEGUN = re.compile(rb"[0-9A-Fa-f]{0,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TOKEN_CHARS = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ ")
_TRAILERS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*")


class BadRequest(Exception):
    """The bytes are no acceptable request. ``status`` answers it; the connection ends after the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Request:
    """A request's head. Header names are lower case, values without surrounding white space, in order of arrival."""

    # What few requests change is a class default: it costs nothing per request.
    keep_alive = True
    body_length = 0
    """Bytes of the body as declared; 0 for none, CHUNKED if only its end will tell."""
    expects_continue = False
    is_websocket = False
    is_forwarded = False
    """A proxy says whom it asks for."""
    is_plain = True
    """Neither of the two."""

    def __init__(self, method: str, target: bytes, http_version: str, headers: list[tuple[bytes, bytes]]) -> None:
        self.method = method
        self.target = target
        self.http_version = http_version
        self.headers = headers


class _Parser:
    """httptools and what it last said. Between messages it is interchangeable with any other."""

    __slots__ = (
        "body",
        "feed_data",
        "get_method",
        "headers",
        "is_used",
        "on_body",
        "on_message_complete",
        "on_url",
        "target",
        "unfinished",
        "weighty",
    )

    def __init__(self) -> None:
        self.target: list[bytes] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.weighty: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.unfinished = [True]
        """Empty once the message is complete."""
        self.is_used = False
        # What httptools calls. Where a list's own method will do, no Python code runs for the event.
        self.on_url = self.target.append
        self.on_body = self.body.append
        self.on_message_complete = self.unfinished.clear
        parser = httptools.HttpRequestParser(self)
        self.feed_data = parser.feed_data
        self.get_method = parser.get_method

    def on_header(self, name: bytes, value: bytes) -> None:
        header = (name.lower(), value)
        self.headers.append(header)
        if header[0] in _WEIGHTY:
            self.weighty.append(header)

    def parse_head(self, head: bytes) -> bool:
        """Parse a whole head. True if the parser stepped back: the request asks for another protocol, or is a CONNECT."""
        self.headers = []
        self.weighty = []
        self.target.clear()
        if not self.unfinished:
            self.unfinished.append(True)
        try:
            self.feed_data(head)
        except httptools.HttpParserUpgrade as exc:
            if exc.args[0] != len(head):
                raise BadRequest(400, "the request does not end where its head ends") from None
            return True
        return False

    def take_body(self) -> bytes:
        """What the parser took for body since the last call."""
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.body.clear()
        return body


class Parsers:
    """A worker's parsers at rest, and the limits that its readers share."""

    __slots__ = ("free", "good_host", "head_max_bytes", "headers_max")

    def __init__(self, head_max_bytes: int = 64 * 1024, headers_max: int = 200) -> None:
        self.head_max_bytes, self.headers_max = head_max_bytes, headers_max
        self.free: list[_Parser] = []
        # Nearly all requests of a service name the same host: the last good one is remembered.
        self.good_host = (b"host", b"")

    def give_back(self, parser: _Parser) -> None:
        if len(self.free) < _PARSERS_MAX:
            self.free.append(parser)

    def check_host(self, host: bytes) -> None:
        if _HOST.fullmatch(host) is None:
            raise BadRequest(400, "invalid Host")
        self.good_host = (b"host", host)


class RequestReader:
    """One connection's incoming side: ``feed()`` bytes, then take requests and bodies out until there is no more."""

    __slots__ = ("_at", "_buffer", "_chunk_left", "_left", "_parser", "_parsers", "_scanned", "is_body_complete")

    def __init__(self, parsers: Parsers, unread: bytes = b"") -> None:
        """``unread``: bytes that another reader had read and not used, at a boundary."""
        self._parsers = parsers
        self._buffer = unread
        self._at = 0  # the first byte of the buffer that is not used
        self._scanned = 0  # no head ends before this
        self._parser: _Parser | None = None  # in the midst of a body
        self._left = 0  # bytes of a counted body to come
        self._chunk_left = _NOT_CHUNKED
        self.is_body_complete = True

    @property
    def is_at_boundary(self) -> bool:
        """No message has been begun, as far as messages were taken out; the start of one may stand in ``unread``."""
        return self.is_body_complete

    @property
    def unread(self) -> bytes:
        """What was fed and not used."""
        return self._buffer[self._at :]

    @property
    def unread_bytes(self) -> int:
        return len(self._buffer) - self._at

    def has_unread(self) -> bool:
        return len(self._buffer) != self._at

    def feed(self, data: bytes) -> None:
        """Take in what was read from the socket. Nothing is parsed yet."""
        if self._at == len(self._buffer):
            self._buffer = data
            self._scanned = 0
        else:
            self._buffer = self._buffer[self._at :] + data
            self._scanned = max(0, self._scanned - self._at)
        self._at = 0

    def skip(self, count: int) -> None:
        """Drop that many bytes that were fed: they were no HTTP. At a boundary."""
        self._at += count
        self._scanned = self._at

    def receive(self, data: bytes) -> Request | None:
        """``feed`` and ``next_request`` in one, quick in the usual case: one whole head and nothing else. At a boundary."""
        if self._at == len(self._buffer) and data[:1] > b" ":
            end = data.find(_HEAD_END)
            if end > 0 and end + 4 == len(data) <= self._parsers.head_max_bytes:
                return self._parse(data)
        self.feed(data)
        return self.next_request()

    def next_request(self) -> Request | None:
        """The next request's head, or None while its end has not arrived. Only at a boundary.

        Raises BadRequest: 400, 431 (head too large), 501 (method, transfer coding), 505.
        """
        buffer, at = self._buffer, self._at
        end = buffer.find(_HEAD_END, self._scanned if self._scanned > at else at)
        if end <= at:
            return self._skip_empty_lines(end == at)
        end += 4
        if end - at > self._parsers.head_max_bytes:
            raise BadRequest(431, "the head is too large")
        head = buffer[at:end]
        self._at = end
        if end == len(buffer):
            self._buffer, self._at = b"", 0
        if head[0] <= 32:
            head = _without_empty_lines(head)
        return self._parse(head)

    def _skip_empty_lines(self, found: bool) -> Request | None:
        buffer = self._buffer
        if found or buffer[self._at : self._at + 1] == b"\r":
            at = self._at
            while buffer.startswith(b"\r\n", at):
                at += 2
            if at != self._at:
                self._buffer, self._at, self._scanned = buffer[at:], 0, 0
                if found:
                    return self.next_request()
        if self.unread_bytes > self._parsers.head_max_bytes:
            raise BadRequest(431, "the head is too large")
        if len(self._buffer) > self._at:
            _check_begun(self._buffer[self._at :])
        self._scanned = max(self._at, len(self._buffer) - 3)
        return None

    def _parse(self, head: bytes) -> Request:
        line_end = head.find(b"\r\n")
        version = head[line_end - 9 : line_end]
        http_version = "1.1" if version == b" HTTP/1.1" else _other_version(version)
        parsers = self._parsers
        parser = parsers.free.pop() if parsers.free else _Parser()
        try:
            upgrades = parser.parse_head(head)
        except httptools.HttpParserError as exc:
            # A parser that has seen other requests is not believed when it refuses one: a fresh one decides.
            parser, upgrades = self._parse_again(head, parser, exc)
        parser.is_used = True
        headers, weighty = parser.headers, parser.weighty
        if b" \r\n" in head or b"\t\r\n" in head:
            headers[:] = [(name, value.rstrip(b" \t")) for name, value in headers]
            weighty[:] = [(name, value.rstrip(b" \t")) for name, value in weighty]
        if len(headers) > parsers.headers_max:
            raise BadRequest(431, "too many header fields")
        method = parser.get_method()
        request = Request(_METHODS.get(method) or method.decode("ascii"), parser.target[0], http_version, headers)
        if upgrades or http_version == "1.0" or len(weighty) != 1 or weighty[0] != parsers.good_host:
            _weigh(request, weighty, parsers)
        if request.body_length != 0:
            if upgrades and _is_websocket(request, weighty):
                raise BadRequest(400, "a WebSocket handshake has no body")
            self._begin_body(request, parser, upgrades)
        elif parser.unfinished:
            raise BadRequest(400, "the parser sees a body that was not declared")
        elif upgrades:
            if _is_websocket(request, weighty):
                request.is_websocket, request.is_plain = True, False
        elif request.keep_alive and http_version == "1.1":
            parsers.give_back(parser)
        return request

    def _parse_again(self, head: bytes, parser: _Parser, exc: Exception) -> tuple[_Parser, bool]:
        if not parser.is_used:
            raise _refusal(exc, head) from None
        parser = _Parser()
        try:
            return parser, parser.parse_head(head)
        except httptools.HttpParserError as again:
            raise _refusal(again, head) from None

    def _begin_body(self, request: Request, parser: _Parser, upgrades: bool) -> None:
        if upgrades:
            # The client offered another protocol and we stay with this one; for the parser the message is over. A
            # fresh one is told of the body alone.
            parser = _Parser()
            framing = (
                b"Transfer-Encoding: chunked"
                if request.body_length == CHUNKED
                else b"Content-Length: %d" % request.body_length
            )
            parser.parse_head(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + _HEAD_END)
        if not parser.unfinished:
            raise BadRequest(400, "the parser sees no body where one was declared")
        self._parser = parser
        self.is_body_complete = False
        if request.body_length == CHUNKED:
            self._chunk_left = _AT_SIZE
        else:
            self._chunk_left = _NOT_CHUNKED
            self._left = request.body_length

    def read_body(self) -> bytes:
        """The bytes of the body that have arrived since the last call, decoded; empty if none have.

        ``is_body_complete`` tells whether there will be more. Raises BadRequest (400) where the framing is broken.
        """
        parser = self._parser
        if parser is None or self._at == len(self._buffer):
            return b""
        start = self._at
        if self._chunk_left == _NOT_CHUNKED:
            end = min(len(self._buffer), start + self._left)
            self._left -= end - start
            is_last = self._left == 0
            data = self._buffer[start:end]
        else:
            end = self._scan_chunks()
            data, is_last = self._buffer[start:end], False
            if self._chunk_left == _AT_TRAILERS and (rest := self._trailers_end(end)):
                # What the trailers say is not shown to the parser: for it they would be more headers of the request.
                data, is_last, end = data + b"\r\n", True, rest
        self._at = end
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as exc:
            raise BadRequest(400, f"invalid body: {exc}") from None
        if is_last is bool(parser.unfinished):
            raise BadRequest(400, "the parser disagrees about the end of the body")
        body = parser.take_body()
        if is_last:
            self.is_body_complete = True
            self._parser = None
            self._scanned = self._at
            if self._chunk_left == _NOT_CHUNKED:
                self._parsers.give_back(parser)
        return body

    def _scan_chunks(self) -> int:
        """Where the bytes end that may be parsed now: within a chunk, before a line that is not whole, or at the trailers."""
        buffer, at = self._buffer, self._at
        while True:
            if self._chunk_left > 0:
                step = min(self._chunk_left, len(buffer) - at)
                self._chunk_left -= step
                at += step
                if self._chunk_left:
                    return at
                self._chunk_left = _AT_SIZE
            if self._chunk_left == _AT_TRAILERS:
                return at
            line_end = buffer.find(b"\r\n", at, at + _CHUNK_LINE_MAX)
            if line_end < 0:
                if len(buffer) - at >= _CHUNK_LINE_MAX:
                    raise BadRequest(400, "the chunk's size line is too long")
                if _CHUNK_LINE_BEGUN.fullmatch(buffer, at) is None:
                    raise BadRequest(400, "invalid chunk size")
                return at
            line = _CHUNK_LINE.fullmatch(buffer, at, line_end)
            if line is None:
                raise BadRequest(400, "invalid chunk size")
            size = int(line[1], 16)
            at = line_end + 2
            self._chunk_left = size + 2 if size else _AT_TRAILERS

    def _trailers_end(self, at: int) -> int:
        """Where the body ends whose trailers begin at ``at``; 0 if that has not arrived.

        They are checked and dropped: ASGI has no place for a request's trailers, and a field that counts for framing or
        routing must not come in by the back door.
        """
        buffer = self._buffer
        if buffer.startswith(b"\r\n", at):
            return at + 2
        end = buffer.find(_HEAD_END, at)
        if (end if end >= 0 else len(buffer)) - at > self._parsers.head_max_bytes:
            raise BadRequest(431, "the trailers are too large")
        if end < 0:
            return 0
        if _TRAILERS.fullmatch(buffer, at, end + 2) is None:
            raise BadRequest(400, "invalid trailers")
        if buffer.count(b"\n", at, end + 2) > self._parsers.headers_max:
            raise BadRequest(431, "too many trailers")
        return end + 4


_NOT_CHUNKED, _AT_TRAILERS, _AT_SIZE = -2, -1, 0  # RequestReader._chunk_left; above 0: bytes of the chunk and its CRLF

_METHODS = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
}


def _check_begun(head: bytes) -> None:
    """Refuse at once what no further byte can make a head of, instead of waiting for its end."""
    if head[0] not in _TOKEN_CHARS and head != b"\r":
        raise BadRequest(400, "no HTTP begins like this")
    line_ends = head.count(b"\r\n")
    if head.count(b"\n") != line_ends or head.count(b"\r") - head.endswith(b"\r") != line_ends:
        raise BadRequest(400, "a CR or an LF without the other")


def _without_empty_lines(head: bytes) -> bytes:
    """Empty lines before a request are allowed (RFC 9112, 2.2) and are not shown to the parser."""
    while head.startswith(b"\r\n"):
        head = head[2:]
    if head[0] <= 32:
        raise BadRequest(400, "white space before the request line")
    return head


def _refusal(exc: Exception, head: bytes) -> BadRequest:
    if isinstance(exc, httptools.HttpParserInvalidMethodError) and _METHOD.match(head):
        return BadRequest(501, "unknown method")
    return BadRequest(400, f"invalid HTTP: {exc}")


def _other_version(version: bytes) -> str:
    if version == b" HTTP/1.0":
        return "1.0"
    if re.fullmatch(rb" HTTP/[0-9]\.[0-9]", version):
        raise BadRequest(505, "this is a server for HTTP/1.0 and HTTP/1.1")
    raise BadRequest(400, "invalid request line")


def _weigh(request: Request, weighty: list[tuple[bytes, bytes]], parsers: Parsers) -> None:
    """Judge the headers on which framing and the connection's life depend, and write the result to the request."""
    if request.method == "CONNECT":
        raise BadRequest(501, "CONNECT is not served")
    is_11 = request.http_version == "1.1"
    hosts = 0
    lengths: list[bytes] = []
    codings: list[bytes] = []
    options: list[bytes] = []
    for name, value in weighty:
        if name == b"host":
            hosts += 1
            if value != parsers.good_host[1]:
                parsers.check_host(value)
        elif name == b"connection":
            options += (value,) if value == b"keep-alive" else tokens([value])
        elif name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"expect":
            request.expects_continue = is_11 and value.lower() == b"100-continue"
        elif name.startswith(b"x-forwarded-"):
            request.is_forwarded, request.is_plain = True, False
    if hosts > 1 or (is_11 and not hosts):
        raise BadRequest(400, "exactly one Host is wanted")
    if lengths or codings:
        request.body_length = _body_length(lengths, codings, is_11)
    if options or not is_11:
        request.keep_alive = b"close" not in options if is_11 else b"keep-alive" in options


def _body_length(lengths: list[bytes], codings: list[bytes], is_11: bool) -> int:
    if codings:
        if lengths or not is_11:
            raise BadRequest(400, "Transfer-Encoding beside Content-Length, or before HTTP/1.1")
        if len(codings) == 1 and codings[0].lower() == b"chunked":
            return CHUNKED
        if tokens(codings)[-1:] == [b"chunked"] and tokens(codings).count(b"chunked") == 1:
            raise BadRequest(501, "no transfer coding but chunked is understood")
        raise BadRequest(400, "invalid Transfer-Encoding")
    if len(lengths) > 1 or _DIGITS.fullmatch(lengths[0]) is None:
        raise BadRequest(400, "invalid Content-Length")
    return int(lengths[0])


def _is_websocket(request: Request, weighty: list[tuple[bytes, bytes]]) -> bool:
    upgrades = tokens([value for name, value in weighty if name == b"upgrade"])
    return request.method == "GET" and request.http_version == "1.1" and b"websocket" in upgrades


def tokens(values: list[bytes] | tuple[bytes, ...]) -> list[bytes]:
    """The members of a comma-separated header field, lower case, over all its lines."""
    return [token for value in values for part in value.split(b",") if (token := part.strip(b" \t").lower())]
