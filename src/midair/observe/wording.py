"""Figures and other people's words as people read them: on a terminal, on a page."""

from __future__ import annotations


def clean(text: str) -> str:
    """``text`` without what would command a terminal or turn a line around (U+202E): versions, reasons and faults are other
    people's words."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text)


def age(seconds: float) -> str:
    """A length of time as people say it: ``3.2 s``, ``12 min``, ``5 h``, ``9 d``."""
    for below, unit, name in ((60, 1, "s"), (3600, 60, "min"), (2 * 86400, 3600, "h")):
        if seconds < below:
            return f"{seconds:.1f} s" if name == "s" else f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} d"


def size(count: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"
