"""Whether our own work feeds itself: what a build writes, or an application at its start, is seen as a change, and leads to the
next round, and so on. Pure.

What changed at some time while nothing of ours ran was changed by a person: a source. Anything else that changes again in a row of
rounds that nothing but our own work has led to is what that work writes: it is named, and does not count while we work. As soon as
it changes while nothing runs it counts again, so a file that was suspected wrongly costs one save. A source gets more rounds, which
a formatter and a compiler that never agree use up as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

ROUNDS = 3
"""What a code generator writes is read by the next round, which writes the same and is done: one round, seldom two."""
ROUNDS_OF_SOURCES = 20
"""Somebody may save the same file again and again while a slow build runs."""
ROUNDS_OF_OTHERS = 10
"""Rounds in a row without any source. Files that get another name each time are none twice."""
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

    def took(self, paths: Sequence[str], *, is_working: bool) -> Fed:
        """A batch. is_working: something of ours ran while these changed, or had just ended."""
        if not is_working:
            self._rounds, self._row, self._named = {}, 0, set()
            if len(self._sources) < SOURCES_MAX:
                self._sources.update(paths)
            return Fed(tuple(paths))
        self._rounds = {path: self._rounds.get(path, 0) + 1 for path in paths}
        self._row = 0 if self._sources.intersection(paths) else self._row + 1
        own = {path for path in paths if self._is_own(path)}
        new = tuple(path for path in paths if path in own - self._named)
        self._named |= own
        return Fed(tuple(path for path in paths if path not in own), new)

    def _is_own(self, path: str) -> bool:
        if path in self._sources:
            return self._rounds[path] >= ROUNDS_OF_SOURCES
        return self._rounds[path] >= ROUNDS or self._row >= ROUNDS_OF_OTHERS
