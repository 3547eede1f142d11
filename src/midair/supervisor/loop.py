"""The supervisor's loop: descriptors that became readable or writable, and times that have come. Nothing else.

Not asyncio, on purpose (docs/decisions/0001-own-loop.md): the supervisor has one thread for ever, must be small, must be
able to leave by ``execve`` at any turn, and never awaits anything in the middle of a decision.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
from collections.abc import Callable

from midair.supervisor.clock import Clock

Callback = Callable[[], None]

TIMERS_SWEPT_FROM = 64
"""So many may wait before it is looked which of them were cancelled: most are limits of what has long ended in time."""


class Timer:
    """A call in the future; ``cancel`` takes it back."""

    __slots__ = ("at_s", "callback")

    def __init__(self, at_s: float, callback: Callback) -> None:
        self.at_s = at_s
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """Calls back when a descriptor is ready or a time has come, in that order, until ``stop``."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._selector = selectors.EpollSelector()
        self._watched: dict[int, list[Callback | None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._swept_from = TIMERS_SWEPT_FROM
        self._count = itertools.count()
        self._soon: list[Callback] = []
        self._is_running = False

    # --- descriptors ----------------------------------------------------------------------------------------------

    def on_readable(self, fd: int, callback: Callback | None) -> None:
        """Call back while ``fd`` is readable (or at its end); None: no more. Never before a close without None."""
        self._watch(fd, 0, callback)

    def on_writable(self, fd: int, callback: Callback | None) -> None:
        self._watch(fd, 1, callback)

    def forget(self, fd: int) -> None:
        self._watch(fd, 0, None)
        self._watch(fd, 1, None)

    def _watch(self, fd: int, which: int, callback: Callback | None) -> None:
        before = self._watched.get(fd)
        pair: list[Callback | None] = [None, None] if before is None else before
        pair[which] = callback
        mask = (selectors.EVENT_READ if pair[0] else 0) | (selectors.EVENT_WRITE if pair[1] else 0)
        if before is None and mask:
            self._watched[fd] = pair
            self._selector.register(fd, mask)
        elif before is not None and mask:
            self._selector.modify(fd, mask)
        elif before is not None:
            del self._watched[fd]
            self._selector.unregister(fd)

    # --- time -----------------------------------------------------------------------------------------------------

    def call_at(self, at_s: float, callback: Callback) -> Timer:
        timer = Timer(at_s, callback)
        heapq.heappush(self._timers, (at_s, next(self._count), timer))
        if len(self._timers) > self._swept_from:
            self._sweep()
        return timer

    def _sweep(self) -> None:
        # A cancelled timer would stay until its time has come: that of each version that was kept to go back to, ten minutes.
        self._timers = [entry for entry in self._timers if entry[2].callback]
        heapq.heapify(self._timers)
        self._swept_from = max(TIMERS_SWEPT_FROM, 2 * len(self._timers))

    def call_later(self, after_s: float, callback: Callback) -> Timer:
        return self.call_at(self.clock.now_s() + after_s, callback)

    def call_soon(self, callback: Callback) -> None:
        """In the next turn: not from inside the present one."""
        self._soon.append(callback)

    # --- running --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        self._is_running = True
        while self._is_running:
            self.turn()

    def stop(self) -> None:
        self._is_running = False

    def turn_now(self) -> None:
        """Do what is there to do, and wait for nothing."""
        self.turn(wait_s=0.0)

    def turn(self, wait_s: float | None = None) -> None:
        """Wait for the next thing (at most ``wait_s``) and do it."""
        for key, mask in self._selector.select(self._timeout_s() if wait_s is None else wait_s):
            # A callback before this one may have closed the descriptor or changed its mind.
            pair = self._watched.get(key.fd)
            if pair and mask & selectors.EVENT_READ and pair[0]:
                pair[0]()
            pair = self._watched.get(key.fd)
            if pair and mask & selectors.EVENT_WRITE and pair[1]:
                pair[1]()
        soon, self._soon = self._soon, []
        for callback in soon:
            callback()
        now_s = self.clock.now_s()
        while self._timers and self._timers[0][0] <= now_s:
            _, _, timer = heapq.heappop(self._timers)
            if timer.callback:
                timer.callback()

    def _timeout_s(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if self._soon:
            return 0.0
        return max(0.0, self._timers[0][0] - self.clock.now_s()) if self._timers else None

    def close(self) -> None:
        self._selector.close()
