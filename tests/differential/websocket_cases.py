"""What a client may say over a WebSocket, right and wrong, and what RFC 6455 and RFC 7692 make of it: a table of cases.

In the manner of the Autobahn test suite's sections 1 to 7, 9, 10, 12 and 13, with the handshake, the half-closed
connection and the server's own close beside them. A case is data: the handshake, what is sent after it, and what must
be seen. Where the RFCs leave a choice, ours stands first.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from midair.testing.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MASK,
    NO_STATUS,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    Deflater,
    close_frame,
    frame,
)

MESSAGE_MAX_BYTES = 1024 * 1024
"""The limit that every server is told, if it can be told one."""

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = (
    "Host: test",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
)


@dataclass(frozen=True, slots=True)
class Await:
    """Go on when so many messages and pongs have come since the beginning."""

    answers: int


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Say at the level of TCP that nothing more will be sent."""


Step = bytes | Await | HalfClose


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client sees of one WebSocket. Two servers do the same if these are equal."""

    status: int = 101
    """Of the answer to the handshake; 0: none came."""
    agreed: str = ""
    """The headers of the answer that the case looks at."""
    messages: tuple[str, ...] = ()
    pongs: tuple[str, ...] = ()
    close: int = 0
    """The code in the server's close frame; 0: none came."""
    end: str = "closed"
    """``closed``; ``reset``, if no close frame had come before it; ``open`` after a while; or what is wrong with it."""

    def __str__(self) -> str:
        if self.status != 101:
            return f"{self.status or 'no answer'}{self.agreed and f' ({self.agreed})'}"
        parts = [
            f"101{self.agreed and f' ({self.agreed})'}",
            *self.messages,
            *(f"pong {pong}" for pong in self.pongs),
            f"close {self.close}" if self.close else "no close frame",
            *([self.end] if self.end != "closed" else []),
        ]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation. At its end the client closes with 1000, unless the case has said how it ends."""

    name: str
    rule: str
    """Where it is written: a section of an RFC."""
    expects: tuple[Seen, ...]
    steps: tuple[Step, ...] = ()
    request: bytes = b""
    reads: tuple[str, ...] = ()
    """Headers of the answer that are looked at."""
    is_over: bool = False
    """The case ends by itself: the client sends no close frame of its own behind it."""

    @property
    def answers(self) -> float:
        """After how many messages and pongs the client closes; infinity: the server does, or has been told to."""
        expected = self.expects[0]
        ends_otherwise = self.is_over or expected.close not in (0, 1000)
        return math.inf if ends_otherwise else len(expected.messages) + len(expected.pongs)


def shown(opcode: int, payload: bytes) -> str:
    """A message as it stands in ``Seen``."""
    kind = "text" if opcode == TEXT else "binary"
    if len(payload) > 24:
        return f"{kind} of {len(payload)} bytes ({zlib.crc32(payload):08x})"
    return f"{kind} {payload.decode() if opcode == TEXT else payload.hex()!r}"


# ---------------------------------------------------------------------------------------------------------- shorthand


def asking(
    *more: str, without: str = "", path: str = "/", line: str = "GET {path} HTTP/1.1", body: bytes = b""
) -> bytes:
    """A handshake: the usual headers without those that begin with ``without``, and ``more``."""
    kept = [header for header in UPGRADE if not without or not header.startswith(without)]
    return "\r\n".join([line.replace("{path}", path), *kept, *more, "", ""]).encode("latin-1") + body


def echoed(*messages: tuple[int, bytes], pongs: tuple[bytes, ...] = (), close: int = 1000) -> tuple[Seen, ...]:
    """All came back, then the connection was closed in order."""
    texts = tuple(shown(opcode, payload) for opcode, payload in messages)
    return (Seen(messages=texts, pongs=tuple(pong.hex() for pong in pongs), close=close),)


def failed(code: int, *messages: tuple[int, bytes], pongs: tuple[bytes, ...] = ()) -> tuple[Seen, ...]:
    """The server gave the connection up with this code."""
    return echoed(*messages, pongs=pongs, close=code)


def refused(*statuses: int) -> tuple[Seen, ...]:
    return tuple(Seen(status) for status in statuses)


def fragments(opcode: int, *parts: bytes, flags: int = 0) -> bytes:
    """A message in pieces; ``flags`` go to the first of them."""
    opcodes = [opcode] + [CONTINUATION] * (len(parts) - 1)
    return b"".join(
        frame(each, part, flags=(flags if number == 0 else 0) | (FIN if number == len(parts) - 1 else 0))
        for number, (each, part) in enumerate(zip(opcodes, parts, strict=True))
    )


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


HELLO = "Hello-µ@ßöäüàá-UTF-8!!".encode()
UTF_8 = "RFC 6455 8.1"


# ------------------------------------------------------------------------------------------------------------ sections


def framing() -> Iterator[Case]:
    rule = "RFC 6455 5.2"
    for size in (0, 1, 125, 126, 127, 128, 65_535, 65_536, MESSAGE_MAX_BYTES):
        for opcode, payload in (
            (TEXT, b"*" * size),
            (BINARY, bytes(range(256)) * (size // 256) + b"\xfe" * (size % 256)),
        ):
            kind = "text" if opcode == TEXT else "binary"
            yield Case(f"{kind} of {size} bytes", rule, echoed((opcode, payload)), (frame(opcode, payload),))
    many = [(TEXT, f"number {number}".encode()) for number in range(100)]
    yield Case("100 messages at once", "RFC 6455 5.4", echoed(*many), (b"".join(frame(*each) for each in many),))
    yield Case("a key of zeros", "RFC 6455 5.3", echoed((TEXT, b"plain")), (frame(TEXT, b"plain", key=b"\0\0\0\0"),))
    keys = (b"\xff\0\xff\0", b"\0\0\0\x01", MASK)
    changing = b"".join(frame(TEXT, b"key", key=key) for key in keys)
    yield Case("another key each time", "RFC 6455 5.3", echoed(*[(TEXT, b"key")] * 3), (changing,))
    for opcode, kind in ((TEXT, "text"), (BINARY, "binary"), (PING, "ping"), (CLOSE, "close")):
        payload = b"\x03\xe8" if opcode == CLOSE else b"bare"
        unmasked = frame(opcode, payload, key=None)
        yield Case(f"an unmasked {kind}", "RFC 6455 5.1", failed(1002), (unmasked,))
    # No client may write it so; what a server that is told so makes of it is left open.
    for length_bytes in (2, 8):
        sent = frame(TEXT, b"short", length_bytes=length_bytes)
        name = f"a length in {length_bytes} bytes that needs one"
        yield Case(name, rule, (*echoed((TEXT, b"short")), *failed(1002)), (sent,))
        sent = frame(PING, b"short", length_bytes=length_bytes)
        yield Case(f"{name}, of a ping", rule, (*echoed(pongs=(b"short",)), *failed(1002)), (sent,))
    signed = bytes([FIN | BINARY, 0xFF]) + (1 << 63).to_bytes(8, "big") + MASK
    yield Case("a length with its highest bit set", rule, (*failed(1002), *failed(1009)), (signed,))


def pings() -> Iterator[Case]:
    rule = "RFC 6455 5.5.2"
    for name, payload in (
        ("without a payload", b""),
        ("with a text", b"Hello, world!"),
        ("with bytes", bytes([0, 255, 254, 253, 252, 251, 0, 255])),
        ("with 125 bytes", b"\xfe" * 125),
    ):
        yield Case(f"ping {name}", rule, echoed(pongs=(payload,)), (frame(PING, payload),))
    for opcode, kind in ((PING, "ping"), (PONG, "pong")):
        sent = frame(opcode, b"\xfe" * 126)
        yield Case(f"{kind} with 126 bytes", "RFC 6455 5.5", failed(1002), (sent,))
    for name, payload in (("empty", b""), ("with a payload", b"unsolicited pong payload")):
        yield Case(f"a pong nobody asked for, {name}", "RFC 6455 5.5.3", echoed(), (frame(PONG, payload),))
    both = frame(PONG, b"unasked") + frame(PING, b"asked")
    yield Case("a pong nobody asked for, then a ping", "RFC 6455 5.5.3", echoed(pongs=(b"asked",)), (both,))
    ten = tuple(f"payload-{number}".encode() for number in range(10))
    yield Case(
        "ten pings, one after another",
        rule,
        echoed(pongs=ten),
        sum(((frame(PING, p), Await(n + 1)) for n, p in enumerate(ten)), ()),
    )
    yield Case(
        "ten pings at once",
        rule,
        (*echoed(pongs=ten), *echoed(pongs=ten[-1:])),
        (b"".join(frame(PING, p) for p in ten),),
    )
    between = fragments(TEXT, b"one ", b"two")
    middle = len(frame(TEXT, b"one "))
    sent = between[:middle] + frame(PING, b"now") + between[middle:]
    yield Case("a ping between two fragments", "RFC 6455 5.4", echoed((TEXT, b"one two"), pongs=(b"now",)), (sent,))
    sent = between[:middle] + frame(PONG, b"now") + between[middle:]
    yield Case("a pong between two fragments", "RFC 6455 5.4", echoed((TEXT, b"one two")), (sent,))
    waiting = (between[:middle], frame(PING, b"now"), Await(1), between[middle:])
    yield Case(
        "a ping between two fragments is answered before the message ends",
        "RFC 6455 5.4",
        echoed((TEXT, b"one two"), pongs=(b"now",)),
        waiting,
    )


def reserved_bits() -> Iterator[Case]:
    rule = "RFC 6455 5.2"
    for bits in range(1, 8):
        yield Case(
            f"reserved bits {bits:03b} of a text",
            rule,
            failed(1002),
            (frame(TEXT, b"reserved", flags=FIN | bits << 4),),
        )
    for flag, number in ((RSV1, 1), (RSV2, 2), (RSV3, 3)):
        for opcode, kind in ((BINARY, "binary"), (PING, "ping"), (CLOSE, "close")):
            payload = b"\x03\xe8" if opcode == CLOSE else b"x"
            yield Case(f"RSV{number} of a {kind}", rule, failed(1002), (frame(opcode, payload, flags=FIN | flag),))
    after_echo = (frame(TEXT, b"good"), Await(1), frame(TEXT, b"bad", flags=FIN | RSV2), frame(PING))
    yield Case("a reserved bit after a good message", rule, failed(1002, (TEXT, b"good")), after_echo)


def opcodes() -> Iterator[Case]:
    rule = "RFC 6455 5.2"
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield Case(f"opcode {opcode}", rule, failed(1002), (frame(opcode),))
    for opcode in (5, 13):
        yield Case(f"opcode {opcode} with a payload", rule, failed(1002), (frame(opcode, b"reserved"),))
        after_echo = (frame(TEXT, b"good"), Await(1), frame(opcode, b"reserved"), frame(PING))
        yield Case(f"opcode {opcode} after a good message", rule, failed(1002, (TEXT, b"good")), after_echo)


def fragmentation() -> Iterator[Case]:
    rule = "RFC 6455 5.4"
    for opcode, kind in ((TEXT, "text"), (BINARY, "binary")):
        for parts in ((b"one", b"two"), (b"", b"two"), (b"one", b""), (b"", b"", b""), tuple(b"letters")):
            whole = [bytes([part]) if isinstance(part, int) else part for part in parts]
            count = len(whole)
            shape = "+".join(str(len(part)) for part in whole)
            name = f"{kind} in {count} fragments of {shape} bytes"
            yield Case(name, rule, echoed((opcode, b"".join(whole))), (fragments(opcode, *whole),))
    for opcode, kind in ((PING, "ping"), (PONG, "pong"), (CLOSE, "close")):
        sent = frame(opcode, b"\x03\xe8", flags=0) + frame(CONTINUATION, b"rest")
        yield Case(f"a {kind} in fragments", "RFC 6455 5.5", failed(1002), (sent,))
    for flags, how in ((FIN, "final"), (0, "not final")):
        alone = frame(CONTINUATION, b"non-continuation payload", flags=flags)
        yield Case(f"a continuation of nothing, {how}", rule, failed(1002), (alone,))
        behind = frame(CONTINUATION, b"x", flags=flags) + frame(TEXT, b"Hello, world!")
        yield Case(f"a continuation of nothing, {how}, before a text", rule, failed(1002), (behind,))
        after = (fragments(TEXT, b"one", b"two"), Await(1), frame(CONTINUATION, b"x", flags=flags))
        yield Case(f"a continuation of a finished message, {how}", rule, failed(1002, (TEXT, b"onetwo")), after)
    for second, kind in ((TEXT, "text"), (BINARY, "binary")):
        sent = frame(TEXT, b"one", flags=0) + frame(second, b"two")
        yield Case(f"a {kind} within a fragmented message", rule, failed(1002), (sent,))
        sent = frame(TEXT, b"one", flags=0) + frame(second, b"two", flags=0) + frame(CONTINUATION, b"three")
        yield Case(f"the start of a {kind} within a fragmented message", rule, failed(1002), (sent,))
    texts = [f"fragment{number}".encode() for number in range(5)]
    whole_text = fragments(TEXT, *texts)
    starts = [0]
    for text in texts:
        starts.append(starts[-1] + len(frame(TEXT, text)))
    with_pings = b"".join(whole_text[a:b] + frame(PING, b"%d" % a) for a, b in pairwise(starts[:-1]))
    pongs = tuple(b"%d" % at for at in starts[:-2])
    sent = with_pings + whole_text[starts[-2] :]
    yield Case("five fragments with pings between them", rule, echoed((TEXT, b"".join(texts)), pongs=pongs), (sent,))
    closed_inside = frame(TEXT, b"one", flags=0) + close_frame(1000)
    yield Case("a close frame within a fragmented message", "RFC 6455 5.5.1", echoed(), (closed_inside,))
    twice = fragments(TEXT, b"a", b"b") + fragments(BINARY, b"c", b"d") + frame(TEXT, b"e")
    yield Case(
        "fragmented messages, one behind another", rule, echoed((TEXT, b"ab"), (BINARY, b"cd"), (TEXT, b"e")), (twice,)
    )


VALID = {
    "the last of one byte": "\x7f",
    "the first and last of two bytes": "\x80\u07ff",
    "the first and last of three bytes": "\u0800\uffff",
    "the first and last of four bytes": "\U00010000\U0010ffff",
    "around the surrogates": "\ud7ff\ue000",
    "the replacement character": "\ufffd",
    "non-characters": "\ufffe\uffff\U0001fffe\U0010fffe",
    "a zero": "\0",
    "a byte order mark": "\ufeffmark",
    "Greek": "κόσμε",
    "mixed": HELLO.decode(),
    "many": "ü€𐍈" * 1000,
}
INVALID = {
    "a continuation byte alone": "80",
    "the last continuation byte alone": "bf",
    "seven continuation bytes": "80bf80bf80bf80",
    "a start of two bytes and a space": "c320",
    "a start of three bytes and a space": "e020",
    "a start of four bytes and a space": "f020",
    "a start of five bytes": "f888808080",
    "a start of six bytes": "fc8480808080",
    "the last byte of two missing": "c3",
    "the last byte of three missing": "e1bf",
    "the last byte of four missing": "f09fbf",
    "the byte fe": "fe",
    "the byte ff": "ff",
    "fe fe ff ff": "fefeffff",
    "a slash in two bytes": "c0af",
    "a slash in three bytes": "e080af",
    "a slash in four bytes": "f08080af",
    "the longest of one byte in two": "c1bf",
    "a zero in two bytes": "c080",
    "the first surrogate": "eda080",
    "the last surrogate": "edbfbf",
    "a pair of surrogates": "eda080edb080",
    "beyond the last code point": "f4908080",
    "good text around it": "cebae1bdb9cf83cebcceb5eda080656469746564",
}


def utf_8() -> Iterator[Case]:
    for name, text in VALID.items():
        payload = text.encode("utf-8")
        yield Case(f"valid: {name}", UTF_8, echoed((TEXT, payload)), (frame(TEXT, payload),))
    for name, text in INVALID.items():
        yield Case(f"invalid: {name}", UTF_8, failed(1007), (frame(TEXT, bytes.fromhex(text)),))
    greek = "κόσ€𐍈".encode()
    for at in range(1, len(greek)):
        sent = fragments(TEXT, greek[:at], greek[at:])
        yield Case(f"valid, cut after byte {at}", UTF_8, echoed((TEXT, greek)), (sent,))
    single = [bytes([byte]) for byte in HELLO]
    yield Case("valid, a byte a fragment", UTF_8, echoed((TEXT, HELLO)), (fragments(TEXT, *single),))
    for name in [*list(INVALID)[:3], "the first surrogate", "good text around it"]:
        text = INVALID[name]
        sent = fragments(TEXT, *[bytes([byte]) for byte in bytes.fromhex(text)])
        yield Case(f"invalid, a byte a fragment: {name}", UTF_8, failed(1007), (sent,))
    # Whether it is noticed before the message ends is left to the server; that it is noticed is not.
    early = (
        frame(TEXT, "κόσ".encode() + b"\xed\xa0\x80", flags=0),
        frame(PING, b"still there?"),
        Await(1),
        frame(CONTINUATION, b"end"),
    )
    either = (*failed(1007, pongs=(b"still there?",)), *failed(1007))
    yield Case("invalid in the first of two fragments", UTF_8, either, early)
    behind = frame(TEXT, b"\xff") + close_frame(1000)
    yield Case("invalid, with a close frame right behind it", UTF_8, failed(1007), (behind,))
    unfinished = fragments(TEXT, b"good", "€".encode()[:2])
    yield Case("cut off at the end of the last fragment", UTF_8, failed(1007), (unfinished,))
    yield Case(
        "bytes that are no text may be anything",
        "RFC 6455 5.6",
        echoed((BINARY, b"\xff\xfe\x80")),
        (frame(BINARY, b"\xff\xfe\x80"),),
    )


def closing() -> Iterator[Case]:
    rule, codes = "RFC 6455 5.5.1", "RFC 6455 7.4"
    yield Case("without a code", rule, (*echoed(close=NO_STATUS), *echoed()), (frame(CLOSE),), is_over=True)
    yield Case("with half a code", rule, failed(1002), (frame(CLOSE, b"\x03"),), is_over=True)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
        yield Case(f"code {code}", codes, (*echoed(close=code), *echoed()), (close_frame(code),), is_over=True)
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        name = f"code {code}, which no endpoint may send"
        yield Case(name, codes, failed(1002), (close_frame(code),), is_over=True)
    for name, reason, code in (
        ("a reason", b"bye", 1000),
        ("a reason that is no ASCII", "tschüß €".encode(), 1000),
        ("a reason of 123 bytes", b"*" * 123, 1000),
        ("a reason of 124 bytes", b"*" * 124, 1002),
        ("a reason that is no UTF-8", b"\xce\xba\xed\xa0\x80", 1007),
    ):
        sent = close_frame(1000, reason)
        yield Case(f"with {name}", "RFC 6455 5.5" if code == 1002 else rule, failed(code), (sent,), is_over=True)
    for name, behind in (
        ("a second close frame", close_frame(1001)),
        ("a text", frame(TEXT, b"too late")),
        ("a ping", frame(PING, b"too late")),
        ("the start of a frame", b"\x81"),
        ("bytes that are no frame", b"\xff\xff\xff\xff"),
        ("300,000 bytes", frame(BINARY, b"*" * 100_000) * 3),
    ):
        yield Case(f"{name} behind it", rule, echoed(), (close_frame(1000) + behind,), is_over=True)
    yield Case(
        "after a message", rule, echoed((TEXT, b"one")), (frame(TEXT, b"one"), Await(1), close_frame()), is_over=True
    )
    yield Case(
        "after a ping", rule, echoed(pongs=(b"one",)), (frame(PING, b"one"), Await(1), close_frame()), is_over=True
    )
    half = "RFC 6455 7.1.4"
    yield Case("the write side shut after it", half, echoed(), (close_frame(), HalfClose()), is_over=True)
    gone = echoed((TEXT, b"one"), close=0)
    yield Case(
        "the write side shut instead of it", half, gone, (frame(TEXT, b"one"), Await(1), HalfClose()), is_over=True
    )
    yield Case("the write side shut at once", half, echoed(close=0), (HalfClose(),), is_over=True)
    yield Case(
        "the write side shut within a frame",
        half,
        echoed(close=0),
        (frame(TEXT, b"one")[:5], HalfClose()),
        is_over=True,
    )
    unfinished = (frame(TEXT, b"one", flags=0), HalfClose())
    yield Case("the write side shut within a fragmented message", half, echoed(close=0), unfinished, is_over=True)


def by_the_server() -> Iterator[Case]:
    rule, denied = "RFC 6455 7.1.2", "RFC 6455 4.2.2"

    def ending(name: str, path: str, expects: tuple[Seen, ...], rule: str = rule, *, go: tuple[Step, ...] = ()) -> Case:
        """The application ends it when it gets a message."""
        steps = go or (frame(TEXT, b"go"),)
        return Case(f"the application {name}", rule, expects, steps, asking(path=path), is_over=True)

    for code in (1000, 1001, 1008, 1011, 1012, 3000, 4999):
        yield ending(f"closes with {code}", f"/close/{code}", failed(code))
    yield ending("closes with a reason", "/close/3001/done", failed(3001))
    yield ending("says something and closes", "/last-word", failed(1000, (TEXT, b"last word")))
    yield ending("returns", "/return", failed(1000))
    yield ending("fails", "/raise", failed(1011), "RFC 6455 7.4.1")
    several = (frame(PING, b"x"), Await(1), frame(TEXT, b"go") * 5)
    yield ending("closes in the midst of messages", "/close/3001", failed(3001, pongs=(b"x",)), go=several)
    yield ending("refuses", "/deny", refused(403), denied)
    yield ending("refuses at length", "/deny-at-length", refused(401), denied)
    yield ending("fails before it has accepted", "/raise-first", refused(500), denied)
    yield ending("returns before it has accepted", "/return-first", refused(500), denied)
    big = b"0123456789abcdef" * (MESSAGE_MAX_BYTES // 16)
    yield Case(
        "the application says a MiB", "RFC 6455 5.2", echoed((BINARY, big)), (frame(TEXT, b"go"),), asking(path="/big")
    )


def sizes() -> Iterator[Case]:
    rule, limit = "RFC 6455 7.4.1", MESSAGE_MAX_BYTES
    for opcode, kind in ((TEXT, "text"), (BINARY, "binary")):
        too_long = b"*" * (limit + 1)
        yield Case(f"{kind} of a byte too many", rule, failed(1009), (frame(opcode, too_long),))
        sent = fragments(opcode, *pieces(too_long, limit // 4))
        yield Case(f"{kind} of a byte too many in fragments", rule, failed(1009), (sent,))
        full = b"*" * limit
        for size in (limit // 2, 65_536, 4_096, 1_300):
            name = f"{kind} of a MiB in fragments of {size} bytes"
            yield Case(name, "RFC 6455 5.4", echoed((opcode, full)), (fragments(opcode, *pieces(full, size)),))
    announced = frame(BINARY, b"*" * (limit + 1))[:14]
    yield Case("a byte too many, announced only", rule, failed(1009), (announced,))
    enormous = bytes([FIN | BINARY, 0xFF]) + (1 << 62).to_bytes(8, "big") + MASK
    yield Case("four exbibytes, announced only", rule, failed(1009), (enormous,))
    after = (frame(TEXT, b"small"), Await(1), frame(TEXT, b"*" * (limit + 1)))
    yield Case("a byte too many after a small message", rule, failed(1009, (TEXT, b"small")), after)
    inside = (
        fragments(BINARY, b"*" * limit, b"*")[: -len(frame(CONTINUATION, b"*"))] + frame(PING, b"x"),
        Await(1),
        frame(CONTINUATION, b"*"),
    )
    yield Case("a byte too many in the last fragment, a ping before it", rule, failed(1009, pongs=(b"x",)), inside)
    two = frame(BINARY, b"*" * limit)
    yield Case(
        "the limit is a message's, not a connection's",
        rule,
        echoed(*[(BINARY, b"*" * limit)] * 2),
        (two, Await(1), two),
    )
    empty = fragments(BINARY, *[b""] * 2_000, b"end")
    yield Case("2,000 empty fragments", "RFC 6455 5.4", echoed((BINARY, b"end")), (empty,))


DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
EXTENSIONS = ("sec-websocket-extensions",)
NOTHING = Seen(close=1000, agreed="no extension")


def agreed(parameters: str = "") -> Seen:
    return Seen(
        close=1000, agreed="; ".join(["permessage-deflate", *(sorted(parameters.split("; ")) if parameters else [])])
    )


# Ours is uvicorn's choice: windows of 12 bits. Any choice within the offer is allowed; each server has its own.
TWELVE = "server_max_window_bits=12"
BOTH_FORGET = "server_no_context_takeover; client_no_context_takeover"
OFFERS = {
    "": agreed(TWELVE),
    "client_max_window_bits": agreed(f"{TWELVE}; client_max_window_bits=12"),
    **{
        f"client_max_window_bits={bits}": agreed(f"{TWELVE}; client_max_window_bits={min(bits, 12)}")
        for bits in range(8, 16)
    },
    'client_max_window_bits="10"': agreed(f"{TWELVE}; client_max_window_bits=10"),
    "server_max_window_bits=8": NOTHING,  # zlib cannot compress with a window of 256 bytes
    **{f"server_max_window_bits={bits}": agreed(f"server_max_window_bits={min(bits, 12)}") for bits in range(9, 16)},
    "server_no_context_takeover": agreed(f"{TWELVE}; server_no_context_takeover"),
    "client_no_context_takeover": agreed(f"{TWELVE}; client_no_context_takeover"),
    f"{BOTH_FORGET}; server_max_window_bits=10; client_max_window_bits=9": agreed(
        f"{BOTH_FORGET}; server_max_window_bits=10; client_max_window_bits=9"
    ),
    "client_max_window_bits ; server_max_window_bits = 10": agreed(
        "client_max_window_bits=12; server_max_window_bits=10"
    ),
    # What is malformed is declined as if it had not been offered.
    "server_max_window_bits": NOTHING,
    "server_max_window_bits=7": NOTHING,
    "server_max_window_bits=16": NOTHING,
    "server_max_window_bits=010": NOTHING,
    "client_max_window_bits=7": NOTHING,
    "client_max_window_bits=16": NOTHING,
    "client_max_window_bits=x": NOTHING,
    "server_no_context_takeover=1": NOTHING,
    "client_no_context_takeover=true": NOTHING,
    "server_no_context_takeover; server_no_context_takeover": NOTHING,
    "client_max_window_bits=10; client_max_window_bits=11": NOTHING,
    "unknown_parameter": NOTHING,
    # Several offers: the first that can be met.
    "unknown_parameter, permessage-deflate": agreed(TWELVE),
    "server_max_window_bits=10, permessage-deflate": agreed("server_max_window_bits=10"),
}
OTHER_OFFERS = {
    "permessage-bzip2": NOTHING,
    "x-webkit-deflate-frame": NOTHING,
    "permessage-bzip2, permessage-deflate": agreed(TWELVE),
    "permessage-deflate, permessage-deflate; server_max_window_bits=10": agreed(TWELVE),
}


def negotiation() -> Iterator[Case]:
    offers = {f"permessage-deflate{parameters and f'; {parameters}'}": seen for parameters, seen in OFFERS.items()}
    for offer, expected in (offers | OTHER_OFFERS).items():
        request = asking(f"Sec-WebSocket-Extensions: {offer}")
        yield Case(f"offer: {offer}", "RFC 7692 7.1", (expected,), (), request, EXTENSIONS)
    two_headers = asking("Sec-WebSocket-Extensions: permessage-bzip2", DEFLATE)
    yield Case("offer: in two headers", "RFC 6455 9.1", (agreed(TWELVE),), (), two_headers, EXTENSIONS)
    yield Case("offer: none", "RFC 6455 9.1", (NOTHING,), (), asking(), EXTENSIONS)
    for value in (
        "permessage-deflate;",
        ";",
        "permessage-deflate; =10",
        "permessage deflate",
        "permessage-deflate; a=b c",
    ):
        request = asking(f"Sec-WebSocket-Extensions: {value}")
        yield Case(f"malformed offer: {value}", "RFC 6455 9.1", (*refused(400), NOTHING), (), request, EXTENSIONS)
    yield Case(
        "malformed offer: empty",
        "RFC 6455 9.1",
        (*refused(400), NOTHING),
        (),
        asking("Sec-WebSocket-Extensions:"),
        EXTENSIONS,
    )


WORDS = b"the quick brown fox jumps over the lazy dog; "


def noise(size: int) -> bytes:
    """Bytes that cannot be compressed; always the same."""
    value, parts = 1, list[bytes]()
    while len(parts) * 4 < size:
        value = (value * 1_103_515_245 + 12_345) & 0x7FFFFFFF
        parts.append((value >> 7).to_bytes(4, "little"))
    return b"".join(parts)[:size]


def deflate() -> Iterator[Case]:
    rule = "RFC 7692 7.2"
    plain, forgetful = asking(DEFLATE), asking(f"{DEFLATE}; client_no_context_takeover; server_no_context_takeover")
    narrow = asking(f"{DEFLATE}; client_max_window_bits=9; server_max_window_bits=9")

    def talk(
        name: str,
        messages: list[tuple[int, bytes]],
        request: bytes = plain,
        *,
        bits: int = 15,
        is_forgetful: bool = False,
        size: int = 0,
    ) -> Case:
        """Compressed messages of one window; size: of the fragments of each."""
        deflater = Deflater(bits, is_forgetful=is_forgetful)
        sent = b""
        for opcode, payload in messages:
            compressed = deflater.compress(payload)
            sent += fragments(opcode, *pieces(compressed, size or len(compressed) + 1), flags=RSV1)
        return Case(name, rule, echoed(*messages), (sent,), request)

    short = [(TEXT, WORDS), (BINARY, WORDS * 3), (TEXT, WORDS)]
    many = [(TEXT, b"%d: " % number + WORDS) for number in range(200)]
    yield talk("a text", [(TEXT, b"Hello")])
    yield talk("an empty text", [(TEXT, b"")])
    yield talk("bytes that cannot be compressed", [(BINARY, noise(3000))])
    yield talk("three messages of one window", short)
    yield talk("200 messages of one window", many)
    yield talk("200 messages, each with a window of its own", many, forgetful, is_forgetful=True)
    yield talk("200 messages with windows of 9 bits", many, narrow, bits=9)
    far = noise(16_000)
    yield talk("a message that refers 16,000 bytes back", [(BINARY, far), (BINARY, far)])
    yield talk("a message that refers 250 bytes back", [(BINARY, far[:200]), (BINARY, far[:200])], narrow, bits=9)
    yield talk("fragments of 1 byte", short[:2], size=1)
    yield talk("fragments of 7 bytes", many[:20], size=7)
    yield talk("a MiB of words", [(TEXT, (WORDS * 25_000)[:MESSAGE_MAX_BYTES])])
    yield talk("a MiB of words in fragments", [(TEXT, (WORDS * 25_000)[:MESSAGE_MAX_BYTES])], size=500)
    for size in (16, 125, 126, 65_535, 65_536):
        yield talk(f"binary of {size} bytes", [(BINARY, noise(size))])
    hello = Deflater().compress(b"Hello")
    mixed = (
        frame(TEXT, hello, flags=FIN | RSV1)
        + frame(TEXT, b"plain")
        + frame(TEXT, Deflater().compress(b"again"), flags=FIN | RSV1)
    )
    yield Case(
        "a message that is not compressed between two that are",
        "RFC 7692 6",
        echoed((TEXT, b"Hello"), (TEXT, b"plain"), (TEXT, b"again")),
        (mixed,),
        plain,
    )
    yield Case("an empty message without RSV1", "RFC 7692 6", echoed((TEXT, b"")), (frame(TEXT),), plain)
    yield Case(
        "an empty message in one byte",
        "RFC 7692 7.2.3.6",
        echoed((TEXT, b"")),
        (frame(TEXT, b"\0", flags=FIN | RSV1),),
        plain,
    )
    stored = b"\x00\x05\x00\xfa\xff" + b"Hello" + b"\x00"
    yield Case(
        "a block that is stored",
        "RFC 7692 7.2.3.3",
        echoed((TEXT, b"Hello")),
        (frame(TEXT, stored, flags=FIN | RSV1),),
        plain,
    )
    final = zlib.compressobj(wbits=-15)
    with_end = final.compress(b"Hello") + final.flush() + b"\0"
    yield Case(
        "a block with BFINAL set",
        "RFC 7692 7.2.3.4",
        echoed((TEXT, b"Hello")),
        (frame(TEXT, with_end, flags=FIN | RSV1),),
        plain,
    )
    two_blocks = bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", ""))
    yield Case(
        "two blocks in one message",
        "RFC 7692 7.2.3.5",
        echoed((TEXT, b"Hello")),
        (frame(TEXT, two_blocks, flags=FIN | RSV1),),
        plain,
    )
    sent = frame(TEXT, hello[:3], flags=RSV1) + frame(PING, b"x") + frame(CONTINUATION, hello[3:])
    yield Case(
        "a ping between two compressed fragments",
        "RFC 7692 6.1",
        echoed((TEXT, b"Hello"), pongs=(b"x",)),
        (sent,),
        plain,
    )
    sent = frame(TEXT, hello[:3], flags=RSV1) + frame(CONTINUATION, hello[3:], flags=FIN | RSV1)
    yield Case("RSV1 on a continuation", "RFC 7692 6.1", failed(1002), (sent,), plain)
    sent = frame(TEXT, b"one", flags=0) + frame(CONTINUATION, hello, flags=FIN | RSV1)
    yield Case(
        "RSV1 on the continuation of a message that is not compressed", "RFC 7692 6.1", failed(1002), (sent,), plain
    )
    for opcode, kind, payload in ((PING, "ping", hello), (PONG, "pong", hello), (CLOSE, "close", b"\x03\xe8")):
        yield Case(
            f"RSV1 on a {kind}", "RFC 7692 6.1", failed(1002), (frame(opcode, payload, flags=FIN | RSV1),), plain
        )
    yield Case(
        "RSV2 on a compressed message",
        "RFC 6455 5.2",
        failed(1002),
        (frame(TEXT, hello, flags=FIN | RSV1 | RSV2),),
        plain,
    )
    broken = frame(TEXT, b"\xff\xff\xff\xff", flags=FIN | RSV1)
    yield Case("what cannot be inflated", "RFC 7692 7.2.2", (*failed(1002), *failed(1007)), (broken,), plain)
    not_utf_8 = frame(TEXT, Deflater().compress(b"\xff\xfe"), flags=FIN | RSV1)
    yield Case("a compressed text that is no UTF-8", UTF_8, failed(1007), (not_utf_8,), plain)
    for size, name in ((MESSAGE_MAX_BYTES + 1, "a byte too many"), (64 * MESSAGE_MAX_BYTES, "64 MiB")):
        bomb = Deflater().compress(bytes(size))
        yield Case(
            f"{name} when inflated", "RFC 6455 7.4.1", failed(1009), (frame(BINARY, bomb, flags=FIN | RSV1),), plain
        )
        parts = fragments(BINARY, *pieces(bomb, 1000), flags=RSV1)
        yield Case(f"{name} when inflated, in fragments", "RFC 6455 7.4.1", failed(1009), (parts,), plain)
    yield Case(
        "RSV1 although nothing was offered", "RFC 6455 5.2", failed(1002), (frame(TEXT, hello, flags=FIN | RSV1),)
    )
    forgotten = Deflater()
    twice = [frame(TEXT, forgotten.compress(WORDS), flags=FIN | RSV1) for _ in range(2)]
    yield Case(
        "a reference to the old window although client_no_context_takeover was agreed upon",
        "RFC 7692 7.1.1.2",
        (*failed(1002, (TEXT, WORDS)), *failed(1007, (TEXT, WORDS))),
        (twice[0], Await(1), twice[1]),
        forgetful,
    )


VERSION = ("sec-websocket-version",)
PROTOCOL = ("sec-websocket-protocol",)


def handshake() -> Iterator[Case]:
    rule, fields = "RFC 6455 4.2.1", "RFC 6455 4.1"
    fine = echoed()

    def meet(
        name: str, request: bytes, expects: tuple[Seen, ...], rule: str = rule, reads: tuple[str, ...] = ()
    ) -> Case:
        return Case(name, rule, expects, (), request, reads)

    yield meet("as in the RFC", asking(), fine)
    yield meet(
        "names in capitals",
        asking("CONNECTION: UPGRADE", "UPGRADE: WEBSOCKET", without="Connection").replace(
            b"Upgrade: websocket\r\n", b""
        ),
        fine,
    )
    yield meet("Connection: keep-alive, Upgrade", asking("Connection: keep-alive, Upgrade", without="Connection"), fine)
    yield meet("Connection in two headers", asking("Connection: keep-alive"), fine)
    yield meet("Upgrade: WebSocket", asking("Upgrade: WebSocket", without="Upgrade"), fine)
    yield meet("values without a space before them", asking().replace(b": ", b":"), fine)
    yield meet("an Origin", asking("Origin: http://elsewhere.example"), fine)
    yield meet("a query", asking(path="/?a=b&c=d"), fine)
    yield meet("a target with a host in it", asking(path="http://test/"), fine)
    yield meet(
        "headers of 16 KiB", asking(*[f"X-{number}: {'v' * 1000}" for number in range(16)]), fine, "RFC 9110 5.4"
    )
    yield meet("one header of 8 KiB", asking(f"Cookie: {'c' * 8000}"), fine, "RFC 9110 5.4")
    yield meet("an unknown header", asking("Sec-WebSocket-Future: 1"), fine)
    yield meet("without a key", asking(without="Sec-WebSocket-Key"), refused(400))
    yield meet("two keys", asking(f"Sec-WebSocket-Key: {KEY}"), refused(400), "RFC 6455 11.3.1")
    for name, key in (
        ("short", "c2hvcnQ="),
        ("long", "bG9uZ2VyIHRoYW4gMTYgYnl0ZXM="),
        ("no base64", "!" * 24),
        ("empty", ""),
    ):
        yield meet(
            f"a key that is {name}", asking(f"Sec-WebSocket-Key: {key}", without="Sec-WebSocket-Key"), refused(400)
        )
    older = (Seen(400, "13"), Seen(426, "13"))
    for version in ("8", "0", "14", "013", "13, 8", "thirteen"):
        request = asking(f"Sec-WebSocket-Version: {version}", without="Sec-WebSocket-Version")
        yield meet(f"version {version}", request, older, "RFC 6455 4.4", VERSION)
    yield meet("without a version", asking(without="Sec-WebSocket-Version"), (*older, Seen(400, "none")), rule, VERSION)
    yield meet(
        "two versions", asking("Sec-WebSocket-Version: 13"), (*older, Seen(400, "none")), "RFC 6455 11.3.5", VERSION
    )
    not_upgraded = refused(200, 400, 426)
    yield meet("without Connection", asking(without="Connection"), not_upgraded)
    yield meet("Connection: close", asking("Connection: close", without="Connection"), not_upgraded)
    yield meet("without Upgrade", asking(without="Upgrade"), not_upgraded)
    yield meet("Upgrade: h2c", asking("Upgrade: h2c", without="Upgrade"), not_upgraded)
    yield meet(
        "Upgrade: h2c, websocket",
        asking("Upgrade: h2c, websocket", without="Upgrade"),
        (*not_upgraded, *fine),
        "RFC 9110 7.8",
    )
    for method in ("POST", "HEAD", "PUT", "get"):
        yield meet(f"method {method}", asking(line=f"{method} {{path}} HTTP/1.1"), refused(400, 405, 426, 200, 501))
    yield meet("HTTP/1.0", asking(line="GET {path} HTTP/1.0"), refused(200, 400, 426, 505))
    yield meet("without Host", asking(without="Host"), refused(400), "RFC 9112 3.2")
    yield meet("two Hosts", asking("Host: other"), refused(400), "RFC 9112 3.2")
    body = asking("Content-Length: 5", body=b"extra")
    yield meet("a body", body, (*refused(400), *fine), "RFC 6455 4.1")
    yield meet(
        "a chunked body",
        asking("Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        (*refused(400), *fine),
        "RFC 6455 4.1",
    )
    yield meet("Content-Length: 0", asking("Content-Length: 0"), (*fine, *refused(400)), "RFC 6455 4.1")
    bad = asking("X-Bad: a\0b")
    yield meet("a zero in a header", bad, refused(400), "RFC 9110 5.5")
    for name, headers, chosen in (
        ("one", ("Sec-WebSocket-Protocol: chat",), "chat"),
        ("several", ("Sec-WebSocket-Protocol: chat, superchat",), "chat"),
        ("in two headers", ("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: superchat"), "chat"),
        ("without a space", ("Sec-WebSocket-Protocol: chat,superchat",), "chat"),
    ):
        yield meet(
            f"subprotocols: {name}", asking(*headers), (Seen(close=1000, agreed=chosen),), "RFC 6455 4.2.2", PROTOCOL
        )
    yield meet("subprotocols: none", asking(), (Seen(close=1000, agreed="none"),), "RFC 6455 4.2.2", PROTOCOL)
    yield Case(
        "the application's own headers",
        "RFC 6455 4.2.2",
        (Seen(close=1000, agreed="mine"),),
        (),
        asking(path="/headers"),
        ("x-mine",),
    )
    yield meet("a path with escapes", asking(path="/%C3%BC/%20?%20"), fine, fields)
    early = asking(body=frame(TEXT, b"early"))
    yield Case("a message right behind it", fields, echoed((TEXT, b"early")), (), early)
    ping = asking(body=frame(PING, b"early"))
    yield Case("a ping right behind it", fields, echoed(pongs=(b"early",)), (), ping)
    closed = asking(body=close_frame(1000))
    yield Case("a close frame right behind it", fields, echoed(), (), closed, is_over=True)
    cut = frame(TEXT, b"early")
    yield Case("half a message right behind it", fields, echoed((TEXT, b"early")), (cut[5:],), asking(body=cut[:5]))
    wrong = asking(body=b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    yield Case("a second request right behind it", fields, failed(1002), (), wrong)


SECTIONS = {
    "framing": framing,
    "pings": pings,
    "reserved bits": reserved_bits,
    "opcodes": opcodes,
    "fragments": fragmentation,
    "UTF-8": utf_8,
    "closing": closing,
    "the server's end": by_the_server,
    "sizes": sizes,
    "negotiation": negotiation,
    "deflate": deflate,
    "handshake": handshake,
}


def all_cases() -> list[Case]:
    """Every case; its name begins with its section's."""
    return [
        replace(case, name=f"{section}: {case.name}", request=case.request or asking())
        for section, make in SECTIONS.items()
        for case in make()
    ]
