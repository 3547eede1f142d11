"""What a settled batch of changes leads to. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from midair.config.schema import Settings
from midair.watch.actions import Due, match
from midair.watch.words import Change

CONFIGURATIONS = frozenset({"midair.toml", "pyproject.toml", ".air.toml", ".config/air.toml", "nodemon.json"})
"""Beside the service. A change of these is read before anything else is done."""
STYLES = frozenset({"css", "map"})
PICTURES = frozenset({"png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "ico", "bmp"})
FONTS = frozenset({"woff", "woff2", "ttf", "otf", "eot"})
MEDIA = frozenset({"mp3", "mp4", "ogg", "webm", "wav", "pdf"})
ASSETS = STYLES | PICTURES | FONTS | MEDIA
"""Endings of files that pages load and programs do not: nothing has to start anew for them."""
SCRIPTS = frozenset({"js", "mjs"})
"""The same beside an application in Python. A command may be made of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done now."""

    what: Literal["nothing", "assets", "update"]
    paths: tuple[str, ...] = ()
    """Those that have led to it, in the order in which they changed."""
    reread: bool = False
    """The configuration has changed."""
    due: tuple[Due, ...] = ()
    """Actions that run in any case."""


def plan(changes: Sequence[Change], settings: Settings, configuration: str = "") -> Plan:
    """What these changes lead to. configuration: its file if it is not one of the usual ones, relative to the folder."""
    matched = match(changes, settings.watch)
    paths = tuple(dict.fromkeys(change.path for change in matched.left))
    if not paths:
        return Plan("nothing", due=matched.due)
    touched = {*paths, *(change.before for change in matched.left)}
    reread = bool(touched & CONFIGURATIONS) or configuration in touched - {""}
    if not reread and not is_built(settings) and all(is_asset(path, settings) for path in paths):
        return Plan("assets", paths, due=matched.due)
    return Plan("update", paths, reread, matched.due)


def is_built(settings: Settings) -> bool:
    """Whether something is made before it is served: then any file may be part of it."""
    return bool(settings.build.pre or settings.build.build or settings.build.check)


def is_asset(path: str, settings: Settings) -> bool:
    ending = os.path.splitext(path)[1].removeprefix(".").lower()
    return ending in ASSETS or (ending in SCRIPTS and not settings.is_command)
