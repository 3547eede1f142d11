"""A file that a container is made with, as a value: its lines with their reasons, and what two of them differ in. Pure.

Dockerfile, ``.dockerignore`` and YAML have the same comments, so one text does for all.
"""

from __future__ import annotations

import difflib
import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from midair.systemd.unit_text import LineBreak

COMMENT_WIDTH = 110
_PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.@-]*(:[A-Za-z0-9_/.@-]+)*")
_OTHER_THAN_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null", ".inf", ".nan"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands there, indented; and why. Lines in a row that have the same reason are explained once."""

    text: str
    why: str = ""


BLANK = Line("")


@dataclass(frozen=True, slots=True)
class File:
    """Its name, what stands above it, and its lines in order."""

    name: str
    head: str
    lines: tuple[Line, ...]

    def text(self, *, is_plain: bool = False) -> str:
        """As it is written. is_plain: without a comment. Raises LineBreak."""
        rows = [] if is_plain else [*_comment(self.head, ""), ""]
        why = ""
        for line in self.lines:
            if "\n" in line.text or "\r" in line.text:
                raise LineBreak(f"{self.name} cannot have a line break in {line.text!r}")
            if line.why and line.why != why and not is_plain:
                rows += _comment(line.why, " " * (len(line.text) - len(line.text.lstrip())))
            why = line.why
            rows.append(line.text)
        return "\n".join(rows).rstrip("\n") + "\n"


def _comment(text: str, indent: str) -> list[str]:
    """Lines that begin with a dollar sign are commands: they stand as they are."""
    rows: list[str] = []
    for part in text.split("\n"):
        if part.startswith("$ "):
            rows.append(f"{indent}#   {part}")
        else:
            rows += textwrap.wrap(
                part,
                COMMENT_WIDTH,
                initial_indent=f"{indent}# ",
                subsequent_indent=f"{indent}# ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    return rows


# --- words ---------------------------------------------------------------------------------------------------------


def scalar(text: str) -> str:
    """``text`` as YAML has it: plain where nobody could read anything else in it, else in double quotes, which are JSON's."""
    is_plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _OTHER_THAN_TEXT
    return text if is_plain else json.dumps(text, ensure_ascii=not text.isprintable())


def words(arguments: Iterable[str]) -> str:
    """An argument list as a Dockerfile's exec form and YAML have it."""
    return json.dumps(list(arguments))


def label(name: str) -> str:
    """``name`` as Docker and Kubernetes allow it: small letters, digits and dashes, a letter first, at most 63."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[:63].strip("-")
    return plain or "service"


# --- comparing -----------------------------------------------------------------------------------------------------


def difference(there: str, wanted: str) -> list[str]:
    """The lines that ``wanted`` takes away (``-``) and adds (``+``); comments and blank lines do not count. Empty: the same."""
    rows = difflib.ndiff(list(_said(there)), list(_said(wanted)))
    return [f"{row[0]}{row[2:]}" for row in rows if row[0] in "+-"]


def _said(text: str) -> Iterator[str]:
    for row in map(str.rstrip, text.splitlines()):
        if row and not row.lstrip().startswith("#"):
            yield row
