"""One value from how it is written to how it is used, and back. Knows nothing of files or defaults."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from midair.config import units
from midair.config.keys import Key, Kind
from midair.config.units import BadUnit

_UNITS: dict[Kind, tuple[Callable[[str], float], Callable[[float], str], str]] = {
    Kind.DURATION: (units.read_duration, units.write_duration, units.DURATION),
    Kind.RATE: (units.read_rate, units.write_rate, units.RATE),
    Kind.SHARE: (units.read_share, units.write_share, units.SHARE),
    Kind.SIZE: (units.read_size, units.write_size, units.SIZE),
    Kind.MODE: (units.read_mode, units.write_mode, units.MODE),
}
_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}
COUNT_MAX = 2**31 - 1


class BadValue(ValueError):
    """A value that its key does not take. The text says what is expected."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.hint = hint


def read(key: Key, raw: object, *, is_text: bool) -> object:
    """The value of ``raw`` as the field of ``key`` holds it. Raises BadValue.

    is_text: it came from a variable or a flag, where a number or a truth value is a text too and a list has commas.
    """
    match key.kind:
        case Kind.FLAG:
            return _flag(raw, is_text)
        case Kind.COUNT:
            return _count(raw, is_text, "a whole number")
        case Kind.WORKERS:
            if raw == "auto":
                from midair.config.quota import usable_cpus

                return usable_cpus()
            return _count(raw, is_text, 'a whole number, or "auto"')
        case Kind.TEXT:
            return _text(raw)
        case Kind.CHOICE:
            return _choice(key, raw)
        case Kind.LIST:
            return _list(raw, is_text)
        case Kind.CHOICES:
            return _choices(key, raw, is_text)
        case Kind.COMMAND:
            return _command(raw)
        case Kind.DURATION | Kind.RATE | Kind.SHARE | Kind.SIZE | Kind.MODE:
            return _with_unit(key.kind, raw)
        case Kind.ENVIRONMENT:
            return _variables(raw)
        case Kind.TABLES:
            raise BadValue("a table")


def write(key: Key, value: object) -> str:
    """The value as a file would have it, without quotes: what people are shown."""
    if key.kind in _UNITS and isinstance(value, (int, float)):
        return _UNITS[key.kind][1](value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ", ".join(value)  # Its names: what they stand for may be secret.
    if isinstance(value, tuple):
        return shlex.join(value) if key.kind is Kind.COMMAND else ", ".join(map(str, value))
    return str(value)


def _flag(raw: object, is_text: bool) -> bool:
    if isinstance(raw, bool):
        return raw
    if is_text and isinstance(raw, str) and raw.lower() in _TRUE | _FALSE:
        return raw.lower() in _TRUE
    raise BadValue("true or false")


def _count(raw: object, is_text: bool, expected: str) -> int:
    if is_text and isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) <= 10:
        raw = int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool):
        hint = f"write {raw} without quotes" if isinstance(raw, str) and raw.isdigit() and not is_text else ""
        raise BadValue(expected, hint)
    if not 0 <= raw <= COUNT_MAX:
        raise BadValue(f"{expected} from 0 to {COUNT_MAX}")
    return raw


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise BadValue("a string", f'write "{raw}"' if isinstance(raw, (int, float)) else "")
    if "\0" in raw:
        raise BadValue("a string without NUL")
    return raw


def _choice(key: Key, raw: object) -> str:
    if isinstance(raw, str) and raw in key.choices:
        return raw
    raise BadValue("one of " + ", ".join(f'"{choice}"' for choice in key.choices))


def _choices(key: Key, raw: object, is_text: bool) -> tuple[str, ...]:
    try:
        return tuple(_choice(key, each) for each in _list(raw, is_text))
    except BadValue as exc:
        raise BadValue("a list of " + ", ".join(f'"{choice}"' for choice in key.choices)) from exc


def _list(raw: object, is_text: bool) -> tuple[str, ...]:
    if isinstance(raw, str):
        return tuple(part.strip() for part in raw.split(",") if part.strip()) if is_text else (_text(raw),)
    if isinstance(raw, (list, tuple)) and all(isinstance(part, str) and "\0" not in part for part in raw):
        return tuple(raw)
    raise BadValue("a list of strings")


def _command(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        try:
            return tuple(shlex.split(_text(raw)))
        except ValueError as exc:
            raise BadValue("a command line or a list of arguments", f"the line cannot be split: {exc}") from exc
    if isinstance(raw, (list, tuple)) and all(isinstance(part, str) and "\0" not in part for part in raw):
        return tuple(raw)
    raise BadValue("a command line or a list of arguments")


def _variables(raw: object) -> dict[str, str]:
    """The value is not in the answer: it may be a secret."""
    if isinstance(raw, Mapping) and all(isinstance(text, str) and "\0" not in text for text in raw.values()):
        return dict(raw)
    raise BadValue("a table of strings")


def _with_unit(kind: Kind, raw: object) -> float | int:
    reader, _, expected = _UNITS[kind]
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        raise BadValue(expected)
    if kind is Kind.MODE and not isinstance(raw, str):
        # 0o660 arrives here as 432: the digits that were typed are gone, so guessing would open a socket to others.
        raise BadValue(expected, "write it in quotes")
    try:
        return reader(str(raw))
    except BadUnit as exc:
        raise BadValue(expected, exc.hint) from exc
