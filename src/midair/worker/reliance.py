"""What an import has seen of the project so far, and whether a fresh import would see the same now.

A checkpoint (``checkpoint.py``) may be gone on from only while this holds: each file that was executed or read has the content
that it had, each name that was looked for leads where it led, each folder that was listed has the same entries. Content
decides; a file's times only save reading it again.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.machinery import all_suffixes

from msgspec import Struct, field

from midair.release.digest import digest_of, digest_of_rest

ABSENT, FOLDER, OTHER = b"", b"/", b"*"
"""In the place of a digest, where there is no file with content."""

READ_MAX_BYTES = 8 * 1024 * 1024
"""A larger file counts by size and time: it would be read again before each fork."""

SEEN_MAX = 20_000
"""Paths that are remembered. An import that looks at more cannot be stopped in: checking them would take longer than importing."""

RACY_NS = 50_000_000
"""A file may be changed again within one tick of the clock that its time is from (at most 10 ms): one that was young when it was
read is read again."""

State = tuple[int, int, int, int]
"""Size, mtime_ns, ctime_ns and inode: while they are the same, so is the content."""

NO_STATE: State = (-1, -1, -1, -1)


class Reliance(Struct):
    """What was seen. ``seen``: by path, a state and a digest. Belongs to the main thread, as the import does."""

    owns: Callable[[str], bool]
    """Whether a path may change while we run: the project's, not an installed library's."""
    seen: dict[str, tuple[State, bytes]] = field(default_factory=dict)
    links: dict[str, bytes] = field(default_factory=dict)
    """What was asked of a path itself, not of what it leads to."""
    listings: dict[str, bytes] = field(default_factory=dict)
    lookups: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """By folder: which entries there were for each module's name that was looked for."""
    variables: dict[str, str | None] = field(default_factory=dict)
    torn: str = ""
    """A file that was seen in two versions: nothing that follows is of one version."""
    _entries: dict[str, tuple[int, dict[str, tuple[str, ...]]]] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        return len(self.seen) + len(self.links) + len(self.listings) > SEEN_MAX

    # --- what the import did --------------------------------------------------------------------------------------

    def read(self, path: str, *, is_late: bool = False) -> tuple[bytes, bytes]:
        """Content and digest of a file that is about to be executed. is_late: it does not count yet. Raises OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            state = _state(os.fstat(fd))
            with os.fdopen(os.dup(fd), "rb") as file:
                data = file.read()
        finally:
            os.close(fd)
        digest = digest_of(data)
        if not is_late:
            self._keep(path, state, digest)
        return data, digest

    def executed(self, path: str, digest: bytes) -> None:
        """What was read counts, with this digest."""
        self._keep(path, NO_STATE, digest)

    def opened(self, path: str) -> None:
        """It was opened for reading, or asked for: whether it is there, its size, its time."""
        if path not in self.seen and not self.is_full:
            self._keep(path, *_look(path))

    def asked(self, path: str) -> None:
        """What it is itself was asked, not what it leads to (``lstat``, ``readlink``): of a file, no more than that it is one."""
        if path not in self.links and not self.is_full:
            self.links[path] = _itself(path)

    def listed(self, folder: str) -> None:
        if folder not in self.listings and not self.is_full:
            self.listings[folder] = _listing(folder)

    def looked_for(self, name: str, folder: str) -> None:
        """A module was looked for in this folder, by the last part of its name."""
        names = self.lookups.setdefault(folder, {})
        if name in names:
            return
        names[name] = self._entries_of(folder).get(name, ())
        if name in names[name]:  # A folder, perhaps: whether it is a package shows inside it.
            self.looked_for("__init__", os.path.join(folder, name))

    def _keep(self, path: str, state: State, digest: bytes) -> None:
        before = self.seen.get(path)
        if before is not None and before[1] != digest and not self.torn:
            self.torn = path
        self.seen[path] = state, digest

    def _entries_of(self, folder: str) -> dict[str, tuple[str, ...]]:
        try:
            changed_ns = os.stat(folder).st_mtime_ns
        except OSError:
            return {}
        kept = self._entries.get(folder)
        if kept is None or kept[0] != changed_ns:
            kept = changed_ns, importable(folder)
            if time.time_ns() - changed_ns > RACY_NS:
                self._entries[folder] = kept
        return kept[1]

    # --- is it still so? ------------------------------------------------------------------------------------------

    def changed(self, variables: Mapping[str, str]) -> str:
        """The first thing found that is not as it was: a path, or a variable's name; empty: a fresh import would see the same."""
        if self.torn or self.is_full:
            return self.torn or "too many files"
        return next(self._differences(variables), "")

    def _differences(self, variables: Mapping[str, str]) -> Iterator[str]:
        yield from (name for name, value in self.variables.items() if variables.get(name) != value)
        for path, (state, digest) in self.seen.items():
            if not _is_in_state(path, state) and _look(path)[1] != digest:
                yield path
        yield from (path for path, what in self.links.items() if _itself(path) != what)
        yield from (folder for folder, digest in self.listings.items() if _listing(folder) != digest)
        for folder, names in self.lookups.items():
            entries = importable(folder)
            yield from (os.path.join(folder, name) for name, found in names.items() if entries.get(name, ()) != found)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Path and digest of each file that was executed or read."""
        return ((path, digest) for path, (_, digest) in self.seen.items() if digest not in (ABSENT, FOLDER, OTHER))


def importable(folder: str) -> dict[str, tuple[str, ...]]:
    """Entries of a folder that an import could mean, by the name of the module."""
    found: dict[str, list[str]] = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    for entry in sorted(names):
        name, dot, _ = entry.partition(".")
        if (not dot or entry.endswith(_SUFFIXES)) and name != "__pycache__":
            found.setdefault(name, []).append(entry)
    return {name: tuple(entries) for name, entries in found.items()}


_SUFFIXES = tuple(all_suffixes())


def _look(path: str) -> tuple[State, bytes]:
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            return NO_STATE, FOLDER
        if not stat.S_ISREG(found.st_mode):
            return NO_STATE, OTHER
        if found.st_size > READ_MAX_BYTES:
            return _state(found), repr(_state(found)).encode()
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _state(os.fstat(fd)), digest_of_rest(fd, found.st_size)
        finally:
            os.close(fd)
    except FileNotFoundError:
        return NO_STATE, ABSENT
    except OSError as exc:
        return NO_STATE, b"?" + (exc.strerror or "").encode()


def _itself(path: str) -> bytes:
    """What is at a path, links not followed; what a link holds."""
    try:
        mode = os.lstat(path).st_mode
        return b"->" + os.fsencode(os.readlink(path)) if stat.S_ISLNK(mode) else FOLDER if stat.S_ISDIR(mode) else OTHER
    except OSError:
        return ABSENT


def _state(found: os.stat_result) -> State:
    """Of a file that was changed just now: none, it may be changed again without a trace."""
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < RACY_NS:
        return NO_STATE
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _is_in_state(path: str, state: State) -> bool:
    if state == NO_STATE:
        return False
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino) == state


def _listing(folder: str) -> bytes:
    try:
        names = sorted(name for name in os.listdir(folder) if not _is_passing(name))
    except OSError:
        return ABSENT
    return digest_of("\0".join(names).encode(errors="surrogateescape"))


def _is_passing(name: str) -> bool:
    """Of Python's own, or what editors leave beside a file while it is open."""
    return (
        name == "__pycache__"
        or name.endswith(("~", ".swp", ".swx", ".swo"))
        or name.startswith(".#")
        or (name.startswith("#") and name.endswith("#"))
    )
