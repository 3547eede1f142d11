"""Whole histories by seed. ``python -m tests.simulation SEED`` tells one of them turn by turn."""

from __future__ import annotations

import random
from collections.abc import Callable

from midair.core.events import StopAsked
from tests.simulation.history import SETTLE_S, History, draw


def heals(seed: int, *, has_stand_in: bool = False) -> History:
    """Requests, deployments and faults come as they may; then nothing goes wrong any more, and it must end well."""
    history = _troubled(seed, has_stand_in=has_stand_in)
    if not history.watch.ends:
        history.heal()
    return history


def stops(seed: int, *, has_stand_in: bool = False) -> History:
    """Somebody asks to stop at any moment, with everything going wrong, and more is asked meanwhile."""
    history = _troubled(seed, has_stand_in=has_stand_in)
    chance = history.chance
    if not history.watch.ends:
        history.turn(StopAsked(history.request(), "ann", at_once=chance.random() < 0.3))
    for _ in range(chance.randrange(4)):
        history.run(chance.choice([0.0, 0.05, 0.5]))
        history.anything()
    if chance.random() < 0.3:
        history.turn(StopAsked(history.request(), "ann"))
    history.run(SETTLE_S)
    history.check_ended()
    return history


def develops(seed: int) -> History:
    """As ``heals``, with a stand-in: there it never ends because of what went wrong."""
    return heals(seed, has_stand_in=True)


def develops_and_stops(seed: int) -> History:
    return stops(seed, has_stand_in=True)


def _troubled(seed: int, *, has_stand_in: bool) -> History:
    history = draw(random.Random(seed), has_stand_in=has_stand_in)
    history.start()
    history.run(history.chance.choice([0.0, 0.1, 3.0]))
    history.trouble(history.chance.randrange(1, 25))
    return history


SCENES: dict[str, Callable[[int], History]] = {
    "heals": heals,
    "stops": stops,
    "develops": develops,
    "develops_and_stops": develops_and_stops,
}
