"""Writing the few kinds of values that a midair.toml in a test has."""

from __future__ import annotations

import json
from collections.abc import Mapping

Setting = str | int | float | bool | list[str] | Mapping[str, "Setting"]


def toml(settings: Mapping[str, Setting]) -> str:
    """Plain keys first, then one table for each mapping."""
    plain = {key: value for key, value in settings.items() if not isinstance(value, Mapping)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in settings.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{key}]", *(f"{name} = {_value(inner)}" for name, inner in value.items())]
    return "\n".join(lines) + "\n"


def _value(value: Setting) -> str:
    # JSON writes strings, numbers, booleans and lists as TOML does.
    return json.dumps(value)
