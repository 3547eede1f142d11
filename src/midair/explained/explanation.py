"""What is known about one error code, as values. Texts are sentences with code in backticks, and nothing else of Markdown."""

from __future__ import annotations

from msgspec import Struct


class Step(Struct, frozen=True):
    """Something to do."""

    text: str
    commands: tuple[str, ...] = ()
    """To be typed, in this order."""


class Explanation(Struct, frozen=True, kw_only=True):
    """One code, for whoever sees it at night."""

    code: str
    summary: str
    """In one line."""
    exits: tuple[int, ...]
    """What a command exits with that says it, the most frequent first; none: no command ends with it."""
    happened: str
    """What happened, and how midair noticed."""
    serves: str
    """What still serves, and what was lost."""
    causes: tuple[str, ...]
    """The most frequent first; how each can be told from the others."""
    do: tuple[Step, ...]
    """In order."""
    prevent: tuple[str, ...] = ()
    """How to keep it from happening again, if there is something."""
    see: tuple[str, ...] = ()
    """Other codes, and pages of the documentation by their file (``updates.md``)."""
    shown: tuple[str, ...] = ()
    """What a terminal shows, as it is printed; ``…`` stands for any number of lines."""


NOBODY_NOTICED = (
    "The version that served before serves on, and no client noticed; nothing was lost. If it was the first start, "
    "nothing serves, and `midair run` ends with exit code 1."
)
"""Of whatever ends an update before its cut-over."""

ROLLED_BACK = (
    "The version before serves again: its workers were parked, and accept at once; connections come back to them at "
    "`rollback.rate`. Lost is what the new version answered wrongly or had not answered yet. It is in quarantine: asked "
    "for again unchanged, it is refused (`quarantined`)."
)
"""Of whatever has midair itself take a version back."""
