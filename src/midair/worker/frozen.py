"""A connection as a value: what the next worker needs to go on with it, besides its socket.

It travels beside the descriptor and is read by another release of midair, maybe: fields are only ever added, with a default,
and a change that an older reader would get wrong counts FORMAT up. A receiver says first which formats it reads.
"""

from __future__ import annotations

import msgspec

FORMAT = 1
"""What we write."""
FORMATS = (1,)
"""What we read."""


class HttpConnection(msgspec.Struct, frozen=True, kw_only=True, tag="http"):
    """An HTTP/1.1 connection between two messages: nothing is owed to the client."""

    unread: bytes = b""
    """What was read and not used: the start of a head, or whole requests of a pipeline."""
    left_s: float
    """Until its time-out, keep-alive's or a begun head's."""
    is_head_begun: bool = False
    """The time-out is that of a head which has begun to arrive."""


Frozen = HttpConnection


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """The receiver's first word."""

    formats: tuple[int, ...]


class Batch(msgspec.Struct, frozen=True, kw_only=True, tag="batch"):
    """Connections and, beside this word, their sockets in the same order."""

    format: int
    connections: tuple[Frozen, ...]


class Taken(msgspec.Struct, frozen=True, kw_only=True, tag="taken"):
    """The whole batch belongs to the receiver from here on."""


class NotTaken(msgspec.Struct, frozen=True, kw_only=True, tag="not-taken"):
    """Nothing of the batch does: it still belongs to the sender."""

    why: str


ToSender = Welcome | Taken | NotTaken

_encoder = msgspec.msgpack.Encoder()
_to_sender: msgspec.msgpack.Decoder[ToSender] = msgspec.msgpack.Decoder(ToSender)
_to_receiver: msgspec.msgpack.Decoder[Batch] = msgspec.msgpack.Decoder(Batch)


def encode(word: ToSender | Batch) -> bytes:
    return _encoder.encode(word)


def decode_to_sender(data: bytes) -> ToSender:
    """Raises msgspec.MsgspecError."""
    return _to_sender.decode(data)


def decode_to_receiver(data: bytes) -> Batch:
    """Raises msgspec.MsgspecError."""
    return _to_receiver.decode(data)
