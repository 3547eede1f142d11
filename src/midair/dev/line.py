"""The line that a save gets: what changed, what was done, how long each part took, who was told. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAMED_MAX = 2
"""Of many files that changed together, so many are named."""


@dataclass(frozen=True, slots=True)
class Saved:
    """One save, and what became of it."""

    paths: tuple[str, ...]
    did: str
    """``fork``, ``spawn``, ``asset``, ``kept`` …"""
    why: str = ""
    """Why it was not done in the quickest way."""
    times: tuple[tuple[str, float], ...] = ()
    """Each phase and its seconds."""
    told: int | None = None
    """Pages that were told; None: there are none to tell."""
    asset: bool = False


def save_line(saved: Saved) -> str:
    """Without colours: what changed first, so that the eye finds it."""
    parts = [named(saved.paths), saved.did + (f" ({saved.why})" if saved.why else "")]
    parts += [f"{name} {duration(seconds)}" for name, seconds in saved.times]
    if saved.told is not None:
        parts.append(f"{saved.told} {'tab' if saved.told == 1 else 'tabs'} {'told' if saved.asset else 'refreshed'}")
    return "  ".join(part for part in parts if part)


def named(paths: Sequence[str]) -> str:
    """The first of them, and how many more."""
    shown = ", ".join(paths[:NAMED_MAX])
    return shown if len(paths) <= NAMED_MAX else f"{shown} and {len(paths) - NAMED_MAX} more"


def duration(seconds: float) -> str:
    """``12 ms``, ``1.2 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"
