"""Why a path is watched, or why it is not: what ``midair dev --explain PATH`` answers. Looks at the disk; watches nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from midair.config.schema import Watch
from midair.errors import MidairError
from midair.watch.choose import choose
from midair.watch.ignore import ENVIRONMENT, Reason, Rules
from midair.watch.known import READ_MAX_BYTES
from midair.watch.ways import join, tidy

HINTS = {
    "built in": 'to watch it all the same, write watch.ignore = ["!{name}"]',
    "watch.ignore": "take it out of watch.ignore",
    "watch.ignore_regex": "take it out of watch.ignore_regex",
    "watch.extensions": "add its ending to watch.extensions, or its path to watch.paths",
    "named by the build": "it is what the build writes, or midair's own",
    "named while running": "a build step wrote to it",
}
GITIGNORE_HINT = (
    'git ignores it too; to watch it all the same, write watch.ignore = ["!{line}"], or watch.gitignore = false'
)


@dataclass(frozen=True, slots=True)
class Explanation:
    path: str
    """As changes would be told of it."""
    is_watched: bool
    why: str
    """A sentence without its subject."""
    hint: str = ""

    def __str__(self) -> str:
        what = "is watched" if self.is_watched else "is not watched"
        return f"{self.path or '.'} {what}: {self.why}"


def explain(
    folder: str, watch: Watch, path: str, *, ignore: Sequence[str] = (), files: Sequence[str] = ()
) -> Explanation:
    """Whether changes of ``path`` (from ``folder``, the service's, absolute) are told, and why. The rest as in ``words.Begin``."""
    shown = tidy(os.path.relpath(path, folder) if os.path.isabs(path) and not _is_typed(path, watch) else path)
    absolute = os.path.normpath(os.path.join(folder, shown))
    single = {tidy(each) for each in (*watch.paths, *files)}
    if shown in single and not os.path.isdir(absolute):
        return _watched(folder, watch, shown, "it is named in the settings" + _how_it_is_compared(absolute))
    root = _root_of(shown, watch)
    if root is None:
        named = ", ".join(watch.paths)
        return Explanation(
            shown, False, f"it is in none of watch.paths ({named})", "add it, or its folder, to watch.paths"
        )
    rules = Rules(folder, watch, ignore=ignore, named=(*watch.paths, *files))
    return _on_the_way(folder, watch, rules, root, shown) or _watched(
        folder,
        watch,
        shown,
        f"it is below {root or 'the service folder'}, and nothing ignores it" + _how_it_is_compared(absolute),
    )


def _is_typed(path: str, watch: Watch) -> bool:
    return any(
        os.path.isabs(each) and (path == each or path.startswith(each.rstrip("/") + "/")) for each in watch.paths
    )


def _root_of(path: str, watch: Watch) -> str | None:
    """The innermost watched folder that ``path`` lies in."""
    roots = [tidy(each) for each in watch.paths]
    around = [
        root for root in roots if path == root or path.startswith(root + "/") or (not root and not _leads_out(path))
    ]
    return max(around, key=len, default=None)


def _leads_out(path: str) -> bool:
    return os.path.isabs(path) or path == ".." or path.startswith("../")


def _on_the_way(folder: str, watch: Watch, rules: Rules, root: str, path: str) -> Explanation | None:
    """Why the path, or a folder between the root and it, does not count; None: all of them do."""
    names = [name for name in path[len(root) :].split("/") if name]
    at = root
    for place, name in enumerate(names):
        is_last = place == len(names) - 1
        at = join(at, name)
        absolute = os.path.join(folder, at)
        is_folder = os.path.isdir(absolute) or not is_last
        what = "it" if is_last else f"{at}/"
        if reason := rules.reason(absolute, is_folder=is_folder):
            return Explanation(path, False, f"{what} is ignored by {_shown(reason)}", _hint(reason, name))
        if is_folder and os.path.exists(os.path.join(absolute, ENVIRONMENT)):
            return Explanation(path, False, f"{what} is a virtual environment ({ENVIRONMENT} is in it)")
        if is_folder and os.path.isdir(absolute) and not os.access(absolute, os.R_OK | os.X_OK):
            return Explanation(path, False, f"{what} may not be read")
        if os.path.islink(absolute) and (hidden := _hidden_behind(rules, absolute, is_folder)):
            return Explanation(path, False, f"{what} leads to {hidden}, which is ignored")
    return None


def _hidden_behind(rules: Rules, absolute: str, is_folder: bool) -> str:
    real = os.path.realpath(absolute)
    return real if rules.ignores_way(real if is_folder else os.path.dirname(real)) else ""


def _shown(reason: Reason) -> str:
    if reason.where == "watch.extensions":
        return f"watch.extensions, where only {reason.rule} count"
    return f"{reason.rule} ({reason.where})"


def _hint(reason: Reason, name: str) -> str:
    return HINTS.get(reason.where, GITIGNORE_HINT).format(name=name, line=reason.rule.lstrip("/"))


def _how_it_is_compared(absolute: str) -> str:
    try:
        found = os.stat(absolute)
    except OSError:
        return "; it is not there now"
    if stat.S_ISREG(found.st_mode) and found.st_size > READ_MAX_BYTES:
        return f"; it is larger than {READ_MAX_BYTES >> 20} MiB, so that its size and time tell whether it has changed"
    return ""


def _watched(folder: str, watch: Watch, path: str, why: str) -> Explanation:
    """Watched, and by what."""
    troubles: list[MidairError] = []
    source, silent = choose(watch, [os.path.join(folder, each) for each in watch.paths], troubles.append)
    source.close()
    by = (
        f"; files are compared every {source.every_s:g} s ({silent})"
        if source.every_s
        else f"; news come from {source.how}"
    )
    return Explanation(path, True, why + by, troubles[0].hint if troubles else "")
