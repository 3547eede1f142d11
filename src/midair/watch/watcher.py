"""A watcher in one process: news in, settled batches out. Never waits: whoever runs it waits on ``fileno`` until ``due_s``."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from midair.errors import MidairError
from midair.watch.busy import Checkout
from midair.watch.choose import choose
from midair.watch.debounce import Debounce
from midair.watch.ignore import Rules
from midair.watch.known import Known
from midair.watch.polling import Polling
from midair.watch.source import Event, Source, What
from midair.watch.tree import Tree
from midair.watch.trouble import EventsLost
from midair.watch.words import Begin, Change, Ready

READ_AHEAD_S = 0.01
"""Digests are taken this long before news are looked at again."""
READ_AHEAD_AT_ONCE_S = 0.05
"""And this long before the beginning is told: enough for a small project to have all of them."""
LOOK_FOR_MISSING_S = 0.5
"""Between two looks for a watched folder that has gone: the one around it may have gone, too, and nothing tells of their return."""
LOOK_SHARE = 10
"""Where files are compared, a look is followed by this many times its own length of rest: a tenth of one processor at most."""


@dataclass(frozen=True, slots=True)
class Batch:
    changes: tuple[Change, ...]
    raw: int
    seconds: float


class Watcher:
    """See above. All times are of ``clock``, monotonic seconds."""

    def __init__(
        self, begin: Begin, clock: Callable[[], float], say: Callable[[MidairError], None], source: Source | None = None
    ) -> None:
        """Watches from now on. source: what to listen to, instead of what fits the place."""
        began_s = clock()
        self._clock = clock
        self._say = say
        self._watch = begin.watch
        self._wants_chmod = begin.wants_chmod
        named = (*begin.watch.paths, *begin.files)
        rules = Rules(begin.folder, begin.watch, ignore=begin.ignore, named=named)
        if source is None:
            folders = [os.path.join(begin.folder, path) for path in begin.watch.paths]
            self._source, self._why = choose(begin.watch, folders, say)
        else:
            self._source, self._why = source, ""
        self._tree = Tree(begin.folder, begin.watch.paths, rules, self._source, say, files=begin.files)
        self._debounce = Debounce(begin.watch.delay_s, begin.watch.delay_max_s)
        self._checkout = Checkout(begin.folder)
        self._raw = 0
        self._has_lost = False
        """In this batch: said once."""
        self._tree.begin()
        self._heed_limit()
        self._tree.read_ahead(READ_AHEAD_AT_ONCE_S)
        self._look_s = clock() + self._source.every_s
        self._took_s = clock() - began_s

    def ready(self) -> Ready:
        return Ready(
            how=self._source.how,
            why=self._why,
            folders=self._tree.folders_count,
            files=self._tree.files_count,
            seconds=round(self._took_s, 4),
        )

    def fileno(self) -> int:
        """Readable when there is news; -1: it has to be looked for (``due_s``)."""
        return self._source.fileno()

    def due_s(self) -> float | None:
        """When to call ``take`` and ``batch`` although there is no news; None: not before there is."""
        if self._tree.has_unread:
            return self._clock()
        looks = self._source.every_s or self._tree.is_incomplete
        due = [each for each in (self._debounce.due_s(), self._look_s if looks else None) if each is not None]
        return min(due, default=None)

    @property
    def is_waiting(self) -> bool:
        """Something was seen that was not told yet, because it has not been quiet for long enough."""
        return self._debounce.first_s is not None

    def take(self) -> None:
        """Take in the news there is."""
        is_time = not self._source.every_s or self._clock() >= self._look_s
        events = self._source.read() if is_time else []
        for event in events:
            self._take(event)
        if events and self._source.every_s:
            rest_s = max(self._source.every_s, LOOK_SHARE * (self._clock() - self._look_s))
            self._look_s = self._clock() + rest_s
        if self._tree.is_incomplete and self._clock() >= self._look_s:
            self._look_s = self._clock() + LOOK_FOR_MISSING_S
            if self._tree.look_for_missing():
                self._raw += 1
                self._debounce.saw(self._clock(), "")
        self._heed_limit()
        if not events:
            self._tree.read_ahead(READ_AHEAD_S)

    def _take(self, event: Event) -> None:
        if event.what is What.LOST:
            if not self._source.every_s and not self._has_lost:
                self._has_lost = True
                self._say(EventsLost("more changed at once than the kernel's queue holds; everything was compared"))
            self._compare()
            return
        path = self._tree.take(event)
        if path is not None:
            self._raw += 1
            is_leaving = event.what is What.MOVED_AWAY
            self._debounce.saw(self._clock(), path, is_open=self._is_open(event, path), is_leaving=is_leaving)

    def _compare(self) -> None:
        self._tree.compare()
        if self._tree.is_touched and (self._debounce.first_s is None or self._source.every_s == 0):
            self._raw += 1
            self._debounce.saw(self._clock(), "")

    def _is_open(self, event: Event, path: str) -> bool:
        """Whether the writer of a file is not done. One that is made by ``open`` is closed some time; a new name of one is not."""
        if event.is_folder or event.what is What.WRITTEN:
            return not event.is_folder
        if event.what is not What.CREATED:
            return False
        try:
            found = os.lstat(self._tree.absolute(path))
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_nlink == 1

    def batch(self) -> Batch | None:
        """The batch that is whole now. None: there is none, or all that was touched is as it was."""
        now_s = self._clock()
        first_s = self._debounce.first_s
        due_s = self._debounce.due_s()
        if first_s is None or due_s is None or now_s < due_s:
            return None
        if not self._debounce.is_due(now_s, is_held=self._checkout.is_busy()):
            return None
        changes = self._tree.settle(wants_chmod=self._wants_chmod)
        raw, self._raw = self._raw, 0
        self._has_lost = False
        now_s = self._clock()
        self._debounce.taken(now_s)
        return Batch(tuple(changes), raw, round(now_s - first_s, 4)) if changes else None

    def ignore(self, lines: tuple[str, ...]) -> None:
        self._tree.ignore(lines)

    def digests(self) -> dict[str, tuple[int, int, int, int, bytes]]:
        """What is known of content, as ``release/tree`` takes it: by absolute path; only where times would show a change since."""
        return {path: _state(file) for path, file in self._tree.states() if file.is_sure()}

    def close(self) -> None:
        """Give back all that it has open."""
        self._source.close()

    def _heed_limit(self) -> None:
        """Compare from now on, if the kernel tells of no more folders."""
        if error := self._tree.limit:
            self._say(error)
            self._source.close()
            self._source, self._why = Polling(self._watch.poll_interval_s), str(error)
            self._look_s = self._clock()
            self._tree.use(self._source)


def _state(file: Known) -> tuple[int, int, int, int, bytes]:
    return file.size, file.mtime_ns, file.ctime_ns, file.inode, file.digest
