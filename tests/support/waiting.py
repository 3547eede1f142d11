"""Waiting for something with a limit, and saying what was seen when it did not come."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY_S = 0.02


class DidNotHappen(AssertionError):
    """A condition did not come true in time."""


def wait_for(
    look: Callable[[], T],
    within_s: float = 20.0,
    *,
    until: Callable[[T], bool] = bool,
    what: str = "",
    every_s: float = LOOK_EVERY_S,
) -> T:
    """What ``look`` returns as soon as ``until`` holds for it (default: as soon as it is true).

    within_s: long enough for a machine under load; give another only if the time itself is what is promised, and then say so.
    Looks at least twice. Raises DidNotHappen, which says what was seen last, after ``within_s``.
    """
    deadline_s = time.monotonic() + within_s
    while True:
        seen = look()
        if until(seen):
            return seen
        if time.monotonic() > deadline_s:
            raise DidNotHappen(f"{what or 'the condition'} did not come true within {within_s} s; last seen: {seen!r}")
        time.sleep(every_s)


def is_readable(source: int | socket.socket, within_s: float) -> bool:
    """Whether there is something to read, or its end, in time. Unlike select(2) it takes any descriptor."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(within_s * 1000))
