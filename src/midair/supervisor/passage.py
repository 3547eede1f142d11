"""How the moving of connections goes, for people: a line of the log a second, the receipt, ``midair status``.

What moved is what the workers have counted as handed over, so it is right whoever died, and at "100%" too, where no single
grant is answered.
"""

from __future__ import annotations

import msgspec

from midair.control.words import MovingStatus
from midair.core.ids import GenerationId
from midair.core.pace import UNPACED, Pace
from midair.supervisor.accounts import Accounts
from midair.supervisor.estate import Estate, FieldValue
from midair.supervisor.restraint import Restraint

TELL_EVERY_S = 1.0


class Trip(msgspec.Struct, kw_only=True):
    """From a cut-over, or the first connection that moves, to the last, or to the next cut-over. Times are monotonic seconds."""

    generation: int
    """Where they go."""
    is_update: bool
    """They come from another version: it belongs into the receipt."""
    of: int
    began_s: float
    base: int
    """Handed over until then."""
    moved: int = 0
    last_s: float = 0.0
    """When the last one moved."""
    left: int = 0
    told_s: float = 0.0
    told_left: int = 0
    whole_s: int = 0
    """Whole seconds that have been looked at."""
    mark: int = 0
    """Moved until the end of the last of them."""
    pending: int | None = None
    """The fewest in any whole second so far; the latest may be one after the last move."""
    least: int | None = None

    def look(self, moved: int, left: int, now_s: float) -> None:
        """Take in how many have moved by now."""
        if moved > self.moved:
            self.moved, self.last_s = moved, now_s
        self.left = left
        if int(now_s - self.began_s) > self.whole_s:
            self.whole_s = int(now_s - self.began_s)
            in_second, self.mark = self.moved - self.mark, self.moved
            if in_second:
                self.least = self.pending
            self.pending = in_second if self.pending is None else min(self.pending, in_second)


class Passage:
    """Tells of the trip under way."""

    def __init__(self, estate: Estate, accounts: Accounts, restraint: Restraint) -> None:
        self._estate = estate
        self._accounts = accounts
        self._restraint = restraint
        self._pace: Pace | None = None
        self.trip: Trip | None = None
        estate.moving = self.status

    def began(self, serving: GenerationId, pace: Pace, now_s: float, *, is_update: bool) -> None:
        self.trip = Trip(
            generation=serving,
            is_update=is_update,
            of=pace.at_cut_over,
            began_s=now_s,
            base=self._accounts.handed_over(),
            left=pace.at_cut_over,
        )

    def goes_on(self, pace: Pace, left: int, now_s: float) -> None:
        """Called at each look; tells once a second, if there is news."""
        trip, self._pace = self.trip, pace
        if trip is None:
            return
        trip.look(self._accounts.handed_over() - trip.base, left, now_s)
        if now_s - trip.told_s < TELL_EVERY_S or left == trip.told_left:
            return  # Those that never move (a WebSocket whose application carries nothing) are no news each second.
        trip.told_s, trip.told_left = now_s, left
        self._estate.moved_on(trip.generation, "connections_moving", self._fields(trip, pace), is_kept=False)

    def ended(self, pace: Pace | None, left: int, now_s: float) -> None:
        """Nobody is left, or another version serves now: the sum."""
        trip, self.trip, self._pace = self.trip, None, None
        if trip is None:
            return
        trip.look(self._accounts.handed_over() - trip.base, left, now_s)
        if not trip.moved:
            return
        fields: dict[str, FieldValue] = {"moved": trip.moved, "seconds": round(trip.last_s - trip.began_s, 2)}
        if pace and pace.rate_per_s < UNPACED:
            fields |= {"most_in_1_s": pace.busiest}
            fields |= {"least_in_1_s": trip.least} if trip.least is not None else {}
            fields |= self._restraint.spent()
        if left:
            fields["left"] = left
        self._estate.moved_on(trip.generation, "connections_moved", fields, is_kept=trip.is_update)

    def _fields(self, trip: Trip, pace: Pace) -> dict[str, FieldValue]:
        return {
            "left": trip.left,
            "of": trip.of,
            "moved": trip.moved,
            "for_s": round(pace.left_s(trip.left), 1),
            "rate_per_s": pace.rate_per_s,
            "share": round(self._restraint.brake.share, 2),
        }

    def status(self) -> MovingStatus | None:
        trip, pace, strain = self.trip, self._pace, self._restraint.strain
        if trip is None or pace is None:
            return None
        return MovingStatus(
            left=trip.left,
            of=trip.of,
            moved=trip.moved,
            for_s=pace.left_s(trip.left),
            rate_per_s=pace.rate_per_s,
            per_s=pace.per_s,
            share=self._restraint.brake.share,
            errors=strain.errors,
            slow=strain.slow,
        )
