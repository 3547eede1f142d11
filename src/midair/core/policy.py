"""The numbers that decisions depend on, taken from the configuration when a generation is prepared."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

SWITCH_ACK_S = 0.05
"""How long the old slots may take to say that they stopped accepting. The listen queue covers the gap."""

CARRY_S = 1.0
"""How long the state of a slot may take to its next worker while nobody serves there. More, and the old one goes on."""

TRIAL_S = 10.0
"""How long the trial of it may take, before the cut-over."""

PROBE_AGAIN_S = 0.1
"""Between two health probes of a worker that is not healthy yet."""

PROBE_FAILURES = 3
"""Failed probes in a row, in the bake, that roll back."""

KILL_GRACE_S = 1.0
"""What a leaving worker gets on top of its own deadlines before it is killed."""

HURRY_S = 0.5
"""Deadline of a generation that has to make room (``drain.max_generations``)."""


class Policy(Struct, frozen=True):
    """All times are seconds. ``0`` means what the configuration's documentation says it means."""

    workers: int = 1
    ready_s: float = 60.0
    start_s: float = 300.0
    bake_s: float = 10.0
    bake_error_rate: float = 0.5
    by_slot: str = ""
    """Why its workers take the old ones' slots one after the other; empty: they start all beside them."""
    lacks_room: bool = False
    """By slot only because they do not fit side by side, not because somebody wants it so."""
    canary_workers: int = 0
    canary_s: float = 30.0
    drain_s: float = 300.0
    max_generations: int = 3
    exit_s: float = 10.0
    stop_s: float = 25.0
    stop_delay_s: float = 0.0
    warm_s: float = 600.0
    keep: Literal["zygote", "workers", "none"] = "zygote"
    """What stays of the version before, for a rollback after the commit."""
    probe_interval_s: float = 1.0
    has_health: bool = True
    forks: bool = True
    """Workers come from a zygote (``zygote = auto`` or ``always``, and it is an application, not a command)."""
    must_fork: bool = False
    """``zygote = always``: unsafe to fork refuses the update instead of spawning."""
    parks: bool = True
    """A worker can stop accepting and start again, so that it can be kept through the bake. A command child cannot."""
    rollback_rate_per_s: float = 1.0
    """Share of the connections that may come back in a second, at a rollback after the commit."""
    migrates: bool = True
    """Live connections go to the next version; a command child's cannot."""
    has_before: bool = False
    has_after: bool = False
    has_contract: bool = False
    companions: tuple[str, ...] = ()
    """Names of the once-only processes."""
    exclusive: frozenset[str] = frozenset()
    """Those of them that never run twice."""
    has_stand_in: bool = False
    """While no version can serve, pages that say so do (``midair dev``)."""
