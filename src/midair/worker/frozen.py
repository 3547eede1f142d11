"""A connection as a value: what the next worker needs to go on with it, besides its socket.

It travels beside the descriptor and is read by another release of midair, maybe: fields are only ever added, with a default,
and a change that an older reader would get wrong counts FORMAT up. A receiver says first which formats it reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from midair.worker.deflate import DeflateState

FORMAT = 1
"""What we write."""
FORMATS = (1,)
"""What we read."""


class CarriedBytes(msgspec.Struct, frozen=True, kw_only=True):
    """What the application carries for one connection (``midair.carry_on``), as it was when the connection was frozen."""

    data: bytes
    version: int = 1
    traceparent: str = ""
    """The span that the call was where it came from."""


class Told(msgspec.Struct, frozen=True):
    """Both ends of a connection as a proxy told them by the PROXY protocol; no client: it did not tell."""

    client: tuple[str, int | None] | None = None
    server: tuple[str, int | None] | None = None


class HttpConnection(msgspec.Struct, frozen=True, kw_only=True, tag="http"):
    """An HTTP/1.1 connection between two messages: nothing is owed to the client."""

    unread: bytes = b""
    """What was read and not used: the start of a head, or whole requests of a pipeline."""
    left_s: float
    """Until its time-out, keep-alive's or a begun head's."""
    is_head_begun: bool = False
    """The time-out is that of a head which has begun to arrive."""
    told: Told | None = None
    """What the PROXY protocol said of it."""


class RequestHead(msgspec.Struct, frozen=True, kw_only=True):
    """The request that a call of the application answers, so that it can be entered anew."""

    method: str = "GET"
    target: bytes
    http_version: str = "1.1"
    headers: tuple[tuple[bytes, bytes], ...]


class WebSocketConnection(msgspec.Struct, frozen=True, kw_only=True, tag="websocket"):
    """An open WebSocket between two messages, whose application waits for the next one and carries its state."""

    request: RequestHead
    carried: CarriedBytes
    subprotocol: str = ""
    deflate: DeflateState | None = None
    """As agreed with the client, whatever the next version would agree to."""
    unread: bytes = b""
    """The start of a frame."""
    left_s: float = 0.0
    """Until the next ping, or until the last one counts as unanswered. 0: never."""
    ping: bytes = b""
    """The payload of a ping that was not answered yet."""
    told: Told | None = None
    """What the PROXY protocol said of it."""


class HttpStream(msgspec.Struct, frozen=True, kw_only=True, tag="stream"):
    """A chunked response between two chunks, whose application carries its state. The request is complete."""

    request: RequestHead
    carried: CarriedBytes
    status: int
    keep_alive: bool
    """The connection goes on after this response."""
    unread: bytes = b""
    """What the client has sent behind the request."""
    told: Told | None = None
    """What the PROXY protocol said of it."""


Frozen = HttpConnection | WebSocketConnection | HttpStream
Called = WebSocketConnection | HttpStream
"""In the midst of a call of the application, which is entered anew by the next worker."""


_NAMES_BYTES = 320  # the fields' own names, and what they hold at the least


def weight(state: Frozen) -> int:
    """About how many bytes it is on its way."""
    size = 64 + len(state.unread)
    if isinstance(state, HttpConnection):
        return size
    size += _NAMES_BYTES + len(state.carried.data) + len(state.request.target)
    size += sum(len(name) + len(value) + 8 for name, value in state.request.headers)
    return size + (len(state.deflate.window) if isinstance(state, WebSocketConnection) and state.deflate else 0)


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """The receiver's first word."""

    formats: tuple[int, ...]


class Batch(msgspec.Struct, frozen=True, kw_only=True, tag="batch"):
    """Connections and, beside this word, their sockets in the same order."""

    format: int
    connections: tuple[Frozen, ...] = ()
    is_in_memfd: bool = False
    """Too large for one message: the connections stand, encoded, in a memfd, whose descriptor comes last."""


class Taken(msgspec.Struct, frozen=True, kw_only=True, tag="taken"):
    """The batch belongs to the receiver from here on, but for those connections (by place) that its application declined."""

    declined: dict[int, str] = {}
    """Place in the batch and why. They still belong to the sender."""


class NotTaken(msgspec.Struct, frozen=True, kw_only=True, tag="not-taken"):
    """Nothing of the batch does: it still belongs to the sender."""

    why: str


ToSender = Welcome | Taken | NotTaken

_encoder = msgspec.msgpack.Encoder()
_to_sender: msgspec.msgpack.Decoder[ToSender] = msgspec.msgpack.Decoder(ToSender)
_to_receiver: msgspec.msgpack.Decoder[Batch] = msgspec.msgpack.Decoder(Batch)
_connections: msgspec.msgpack.Decoder[tuple[Frozen, ...]] = msgspec.msgpack.Decoder(tuple[Frozen, ...])


def encode(word: ToSender | Batch) -> bytes:
    return _encoder.encode(word)


def decode_to_sender(data: bytes) -> ToSender:
    """Raises msgspec.MsgspecError."""
    return _to_sender.decode(data)


def decode_to_receiver(data: bytes) -> Batch:
    """Raises msgspec.MsgspecError."""
    return _to_receiver.decode(data)


def encode_connections(connections: Sequence[Frozen]) -> bytes:
    return _encoder.encode(tuple(connections))


def decode_connections(data: bytes) -> tuple[Frozen, ...]:
    """Raises msgspec.MsgspecError."""
    return _connections.decode(data)
