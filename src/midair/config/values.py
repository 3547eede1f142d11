"""A setting as people read it: its key and value as written in a file, and where it came from.

These cross the control socket, so they hold nothing secret: values of ``[env]`` never stand here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Effect = Literal["update", "restart"]
"""When a changed setting counts: from the next generation on, or after a restart."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    """As in the file: ``drain.timeout``."""
    value: str
    """As in the file: ``"30s"`` without the quotes; ``(set)`` for values of ``[env]``."""
    origin: str
    """``default``, ``midair.toml:3``, ``$WEB_CONCURRENCY``, ``--bind``."""
    effect: Effect = "update"
    is_default: bool = False


class Change(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    running: str
    file: str
    effect: Effect
