"""The files of a folder that are code, or are read as code is: their names and the digests of their content.

The rule, which the documentation repeats:

- a file counts by its ending: Python (``.py``, ``.so``, ``.pyd``), templates, and configuration (``.toml``, ``.ini``,
  ``.yaml``, …). Not ``.json``, ``.txt``, ``.log``, ``.db``: an application writes such files while it runs, and a
  generation that changes its own fingerprint could never be given a new worker.
- not entered: folders whose name begins with a dot, ``__pycache__``, ``node_modules``, ``site-packages``, virtual
  environments under any name (they hold a ``pyvenv.cfg``), and folders of more than FOLDER_MAX entries (those are data).
- content decides. Times of files do not: a checkout renews them all.
- links are followed, each folder is entered once.
- beyond the bounds the answer is incomplete, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

import msgspec

from midair.release.digest import digest_of, digest_of_rest, known_digest, remember
from midair.release.values import Digests

CODE = frozenset({".py", ".so", ".pyd"})
TEMPLATES = frozenset({".html", ".htm", ".jinja", ".jinja2", ".j2", ".mako", ".tmpl", ".tpl"})
CONFIGURATION = frozenset({".toml", ".ini", ".cfg", ".conf", ".yaml", ".yml", ".sql"})
PYTHON_FILES = CODE | TEMPLATES | CONFIGURATION
COMMAND_FILES = PYTHON_FILES | {".js", ".mjs", ".cjs", ".ts", ".rb", ".php", ".pl", ".lua", ".sh", ".ex", ".exs"}
"""For a command child, which may be a program in any language."""

OUR_FILES = frozenset({"midair.toml", ".air.toml"})
"""How the service is run, not what it is."""

NEVER_ENTERED = frozenset({"__pycache__", "node_modules", "site-packages"})

FOLDER_MAX = 10_000
"""Entries of one folder."""
ENTRIES_MAX = 100_000
"""Entries looked at in all: about a third of a second."""
FILES_MAX = 20_000
BYTES_MAX = 256 * 1024 * 1024
"""Content read in all; what is beyond counts by size and time, which is said."""


class Tree(msgspec.Struct):
    """``files``: name inside the folder → digest, in the order of the walk. ``gaps``: what was not looked at, and why."""

    files: dict[str, bytes] = {}
    gaps: list[str] = []


def read_tree(folder: str, suffixes: Collection[str] = PYTHON_FILES, known: Digests | None = None) -> Tree:
    """Every counting file below ``folder``. A folder that is not there, or not readable, is a gap."""
    tree = Tree()
    # Resolved once: a `current` link that is swapped meanwhile must not give half of each release.
    root = os.path.realpath(folder)
    reader = _Reader(known)
    for name, path in _walk(root, suffixes, tree.gaps):
        if len(tree.files) >= FILES_MAX:
            tree.gaps.append(f"{folder}: more than {FILES_MAX} files; the rest does not count")
            break
        try:
            tree.files[name] = reader.digest(path)
        except OSError as exc:
            # Gone meanwhile, or a broken link. Unreadable for us is unreadable for a worker, too.
            tree.files[name] = b"?" + (exc.strerror or "").encode()
    if reader.bytes_left < 0:
        tree.gaps.append(f"{folder}: more than {BYTES_MAX >> 20} MiB; the rest counts by size and time")
    return tree


class _Reader:
    """Digests of files, within a bound of bytes."""

    def __init__(self, known: Digests | None) -> None:
        self.bytes_left = BYTES_MAX
        self._known = known

    def digest(self, path: str) -> bytes:
        if digest := known_digest(self._known, path):
            return digest
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO with such a name must not hold us up
        try:
            found = os.fstat(fd)
            self.bytes_left -= found.st_size
            if self.bytes_left < 0:
                return digest_of(repr((found.st_size, found.st_mtime_ns)).encode())
            digest = digest_of_rest(fd, found.st_size)
        finally:
            os.close(fd)
        remember(self._known, path, found, digest)
        return digest


def _walk(root: str, suffixes: Collection[str], gaps: list[str]) -> Iterator[tuple[str, str]]:
    """Name and path of every counting file, in an order that depends on names alone."""
    entries_left = ENTRIES_MAX
    entered = set()
    folders = [("", root)]
    while folders:
        prefix, folder = folders.pop()
        try:
            found = os.stat(folder)
            if (found.st_dev, found.st_ino) in entered:
                continue
            entered.add((found.st_dev, found.st_ino))
            with os.scandir(folder) as scan:
                entries = _some(scan)
        except OSError as exc:
            gaps.append(f"{folder}: {exc.strerror}")
            continue
        entries_left -= len(entries)
        if len(entries) > FOLDER_MAX:
            gaps.append(f"{folder}: more than {FOLDER_MAX} entries, taken for data")
            continue
        if entries_left < 0:
            gaps.append(f"{root}: more than {ENTRIES_MAX} entries; the rest does not count (set `chdir` to the code)")
            return
        if prefix and any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        entries.sort(key=lambda entry: entry.name)
        below = []
        for entry in entries:
            name = entry.name
            if os.path.splitext(name)[1] in suffixes and not entry.is_dir():
                if name not in OUR_FILES:
                    yield prefix + name, entry.path
            elif not name.startswith(".") and name not in NEVER_ENTERED and entry.is_dir():
                below.append((f"{prefix}{name}/", entry.path))
        folders.extend(reversed(below))


def _some(scan: Iterator[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
    entries = []
    for entry in scan:
        entries.append(entry)
        if len(entries) > FOLDER_MAX:
            break
    return entries
