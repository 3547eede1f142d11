"""Which actions of the settings (``[[watch.action]]``) a batch is for. Pure; who runs them is another's business."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from midair.config.schema import Watch, WatchAction
from midair.watch.gitignore import Patterns
from midair.watch.words import Change

ARGUMENTS_MAX_BYTES = 100_000
"""Of paths on a command line: the kernel refuses longer ones (128 KiB an argument list at the least). All stand in the JSON."""


@dataclass(frozen=True, slots=True)
class Due:
    """An action, and the changes that it is for."""

    action: WatchAction
    changes: tuple[Change, ...]

    @property
    def name(self) -> str:
        return self.action.name or posixpath.basename(self.action.run[0])

    def argv(self) -> list[str]:
        """The program, its arguments, and the paths: each an argument of its own, which no shell reads. A path that begins with a
        dash is written as ``./-x``, so that it is no option.
        """
        paths = list(dict.fromkeys(change.path for change in self.changes))
        argv, left = list(self.action.run), ARGUMENTS_MAX_BYTES
        for path in paths:
            left -= len(path.encode()) + 1
            if left < 0:
                break
            argv.append(f"./{path}" if path.startswith("-") else path)
        return argv

    def standard_input(self) -> bytes:
        """``{"changes": [{"kind", "path", "before"}]}`` and the end of a line; ``before`` stands with moves."""
        changes = [
            {"kind": each.kind, "path": each.path, **({"before": each.before} if each.before else {})}
            for each in self.changes
        ]
        return msgspec.json.encode({"changes": changes}) + b"\n"


@dataclass(frozen=True, slots=True)
class Matched:
    """``due`` in the order of the settings; ``left`` are the changes that lead to an update."""

    due: tuple[Due, ...]
    left: tuple[Change, ...]


def match(changes: Sequence[Change], watch: Watch) -> Matched:
    """What a batch leads to. A change that only actions with ``update = false`` are for leads to no update; one for which there is
    none does, unless it is a change of permission bits alone: whoever wants to hear of these says so in an action.
    """
    due = []
    consumed: set[int] = set()
    updating: set[int] = set()
    for action in watch.action:
        patterns = Patterns(action.paths)
        found = [place for place, change in enumerate(changes) if _is_for(action, patterns, change)]
        (updating if action.update else consumed).update(found)
        if found:
            due.append(Due(action, tuple(changes[place] for place in found)))
    left = [
        change
        for place, change in enumerate(changes)
        if (place not in consumed or place in updating) and (change.kind != "chmod" or place in updating)
    ]
    return Matched(tuple(due), tuple(left))


def wants_chmod(watch: Watch) -> bool:
    """Whether any action asks for changes of permission bits (``words.Begin``)."""
    return any("chmod" in action.on for action in watch.action)


def _is_for(action: WatchAction, patterns: Patterns, change: Change) -> bool:
    if change.kind not in action.on:
        return False
    ends = [path for path in (change.path, change.before) if path and not _is_excepted(action, path)]
    return any(not action.paths or _matches(patterns, path) for path in ends)


def _is_excepted(action: WatchAction, path: str) -> bool:
    return any(re.search(each, path) for each in action.ignore_regex)


def _matches(patterns: Patterns, path: str) -> bool:
    """Whether the lines name the path, or a folder on the way to it."""
    parts = path.split("/")
    for length in range(1, len(parts)):
        if patterns.verdict("/".join(parts[:length]), parts[length - 1], True):
            return True
    return bool(patterns.verdict(path, parts[-1], False))
