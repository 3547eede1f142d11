"""Whether our own work feeds itself: what a build writes, or an application at its start, is seen as a change, and leads to the
next round, and so on. Pure.

What changed at some time while nothing of ours ran was changed by a person: a source. Anything else that changes again in a row of
rounds that nothing but our own work has led to is what that work writes: it is named, and does not count while we work. As soon as
it changes while nothing runs it counts again. What was suspected is taken in once more at the end of the round (``loop.py``): a
save that was suspected wrongly is late and not lost. A source gets more rounds, which a formatter and a compiler that never agree
use up as well.

Nothing tells who has written a file, so this is a bound on rounds and not a proof. They are few where each costs a build, and many
where it is a fork.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

ROUNDS_OF_BUILDS = 3
"""What a code generator writes is read by the next round, which writes the same and is done: one round, seldom two."""
ROUNDS_OF_UPDATES = 10
"""A tool that saves file after file while updates are on their way must not be taken for an application that writes."""
ROUNDS_OF_SOURCES = 30
"""Somebody may save the same file again and again while a slow build runs."""
SOURCES_MAX = 10_000
"""Paths that are remembered. Who has changed more by hand is believed less."""


@dataclass(frozen=True, slots=True)
class Fed:
    """What of a batch counts, and what has just been found out to be our own work's."""

    paths: tuple[str, ...]
    written: tuple[str, ...] = ()


@dataclass(slots=True)
class Feeding:
    """What is known of the paths that have changed."""

    _sources: set[str] = field(default_factory=set)
    _rounds: dict[str, int] = field(default_factory=dict)
    """By path: batches in a row that had it, each while we worked."""
    _row: int = 0
    """Batches in a row without any source, each while we worked."""
    _named: set[str] = field(default_factory=set)

    def took(self, paths: Sequence[str], *, is_working: bool, is_built: bool = False) -> Fed:
        """A batch. is_working: something of ours ran while these changed. is_built: each round runs the steps of a build."""
        if not is_working:
            self._rounds, self._row, self._named = {}, 0, set()
            if len(self._sources) < SOURCES_MAX:
                self._sources.update(paths)
            return Fed(tuple(paths))
        most = ROUNDS_OF_BUILDS if is_built else ROUNDS_OF_UPDATES
        self._rounds = {path: self._rounds.get(path, 0) + 1 for path in paths}
        self._row = 0 if self._sources.intersection(paths) else self._row + 1
        own = {path for path in paths if self._is_own(path, most)}
        new = tuple(path for path in paths if path in own - self._named)
        self._named |= own
        return Fed(tuple(path for path in paths if path not in own), new)

    def _is_own(self, path: str, most: int) -> bool:
        if path in self._sources:
            return self._rounds[path] >= ROUNDS_OF_SOURCES
        # Files that get another name each time are none twice.
        return self._rounds[path] >= most or self._row >= 3 * most
