"""Writing the few kinds of values that a midair.toml in a test has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Setting = str | int | float | bool | list[str] | Mapping[str, "Setting"] | Sequence[Mapping[str, "Setting"]]


def toml(settings: Mapping[str, Setting]) -> str:
    """Plain keys first, then one table for each mapping, and one for each item of a list of mappings."""
    lines = [f"{key} = {_value(value)}" for key, value in settings.items() if not _tables(value)]
    for key, value in settings.items():
        header = f"[{key}]" if isinstance(value, Mapping) else f"[[{key}]]"
        for table in _tables(value):
            lines += ["", header, *(f"{name} = {_value(inner)}" for name, inner in table.items())]
    return "\n".join(lines) + "\n"


def _tables(value: Setting) -> Sequence[Mapping[str, Setting]]:
    if isinstance(value, Mapping):
        return [value]
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _value(value: Setting) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items()) + " }"
    # JSON writes strings, numbers, booleans and lists as TOML does.
    return json.dumps(value)
