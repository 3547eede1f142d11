"""Which line of a TOML file a key stands on. tomllib gives none, and an error without a line is half an error.

A small scan, not a parser: it is asked only about files that tomllib has read, and a wrong answer costs a look at the
neighbouring line. Keys inside inline tables are found at the line of their table.
"""

from __future__ import annotations

import re

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?$")
_ASSIGN = re.compile(rf"\s*({_DOTTED})\s*=")
_MULTILINE = re.compile(r"\"\"\"|'''")

Path = tuple[str, ...]


def key_lines(text: str) -> dict[Path, int]:
    """Line (from 1) of every table and key. ``[[process]]`` is found as ``process.0``, ``process.1``, ….

    text: what tomllib has read.
    """
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    inside = ""  # the quotes of a multi-line string that is open
    for number, line in enumerate(text.splitlines(), 1):
        if inside:
            inside = _open_after(line, inside)
            continue
        if match := _HEADER.match(line):
            table = _split(match[2])
            if match[1] == "[[":
                place = counts.get(table, 0)
                counts[table] = place + 1
                table = (*table, str(place))
            lines.setdefault(table, number)
        elif match := _ASSIGN.match(line):
            lines.setdefault((*table, *_split(match[1])), number)
            inside = _open_after(line[match.end() :], "")
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of ``path``, or of the nearest thing that contains it; 0 if there is none."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 0


def _split(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _open_after(line: str, inside: str) -> str:
    """The quotes that are open at the end of ``line``."""
    for quotes in _MULTILINE.findall(line):
        if not inside:
            inside = quotes
        elif inside == quotes:
            inside = ""
    return inside
