"""A call of the application that is entered anew, for a connection which another worker began.

It is let go on when the application has done both: taken what was carried (``midair.carry_on``), and answered the client as the
earlier version had (which sends nothing, the client has that answer). Anything else first, and the connection stays where it is:
nothing has been read from it or written to it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from midair.live import Carriage, NotCarried
from midair.worker.frozen import CarriedBytes


class Resuming:
    """Waits for the application's word. ``outcome``: why it cannot go on; an empty text: it does."""

    __slots__ = ("_is_answered", "_settled", "carriage", "outcome")

    def __init__(self, came: CarriedBytes, loop: asyncio.AbstractEventLoop, settled: Callable[[str], None]) -> None:
        """settled: told once, with the outcome, before anybody who waits for it is."""
        self.outcome: asyncio.Future[str] = loop.create_future()
        self.carriage = Carriage((came.data, came.version), self._look)
        self._is_answered = False
        self._settled = settled

    def answered(self) -> None:
        """The application has answered the client as the earlier version did."""
        self._is_answered = True
        self._look()

    def decline(self, why: str) -> NotCarried:
        """It cannot go on here. The exception is for the application's call."""
        self._settle(why)
        return NotCarried(why)

    def _look(self) -> None:
        if self.carriage.declined:
            self._settle(self.carriage.declined)
        elif self.carriage.is_taken and self._is_answered:
            self._settle("")

    def _settle(self, why: str) -> None:
        if not self.outcome.done():
            self._settled(why)
            self.outcome.set_result(why)
