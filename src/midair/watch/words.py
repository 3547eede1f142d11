"""The words between the supervisor and its watcher child, over ``sockets/passing``: msgpack, as the handshake's are.

supervisor → watcher    Begin
watcher → supervisor    Ready, Changes, Trouble
"""

from __future__ import annotations

from typing import Literal

import msgspec

from midair.config.schema import Watch

Kind = Literal["create", "write", "remove", "move", "chmod"]


class Word(msgspec.Struct, frozen=True, tag_field="word", tag=True, kw_only=True):
    """Base of all words."""


class Begin(Word, frozen=True, kw_only=True):
    """Watch this folder."""

    folder: str
    watch: Watch


class Ready(Word, frozen=True, kw_only=True):
    """From now on every change is told."""

    folders: int = 0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    path: str
    before: str = ""


class Changes(Word, frozen=True, kw_only=True):
    """One settled batch."""

    changes: tuple[Change, ...]
    raw: int = 0
    seconds: float = 0.0


class Trouble(Word, frozen=True, kw_only=True):
    what: str
    hint: str = ""


_encoder = msgspec.msgpack.Encoder()
_to_watcher: msgspec.msgpack.Decoder[Begin] = msgspec.msgpack.Decoder(Begin)
_from_watcher: msgspec.msgpack.Decoder[Ready | Changes | Trouble] = msgspec.msgpack.Decoder(Ready | Changes | Trouble)


def encode(word: Word) -> bytes:
    return _encoder.encode(word)


def decode_to_watcher(data: bytes) -> Begin:
    return _to_watcher.decode(data)


def decode_from_watcher(data: bytes) -> Ready | Changes | Trouble:
    return _from_watcher.decode(data)
