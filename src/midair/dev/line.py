"""The line that a save gets: what changed, what was done, how long each part took, who was told. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from midair.supervisor.ledger import Receipt

NAMED_MAX = 2
"""Of many files that changed together, so many are named."""
TIMED = {"imported": "import", "worker_started": "start"}
"""Events of a receipt that took time, and how the line calls that."""


@dataclass(frozen=True, slots=True)
class Saved:
    """One save, and what became of it."""

    what: str
    """The paths, or who else asked for an update."""
    did: str
    """``fork``, ``spawn``, ``exec``, ``asset``, ``kept``."""
    why: str = ""
    """From where, or why it was not done in the quickest way."""
    times: tuple[tuple[str, float], ...] = ()
    """Each phase and its seconds."""
    told: int | None = None
    """Pages that were told; None: nobody keeps count of them."""


def save_line(saved: Saved, paint: Callable[[str], str] = str) -> str:
    """What changed first, so that the eye finds it. paint: colours what was done."""
    parts = [saved.what, paint(saved.did) + _because(saved.why)]
    parts += [f"{name} {duration(seconds)}" for name, seconds in saved.times]
    if saved.told:
        verb = "told" if saved.did in ("asset", "kept") else "refreshed"
        parts.append(f"{saved.told} {'tab' if saved.told == 1 else 'tabs'} {verb}")
    return "  ".join(parts)


def _because(why: str) -> str:
    """Where it was forked from is part of the sentence; why it had to be spawned is an aside."""
    if why.startswith("from "):
        return f" {why}"
    return f" ({why})" if why else ""


def named(paths: Sequence[str]) -> str:
    """The first of them, and how many more. What a file is called must not drive the terminal."""
    shown = ", ".join(harmless(path) for path in paths[:NAMED_MAX])
    return shown if len(paths) <= NAMED_MAX else f"{shown} and {len(paths) - NAMED_MAX} more"


def harmless(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def duration(seconds: float) -> str:
    """``12 ms``, ``1.2 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def times_of(receipt: Receipt, waited_s: float = 0.0) -> tuple[tuple[str, float], ...]:
    """The parts of an update that took time. waited_s: from the save until the update was asked for."""
    found: dict[str, float] = {}
    for event in receipt.events:
        seconds = event.fields.get("seconds")
        if event.event in TIMED and isinstance(seconds, float):
            found[TIMED[event.event]] = seconds
    entered = {phase.phase: phase.at_s for phase in receipt.phases}
    if "cut-over" in entered:
        found["live"] = waited_s + entered["cut-over"]
    return tuple(found.items())
