"""A document of tables, lists and plain values as YAML that people can read. Only what is written here: no reader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*")
_RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def written(document: Mapping[str, object]) -> str:
    return "\n".join(_table(document)) + "\n"


def _table(table: Mapping[str, object]) -> Iterator[str]:
    for key, value in table.items():
        yield from _entry(f"{_scalar(key)}:", value)


def _entry(head: str, value: object) -> Iterator[str]:
    match value:
        case str() if "\n" in value:
            # What is after ``|-`` is taken as it is: no character of an expression means anything else.
            yield f"{head} |-"
            yield from (f"  {line}" for line in value.split("\n"))
        case Mapping() if value:
            yield head
            yield from (f"  {line}" for line in _table(value))
        case Sequence() if value and not isinstance(value, str):
            yield head
            for item in value:
                first, *rest = _table(item) if isinstance(item, Mapping) else [_scalar(item)]
                yield f"  - {first}"
                yield from (f"    {line}" for line in rest)
        case _:
            yield f"{head} {_scalar(value)}"


def _scalar(value: object) -> str:
    """JSON is YAML; a plain word needs no quotes."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)
