"""Writing a release folder so that nothing lands outside of it, whatever the source says.

Every parent is entered one folder at a time and never through a link, so neither a name with ``..`` in it nor a link that was
written before leads anywhere else. Permission bits are kept as far as they are the owner's; nobody else may write.
"""

from __future__ import annotations

import fcntl
import os
import posixpath
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Literal

from midair.deploy.errors import UnsafeSource
from midair.watch.gitignore import Patterns

NEVER_COPIED = (".git", ".hg", ".svn", "__pycache__", "*.pyc", ".midair-*")
"""Not what a version is made of. Virtual environments under any name stay behind, too: they only work where they were made."""

COPY_BYTES = 1 << 20
_FICLONE = 0x40049409
"""Another file with the same blocks (btrfs, XFS): no bytes are copied until one of them is written to.

Hard links to the release before would save as much anywhere, but then whoever edits a file in place changes the release
that one would go back to.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in the source. ``name`` is its path below it, with slashes."""

    name: str
    kind: Literal["folder", "file", "link"]
    mode: int = 0
    size_bytes: int = 0
    target: str = ""
    """Of a link, as it is written."""


def entries_of(root: str, ignore: tuple[str, ...] = ()) -> Iterator[Entry]:
    """What is copied of the folder ``root``: parents first, in the order of names. ignore: lines of a ``.gitignore``, besides.

    Raises UnsafeSource for what leads out or is neither folder, file nor link; OSError.
    """
    patterns = Patterns((*NEVER_COPIED, *ignore))
    folders = [""]
    while folders:
        prefix = folders.pop()
        with os.scandir(os.path.join(root, prefix)) as scan:
            inside = sorted(scan, key=lambda entry: entry.name)
        below = []
        for each in inside:
            name = prefix + each.name
            is_folder = each.is_dir(follow_symlinks=False)
            if patterns.verdict(name, each.name, is_folder) or (is_folder and _is_environment(each.path)):
                continue
            found = _entry(root, name, each)
            if found.kind == "folder":
                below.append(f"{name}/")
            yield found
        folders.extend(reversed(below))


def _is_environment(path: str) -> bool:
    return os.path.isfile(os.path.join(path, "pyvenv.cfg"))


def _entry(root: str, name: str, each: os.DirEntry[str]) -> Entry:
    info = each.stat(follow_symlinks=False)
    if stat.S_ISLNK(info.st_mode):
        target = os.readlink(each.path)
        check_link(name, target)
        top = os.path.realpath(root)
        if not f"{os.path.realpath(each.path)}/".startswith(f"{top}/"):  # By way of another link.
            raise UnsafeSource(f"{name} is a link that leads out of what is deployed, to {os.path.realpath(each.path)}")
        return Entry(name, "link", target=target)
    if stat.S_ISDIR(info.st_mode):
        return Entry(name, "folder", stat.S_IMODE(info.st_mode))
    if stat.S_ISREG(info.st_mode):
        return Entry(name, "file", stat.S_IMODE(info.st_mode), info.st_size)
    raise UnsafeSource(f"{name} is neither a file nor a folder nor a link")


def check_link(name: str, target: str) -> None:
    """Raises UnsafeSource if the link called ``name`` would lead out by its own words."""
    where = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if target.startswith("/") or where == ".." or where.startswith("../"):
        raise UnsafeSource(f"{name} is a link that leads out of what is deployed, to {target}")


def check_links(root: str) -> None:
    """Raises UnsafeSource if a link below ``root`` leads out of it in the end, by whatever way."""
    top = f"{os.path.realpath(root)}/"
    for where, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = os.path.join(where, name)
            if os.path.islink(path) and not f"{os.path.realpath(path)}/".startswith(top):
                raise UnsafeSource(f"{os.path.relpath(path, root)} is a link that leads out of what is deployed")


class Writer:
    """Writes below ``root``, which must be there, and nowhere else. A context."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._root)

    def folder(self, name: str) -> None:
        """Raises UnsafeSource, OSError."""
        os.close(_enter(self._root, _parts(name), makes=True))

    def link(self, name: str, target: str) -> None:
        check_link(name, target)
        self._in_parent(name, lambda last, parent: os.symlink(target, last, dir_fd=parent))

    def file(self, name: str, mode: int, content: int | IO[bytes]) -> None:
        """content: a descriptor of a file, or something that is read to its end."""
        bits = 0o600 | (mode & 0o755)

        def write(last: str, parent: int) -> None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(last, flags, bits, dir_fd=parent)
            try:
                os.fchmod(fd, bits)
                if isinstance(content, int):
                    copy_file(content, fd)
                else:
                    with open(fd, "wb", closefd=False) as target:
                        shutil.copyfileobj(content, target, COPY_BYTES)
            finally:
                os.close(fd)

        self._in_parent(name, write)

    def _in_parent(self, name: str, do: Callable[[str, int], None]) -> None:
        *above, last = _parts(name)
        parent = _enter(self._root, above, makes=True)
        try:
            do(last, parent)
        except FileExistsError as exc:
            raise UnsafeSource(f"{name} is there twice") from exc
        finally:
            os.close(parent)


def copy_folder(source: str, target: str, entries: list[Entry]) -> None:
    """Copy these entries of the folder ``source`` into the folder ``target``, which must be there.

    Raises UnsafeSource for what has become something else since it was looked at, OSError.
    """
    root = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with Writer(target) as writer:
            for entry in entries:
                match entry.kind:
                    case "folder":
                        writer.folder(entry.name)
                    case "link":
                        writer.link(entry.name, entry.target)
                    case "file":
                        _copy_one(root, entry, writer)
    finally:
        os.close(root)


def _copy_one(root: int, entry: Entry, writer: Writer) -> None:
    *above, last = _parts(entry.name)
    parent = _enter(root, above, makes=False)
    try:
        fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise UnsafeSource(f"{entry.name} is no file any more")
        writer.file(entry.name, entry.mode, fd)
    finally:
        os.close(fd)


def copy_file(source: int, target: int) -> None:
    """All of one open file into another: by sharing its blocks, else inside the kernel, else by hand. Raises OSError."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError:
        pass  # Another file system, or one that cannot.
    try:
        while os.copy_file_range(source, target, COPY_BYTES):
            pass
    except OSError:
        if os.lseek(target, 0, os.SEEK_CUR):
            raise  # It can, and something is wrong: a full disk.
        _copy_by_hand(source, target)


def _copy_by_hand(source: int, target: int) -> None:
    while data := os.read(source, COPY_BYTES):
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]


def _parts(name: str) -> list[str]:
    """Raises UnsafeSource for a name that is no path below the root."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or name.startswith("/") or "\0" in name:
        raise UnsafeSource(f"{name!r} is no path below the folder")
    return parts


def _enter(root: int, parts: list[str], *, makes: bool) -> int:
    """A descriptor of the folder ``parts`` below ``root``; the caller closes it."""
    here = os.dup(root)
    for part in parts:
        try:
            if makes:
                try:
                    os.mkdir(part, 0o755, dir_fd=here)
                except FileExistsError:
                    pass
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        except NotADirectoryError as exc:
            raise UnsafeSource(f"{'/'.join(parts)}: {part} is no folder") from exc
        except OSError as exc:
            if exc.errno == 40:  # ELOOP: a link stands where a folder should be
                raise UnsafeSource(f"{'/'.join(parts)}: {part} is a link, not a folder") from exc
            raise
        finally:
            os.close(here)
        here = below
    return here
