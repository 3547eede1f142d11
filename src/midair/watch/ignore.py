"""What counts and what does not. Whoever speaks later decides; in a layer the last line that matches does:

    built in  <  .git/info/exclude  <  .gitignore (outer before inner)  <  watch.ignore  <  named while running

and then, for files alone, ``watch.extensions`` and ``watch.ignore_regex``. What is named in ``watch.paths`` counts whoever
ignores it. An ignored folder is never entered, so nothing below it can count again: as with git, ``!dist/keep.py`` does nothing
for a ``dist`` that is ignored, but ``dist/*`` and ``!dist/keep.py`` do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from midair.config.schema import Watch
from midair.watch.gitignore import Patterns

BUILT_IN = """
.git/
.hg/
.svn/
.jj/
__pycache__/
*.py[cod]
node_modules/
site-packages/
.venv/
.tox/
.nox/
.eggs/
*.egg-info/
.cache/
.mypy_cache/
.ruff_cache/
.pytest_cache/
.hypothesis/
.ipynb_checkpoints/
.parcel-cache/
.turbo/
.next/
.nuxt/
.svelte-kit/
.gradle/
.terraform/
.direnv/
.idea/
.DS_Store
# What editors write beside the file that is being saved or edited.
*~
.*.sw[a-z]
4913
\\#*#
.#*
.goutputstream-*
*___jb_tmp___
*___jb_old___
*.kate-swp
.*.kate-swp
# What programs write while they run.
*.log
*.pid
*.db
*.db-*
*.sqlite
*.sqlite-*
*.sqlite3
*.sqlite3-*
.coverage
""".strip().splitlines()

GITIGNORE = ".gitignore"
GITIGNORE_MAX_BYTES = 1024 * 1024
ENVIRONMENT = "pyvenv.cfg"
"""In a virtual environment, whatever it is called."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something does not count: a rule, as it is written, and where."""

    rule: str
    where: str
    """``built in``, a file with its line, or the key of a setting."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """The lines of one file or setting, and where the paths that they speak of begin."""

    where: str
    patterns: Patterns
    base: str
    """Absolute folder, with a slash."""


class Rules:
    """Reads ``.gitignore`` files as folders are met, and remembers them until ``forget``."""

    def __init__(self, folder: str, watch: Watch, *, ignore: Sequence[str] = (), named: Iterable[str] = ()) -> None:
        """folder: the service's, absolute. ignore: lines besides those of the settings. named: paths that count in any case."""
        self._folder = folder
        self._top = "" if _is_in_repository(folder) else folder
        """Without a repository nobody's ``.gitignore`` above the service speaks of it."""
        self._uses_gitignore = watch.gitignore
        self._regexes = tuple(re.compile(each) for each in watch.ignore_regex)
        self._endings = tuple(f".{each.lstrip('.')}" for each in watch.extensions)
        self._named = {os.path.normpath(os.path.join(folder, path)) for path in named}
        base = _with_slash(folder)
        self._first = _Layer("built in", Patterns(BUILT_IN), "")
        self._last: tuple[_Layer, ...] = (
            _Layer("named by the build", Patterns(ignore), base),
            _Layer("watch.ignore", Patterns(watch.ignore), base),
        )
        self._more: list[str] = []
        self._of_git: dict[str, tuple[_Layer, ...]] = {}

    def add(self, lines: Iterable[str]) -> None:
        """More lines, from now on."""
        self._more += lines
        more = _Layer("named while running", Patterns(self._more), _with_slash(self._folder))
        self._last = (more, *self._last[-2:])
        self._of_git.clear()

    def forget(self) -> None:
        """Read the ``.gitignore`` files anew."""
        self._of_git.clear()

    def ignores(self, folder: str, name: str, *, is_folder: bool) -> bool:
        """Whether ``name`` in ``folder`` (absolute, counting itself) does not count."""
        path = os.path.join(folder, name)
        if path in self._named:
            return False
        if not is_folder and (self._endings or self._regexes) and self._is_no_such_file(path):
            return True
        for layer in self._layers(folder):
            verdict = layer.patterns.verdict(path[len(layer.base) :], name, is_folder)
            if verdict is not None:
                return verdict
        return False

    def _is_no_such_file(self, path: str) -> bool:
        """What is asked of files alone."""
        if self._endings and not path.endswith(self._endings):
            return True
        return any(each.search(path) for each in self._regexes)

    def ignores_at(self, path: str, *, is_folder: bool) -> bool:
        """As ``ignores``, of an absolute path."""
        folder, _, name = path.rpartition("/")
        return self.ignores(folder, name, is_folder=is_folder)

    def ignores_way(self, path: str, *, is_folder: bool = True) -> bool:
        """Whether ``path`` (absolute) or, inside the service's folder, one of those above it does not count."""
        if path == self._folder:
            return False
        if not path.startswith(_with_slash(self._folder)):
            return self.ignores_at(path, is_folder=is_folder)
        return self.ignores_way(os.path.dirname(path)) or self.ignores_at(path, is_folder=is_folder)

    def reason(self, path: str, *, is_folder: bool) -> Reason | None:
        """Why ``path`` (absolute) itself does not count; None if it does. The folders above it are not asked."""
        folder, _, name = path.rpartition("/")
        if not self.ignores(folder, name, is_folder=is_folder):
            return None
        if not is_folder and (found := self._reason_of_files(path)):
            return found
        for layer in self._layers(folder):
            # What is built in speaks of names alone, wherever they stand.
            line = layer.patterns.decisive(path[len(layer.base) :] if layer.base else name, is_folder)
            if line:
                number = f":{line.number}" if layer.where.endswith((GITIGNORE, "exclude")) else ""
                return Reason(line.line, layer.where + number)
        raise AssertionError(f"{path} is ignored, and no line says so")

    def _reason_of_files(self, path: str) -> Reason | None:
        for each in self._regexes:
            if each.search(path):
                return Reason(each.pattern, "watch.ignore_regex")
        if self._endings and not path.endswith(self._endings):
            return Reason(", ".join(self._endings), "watch.extensions")
        return None

    def _layers(self, folder: str) -> tuple[_Layer, ...]:
        """All that speak of what is in ``folder``, the most decisive first."""
        if not self._uses_gitignore:
            return (*self._last, self._first)
        return self._gitignores(folder)

    def _gitignores(self, folder: str) -> tuple[_Layer, ...]:
        """The layers of ``folder``: those of the folder above, unless a repository begins here, under its own ``.gitignore``."""
        known = self._of_git.get(folder)
        if known is not None:
            return known
        base = _with_slash(folder)
        own = read_gitignore(base + GITIGNORE)
        is_top = folder in ("", "/", self._top) or os.path.exists(base + ".git")
        if is_top:
            exclude = read_gitignore(base + ".git/info/exclude")
            above = (self._layer(".git/info/exclude", exclude, base),) if exclude else ()
            middle: tuple[_Layer, ...] = (*above, self._first)
        else:
            middle = self._gitignores(os.path.dirname(folder))[len(self._last) :]
        found = (*self._last, *((self._layer(GITIGNORE, own, base),) if own else ()), *middle)
        self._of_git[folder] = found
        return found

    def _layer(self, name: str, lines: list[str], base: str) -> _Layer:
        shown = os.path.relpath(base, self._folder or "/")
        return _Layer(name if shown == "." else f"{shown}/{name}", Patterns(lines), base)


def _is_in_repository(folder: str) -> bool:
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return True


def read_gitignore(path: str) -> list[str]:
    """The lines of the file; none if there is none, or it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(GITIGNORE_MAX_BYTES).splitlines()
    except OSError:
        return []


def _with_slash(folder: str) -> str:
    return folder if folder.endswith("/") else folder + "/"
