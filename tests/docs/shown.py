"""What a page shows against what was printed. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

ANYTHING = "…"
"""A line of its own that stands for any number of lines."""
FIGURES = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?"  # a moment
    r"|\b\d{8}-\d{6}\b"  # the name of a release
    r"|^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ |\[\d+\]:"  # the journal's
    r"|\buid \d+ \(\w+\)"
    r"|\d\d:\d\d:\d\d"
    r"|\d+(\.\d+)? (m?s|min|h|MiB)\b"
    r"|\d+\.\d\d\d?\b"
    r"|\b[0-9a-f]{8}\b"
    r"|\b\d+ workers? within a minute; worker \d+"  # before it was asked
    r"|^\d+\.\d+ \|"  # which worker printed a line
    r"|(?<=127\.0\.0\.1:)\d{5}\b"  # where a client is
    r"|pid=\d+|\bpid \d+|\bkill \d+|python=[\d.]+"
    r"| {2,}\d+(?= {2,})"  # a column of a table
    r"| {2,}"
)
"""What differs from run to run: times, versions, process ids, and with them the widths of columns."""


def without_figures(lines: Sequence[str], also: Sequence[str] = ()) -> list[str]:
    """The lines with ``#`` in the place of each figure, and without empty ones at the end; the words stay.

    also: patterns of what else is a figure.
    """
    found = [re.sub("|".join([*also, FIGURES.pattern]), "#", line).rstrip() for line in lines]
    while found and not found[-1]:
        found.pop()
    return found


def fits(expected: Sequence[str], actual: Sequence[str]) -> bool:
    """Whether the lines are the same; ``…`` stands for any number of lines."""
    parts = [re.escape(line) if line.strip() != ANYTHING else None for line in expected]
    pattern = "".join(r"(?:.*\n)*" if part is None else part + "\n" for part in parts)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in actual)) is not None


def is_shown(shown: Sequence[str], printed: Sequence[str], also: Sequence[str] = ()) -> bool:
    """Whether the page shows what was printed, figures aside (``also``: see ``without_figures``)."""
    return fits(without_figures(shown, also), without_figures(printed, also))


def says_nothing(shown: Sequence[str]) -> bool:
    """Whether the page shows no word of what is printed."""
    return all(line.strip() == ANYTHING for line in shown)
