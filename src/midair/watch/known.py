"""What a file was when it was last looked at, and what became of it since. Content decides, not its times."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from midair.release.digest import digest_of, digest_of_rest

READ_MAX_BYTES = 16 * 1024 * 1024
"""A larger file is not read: it has changed if its size or time has."""

RACY_NS = 2_000_000_000
"""A file changed less than this before it was read may have been changed again with no sign of it in its times."""


@dataclass(slots=True)
class Known:
    """A file, or a link to a folder (its content is where it leads)."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int
    digest: bytes = b""
    """Empty: not read yet, or too large."""
    read_ns: int = 0
    """When its digest was taken, as file times go."""

    def is_as(self, other: Known) -> bool:
        """Nothing shows a difference without reading."""
        return (
            self.mtime_ns == other.mtime_ns
            and self.ctime_ns == other.ctime_ns
            and self.size == other.size
            and self.inode == other.inode
            and self.mode == other.mode
        )

    def is_sure(self) -> bool:
        """Its times would show that it was changed after its digest was taken."""
        return bool(self.digest) and self.read_ns - max(self.mtime_ns, self.ctime_ns) > RACY_NS


def of_stat(found: os.stat_result) -> Known:
    return Known(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode)


def look(path: str, *, now_ns: int, reads: bool = True) -> Known | None:
    """What is at ``path`` now; None: nothing, or no file (a folder, a socket). Links are followed; one to a folder is itself."""
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            return _link(path, now_ns)
        if not stat.S_ISREG(found.st_mode):
            return None
        if not reads or found.st_size > READ_MAX_BYTES:
            return of_stat(found)
        return _read(path, now_ns)
    except OSError:
        return _unreadable(path)


def _link(path: str, now_ns: int) -> Known | None:
    found = os.lstat(path)
    if not stat.S_ISLNK(found.st_mode):
        return None
    known = of_stat(found)
    known.digest, known.read_ns = digest_of(os.fsencode(os.readlink(path))), now_ns
    return known


def _read(path: str, now_ns: int) -> Known | None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # it may be a FIFO by now
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return None
        known = of_stat(found)
        known.digest, known.read_ns = digest_of_rest(fd, found.st_size), now_ns
        return known
    finally:
        os.close(fd)


def _unreadable(path: str) -> Known | None:
    """A file that may not be read is known by its times alone; a link that leads nowhere is nothing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return of_stat(found) if stat.S_ISREG(found.st_mode) else None


def is_rewritten(before: Known, now: Known, *, was_written: bool) -> bool:
    """Whether the content is another. was_written: somebody wrote to it, which decides if there is no digest to compare."""
    if before.digest and now.digest:
        return before.digest != now.digest
    if before.size != now.size or stat.S_IFMT(before.mode) != stat.S_IFMT(now.mode):
        return True
    return was_written or before.mtime_ns != now.mtime_ns


def is_moved(before: Known, now: Known) -> bool:
    """Whether what has gone is what has come: the same file on the disk, with the same content."""
    if before.inode != now.inode or before.size != now.size:
        return False
    # A rename keeps the time of the content. Inodes alone say little: the next new file often gets the one that became free.
    return before.digest == now.digest if before.digest else before.mtime_ns == now.mtime_ns
