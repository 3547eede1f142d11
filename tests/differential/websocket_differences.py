"""Where a peer does something else over a WebSocket than we do, and why; and where we do not do what the RFC says.

A difference that is not listed fails the tests, and so does one that is listed and gone. ``docs/websocket-differences.md``
is made from these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

SANSIO, WEBSOCKETS, UVICORN_WSPROTO = "uvicorn (websockets-sansio)", "uvicorn (websockets)", "uvicorn (wsproto)"
HYPERCORN, GRANIAN = "hypercorn", "granian"
UVICORN = (SANSIO, WEBSOCKETS, UVICORN_WSPROTO)
WSPROTO = (UVICORN_WSPROTO, HYPERCORN)


@dataclass(frozen=True, slots=True)
class Difference:
    """In all of these cases these peers do not do what we do."""

    peers: tuple[str, ...]
    cases: tuple[str, ...]
    """Names of cases; a star stands for anything."""
    seen: str
    """What is seen of the peer; a star stands for anything."""
    reason: str
    but: tuple[str, ...] = ()
    """Cases that the stars mean and that are the same, or stand elsewhere."""

    def is_about(self, peer: str, case: str) -> bool:
        return peer in self.peers and _is_one_of(case, self.cases) and not _is_one_of(case, self.but)

    def has_seen(self, what: str) -> bool:
        return fnmatchcase(what, self.seen)


@dataclass(frozen=True, slots=True)
class Deviation:
    """In these cases we do not do what the case expects."""

    cases: str
    """Their name; a star stands for anything."""
    seen: str
    reason: str

    def is_about(self, case: str) -> bool:
        return fnmatchcase(case, self.cases)


def _is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


VIOLATIONS = (
    "framing: an unmasked *",
    "framing: a length with its highest bit set",
    "pings: p*ng with 126 bytes",
    "reserved bits: *",
    "opcodes: *",
    "fragments: a p*ng in fragments",
    "fragments: a close in fragments",
    "fragments: a continuation of *",
    "fragments: * within a fragmented message",
    "UTF-8: invalid*",
    "UTF-8: cut off *",
    "closing: with half a code",
    "closing: with a reason of 124 bytes",
    "closing: with a reason that is no UTF-8",
    "deflate: RSV*",
    "deflate: what cannot be inflated",
    "deflate: a compressed text that is no UTF-8",
)
CLOSE_INSIDE = "fragments: a close frame within a fragmented message"
PING_AT_THE_LIMIT = "sizes: a byte too many in the last fragment, a ping before it"
OLD_WINDOW = "deflate: a reference to the old window although client_no_context_takeover was agreed upon"

DIFFERENCES = (
    # ------------------------------------------------------------------------------------------ what fails a connection
    Difference(
        WSPROTO,
        (*VIOLATIONS, "closing: code *, which no endpoint may send", OLD_WINDOW),
        "101, *no close frame*",
        "wsproto reports the violation, and the server closes TCP without a close frame: the client cannot tell what it "
        "did wrong. RFC 6455 7.1.7 asks for a close frame with a code.",
        but=(CLOSE_INSIDE,),
    ),
    Difference(
        (GRANIAN,),
        VIOLATIONS,
        "101, *close 1005",
        "Its close frame has no code, whatever was wrong; RFC 6455 7.4.1 has 1002 and 1007 for it.",
        but=(CLOSE_INSIDE,),
    ),
    Difference(
        WSPROTO,
        ("framing: a length in * bytes that needs one*",),
        "101, no close frame*",
        "wsproto refuses a length that is not written as short as possible. RFC 6455 5.2 binds the sender; what the "
        "receiver does is left open.",
    ),
    Difference(
        WSPROTO,
        ("closing: code 1014",),
        "101, no close frame*",
        "wsproto does not know 1014 (bad gateway), which was registered after the RFC.",
    ),
    Difference(
        (GRANIAN,),
        ("closing: code 1014",),
        "101, close 1002",
        "It does not know 1014 (bad gateway), which was registered after the RFC.",
    ),
    Difference(
        (SANSIO,),
        ("UTF-8: invalid, with a close frame right behind it",),
        "101, no close frame*",
        "The close frame behind the text has been answered in the protocol's mind when the text is looked at, and the "
        "answer is never sent.",
    ),
    Difference(
        (WEBSOCKETS,),
        ("UTF-8: invalid in the first of two fragments",),
        "101, close 1007",
        "It fails at once, before the message has ended; RFC 6455 8.1 leaves the moment open.",
    ),
    Difference(
        (SANSIO,),
        (CLOSE_INSIDE,),
        "101, close 1002",
        "Its library takes a close frame between two fragments for a breach.",
    ),
    # ----------------------------------------------------------------------------------------------- the server's end
    Difference(
        UVICORN,
        ("the server's end: the application fails",),
        "101, no close frame*",
        "It closes TCP only; RFC 6455 7.4.1 has 1011 for a server that cannot go on.",
    ),
    Difference(
        UVICORN,
        ("the server's end: the application returns",),
        "101, no close frame*",
        "It closes TCP only. We take a return for a wish to close, with 1000.",
    ),
    Difference(
        (HYPERCORN,),
        ("the server's end: the application returns",),
        "101, close 1011",
        "It takes a return for a failure; we take it for a wish to close, with 1000.",
    ),
    Difference(
        (GRANIAN,),
        ("the server's end: the application returns", "the server's end: the application fails"),
        "101, close 1005",
        "Both end with a close frame without a code.",
    ),
    Difference(
        (GRANIAN,),
        ("the server's end: the application * before it has accepted",),
        "403",
        "It says that access is denied; we say that the server failed (500), as uvicorn does.",
    ),
    # -------------------------------------------------------------------------------------------------------- sizes
    Difference(
        (GRANIAN,),
        ("sizes: * of a byte too many*", "sizes: a byte too many *"),
        "101, *close 1000",
        "The size of a message cannot be set: its library's 64 MiB count.",
        but=("sizes: a byte too many, announced only",),
    ),
    Difference(
        (*WSPROTO, GRANIAN),
        ("sizes: a byte too many, announced only",),
        "101, no close frame, open",
        "The size is looked at when the payload is there, so a client may make it keep as much as was announced.",
    ),
    Difference(
        WSPROTO,
        ("sizes: four exbibytes, announced only",),
        "101, no close frame, open",
        "The size is looked at when the payload is there.",
    ),
    Difference((GRANIAN,), ("sizes: four exbibytes, announced only",), "101, close 1005", "Refused without a code."),
    Difference(
        (SANSIO, WEBSOCKETS),
        (PING_AT_THE_LIMIT,),
        "101, close 1009",
        "In its library a ping between two fragments counts towards the size of the message.",
    ),
    # -------------------------------------------------------------------------------------------------- compression
    Difference(
        (GRANIAN,),
        ("deflate: *", "negotiation: offer: *"),
        "*",
        "It has no permessage-deflate: it declines every offer, and a compressed message is a reserved bit to it.",
        but=(
            *VIOLATIONS,
            "negotiation: offer: none",
            "negotiation: offer: permessage-bzip2",
            "negotiation: offer: x-webkit-deflate-frame",
            "negotiation: offer: permessage-deflate; server_max_window_bits",
            "negotiation: offer: permessage-deflate; server_max_window_bits=7",
            "negotiation: offer: permessage-deflate; server_max_window_bits=8",
            "negotiation: offer: permessage-deflate; server_max_window_bits=16",
            "negotiation: offer: permessage-deflate; server_max_window_bits=010",
            "negotiation: offer: permessage-deflate; client_max_window_bits=7",
            "negotiation: offer: permessage-deflate; client_max_window_bits=16",
            "negotiation: offer: permessage-deflate; client_max_window_bits=x",
            "negotiation: offer: permessage-deflate; server_no_context_takeover=1",
            "negotiation: offer: permessage-deflate; client_no_context_takeover=true",
            "negotiation: offer: permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "negotiation: offer: permessage-deflate; client_max_window_bits=10; client_max_window_bits=11",
            "negotiation: offer: permessage-deflate; unknown_parameter",
            "deflate: an empty message without RSV1",
        ),
    ),
    Difference(
        (WEBSOCKETS, *WSPROTO),
        (
            "negotiation: offer: permessage-deflate",
            "negotiation: offer: permessage-deflate; client_max_window_bits",
            "negotiation: offer: permessage-deflate; client_max_window_bits=9",
            "negotiation: offer: permessage-deflate; client_max_window_bits=1?",
            "negotiation: offer: permessage-deflate; server_max_window_bits=1[345]",
            "negotiation: offer: permessage-deflate; server_no_context_takeover",
            "negotiation: offer: permessage-deflate; client_no_context_takeover",
            "negotiation: offer: permessage-deflate; client_max_window_bits ; server_max_window_bits = 10",
            "negotiation: offer: permessage-bzip2, permessage-deflate",
            "negotiation: offer: permessage-deflate; unknown_parameter, permessage-deflate",
            "negotiation: offer: permessage-deflate, permessage-deflate; server_max_window_bits=10",
            "negotiation: offer: in two headers",
        ),
        "101 (permessage-deflate*), close 1000",
        "It takes windows as large as the client lets it, up to 15 bits. We take 12 at most, as uvicorn's default does: "
        "most of the gain for a tenth of the memory.",
        but=("negotiation: offer: permessage-deflate; client_max_window_bits=16",),
    ),
    Difference(
        (WEBSOCKETS,),
        (
            "negotiation: offer: permessage-deflate; client_max_window_bits=8",
            'negotiation: offer: permessage-deflate; client_max_window_bits="10"',
        ),
        "101 (permessage-deflate*), close 1000",
        "Another choice of windows, as above.",
    ),
    Difference(
        WSPROTO,
        ("negotiation: offer: permessage-deflate; client_max_window_bits=8",),
        "101 (no extension), close 1000",
        "wsproto has no window of 256 bytes, not even to inflate with, and declines.",
    ),
    Difference(
        WSPROTO,
        (
            'negotiation: offer: permessage-deflate; client_max_window_bits="10"',
            "negotiation: offer: permessage-deflate; client_max_window_bits=x",
        ),
        "no answer",
        "wsproto raises an exception that the server does not expect: the client gets no answer.",
    ),
    Difference(
        WSPROTO,
        (
            "negotiation: offer: permessage-deflate; server_max_window_bits",
            "negotiation: offer: permessage-deflate; server_max_window_bits=010",
            "negotiation: offer: permessage-deflate; server_no_context_takeover=1",
            "negotiation: offer: permessage-deflate; client_no_context_takeover=true",
            "negotiation: offer: permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "negotiation: offer: permessage-deflate; client_max_window_bits=10; client_max_window_bits=11",
            "negotiation: offer: permessage-deflate; unknown_parameter",
        ),
        "101 (permessage-deflate*), close 1000",
        "wsproto takes up an offer that RFC 7692 7.1 tells it to decline.",
    ),
    Difference(
        WSPROTO,
        ("negotiation: offer: permessage-deflate; server_max_window_bits=10, permessage-deflate",),
        "101 (permessage-deflate), close 1000",
        "wsproto answers the last offer that it can meet, not the first.",
    ),
    Difference(
        (*WSPROTO, GRANIAN),
        ("negotiation: malformed offer: *",),
        "101 (*), close 1000",
        "It overlooks what is no list of extensions; we refuse the handshake, as RFC 6455 9.1 allows.",
    ),
    Difference(
        WSPROTO,
        ("deflate: a ping between two compressed fragments",),
        "101, pong 78, no close frame*",
        "wsproto loses its place in the compressed message at the ping. A control frame may stand between any two "
        "fragments (RFC 7692 6.1).",
    ),
    Difference(
        (HYPERCORN,),
        ("deflate: 64 MiB when inflated, in fragments",),
        "101, close 1009, open",
        "It says 1009 and keeps the connection open.",
    ),
    # --------------------------------------------------------------------------------------------------- handshake
    Difference(
        (*UVICORN, HYPERCORN),
        ("handshake: Connection in two headers",),
        "200",
        "It looks at one of the two headers, and takes the handshake for an ordinary request.",
    ),
    Difference(
        (*WSPROTO, GRANIAN),
        ("handshake: two keys", "handshake: a key that is *"),
        "101, *",
        "It does not look at the key: RFC 6455 4.2.1 wants one, of 16 bytes in base64.",
    ),
    Difference(
        (SANSIO, WEBSOCKETS, HYPERCORN, GRANIAN),
        ("handshake: version *", "handshake: without a version"),
        "400 (none)",
        "It does not say which version it speaks, which RFC 6455 4.4 asks for.",
    ),
    Difference(
        (SANSIO, WEBSOCKETS),
        ("handshake: two versions",),
        "400 (none)",
        "It does not say which version it speaks.",
    ),
    Difference(
        (UVICORN_WSPROTO,),
        ("handshake: version *",),
        "426 (13)",
        "It asks for an upgrade, as RFC 6455 4.4 suggests; we say 400, as for every handshake that we cannot meet.",
    ),
    Difference(
        (*WSPROTO, GRANIAN),
        ("handshake: two versions",),
        "101 (none), close 1000",
        "It looks at one of the two headers; RFC 6455 11.3.5 allows one only.",
    ),
    Difference(
        (HYPERCORN,),
        ("handshake: Upgrade: h2c",),
        "101, *broken: upgrade*",
        "It switches to cleartext HTTP/2, which we do not speak; RFC 9113 has withdrawn that way.",
    ),
    Difference(
        (*UVICORN, HYPERCORN),
        ("handshake: Upgrade: h2c, websocket",),
        "200",
        "It takes the whole value for the name of a protocol that it does not know, and answers an ordinary request.",
    ),
    Difference(
        (GRANIAN,),
        ("handshake: Upgrade: h2c, websocket",),
        "101, close 1000",
        "It takes the second protocol of the list, which RFC 9110 7.8 allows.",
    ),
    Difference(
        (SANSIO,),
        ("handshake: method POST", "handshake: method HEAD", "handshake: method PUT"),
        "405",
        "A handshake is a GET: it refuses. We take it for an ordinary request, which Upgrade does not oblige to anything.",
    ),
    Difference(
        (WEBSOCKETS, UVICORN_WSPROTO),
        ("handshake: method POST", "handshake: method HEAD", "handshake: method PUT"),
        "400",
        "A handshake is a GET: it refuses. We take it for an ordinary request, which Upgrade does not oblige to anything.",
    ),
    Difference(
        (GRANIAN,),
        ("handshake: method *",),
        "101, close 1000",
        "It opens a WebSocket whatever the method; RFC 6455 4.2.1 wants a GET.",
    ),
    Difference(
        UVICORN,
        ("handshake: method get",),
        "400",
        "It takes the request for malformed; we say that we do not know the method (501), as RFC 9110 9.1 has it.",
    ),
    Difference(
        (HYPERCORN,),
        ("handshake: method get",),
        "101, close 1000",
        "h11 takes a method in small letters for the same method; RFC 9110 9.1 does not.",
    ),
    Difference(
        UVICORN,
        ("handshake: HTTP/1.0",),
        "101, close 1000",
        "It opens a WebSocket; RFC 6455 4.2.1 wants HTTP/1.1 or higher. We answer it as an ordinary request.",
    ),
    Difference((HYPERCORN,), ("handshake: HTTP/1.0",), "400", "It refuses; we answer it as an ordinary request."),
    Difference(
        (GRANIAN,),
        ("handshake: HTTP/1.0",),
        "101, no close frame*",
        "It switches and closes.",
    ),
    Difference(
        (SANSIO, WEBSOCKETS, GRANIAN),
        ("handshake: without Host", "handshake: two Hosts"),
        "101, close 1000",
        "It does not look at Host; RFC 9112 3.2 wants one, and a 400 otherwise.",
    ),
    Difference(
        (SANSIO,),
        ("handshake: a body", "handshake: a chunked body"),
        "no answer",
        "It closes without an answer; we say 400.",
    ),
    Difference(
        (WEBSOCKETS, UVICORN_WSPROTO, GRANIAN),
        ("handshake: a body", "handshake: a chunked body"),
        "101, close 1000",
        "It opens the WebSocket and loses the body. A handshake has none: to guess where frames begin is how requests are "
        "smuggled.",
    ),
    Difference(
        (HYPERCORN,),
        ("handshake: subprotocols: in two headers",),
        "101 (superchat), close 1000",
        "It knows the last of the headers only.",
    ),
    Difference(
        (GRANIAN,),
        ("handshake: the application's own headers",),
        "101 (none), close 1000",
        "It drops headers that the application gives to the acceptance.",
    ),
    Difference(
        UVICORN,
        ("handshake: a message right behind it", "handshake: a ping right behind it"),
        "101, close 1000",
        "It loses what arrives in the same segment as the handshake. A client must wait for the answer, but one that does "
        "not loses nothing with us.",
    ),
    Difference(
        UVICORN,
        ("handshake: a close frame right behind it",),
        "101, no close frame, open",
        "It loses the close frame, as above.",
    ),
    Difference(
        (SANSIO, WEBSOCKETS),
        ("handshake: half a message right behind it",),
        "101, close 1002",
        "It loses the first half.",
    ),
    Difference(
        (UVICORN_WSPROTO,),
        ("handshake: half a message right behind it",),
        "101, no close frame*",
        "It loses the first half.",
    ),
    Difference(
        UVICORN,
        ("handshake: a second request right behind it",),
        "101, close 1000",
        "It loses what arrives in the same segment as the handshake; we take it for a frame, and it is none.",
    ),
    Difference(
        (HYPERCORN,),
        ("handshake: * right behind it",),
        "400",
        "A client must wait for the answer to its handshake: it refuses one that does not.",
    ),
    Difference(
        (GRANIAN,),
        ("handshake: a second request right behind it",),
        "101, close 1005",
        "Its close frame has no code.",
    ),
)

DEVIATIONS = (
    Deviation(
        PING_AT_THE_LIMIT,
        "101, close 1009",
        "A ping between two fragments counts towards the size of the message: the connection ends a fragment too early.",
    ),
)
