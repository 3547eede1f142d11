"""What is deployed: a folder, a commit of a git checkout, an archive, or a tar stream on standard input; and how it gets into a
release folder."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Literal

from midair.config.file import OWN, SHARED
from midair.deploy.errors import SourceUnusable, UnsafeSource
from midair.deploy.tree import Entry, Writer, check_links, copy_folder, entries_of
from midair.release.git import NotARepository, head_commit

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")
REVISION = "REVISION"
"""The commit, in a file of the release, as Capistrano has it: ``version_from = "git"`` reads it there."""


@dataclass(frozen=True, slots=True)
class Source:
    """``path`` is absolute; of a stream it is ``-``."""

    kind: Literal["folder", "commit", "archive", "stream"]
    path: str
    ref: str = ""

    @property
    def shown(self) -> str:
        return f"{self.path} at {self.ref}" if self.ref else self.path


def read_source(typed: str, ref: str = "") -> Source:
    """What was typed. Asks the disk what it is. Raises SourceUnusable."""
    if typed == "-":
        return Source("stream", "-")
    path = os.path.abspath(os.path.expanduser(typed))
    if os.path.isdir(path):
        return Source("commit" if ref else "folder", path, ref)
    if not os.path.exists(path):
        raise SourceUnusable(f"there is no {typed}")
    if ref:
        raise SourceUnusable(f"{typed} is no git checkout, so it has no commit {ref}")
    if path.endswith(ARCHIVES):
        return Source("archive", path)
    if path.endswith(".whl"):
        raise SourceUnusable(
            f"{typed} is a package, not a folder with a midair.toml",
            hint='name it in requirements.txt beside midair.toml, write venv = "pip" under [deploy], and deploy that folder',
        )
    raise SourceUnusable(f"{typed} is nothing that can be deployed")


def revision_of(source: Source) -> str:
    """The commit, if it is known. Raises SourceUnusable for a ref that is none."""
    if source.kind == "commit":
        return _git(source.path, "rev-parse", "--verify", f"{source.ref}^{{commit}}").strip()
    if source.kind == "folder":
        try:
            return head_commit(source.path)
        except NotARepository:
            pass
    return ""


def listing(source: Source, ignore: tuple[str, ...]) -> list[Entry]:
    """What of a folder is copied; nothing is known of the others before they are read. Raises UnsafeSource, OSError."""
    return list(entries_of(source.path, ignore)) if source.kind == "folder" else []


def fetch(source: Source, entries: list[Entry], revision: str, target: str) -> None:
    """Put it into the folder ``target``, which must be there and empty. Raises SourceUnusable, UnsafeSource, OSError."""
    match source.kind:
        case "folder":
            copy_folder(source.path, target, entries)
        case "commit":
            with _archived(source) as stream:
                _unpack_tar(stream, "r|", target)
        case "stream":
            _unpack_tar(sys.stdin.buffer, "r|*", target)
        case "archive" if source.path.endswith(".zip"):
            _unpack_zip(source.path, target)
        case "archive":
            with open(source.path, "rb") as file:
                _unpack_tar(file, "r|*", target)
    if source.kind in ("archive", "stream"):
        _without_top(target)
    if source.kind != "folder":
        check_links(target)  # Also by way of two, each of which looks harmless.
    if revision and not os.path.lexists(os.path.join(target, REVISION)):
        with open(os.path.join(target, REVISION), "x", encoding="ascii") as file:
            file.write(revision + "\n")


# --- git -----------------------------------------------------------------------------------------------------------


def _git(folder: str, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as exc:
        raise SourceUnusable(f"git cannot be started: {exc.strerror}", hint="install git, or deploy a folder") from exc
    if done.returncode:
        raise SourceUnusable(f"git {' '.join(words)} failed in {folder}", hint="", detail=done.stderr)
    return done.stdout


@contextmanager
def _archived(source: Source) -> Iterator[IO[bytes]]:
    commit = revision_of(source)
    line = ["git", "-C", source.path, "archive", "--format=tar", commit]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield process.stdout
        process.stdout.read()  # What follows the end of the archive; git waits for it to be taken.
    if process.returncode:
        raise SourceUnusable(f"git archive {source.ref} failed in {source.path}", hint="see its own words above")


# --- archives ------------------------------------------------------------------------------------------------------


def _unpack_tar(stream: IO[bytes], mode: Literal["r|", "r|*"], target: str) -> None:
    try:
        with Writer(target) as writer, tarfile.open(fileobj=stream, mode=mode) as archive:
            for member in archive:
                _take(archive, member, writer)
    except (tarfile.TarError, EOFError) as exc:
        raise SourceUnusable(f"the archive cannot be read: {exc}", hint="is it whole, and a tar archive?") from exc


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, writer: Writer) -> None:
    if member.name.strip("./") == "":
        return  # The folder itself.
    if member.isdir():
        writer.folder(member.name)
    elif member.issym():
        writer.link(member.name, member.linkname)
    elif member.isreg():
        content = archive.extractfile(member)
        assert content is not None
        writer.file(member.name, member.mode, content)
    else:
        what = "a hard link" if member.islnk() else "a device or the like"
        raise UnsafeSource(f"{member.name} is {what}", hint="make the archive without (tar --hard-dereference)")


def _unpack_zip(path: str, target: str) -> None:
    try:
        with Writer(target) as writer, zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                mode = member.external_attr >> 16
                if member.is_dir():
                    writer.folder(member.filename)
                elif stat.S_ISLNK(mode):
                    writer.link(member.filename, archive.read(member).decode())
                else:
                    with archive.open(member) as content:
                        writer.file(member.filename, mode or 0o644, content)
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, RuntimeError) as exc:
        # RuntimeError: it is encrypted, or compressed in a way that is not known here.
        raise SourceUnusable(f"{path} cannot be read: {exc}", hint="is it whole?") from exc


def _without_top(target: str) -> None:
    """Archives of a project have all of it in one folder, as a rule; what stands at the top is what counts."""
    names = os.listdir(target)
    only = os.path.join(target, names[0]) if len(names) == 1 else ""
    if not only or os.path.islink(only) or not os.path.isdir(only):
        return
    aside = os.path.join(target, ".midair-top")  # Its own folder may hold something of its own name.
    os.rename(only, aside)
    for name in os.listdir(aside):
        shutil.move(os.path.join(aside, name), os.path.join(target, name))
    os.rmdir(aside)


def is_configured(folder: str) -> bool:
    """Whether there is a configuration in it."""
    return any(os.path.isfile(os.path.join(folder, name)) for name in (OWN, SHARED))
