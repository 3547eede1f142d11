"""The script's way into a page: one response on its way from the application to the connection.

    start --> HELD --(enough of the body is there)--> PASSING, with the script or without
      `-- no page, whatever its body may be -------> PASSING

Until it is known whether this is a page, the head and the first bytes wait; that is decided by the first tag that is none of the
prologue (``prologue.py``). A page that is compressed (gzip, deflate) is sent on as it is read, since nothing is won by packing
it again for this machine; the request asked for no other encoding (``ask_plainly``). What is no page leaves as it came.
"""

from __future__ import annotations

import html
import secrets
import zlib
from collections.abc import Callable, Iterable

from msgspec import Struct

from midair.browser import policy
from midair.browser.prologue import look
from midair.worker.asgi import Message, Scope, Send

PAGES = (b"text/html", b"application/xhtml+xml")
_UNREADABLE_CHARSETS = (b"utf-16", b"utf-32", b"ucs-2")
"""In these a tag is not written in ASCII."""
_NO_LONGER_TRUE = frozenset(
    (b"content-length", b"content-encoding", b"etag", b"last-modified", b"content-md5", b"digest", b"accept-ranges")
)
_DOCUMENTS = ("document", "iframe", "frame", "embed", "object")
PATHSEND = "http.response.pathsend"
_WITHHELD_MAX = 4
"""Messages of a bare 500: a head and a body, and as much again."""

Headers = list[tuple[bytes, bytes]]


class Wanted(Struct, frozen=True):
    """What the request says of its answer."""

    is_document: bool
    """The browser will show it as a page, whatever it looks like."""
    is_part: bool
    """A script has asked: it is never a page (htmx, fetch)."""
    is_head: bool


def read_request(scope: Scope) -> Wanted:
    headers = dict(scope["headers"])
    destination = headers.get(b"sec-fetch-dest", b"").decode("latin-1").lower()
    is_document = destination in _DOCUMENTS
    is_part = (bool(destination) and not is_document) or b"hx-request" in headers or b"x-requested-with" in headers
    return Wanted(is_document, is_part, is_head=scope["method"] == "HEAD")


def ask_plainly(scope: Scope) -> None:
    """Have the application answer with a whole page that can be read: in an encoding that is known here, never from a cache
    that may hold an earlier start's token, and not by a file's path."""
    scope["extensions"].pop(PATHSEND, None)
    headers: Headers = scope["headers"]
    if not any(name == b"accept" and b"html" in value for name, value in headers):
        return
    asked: Headers = []
    for name, value in headers:
        if name in (b"if-none-match", b"if-modified-since"):
            continue
        asked.append((name, _readable_encodings(value)) if name == b"accept-encoding" else (name, value))
    scope["headers"] = asked


def _readable_encodings(value: bytes) -> bytes:
    known = (b"gzip", b"deflate", b"identity", b"x-gzip")
    wanted = [part.strip() for part in value.split(b",")]
    return b", ".join(part for part in wanted if part.split(b";")[0].strip().lower() in known) or b"identity"


class Injector:
    """Takes the place of ``send`` for one request. ``script``: makes the tag, given a nonce (may be empty)."""

    def __init__(
        self,
        send: Send,
        wanted: Wanted,
        script: Callable[[str], str],
        told: Callable[[str, str], None],
    ) -> None:
        """told: takes (what, why) about a page that was changed or left alone in a way that people want to know."""
        self._send = send
        self._wanted = wanted
        self._script = script
        self._told = told
        self._start: Message | None = None
        """The head, until it is known what this is."""
        self._raw: list[bytes] = []
        """The body so far, as it came."""
        self._plain = bytearray()
        """The same, readable."""
        self._unpack: _Unpack | None = None
        self._withheld: list[Message] | None = None
        """A bare 500, until it is known whether an exception follows that says more (Starlette sends first, then raises)."""
        self.is_begun = False
        """Something of the response has left."""

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if self._withheld is not None and len(self._withheld) < _WITHHELD_MAX:
            self._withheld.append(message)
        elif kind == "http.response.start" and self._start is None and not self.is_begun:
            await self._begin(message)
        elif kind == "http.response.body" and self._start is not None:
            await self._judge(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.body" and self._unpack is not None:
            body = self._unpack.more(message.get("body", b""), is_last=not message.get("more_body", False))
            await self._send({**message, "body": body})
        else:
            await self.flush()
            await self._send(message)

    async def flush(self) -> None:
        """Let go what is held back, unchanged."""
        if self._withheld is not None:
            withheld, self._withheld = self._withheld, None
            self.is_begun = True
            for message in withheld:
                await self._send(message)
        if self._start is not None:
            start, raw = self._start, b"".join(self._raw)
            self._start = None
            await self._pass(start)
            if raw:
                await self._send({"type": "http.response.body", "body": raw, "more_body": True})

    async def _pass(self, message: Message) -> None:
        self.is_begun = True
        await self._send(message)

    async def _begin(self, start: Message) -> None:
        headers = start["headers"] = [(bytes(name), bytes(value)) for name, value in start.get("headers", ())]
        by_name = {name.lower(): value for name, value in headers}
        is_plain = by_name.get(b"content-type", b"text/plain").lower().startswith(b"text/plain")
        if self._wanted.is_document and start["status"] == 500 and is_plain:
            self._withheld = [start]
            return
        if self._wanted.is_part or not _may_be_page(start["status"], by_name):
            await self._pass(start)
            return
        if self._wanted.is_head:
            # Whether it would get the script, only its body could tell: so nothing is said about its length.
            await self._pass({**start, "headers": [each for each in headers if each[0].lower() != b"content-length"]})
            return
        encoding = by_name.get(b"content-encoding", b"identity").strip().lower()
        if encoding in (b"gzip", b"x-gzip", b"deflate"):
            self._unpack = _Unpack(encoding)
        elif encoding != b"identity":
            self._told("page_left_alone", f"its content-encoding is {encoding.decode('latin-1')}")
            await self._pass(start)
            return
        self._start = start

    async def _judge(self, body: bytes, more_body: bool) -> None:
        self._raw.append(bytes(body))
        try:
            self._plain += self._unpack.more(body, is_last=not more_body) if self._unpack else body
        except zlib.error:
            self._unpack = None
            await self._leave(more_body)
            return
        found = look(bytes(self._plain), is_all=not more_body)
        if found.kind == "unknown":
            return
        if found.kind == "page" or (self._wanted.is_document and self._plain):
            await self._inject(found.at, more_body)
        else:
            self._unpack = None
            await self._leave(more_body)

    async def _leave(self, more_body: bool) -> None:
        start, raw = self._start, b"".join(self._raw)
        assert start is not None
        self._start = None
        await self._pass(start)
        await self._send({"type": "http.response.body", "body": raw, "more_body": more_body})

    async def _inject(self, at: int, more_body: bool) -> None:
        start = self._start
        assert start is not None
        policies = [value for name, value in start["headers"] if name.lower() == policy.HEADER]
        fitted = policy.fit(policies, secrets.token_urlsafe(12))
        if fitted.is_hopeless:
            self._told("page_left_alone", "its Content-Security-Policy has a sandbox without scripts")
            self._unpack = None
            await self._leave(more_body)
            return
        if fitted.widened:
            self._told("page_policy_widened", ", ".join(fitted.widened))
        self._start = None
        body = bytes(self._plain[:at]) + self._script(fitted.nonce).encode() + bytes(self._plain[at:])
        await self._pass({**start, "headers": _rewrite(start["headers"], fitted.policies)})
        await self._send({"type": "http.response.body", "body": body, "more_body": more_body})


def _may_be_page(status: int, headers: dict[bytes, bytes]) -> bool:
    kind, _, parameters = headers.get(b"content-type", b"").lower().partition(b";")
    return (
        status >= 200
        and status not in (204, 205, 206, 304)
        and kind.strip() in PAGES
        and not any(charset in parameters for charset in _UNREADABLE_CHARSETS)
        and not headers.get(b"content-disposition", b"").lower().lstrip().startswith(b"attachment")
    )


def _rewrite(headers: Headers, policies: Iterable[bytes]) -> Headers:
    """The head of a page with the script in it: what was true of the application's bytes only is left out, and nobody keeps it,
    since a later start has another token."""
    left = iter(policies)
    kept = [
        (name, next(left) if name.lower() == policy.HEADER else value)
        for name, value in headers
        if name.lower() not in _NO_LONGER_TRUE and name.lower() != b"cache-control"
    ]
    return [*kept, (b"cache-control", b"no-store")]


def script_tag(source: str, nonce: str) -> str:
    """``defer=""`` because XHTML knows no attribute without a value."""
    marked = f' nonce="{html.escape(nonce)}"' if nonce else ""
    return f'<script src="{html.escape(source)}"{marked} defer=""></script>'


class _Unpack:
    """A compressed body, read as it comes. Raises zlib.error for what is none."""

    def __init__(self, encoding: bytes) -> None:
        self._is_deflate = encoding == b"deflate"
        # 47: zlib's or gzip's header, whichever comes. "deflate" without any is not rare.
        self._decompress = zlib.decompressobj(47)
        self._is_first = True

    def more(self, data: bytes, *, is_last: bool) -> bytes:
        if self._is_first and data:
            self._is_first = False
            if self._is_deflate:
                try:
                    zlib.decompressobj(47).decompress(data)
                except zlib.error:
                    self._decompress = zlib.decompressobj(-15)
        plain = self._decompress.decompress(data)
        return plain + self._decompress.flush() if is_last else plain
