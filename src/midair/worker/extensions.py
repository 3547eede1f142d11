"""What ASGI servers can do beyond heads and bodies: early hints, trailers, a file by its path.

https://asgi.readthedocs.io/en/latest/extensions.html. The functions here take a message of the application apart and judge
it; ``cycle.py`` sends.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterable
from typing import Any

from midair.worker.response import ORDINARY, SERVER, InvalidResponse, check_block, kind_of

EXTENSIONS: dict[str, Any] = {
    "http.response.early_hint": {},
    "http.response.pathsend": {},
    "http.response.trailers": {},
}
"""What ``scope["extensions"]`` tells every request: a copy, because applications may write into it."""

PIECE_BYTES = 256 * 1024
"""Of a file, read and written at once: a whole one need not fit into memory."""
# A trailer is read when framing, routing and caching have been decided long ago (RFC 9110, 6.5.1).
_FORBIDDEN_TRAILERS = frozenset(
    b"host te trailer upgrade content-encoding content-type content-range cache-control expires age vary authorization "
    b"set-cookie location retry-after www-authenticate".split()
)


def early_hint(links: Iterable[bytes]) -> bytes:
    """A 103 with these Link values. Raises InvalidResponse for what would break its lines."""
    lines = [b"link: %b\r\n" % bytes(link) for link in links]
    block = b"".join(lines)
    check_block(block, len(lines))
    return b"HTTP/1.1 103 Early Hints\r\n" + block + b"\r\n"


def trailers(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The lines of a trailer section. Raises InvalidResponse for what has no business there."""
    lines: list[bytes] = []
    for name, value in headers:
        if ORDINARY < kind_of(name) <= SERVER or name.lower() in _FORBIDDEN_TRAILERS:
            raise InvalidResponse(f"{name!r} cannot be a trailer")
        lines.append(b"%b: %b\r\n" % (name, value))
    block = b"".join(lines)
    check_block(block, len(lines))
    return block


def open_file(path: object) -> tuple[int, int]:
    """A descriptor of the file at ``path`` and its size now. Raises InvalidResponse.

    Not OSError: that is how an application is told that its client has gone.
    """
    if not isinstance(path, str | os.PathLike) or not os.path.isabs(path):
        raise InvalidResponse(f"http.response.pathsend wants an absolute path, not {path!r}")
    try:
        # Not to be held up by a FIFO that nobody writes to.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        raise InvalidResponse(f"{path!r} cannot be sent: {exc.strerror}") from exc
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise InvalidResponse(f"{path!r} is no file")
    return fd, found.st_size


async def read_piece(fd: int, offset: int, count: int, loop: asyncio.AbstractEventLoop) -> bytes:
    """Up to ``count`` bytes of a file; empty at its end. What is in memory is read here, what is not by a thread."""
    piece = bytearray(min(count, PIECE_BYTES))
    try:
        got = os.preadv(fd, [piece], offset, os.RWF_NOWAIT)
    except OSError:
        # It would wait for the disk, or this file system cannot say so: other connections must not wait for it.
        return await loop.run_in_executor(None, os.pread, fd, len(piece), offset)
    return bytes(memoryview(piece)[:got]) if got < len(piece) else bytes(piece)
