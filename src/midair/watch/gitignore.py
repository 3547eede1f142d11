"""The patterns of a ``.gitignore``, as git reads them, for thousands of names at a time.

Patterns that follow one another and say the same (ignored, or not after all) are one regular expression, so that a name costs
as many of them as the file changes its mind, and not as many as it has lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

NEVER = r"(?!)"
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line. ``regex`` is for a name if ``is_name``, else for the path below the folder of the file."""

    line: str
    number: int
    regex: str
    is_negated: bool
    is_folder_only: bool
    is_name: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """Patterns one after the other that say the same."""

    is_ignored: bool
    files: tuple[re.Pattern[str] | None, re.Pattern[str] | None]
    """For names, for paths."""
    folders: tuple[re.Pattern[str] | None, re.Pattern[str] | None]

    def matches(self, path: str, name: str, is_folder: bool) -> bool:
        for_name, for_path = self.folders if is_folder else self.files
        return bool((for_name and for_name.fullmatch(name)) or (for_path and for_path.fullmatch(path)))


class Patterns:
    """All lines of one file, or of one setting."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._all = [found for number, line in enumerate(lines, 1) if (found := read_line(line, number))]
        runs = [_run(negated, list(patterns)) for negated, patterns in groupby(self._all, lambda each: each.is_negated)]
        self._runs = runs[::-1]

    def verdict(self, path: str, name: str, is_folder: bool) -> bool | None:
        """Whether ``path`` (``name`` is its last part) is ignored; None: no line speaks of it. Folders above are not asked."""
        for run in self._runs:
            if run.matches(path, name, is_folder):
                return run.is_ignored
        return None

    def decisive(self, path: str, is_folder: bool) -> Pattern | None:
        """The line that decides: the last one that matches."""
        name = path.rpartition("/")[2]
        for pattern in reversed(self._all):
            if pattern.is_folder_only and not is_folder:
                continue
            if re.compile(pattern.regex).fullmatch(name if pattern.is_name else path):
                return pattern
        return None


def _run(is_negated: bool, patterns: list[Pattern]) -> _Run:
    anywhere = [each for each in patterns if not each.is_folder_only]
    return _Run(not is_negated, _regexes(anywhere), _regexes(patterns))


def _regexes(patterns: list[Pattern]) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    names = [each.regex for each in patterns if each.is_name]
    paths = [each.regex for each in patterns if not each.is_name]
    return (_any_of(names), _any_of(paths))


def _any_of(regexes: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{regex})" for regex in regexes), re.DOTALL) if regexes else None


def read_line(line: str, number: int = 0) -> Pattern | None:
    """The pattern of a line; None if it has none (empty, a comment)."""
    text = line.rstrip("\r\n")
    while text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1]
    if not text or text.startswith("#"):
        return None
    is_negated = text.startswith("!")
    glob = text[1:] if is_negated else text
    is_folder_only = glob.endswith("/")
    glob = glob.removesuffix("/")
    if not glob:
        return None
    is_name = "/" not in glob
    return Pattern(text, number, _translate(glob.removeprefix("/")), is_negated, is_folder_only, is_name)


def _translate(glob: str) -> str:
    """A glob as a regular expression for ``fullmatch``. What git takes for malformed matches nothing."""
    parts = glob.split("/")
    regex = ""
    for place, part in enumerate(parts):
        is_last = place == len(parts) - 1
        if len(part) > 1 and not part.strip("*") and len(parts) > 1:
            # `a/**` is all below a, and not a; elsewhere `**` is any number of folders, none too.
            regex += ".+" if is_last else "(?:[^/]+/)*"
            continue
        translated = _translate_part(part)
        if translated is None:
            return NEVER
        regex += translated if is_last else translated + "/"
    return regex


def _translate_part(part: str) -> str | None:
    regex = ""
    place = 0
    while place < len(part):
        char = part[place]
        place += 1
        if char == "*":
            while part[place : place + 1] == "*":
                place += 1
            regex += "[^/]*"
        elif char == "?":
            regex += "[^/]"
        elif char == "\\":
            if place == len(part):
                return None
            regex += re.escape(part[place])
            place += 1
        elif char == "[":
            found = _translate_class(part, place)
            if found is None:
                return None
            one_of, place = found
            regex += one_of
        else:
            regex += re.escape(char)
    return regex


def _translate_class(part: str, place: int) -> tuple[str, int] | None:
    """A class from behind its ``[``, and the place behind its ``]``; None if it has no end."""
    is_negated = part[place : place + 1] in ("!", "^")
    place += is_negated
    items: list[str] = []
    for item, place in _class_items(part, place):  # noqa: B020 - where the class ends is what the last item says
        if item is None:
            return None
        if item == "]":
            inside = "".join(items) or NEVER
            return (f"(?!/)[{'^' if is_negated else ''}{inside}]" if items else NEVER), place
        items.append(item)
    return None


def _class_items(part: str, place: int) -> Iterator[tuple[str | None, int]]:
    """The items of a class as regular expressions have them, each with the place behind it; ``]`` ends it, None is malformed."""
    is_first = True
    while place < len(part):
        if part[place] == "]" and not is_first:
            yield "]", place + 1
            return
        is_first = False
        if part.startswith("[:", place) and (end := part.find(":]", place)) > 0:
            yield _POSIX.get(part[place + 2 : end]), end + 2
            place = end + 2
            continue
        low, place = _one_char(part, place)
        high = low
        if part[place : place + 1] == "-" and part[place + 1 : place + 2] not in ("", "]"):
            high, place = _one_char(part, place + 1)
        if low is None or high is None:
            yield None, place
        elif low <= high:
            yield f"{re.escape(low)}-{re.escape(high)}", place
        else:
            yield "", place  # An empty range, such as [z-a]: nothing is in it.


def _one_char(part: str, place: int) -> tuple[str | None, int]:
    if part[place] == "\\":
        place += 1
    return (part[place], place + 1) if place < len(part) else (None, place)
