"""The way to a path: links on it may be swapped, and what it leads to may go and come again, in folders that are not watched."""

from __future__ import annotations

import os
from collections.abc import Iterator

STEPS_MAX = 40
"""Links on one way; the kernel's own bound."""


def tidy(path: str) -> str:
    """A watched path as it is told: ``.`` is empty, no slash at its end, dots only where they lead out."""
    plain = os.path.normpath(path) if path else "."
    return "" if plain == "." else plain


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def names_on_the_way(absolute: str) -> Iterator[tuple[str, str]]:
    """Folder and name of everything that decides where ``absolute`` leads: each link on the way, and what it ends at."""
    at, left = "/", absolute.strip("/").split("/")
    steps = 0
    while left and steps < STEPS_MAX:
        name = left.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            at = os.path.dirname(at)
            continue
        here = os.path.join(at, name)
        try:
            target = os.readlink(here)
        except OSError:  # No link, or nothing at all.
            if not left:
                yield at, name
            at = here
            continue
        steps += 1
        yield at, name
        left = [*target.strip("/").split("/"), *left]
        at = "/" if target.startswith("/") else at
