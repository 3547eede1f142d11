"""A unit file as a value: its lines with their reasons, how words are quoted, and what two files differ in. Pure."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from midair.errors import ConfigError

COMMENT_WIDTH = 110
_PLAIN_IN_NAMES = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.-")


class LineBreak(ConfigError):
    """A name or a path that is to stand in a unit, or in a container's file, has a line break."""

    code = "line-break"
    hint = "give it another name"


@dataclass(frozen=True, slots=True)
class Line:
    """``key=value``, and why. Lines in a row that have the same reason are explained once."""

    key: str
    value: str
    why: str

    def text(self) -> str:
        """Raises LineBreak: what follows one would be read as another line."""
        if "\n" in self.value or "\r" in self.value:
            raise LineBreak(f"{self.key}={self.value!r} has a line break, which a unit cannot say")
        return f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file: its name, what stands above it, and its sections in order."""

    name: str
    head: str
    sections: tuple[tuple[str, tuple[Line, ...]], ...]

    def text(self, *, is_plain: bool = False) -> str:
        """As it is written. is_plain: without a comment."""
        blocks = [] if is_plain else [_comment(self.head)]
        for section, lines in self.sections:
            rows = [f"[{section}]"]
            why = ""
            for line in lines:
                if line.why != why and not is_plain:
                    rows.append(_comment(line.why))
                why = line.why
                rows.append(line.text())
            blocks.append("\n".join(rows))
        return "\n\n".join(blocks) + "\n"


def _comment(text: str) -> str:
    return textwrap.fill(
        text,
        COMMENT_WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


# --- quoting -------------------------------------------------------------------------------------------------------


def literal(text: str) -> str:
    """``text`` where systemd expands specifiers and nothing else: Description=, WorkingDirectory=."""
    return text.replace("%", "%%")


def word(text: str) -> str:
    """``text`` as one word of a list that systemd splits: Environment=, RuntimeDirectory=."""
    escaped = literal(text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t"))
    is_plain = text and not any(char.isspace() or char in "\"'\\;" for char in text)
    return escaped if is_plain else f'"{escaped}"'


def command_line(arguments: Iterable[str]) -> str:
    """An argument list as ExecStart= has it: no shell reads it, but ``$NAME`` would be expanded."""
    return " ".join(word(argument.replace("$", "$$")) for argument in arguments)


def escaped_name(name: str) -> str:
    """``name`` as the first part of a unit's name, as systemd-escape makes it; ordinary names stay as they are.

    A dash would be a slash to systemd-escape; in a name that nobody turns back into a path it may stay.
    """
    return "".join(
        char if char in _PLAIN_IN_NAMES else "".join(f"\\x{byte:02x}" for byte in char.encode()) for char in name
    )


# --- comparing -----------------------------------------------------------------------------------------------------


def said(text: str) -> list[str]:
    """What a unit file says to systemd: its lines without comments, blank ones, and spaces around the ``=``."""
    return list(_said(text))


def _said(text: str) -> Iterator[str]:
    for row in map(str.strip, text.splitlines()):
        if row and row[0] not in "#;":
            key, equals, value = row.partition("=")
            yield f"{key.strip()}={value.strip()}" if equals else row


def difference(installed: str, wanted: str) -> list[str]:
    """The lines that ``wanted`` takes away (``-``) and adds (``+``); comments do not count. Empty: the same to systemd."""
    rows = difflib.ndiff(said(installed), said(wanted))
    return [f"{row[0]}{row[2:]}" for row in rows if row[0] in "+-"]
