"""How long systemd, or a container's engine, has to wait for a service: sums of the service's own limits, and of what.

systemd's default of 90 s knows nothing of hooks, a bake, or clients that are let finish. A limit that is shorter than ours turns
an update that goes well into a failed ``systemctl reload``, and a stop that drains into a kill. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from midair.config.schema import Settings

START_SPARE_S = 30.0
"""For what has no limit of its own: looking at the disk, the switch, a receipt on a slow disk."""
STOP_SPARE_S = 5.0
WATCHDOG_S = 30.0
"""The supervisor's loop never waits; half a minute of silence is a process that hangs, and no busy machine."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """A limit: whole seconds, and the terms that make it."""

    terms: tuple[tuple[str, float], ...]
    """What takes how many seconds; none is 0."""

    @property
    def total_s(self) -> int:
        return math.ceil(sum(seconds for _, seconds in self.terms))

    def __str__(self) -> str:
        """``100 s = ready.timeout 60 s + bake.for 10 s + 30 s to spare``."""
        return f"{self.total_s} s = " + " + ".join(f"{what.format(_seconds(seconds))}" for what, seconds in self.terms)


def start_timeout(settings: Settings) -> Timeout:
    """TimeoutStartSec: a first start, and an update, as ``systemctl reload`` waits for it."""
    return _timeout(
        ("hooks.timeout {} (hooks.before)", settings.hooks.timeout_s if settings.hooks.before else 0.0),
        ("ready.timeout {}", settings.ready.timeout_s),
        ("canary.for {}", settings.canary.for_s if settings.canary.workers else 0.0),
        ("bake.for {}", settings.bake.for_s),
        ("{} to spare", START_SPARE_S),
    )


def first_start_timeout(settings: Settings) -> Timeout:
    """How long a first start may take until it serves, or has given up and ended: it is tried again and again, with a last try when
    ``start.timeout`` is over. For whoever does not hear how it goes, as a kubelet does not."""
    return _timeout(
        ("hooks.timeout {} (hooks.before)", settings.hooks.timeout_s if settings.hooks.before else 0.0),
        ("start.timeout {}", settings.start.timeout_s),
        ("ready.timeout {}", settings.ready.timeout_s),
    )


def stop_timeout(settings: Settings) -> Timeout:
    """TimeoutStopSec: accept on, finish requests, end the applications and the programs beside them."""
    beside_s = max((process.stop_timeout_s for process in settings.process), default=0.0)
    last = ("exit.timeout {}", settings.exit.timeout_s)
    if beside_s > settings.exit.timeout_s:
        last = ("process.stop_timeout {}", beside_s)
    return _timeout(
        ("stop.delay {}", settings.stop.delay_s),
        ("stop.timeout {}", settings.stop.timeout_s),
        last,
        ("{} to spare", STOP_SPARE_S),
    )


def _timeout(*terms: tuple[str, float]) -> Timeout:
    return Timeout(tuple((what, seconds) for what, seconds in terms if seconds))


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s"
