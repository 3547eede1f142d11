"""What a settled batch of changes leads to. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from midair.config.schema import Settings
from midair.watch.words import Change

CONFIGURATIONS = frozenset({"midair.toml", "pyproject.toml", ".air.toml"})
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
    """What the developer is told: those that have led to it, in the order in which they changed."""
    reread: bool = False
    """The configuration has changed."""


def plan(changes: Sequence[Change], settings: Settings, config: str = "") -> Plan:
    """What these changes lead to. config: the configuration's file if it is not one of the usual ones, relative to the folder."""
    paths = tuple(dict.fromkeys(change.path for change in changes))
    if not paths:
        return Plan("nothing")
    reread = any(path in CONFIGURATIONS or path == config for path in paths)
    if not reread and not has_steps(settings) and all(is_asset(path, settings) for path in paths):
        return Plan("assets", paths)
    return Plan("update", paths, reread)


def has_steps(settings: Settings) -> bool:
    """Whether something is built: then any file may be part of what is made."""
    return bool(settings.build.pre or settings.build.build or settings.build.check)


def is_asset(path: str, settings: Settings) -> bool:
    ending = os.path.splitext(path)[1].removeprefix(".").lower()
    return ending in ASSETS or (ending in SCRIPTS and not settings.is_command)
