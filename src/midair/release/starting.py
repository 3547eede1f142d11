"""From where an import may start, so that it executes only what a save has changed and what comes after. Pure.

Processes are kept that stand within an import: a checkpoint before each file that was edited lately. Which of them a fresh import
would have come to in the same way follows from the digests of what it has executed and read so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

HOT_MAX = 3
"""Files that are taken to be under edit: an import from the beginning stops before each. A save of more files than these is a
checkout or a formatter, and says nothing about the next one."""

CHECKPOINTS_MAX = 4
"""Each is a process that shares what it has imported with the others. One more than hot files, for the one that is being left."""


class Kept(Struct, frozen=True):
    """A checkpoint. ``relied``: digests of the files that it has executed or read, as far as a fingerprint knows them."""

    id: int
    before: str
    """The file that it is about to execute."""
    relied: Mapping[str, bytes]


class Start(Struct, frozen=True):
    origin: int | None
    """The checkpoint to fork from; None: none of them will do."""
    stops: tuple[str, ...]
    """Files before which the import is to stop on its way."""
    stale: Mapping[int, str]
    """Checkpoints that will not do any more, each with the file that has changed."""


def changes(before: Mapping[str, bytes], now: Mapping[str, bytes]) -> list[str]:
    """Names of files that were changed, made or removed."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def heat(hot: Sequence[str], changed: Sequence[str]) -> tuple[str, ...]:
    """The files that are taken to be under edit after this save, latest first."""
    if len(changed) > HOT_MAX:
        return tuple(hot)
    return (*changed, *(name for name in hot if name not in changed))[:HOT_MAX]


def choose(kept: Sequence[Kept], now: Mapping[str, bytes], hot: Sequence[str], changed: Sequence[str]) -> Start:
    """Where the next import starts, and where it stops on its way.

    kept: oldest first. now: digests on the disk, by name. hot: see ``heat``, with this save in it. changed: by this save.
    """
    stale = {each.id: name for each in kept if (name := _changed(each, now))}
    good = [each for each in kept if each.id not in stale]
    # Those that are left have all come the same way: the one that has seen most is furthest.
    origin = max(good, key=lambda each: (len(each.relied), each.id), default=None)
    if origin is None:
        return Start(None, tuple(hot), stale)
    # What is further on and was not saved now can be reached from here again; a stop there would be paid for at each save.
    return Start(origin.id, tuple(name for name in hot if name in changed and name != origin.before), stale)


def likely(kept: Sequence[Kept], now: Mapping[str, bytes], hot: Sequence[str]) -> int | None:
    """The checkpoint that the next import will start from, if the file that was edited last is edited again."""
    if not hot:
        return None
    return choose(kept, {**now, hot[0]: b""}, hot, hot[:1]).origin


def surplus(kept: Sequence[Kept]) -> list[int]:
    """Which checkpoints to give up, the oldest first, so that there is room within the bound."""
    doubles = [
        each.id for number, each in enumerate(kept) if any(later.before == each.before for later in kept[number + 1 :])
    ]
    left = [each.id for each in kept if each.id not in doubles]
    return doubles + left[: max(0, len(left) - CHECKPOINTS_MAX)]


def _changed(kept: Kept, now: Mapping[str, bytes]) -> str:
    return next((name for name, digest in kept.relied.items() if now.get(name) != digest), "")
