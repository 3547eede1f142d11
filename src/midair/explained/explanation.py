"""What is known about one error code, as values. Texts are Markdown with code in backticks and nothing else."""

from __future__ import annotations

from msgspec import Struct


class Step(Struct, frozen=True):
    """Something to do."""

    text: str
    commands: tuple[str, ...] = ()
    """To be typed, in this order."""


class Explanation(Struct, frozen=True, kw_only=True):
    """One code: what it means for whoever sees it at night."""

    code: str
    summary: str
    """In one line."""
    exits: tuple[int, ...]
    """What a command exits with that says it, the most frequent first; none: no command ends with it."""
    happened: str = ""
    """What happened, and how midair noticed."""
    serves: str = ""
    """What still serves, and what was lost."""
    causes: tuple[str, ...] = ()
    """The most frequent first; how each can be told from the others."""
    do: tuple[Step, ...] = ()
    """In order."""
    prevent: tuple[str, ...] = ()
    """How to keep it from happening again, if there is something."""
    see: tuple[str, ...] = ()
    """Other codes, and pages of the documentation by their file (``updates.md``)."""
