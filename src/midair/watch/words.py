"""What the supervisor and the watcher child say to each other, a word a message (``sockets/passing``).

    supervisor → watcher   Begin, Ignore, TellDigests
    watcher → supervisor   Ready, Changes, Trouble, Digests

The child is ``python -m midair.watch.host FD``, and FD its end of ``passing.pair()``. Begin is the first word. The child ends when
the other end of its link does, and with it everything that it has open.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from midair.config.schema import Watch
from midair.errors import Fault
from midair.sockets.passing import MESSAGE_MAX_BYTES
from midair.sockets.words import Word

Kind = Literal["create", "write", "remove", "move", "chmod"]
How = Literal["inotify", "poll", "watchfiles"]

PART_MAX_BYTES = MESSAGE_MAX_BYTES // 2
"""Of the paths in one message."""


class Begin(Word, frozen=True, kw_only=True):
    """Watch (→ Ready, then Changes as they come)."""

    folder: str
    """The service's folder: absolute, as typed."""
    watch: Watch = Watch()
    ignore: tuple[str, ...] = ()
    """Lines as of a ``.gitignore``, besides those of the settings: what the build writes, ``tmp_dir``, the state folder."""
    files: tuple[str, ...] = ()
    """Files that count whatever their endings and whoever ignores them (``midair.toml``, ``.env``)."""
    wants_chmod: bool = False
    """Changes of permission bits are told, too."""


class Ignore(Word, frozen=True, kw_only=True):
    """From now on these do not count either: lines as in Begin. What is known below them is forgotten without a word."""

    lines: tuple[str, ...]


class TellDigests(Word, frozen=True, kw_only=True):
    """(→ Digests)"""


class Change(msgspec.Struct, frozen=True):
    """``path`` is relative to the service's folder and written as the watched path was typed (``../shared/a.py``)."""

    kind: Kind
    path: str
    before: str = ""
    """Of a move: the path until now."""
    digest: bytes = b""
    """Of the content that is there now (``release/digest``); empty: it is gone, or was not read (too large)."""


class Ready(Word, frozen=True, kw_only=True):
    """From now on changes are told. There is none for what was there before."""

    how: How
    why: str = ""
    """Why files are compared where the kernel could have told."""
    folders: int = 0
    files: int = 0
    seconds: float = 0.0


class Changes(Word, frozen=True, kw_only=True):
    """A batch, or (``is_last`` is false) a part of one: more of it follows at once."""

    changes: tuple[Change, ...]
    raw: int = 0
    """Events of the kernel that led to it."""
    seconds: float = 0.0
    """From its first event until it was settled."""
    is_last: bool = True


class Trouble(Word, frozen=True, kw_only=True):
    """Something is not seen, or not as quickly as it should be. Watching goes on as far as it can."""

    code: str
    message: str
    hint: str = ""
    detail: str = ""

    def fault(self) -> Fault:
        return Fault(self.code, self.message, self.hint, self.detail)


class Digests(Word, frozen=True, kw_only=True):
    """All that is known of content, in the memfd beside this word (``read_digests``)."""

    count: int


ToWatcher = Begin | Ignore | TellDigests
FromWatcher = Ready | Changes | Trouble | Digests

_encoder = msgspec.msgpack.Encoder()
_to_watcher: msgspec.msgpack.Decoder[ToWatcher] = msgspec.msgpack.Decoder(ToWatcher)
_from_watcher: msgspec.msgpack.Decoder[FromWatcher] = msgspec.msgpack.Decoder(FromWatcher)


def encode(word: ToWatcher | FromWatcher) -> bytes:
    """A word as the bytes of one message."""
    return _encoder.encode(word)


def decode_to_watcher(data: bytes) -> ToWatcher:
    """Raises msgspec.MsgspecError for what is no word."""
    return _to_watcher.decode(data)


def decode_from_watcher(data: bytes) -> FromWatcher:
    """Raises msgspec.MsgspecError for what is no word."""
    return _from_watcher.decode(data)


def in_parts(changes: Sequence[Change], *, raw: int, seconds: float) -> Iterator[Changes]:
    """A batch as words that each fit into a message."""
    parts = list(_parts(changes))
    for place, part in enumerate(parts):
        yield Changes(changes=part, raw=raw, seconds=seconds, is_last=place == len(parts) - 1)


def _parts(changes: Iterable[Change]) -> Iterator[tuple[Change, ...]]:
    part: list[Change] = []
    size = 0
    for change in changes:
        # 4 bytes a character at most, and 40 for the names of the fields.
        needs = 40 + 4 * (len(change.path) + len(change.before))
        if part and size + needs > PART_MAX_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(change)
        size += needs
    if part:
        yield tuple(part)


def read_digests(fd: int) -> dict[str, tuple[int, int, int, int, bytes]]:
    """What came beside ``Digests``: by absolute path size, mtime_ns, ctime_ns, inode and digest, as ``release/tree`` takes them.

    The descriptor stays open; it is the caller's to close.
    """
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        return msgspec.msgpack.decode(file.read(), type=dict[str, tuple[int, int, int, int, bytes]])
