"""What a ``.env`` file means here. Pure.

    # a comment            BARE=value # a comment after a blank       export ALSO='as it stands: $HOME \\n'
    QUOTED="with \\n, \\t, \\", \\\\ and \\$; may go over several lines"    EMPTY=

Nothing is expanded: ``$HOME`` is five characters in every kind of value. A file means the same whoever reads it.
"""

from __future__ import annotations

import re

_KEY = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_BARE = re.compile(r"[^\n]*")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_AFTER = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_SKIP = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*(?:#[^\n]*)?\Z|(?:[ \t]*(?:#[^\n]*)?\n)*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\n": ""}


class BadEnvFile(ValueError):
    """A line that is neither empty, comment nor KEY=VALUE. The message names the line, and never a value."""


def parse_env_file(text: str) -> dict[str, str]:
    """Names and values, the last of a repeated name. Raises BadEnvFile."""
    text = text.replace("\r\n", "\n")
    values: dict[str, str] = {}
    at = _skip(text, 0)
    while at < len(text):
        key = _KEY.match(text, at)
        if key is None:
            raise BadEnvFile(f"line {_line(text, at)} is not KEY=VALUE")
        value, end = _value(text, key)
        values[key[1]] = value
        at = _skip(text, end)
    return values


def _value(text: str, key: re.Match[str]) -> tuple[str, int]:
    """The value after ``KEY=`` and where its line ends."""
    at = key.end()
    if text[at : at + 1] not in ("'", '"'):
        bare = _BARE.match(text, at)
        assert bare is not None  # matches nothing at all, too
        # " #" begins a comment, "a#b" does not.
        return re.split(r"(?:^|[ \t])#", bare[0], maxsplit=1)[0].strip(), min(bare.end() + 1, len(text))
    quote = text[at]
    quoted = (_SINGLE if quote == "'" else _DOUBLE).match(text, at)
    if quoted is None:
        raise BadEnvFile(f"line {_line(text, at)}: the quote of {key[1]} is never closed")
    after = _AFTER.match(text, quoted.end())
    if after is None:
        raise BadEnvFile(f"line {_line(text, quoted.end())}: something follows the closing quote of {key[1]}")
    if quote == "'":
        return quoted[1], after.end()
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), quoted[1]), after.end()


def _skip(text: str, at: int) -> int:
    """Past empty lines and comments."""
    match = _SKIP.match(text, at)
    assert match is not None  # matches nothing at all, too
    return match.end()


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
