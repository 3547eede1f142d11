"""What a deployment finds: releases on disk, ``current``, what runs. Values, and the thin functions that gather them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from midair.control.words import StatusReport
from midair.release.folders import (
    Journal,
    Layout,
    Manifest,
    current_release,
    is_leftover,
    read_journal,
    read_manifest,
)


@dataclass(frozen=True, slots=True)
class Serving:
    """The service that runs, as far as release folders go."""

    folder: str
    """As it was typed when it was started."""
    release: str = ""
    """The one that serves; empty: nothing serves, or what serves is in none."""
    in_use: frozenset[str] = frozenset()
    """Releases of generations that have processes or are kept for a rollback, the serving one among them."""
    is_updating: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known before anything is done."""

    layout: Layout
    now_s: float
    """Seconds since the epoch."""
    current: str = ""
    """The release that ``current`` names; empty: none."""
    releases: tuple[Manifest, ...] = ()
    """The whole ones, oldest first."""
    leftovers: tuple[str, ...] = ()
    """Names in ``releases`` that are ours and no whole release: of a deployment that was killed, or of a removal."""
    journal: Journal | None = None
    serving: Serving | None = None
    """None: nothing runs."""
    free_bytes: int = 0
    need_bytes: int = 0
    """Of the new release's files, as far as that is known."""

    def manifest(self, name: str) -> Manifest | None:
        return next((each for each in self.releases if each.id == name), None)


def gather(layout: Layout, now_s: float, look: Callable[[], StatusReport | None], need_bytes: int = 0) -> Facts:
    """Ask the disk and the service. look: its status; None: nothing runs. Raises OSError, and what ``look`` raises."""
    report = look()
    names = _names(layout)
    whole = [each for name in names if (each := read_manifest(layout, name))]
    return Facts(
        layout=layout,
        now_s=now_s,
        current=current_release(layout),
        releases=tuple(sorted(whole, key=lambda each: (each.created_s, each.id))),
        leftovers=tuple(name for name in names if is_leftover(layout, name)),
        journal=read_journal(layout),
        serving=serving_of(layout, report) if report else None,
        free_bytes=_free_bytes(layout.root),
        need_bytes=need_bytes,
    )


def serving_of(layout: Layout, report: StatusReport) -> Serving:
    """What the status says about release folders. Pure, but for a link to the root that it follows."""
    homes = {each.number: layout.name_of(each.folder) for each in report.generations if each.folder}
    return Serving(
        folder=report.folder,
        release=homes.get(report.serving, ""),
        in_use=frozenset(filter(None, homes.values())),
        is_updating=report.update is not None,
    )


def _names(layout: Layout) -> list[str]:
    try:
        return sorted(os.listdir(layout.releases))
    except FileNotFoundError:
        return []


def _free_bytes(folder: str) -> int:
    """For us: some blocks are root's alone."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free
