"""From what files were and what they are to what has happened to them. Pure."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from midair.watch.known import Known, is_moved, is_rewritten
from midair.watch.words import Change


@dataclass(frozen=True, slots=True)
class Looked:
    """A path that was looked at; ``before`` and ``now``: None, there was or is nothing."""

    path: str
    before: Known | None
    now: Known | None
    was_written: bool


def changes_of(
    looked: Iterable[Looked], came_from: Mapping[str, str], *, wants_chmod: bool, is_crowded: bool = False
) -> list[Change]:
    """The changes, by path. came_from: renames that were heard of, new path to old. is_crowded: not all files are known, so what
    is not known need not be new.
    """
    all_looked = sorted(looked, key=lambda each: each.path)
    leaving = {each.path: each.before for each in all_looked if each.before and not each.now}
    by_inode: dict[int, list[str]] = {}
    for path, before in leaving.items():
        by_inode.setdefault(before.inode, []).append(path)
    changes = []
    for each in all_looked:
        if each.now is None:
            continue
        origin = _origin(each, leaving, by_inode.get(each.now.inode, ()), came_from.get(each.path, ""))
        if origin:
            del leaving[origin]
            changes.append(Change("move", each.path, origin, each.now.digest))
        elif each.before is None:
            changes.append(Change("write" if is_crowded else "create", each.path, digest=each.now.digest))
        elif is_rewritten(each.before, each.now, was_written=each.was_written):
            changes.append(Change("write", each.path, digest=each.now.digest))
        if wants_chmod and each.before and _mode(each.before) != _mode(each.now):
            changes.append(Change("chmod", each.path, digest=each.now.digest))
    changes += [Change("remove", path) for path in leaving]
    return sorted(changes, key=lambda change: change.path)


def _origin(each: Looked, leaving: Mapping[str, Known], of_this_inode: Iterable[str], told: str) -> str:
    """The path that the file had until now; empty: it was not moved. told: what was heard of it."""
    assert each.now is not None
    if told in leaving:
        return told
    if each.before is not None:
        return ""
    return next((path for path in of_this_inode if path in leaving and is_moved(leaving[path], each.now)), "")


def _mode(file: Known) -> int:
    return stat.S_IMODE(file.mode)
