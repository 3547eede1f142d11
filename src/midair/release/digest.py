"""Digests of content. They tell one content from another; they are no protection against whoever writes the files."""

from __future__ import annotations

import os
import time

# Not through hashlib: that loads OpenSSL, 9 ms in each child that looks at the disk, to hash what is often a few files.
# OpenSSL's sha256 would be 3 times as fast, which pays from about 700 files on.
from _blake2 import blake2b

from midair.release.values import Digests

DIGEST_BYTES = 6
"""Digest of one file, as it is kept to tell which files differ."""

AT_ONCE_BYTES = 1024 * 1024

RACY_NS = 2_000_000_000
"""A file changed less than this ago may be changed again within one tick of its time: its digest is not remembered."""


def digest_of(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


def digest_of_rest(fd: int, size: int) -> bytes:
    """Digest of what is left to read of a file. The size is a guess: it may grow meanwhile."""
    data = os.read(fd, min(size, AT_ONCE_BYTES) + 1)
    if len(data) <= size < AT_ONCE_BYTES:
        return digest_of(data)
    digest = blake2b(data, digest_size=DIGEST_BYTES)
    while data := os.read(fd, AT_ONCE_BYTES):
        digest.update(data)
    return digest.digest()


def fingerprint_of(data: bytes, digest_bytes: int = 16) -> str:
    """A digest to be compared over a service's life, hexadecimal."""
    return blake2b(data, digest_size=digest_bytes).hexdigest()


def known_digest(known: Digests | None, path: str) -> bytes | None:
    """The digest of a file that is as it was when it was remembered. Raises OSError if it is not there."""
    if known is None:
        return None
    kept = known.get(path)
    return kept[4] if kept and kept[:4] == _state(os.stat(path)) else None


def remember(known: Digests | None, path: str, found: os.stat_result, digest: bytes) -> None:
    """Keep the digest of a file that was read when it was as ``found`` says, unless it may still change unseen."""
    if known is not None and time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > RACY_NS:
        known[path] = (*_state(found), digest)


def _state(found: os.stat_result) -> tuple[int, int, int, int]:
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
