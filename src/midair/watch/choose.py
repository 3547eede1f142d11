"""Where news of a folder come from, and why: the kernel where it tells, looking again and again where it does not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

from midair.config.schema import Watch
from midair.errors import MidairError
from midair.watch.inotify import Inotify
from midair.watch.polling import Polling
from midair.watch.source import Source
from midair.watch.trouble import InstanceLimit

MOUNTS = "/proc/self/mountinfo"
SILENT = frozenset(
    {
        "9p", "afs", "ceph", "cifs", "davfs", "drvfs", "fakeowner", "gfs2", "glusterfs", "grpcfuse", "lustre", "ncpfs", "nfs",
        "nfs4", "ocfs2", "osxfs", "prl_fs", "proc", "smb3", "smbfs", "sysfs", "vboxsf", "virtiofs", "vmhgfs",
    }
)  # fmt: skip
"""File systems that others write to as well, behind the kernel's back: networks, and the mounts by which containers and virtual
machines see the folders of their host. The kernel tells of what is done on this machine alone."""
LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.bindfs", "fuse.gocryptfs", "fuseblk"})
"""Of all that is written in user space these are written to through this kernel only."""


def choose(
    watch: Watch,
    folders: Iterable[str],
    say: Callable[[MidairError], None],
    *,
    type_of: Callable[[str], str] | None = None,
    is_told: Callable[[str], bool] | None = None,
) -> tuple[Source, str]:
    """What to listen to for these folders (absolute), and why it is not the kernel (empty: it is).

    say is told when the kernel has no room for another listener. type_of, is_told: of a folder, its file system, and whether the
    kernel tells of it; for tests.
    """
    if watch.poll == "always":
        return Polling(watch.poll_interval_s), 'watch.poll = "always"'
    if not sys.platform.startswith("linux"):
        from midair.watch.portable import Portable

        return Portable(), ""
    try:
        source = Inotify()
    except InstanceLimit as error:
        say(error)
        return Polling(watch.poll_interval_s), str(error)
    except OSError as exc:
        return Polling(watch.poll_interval_s), f"the kernel has no inotify: {exc.strerror}"
    why = _why_silent(folders, type_of or file_system, is_told or source.tells_of) if watch.poll == "auto" else ""
    if not why:
        return source, ""
    source.close()
    return Polling(watch.poll_interval_s), why


def _why_silent(folders: Iterable[str], type_of: Callable[[str], str], is_told: Callable[[str], bool]) -> str:
    for folder in folders:
        if not os.path.isdir(folder):
            continue
        found = type_of(folder)
        if found in SILENT or (found.startswith("fuse") and found not in LOCAL_FUSE):
            return f"{folder} is on {found}: the kernel does not tell what others write there"
        if not is_told(folder):
            return f"{folder}: the kernel did not tell that it was opened, so it tells nothing there"
    return ""


def file_system(folder: str, mounts: str = MOUNTS) -> str:
    """The type of the file system that ``folder`` is on; empty: unknown."""
    path = os.path.realpath(folder)
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as lines:
            mounted = [_mount(line) for line in lines]
    except OSError:
        return ""
    # Of two at one place the later one is on top.
    on_the_way = [(len(at), place, type_) for place, (at, type_) in enumerate(mounted) if _is_below(path, at)]
    return max(on_the_way)[2] if on_the_way else ""


def _mount(line: str) -> tuple[str, str]:
    before, _, after = line.partition(" - ")
    at = before.split(" ")[4]
    for escaped, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        at = at.replace(escaped, char)
    return at, after.split(" ")[0]


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
