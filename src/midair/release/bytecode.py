"""Bytecode that Python would take for that of a source file which was changed since.

CPython believes a ``.pyc`` if the source's size and its time in whole seconds are those that the ``.pyc`` was made for. Two
versions of equal length saved within one second, or releases whose files all bear one time, start as the older one. Workers
of an application always read the project's own sources; a Python program that is run as a command imports as Python does.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterable, Iterator

CACHE = "__pycache__"
_HEADER = struct.Struct("<4xIII")  # after the magic number: flags, and for flags 0 time and size of the source


def forget_stale(root: str, names: Iterable[str]) -> int:
    """Remove the bytecode that would hide one of these source files; how many files that were. Reads and removes files.

    names: of files below ``root``, as in ``Tree.files``; only ``.py`` counts. A folder that cannot be written to is left as
    it is.
    """
    removed = 0
    for folder in {os.path.dirname(name) for name in names if name.endswith(".py")}:
        for cached, source in _cached(os.path.join(root, folder)):
            with contextlib.suppress(OSError):
                if _hides(cached, source):
                    os.unlink(cached)
                    removed += 1
    return removed


def _cached(folder: str) -> Iterator[tuple[str, str]]:
    """Each ``.pyc`` in the cache of a folder, and the source that it is of."""
    try:
        found = os.listdir(os.path.join(folder, CACHE))
    except OSError:
        return
    for name in found:
        if name.endswith(".pyc"):
            yield os.path.join(folder, CACHE, name), os.path.join(folder, f"{name.partition('.')[0]}.py")


def _hides(cached: str, source: str) -> bool:
    """Whether Python would use it, although the source was changed after it was written. Raises OSError."""
    found = os.stat(source)
    with open(cached, "rb") as file:
        head, made_ns = file.read(_HEADER.size), os.fstat(file.fileno()).st_mtime_ns
    if len(head) < _HEADER.size:
        return False
    is_believed = _HEADER.unpack(head) == (0, int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)
    # Nobody can set the time at which a file's node changed last: one that was renamed or restored shows, too.
    return is_believed and made_ns <= found.st_ctime_ns
