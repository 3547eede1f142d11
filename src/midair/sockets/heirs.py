"""The words of ``midair.Upgrader``: what a command child that leaves passes on to the one that follows it.

Each child has a channel to the supervisor, which names heirs and makes one channel for each pair; over that, things go from
program to program, one at a time, each acknowledged. Versioned as all words are (``words``): fields are only ever added.

    child → supervisor     Greeting
    supervisor → child     Heir, NoHeir, Heritage
    leaving → following    Thing                   its descriptors beside it
    following → leaving    Kept, Declined
"""

from __future__ import annotations

import msgspec

FORMATS = (1,)
"""Of a Thing, that we write and read."""
VARIABLE = "MIDAIR_HANDOVER"
"""Names the descriptor of a child's channel. Not among LISTEN_FDS: many servers accept on everything that stands there."""


class Greeting(msgspec.Struct, frozen=True, kw_only=True, tag="greeting"):
    """The program knows these words. ``takes``: it takes over what another passes on."""

    formats: tuple[int, ...]
    takes: bool = False


class Heir(msgspec.Struct, frozen=True, kw_only=True, tag="heir"):
    """Pass on over the channel beside this word. It replaces any before."""

    worker: int


class NoHeir(msgspec.Struct, frozen=True, kw_only=True, tag="no-heir"):
    """Nobody takes anything over now; an Heir may follow."""

    why: str = ""


class Heritage(msgspec.Struct, frozen=True, kw_only=True, tag="heritage"):
    """Take over, over the channel beside this word, what another passes on."""

    worker: int


class Thing(msgspec.Struct, frozen=True, kw_only=True, tag="thing"):
    """Something that is passed on; the descriptors beside it are its own."""

    format: int
    name: str = ""
    state: bytes = b""
    is_in_file: bool = False
    """The state is too large for a message: it is the content of the last descriptor, a memfd."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, tag="kept"):
    """The Thing belongs to the follower from here on."""


class Declined(msgspec.Struct, frozen=True, kw_only=True, tag="declined"):
    """It does not: it still belongs to the one that leaves."""

    why: str = ""


ToChild = Heir | NoHeir | Heritage
Answer = Kept | Declined

_encoder = msgspec.msgpack.Encoder()
_greeting: msgspec.msgpack.Decoder[Greeting] = msgspec.msgpack.Decoder(Greeting)
_to_child: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)
_thing: msgspec.msgpack.Decoder[Thing] = msgspec.msgpack.Decoder(Thing)
_answer: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def encode(word: Greeting | ToChild | Thing | Answer) -> bytes:
    return _encoder.encode(word)


def decode_greeting(data: bytes) -> Greeting:
    """Raises msgspec.MsgspecError, as all of these."""
    return _greeting.decode(data)


def decode_to_child(data: bytes) -> ToChild:
    return _to_child.decode(data)


def decode_thing(data: bytes) -> Thing:
    return _thing.decode(data)


def decode_answer(data: bytes) -> Answer:
    return _answer.decode(data)
