"""Where a value came from."""

from __future__ import annotations

from typing import Literal

import msgspec


class Origin(msgspec.Struct, frozen=True):
    """``where`` is a file and line (``midair.toml:3``), a call (``main.py:9, midair.serve()``), a variable's name, a flag, or
    what a default was made from."""

    kind: Literal["default", "file", "code", "environment", "flag"]
    where: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "default":
                return f"default ({self.where})" if self.where else "default"
            case "environment":
                return f"${self.where}"
            case "file" | "code" | "flag":
                return self.where


DEFAULT = Origin("default")
