"""Configurations of other developers' tools that are read as they are: a key of theirs, its verdict, and what is said about it."""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

from msgspec import Struct

from midair.config.units import BadUnit, read_duration

Verdict = Literal["same", "better", "refused"]
"""same: does what it does there. better: what it is for is done, and what is wrong with their way is not. refused: has no effect
here, for the reason that is given."""


class Form(Enum):
    """How they have a value written."""

    TEXT = auto()
    LIST = auto()
    LINE = auto()
    """A string, or a list of strings."""
    FLAG = auto()
    MS = auto()
    """A number of milliseconds."""
    NUMBER = auto()
    DELAY = auto()
    """A number, or a text such as ``500ms``."""
    TABLE = auto()
    """Strings by name."""
    ANY = auto()


class TheirKey(Struct, frozen=True):
    """One key. The pages of the documentation are made of these."""

    name: str
    form: Form
    default: object
    verdict: Verdict
    becomes: str
    """Our key or keys, as they are written in midair.toml; empty: none."""
    reason: str
    """What is better, or why it is refused; with ``same`` what is to be known, and often nothing."""

    @property
    def sentence(self) -> str:
        """What becomes of it, for people."""
        return (
            "; ".join(part for part in (self.becomes and f"is {self.becomes}", self.reason) if part) or "as it is there"
        )


class Note(Struct, frozen=True):
    """What became of a key that stands in the file."""

    where: str
    """File and line."""
    key: str
    """As they call it."""
    verdict: Verdict
    text: str
    """For people, without the key."""

    def __str__(self) -> str:
        return f"{self.where}: {self.key}: {self.text}"


FORMS = {
    Form.TEXT: "a string",
    Form.LIST: "a list of strings",
    Form.LINE: "a string or a list of strings",
    Form.FLAG: "true or false",
    Form.MS: "a number of milliseconds",
    Form.NUMBER: "a number",
    Form.DELAY: 'a number of milliseconds, or a text such as "500ms"',
    Form.TABLE: "a table of strings",
    Form.ANY: "a value",
}


def is_of(form: Form, value: object) -> bool:
    """Whether a value is written in that form."""
    is_list = isinstance(value, list) and all(isinstance(part, str) for part in value)
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    match form:
        case Form.TEXT:
            return isinstance(value, str)
        case Form.LIST:
            return is_list
        case Form.LINE:
            return is_list or isinstance(value, str)
        case Form.FLAG:
            return isinstance(value, bool)
        case Form.MS | Form.NUMBER:
            return is_number
        case Form.DELAY:
            return is_number or (isinstance(value, str) and (value.isdigit() or is_duration(value)))
        case Form.TABLE:
            return isinstance(value, dict) and all(isinstance(each, (str, int, float)) for each in value.values())
        case Form.ANY:
            return True


def is_duration(text: str) -> bool:
    try:
        read_duration(text)
    except BadUnit:
        return False
    return True
