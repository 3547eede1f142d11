"""A change on disk, as it is told: what became of one file."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["create", "write", "remove", "move", "chmod"]


class Change(msgspec.Struct, frozen=True):
    """``path`` is relative to the service's folder and written as the watched path was typed (``../shared/a.py``)."""

    kind: Kind
    path: str
    before: str = ""
    """Of a move: the path until now."""
    digest: bytes = b""
    """Of the content that is there now (``release/digest``); empty: it is gone, or was not read (too large)."""
