"""Release folders, as people know them from Capistrano:

    ROOT/releases/20261126-081500    what was deployed, a folder each, whole or not there
    ROOT/current -> releases/…       what a start takes; the service runs in this folder, as typed
    ROOT/shared                      what outlives releases, linked into each of them
    ROOT/.midair-deploy.lock         held (flock) by whoever deploys
    ROOT/.midair-deploy.json         while ``current`` may name something else than what serves: from where, to where

``current`` is changed by renaming a new link over it: whoever looks sees one release or the other. The last file is written
before that and goes when disk and service agree, so whoever comes after a deployment that was killed knows what to put right.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from midair.errors import WorldError

RELEASES, CURRENT, SHARED = "releases", "current", "shared"
MANIFEST = ".midair-release.json"
"""In a release; a fingerprint does not see it. Releases that somebody else has put there have none, and are left alone."""
UNFINISHED = ".midair-unfinished"
"""In a release from before its first file until after its last: with it, it is not whole."""
COMING, GOING = ".coming", ".going"
"""Ends of names that are no release's: before it has its mark, and while it is removed."""


class DeployBusy(WorldError):
    """Somebody deploys here already: two at a time would take each other's release away."""

    code = "deploy-busy"
    hint = "wait for it to end, or end that process: whatever it leaves behind is put right by the next deployment"


class CurrentNoLink(WorldError):
    """``current`` is there, and no link: replacing it would lose what is in it."""

    code = "deploy-current"
    hint = "move it out of the way, or deploy to another folder with --to"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a release, in its own folder."""

    format: int = 1
    id: str
    created_s: float
    """Seconds since the epoch."""
    source: str = ""
    """What was deployed, for people."""
    revision: str = ""
    """The commit, if it was a git checkout."""
    version: str = ""
    by: str = ""
    state: str = "prepared"
    """prepared (did not serve yet), deployed, failed (was refused or rolled back), foreign (somebody else has put it there)."""
    replaced: str = ""
    """The release that was current before it."""


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """``current`` is on its way from one release to another."""

    source: str
    """Empty: there was none."""
    target: str
    began_s: float


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who deploys."""

    pid: int
    uid: int
    since_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one service. ``root`` is absolute."""

    root: str

    @property
    def releases(self) -> str:
        return os.path.join(self.root, RELEASES)

    @property
    def current(self) -> str:
        return os.path.join(self.root, CURRENT)

    @property
    def shared(self) -> str:
        return os.path.join(self.root, SHARED)

    @property
    def journal(self) -> str:
        return os.path.join(self.root, ".midair-deploy.json")

    @property
    def lock(self) -> str:
        return os.path.join(self.root, ".midair-deploy.lock")

    def release(self, name: str) -> str:
        return os.path.join(self.releases, name)

    def name_of(self, folder: str) -> str:
        """The release that ``folder`` (links resolved) is, or is in; empty: it is in none."""
        inside = os.path.realpath(self.releases) + os.sep
        return folder[len(inside) :].partition(os.sep)[0] if folder.startswith(inside) else ""


def layout_of(folder: str) -> Layout | None:
    """The layout that a service's folder belongs to: ROOT itself, ROOT/current or a release. None: it is in none."""
    plain = folder.rstrip(os.sep) or os.sep
    parent = os.path.dirname(plain)
    for root in (plain, parent, os.path.dirname(parent)):
        is_named = plain == root or os.path.basename(plain) == CURRENT or os.path.basename(parent) == RELEASES
        if is_named and os.path.isdir(os.path.join(root, RELEASES)):
            return Layout(root)
    return None


# --- current -------------------------------------------------------------------------------------------------------


def current_release(layout: Layout) -> str:
    """The release that ``current`` names; empty: there is no link, or it leads elsewhere."""
    if not os.path.islink(layout.current):
        return ""
    return layout.name_of(os.path.realpath(layout.current))


def switch(layout: Layout, name: str) -> None:
    """``current`` names the release ``name``; empty: nothing any more. In one step, and safe on disk.

    Raises CurrentNoLink, OSError.
    """
    if os.path.lexists(layout.current) and not os.path.islink(layout.current):
        raise CurrentNoLink(f"{layout.current} is no link")
    if not name:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(layout.current)
    else:
        new = f"{layout.current}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)  # Of one that was killed between the two steps.
        os.symlink(os.path.join(RELEASES, name), new)
        os.rename(new, layout.current)
    sync_folder(layout.root)


def sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# --- small documents -----------------------------------------------------------------------------------------------


def write_document(path: str, document: msgspec.Struct) -> None:
    """A new file, synced, renamed into place. Raises OSError."""
    with open(path + ".new", "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    sync_folder(os.path.dirname(path))


def read_journal(layout: Layout) -> Journal | None:
    """What a deployment has left behind, or is at; None: disk and service agree."""
    try:
        with open(layout.journal, "rb") as file:
            return msgspec.json.decode(file.read(), type=Journal)
    except (OSError, msgspec.MsgspecError):
        return None


def end_journal(layout: Layout) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(layout.journal)


def read_manifest(layout: Layout, name: str) -> Manifest | None:
    """None: it is no release, or not whole."""
    folder = layout.release(name)
    if name.startswith(".") or not os.path.isdir(folder) or os.path.lexists(os.path.join(folder, UNFINISHED)):
        return None
    try:
        with open(os.path.join(folder, MANIFEST), "rb") as file:
            return msgspec.structs.replace(msgspec.json.decode(file.read(), type=Manifest), id=name)
    except (OSError, msgspec.MsgspecError):
        return Manifest(id=name, created_s=os.stat(folder).st_mtime, state="foreign")


def is_leftover(layout: Layout, name: str) -> bool:
    """Whether it is ours, and not whole: of a deployment or a removal that was killed."""
    if name.startswith("."):
        return name.endswith((COMING, GOING))
    return os.path.lexists(os.path.join(layout.release(name), UNFINISHED))


def make_release(layout: Layout, name: str) -> str:
    """An empty release folder with its mark; return its path. Raises OSError."""
    coming = layout.release(f".{name}{COMING}")
    os.makedirs(coming, mode=0o755, exist_ok=True)
    with open(os.path.join(coming, UNFINISHED), "wb"):
        pass
    os.rename(coming, layout.release(name))
    return layout.release(name)


def make_whole(layout: Layout, manifest: Manifest) -> None:
    """It is a release from here on. All that is in it must be on disk before. Raises OSError."""
    write_manifest(layout, manifest)
    os.unlink(os.path.join(layout.release(manifest.id), UNFINISHED))
    sync_folder(layout.release(manifest.id))


def write_manifest(layout: Layout, manifest: Manifest) -> None:
    write_document(os.path.join(layout.release(manifest.id), MANIFEST), manifest)


# --- one at a time -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def held(layout: Layout, what: str) -> Iterator[None]:
    """Be the only one who deploys here while the block lasts. The kernel lets go of it when we end, however that is.

    Raises DeployBusy with who it is; OSError.
    """
    fd = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise DeployBusy(_who(os.pread(fd, 4096, 0))) from exc
        holder = Holder(pid=os.getpid(), uid=os.getuid(), since_s=time.time(), what=what)
        os.ftruncate(fd, 0)
        os.pwrite(fd, msgspec.json.encode(holder), 0)
        yield
    finally:
        os.close(fd)


def follow_after_kill(layout: Layout, home: str) -> str:
    """If whoever deployed was killed, let ``current`` name the release in the folder ``home``, which serves; return it.

    Empty: there is nothing to do, or somebody deploys and sees to it. Raises WorldError.
    """
    name = layout.name_of(home)
    if not name or read_journal(layout) is None:
        return ""
    try:
        with held(layout, "midair run, for one that was killed"):
            is_changed = name != current_release(layout)
            if is_changed:
                switch(layout, name)
            end_journal(layout)
    except DeployBusy:
        return ""
    except OSError as exc:
        raise WorldError(f"{layout.current} cannot be changed: {exc.strerror}") from exc
    return name if is_changed else ""


def _who(said: bytes) -> str:
    try:
        holder = msgspec.json.decode(said, type=Holder)
    except msgspec.MsgspecError:
        return "somebody deploys here already"
    since = time.strftime("%H:%M:%S", time.localtime(holder.since_s))
    return f"process {holder.pid} (uid {holder.uid}) is at it since {since}: {holder.what}"
