"""A document in memory that outlives whoever writes it: two pages of a memfd, written in turn.

    page 0   head, document 6
    page 1   head, document 7      read is the newest that is whole

A process that is killed in the middle of a write has spoiled the older page; the newer one still stands. Writing in place has
one more use: whoever keeps the descriptor (systemd's store) never needs to be told of a change.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib

from midair.errors import WorldError

PAGE_BYTES = 1024 * 1024
"""More than a supervisor has to say in any state. A memfd takes only the memory that was written to."""

_HEAD = struct.Struct("<8sQII")  # mark, count, length of the document, checksum
_MARK = b"midair 1"
DOCUMENT_MAX_BYTES = PAGE_BYTES - _HEAD.size


class RecordUnreadable(WorldError):
    """A descriptor that was kept for us holds no document that is whole."""

    code = "record-unreadable"


class Record:
    """One document. It owns its descriptor."""

    def __init__(self, fd: int, count: int = 0) -> None:
        self.fd = fd
        self._count = count

    @classmethod
    def make(cls, name: str) -> Record:
        """An empty one. Raises OSError."""
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
        os.ftruncate(fd, 2 * PAGE_BYTES)
        return cls(fd)

    @classmethod
    def adopt(cls, fd: int) -> tuple[Record, bytes]:
        """One that somebody kept, and its document. Raises RecordUnreadable; the descriptor is then still the caller's."""
        try:
            # A pipe would make us wait for whoever writes to it.
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise RecordUnreadable(f"descriptor {fd} is no file")
            pages = [page for number in (0, 1) if (page := _read(fd, number))]
        except OSError as exc:
            raise RecordUnreadable(f"descriptor {fd} cannot be read: {exc.strerror}") from exc
        if not pages:
            raise RecordUnreadable(f"descriptor {fd} holds no document that is whole")
        count, document = max(pages)
        return cls(fd, count), document

    def write(self, document: bytes) -> None:
        """Replace the document. Memory is written to and nobody is waited for. Raises OSError."""
        if len(document) > DOCUMENT_MAX_BYTES:
            raise OSError(f"a document of {len(document)} bytes is too large")
        count = self._count + 1
        head = _HEAD.pack(_MARK, count, len(document), _checksum(count, document))
        written = os.pwrite(self.fd, head + document, PAGE_BYTES * (count % 2))
        if written != len(head) + len(document):
            raise OSError("no memory is left for it")
        self._count = count

    def close(self) -> None:
        os.close(self.fd)


def _read(fd: int, number: int) -> tuple[int, bytes] | None:
    """Count and document of a page; None: it is empty or spoiled."""
    page = os.pread(fd, PAGE_BYTES, PAGE_BYTES * number)
    if len(page) < _HEAD.size:
        return None
    mark, count, length, checksum = _HEAD.unpack_from(page)
    document = page[_HEAD.size : _HEAD.size + length]
    if mark != _MARK or len(document) != length or _checksum(count, document) != checksum:
        return None
    return count, document


def _checksum(count: int, document: bytes) -> int:
    # The count is in it: a write that got no further than that would make the older document the newer one.
    return zlib.crc32(document, zlib.crc32(count.to_bytes(8)))
