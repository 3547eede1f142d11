"""What the supervisor and the child that exports say to each other. Plain values: the supervisor imports this.

A receipt travels in a memfd beside its word: it can be larger than a message.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from midair.traces.destination import Destination

MODULE = "midair.traces.host"


class Word(msgspec.Struct, frozen=True, tag_field="word", tag=True, kw_only=True):
    """Base of all words."""


class Begin(Word, frozen=True, kw_only=True):
    """To the child, first: where spans go, and whose they are."""

    destination: Destination
    service: str
    node: str


class Changed(Word, frozen=True, kw_only=True):
    """To the child: a receipt has something to export. Descriptor: the receipt, as JSON (→ Exported or Dropped)."""

    update: int


class Exported(Word, frozen=True, kw_only=True):
    """The collector has so many spans of the update, ``new`` of them since it was said last."""

    update: int
    spans: int
    new: int


class Dropped(Word, frozen=True, kw_only=True):
    """Too much waits for the collector: these spans of the update are given up."""

    update: int
    spans: int


class Failing(Word, frozen=True, kw_only=True):
    """The collector does not take them; said once, until it does again."""

    error: str


class Recovered(Word, frozen=True, kw_only=True):
    """It does."""

    failed_s: float


class Unusable(Word, frozen=True, kw_only=True):
    """The child cannot do anything, and ends."""

    error: str
    hint: str = ""


ToChild: TypeAlias = Begin | Changed
FromChild: TypeAlias = Exported | Dropped | Failing | Recovered | Unusable

_to_child: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)
_from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
encode = msgspec.msgpack.encode


def to_child(data: bytes) -> ToChild:
    """Raises msgspec.MsgspecError."""
    return _to_child.decode(data)


def from_child(data: bytes) -> FromChild:
    """Raises msgspec.MsgspecError."""
    return _from_child.decode(data)
