"""When a batch of changes is whole. Pure: told what was seen and when, it says when to look and whether it is time.

    one save             3 to 5 events within a millisecond: whole after ``delay`` of quiet, counted from the last of them
    many files           the more paths, the longer the quiet that ends them, up to STRETCH_MAX_S more
    one after the other  a path that was not in the batch before and comes within NEXT_S of it is the next one of a formatter, or
                         of "save all": each such batch waits twice as long as the one before
    a file still open    whoever has written and not closed it is in the middle of it: OPEN_S more
    git at work          (``busy.py``) whole when it has finished, at the latest after HELD_MAX_S
    without a pause      whole after ``delay_max``, whatever comes

All times are monotonic seconds.
"""

from __future__ import annotations

STRETCH_S = 0.01
"""Quiet that each further path adds."""
STRETCH_MAX_S = 0.2
OPEN_S = 0.25
"""A log file is open for ever; a slow editor is not."""
NEXT_S = 0.03
HELD_MAX_S = 10.0
HELD_LOOK_S = 0.02
"""How often to look whether git has finished: nothing tells of it, since its folder is not watched."""
PATHS_MAX = 1000
"""Paths that are told apart; more make no difference to any answer here."""


class Debounce:
    """See above."""

    def __init__(self, delay_s: float, delay_max_s: float) -> None:
        self._delay_s = delay_s
        self._delay_max_s = max(delay_s, delay_max_s)
        self._first_s: float | None = None
        self._last_s = 0.0
        self._not_before_s = 0.0
        self._paths: set[str] = set()
        self._open: set[str] = set()
        self._before: set[str] = set()
        self._before_s = float("-inf")
        self._streak = 0

    @property
    def first_s(self) -> float | None:
        """When the first event of the batch was seen; None: there is none."""
        return self._first_s

    def saw(self, now_s: float, path: str, *, is_open: bool = False, is_leaving: bool = False) -> None:
        """An event of ``path``. is_open: its writer has not closed it yet. is_leaving: it goes to another path, so that the two are
        one: an editor writes beside the file and renames.
        """
        if self._first_s is None:
            self._first_s = now_s
            is_next = now_s - self._before_s < NEXT_S and path not in self._before
            self._streak = self._streak + 1 if is_next else 0
        self._last_s = now_s
        if is_leaving:
            self._paths.discard(path)
        elif len(self._paths) < PATHS_MAX:
            self._paths.add(path)
        if is_open and len(self._open) < PATHS_MAX:
            self._open.add(path)
        elif not is_open:
            self._open.discard(path)

    def due_s(self) -> float | None:
        """When to ask ``is_due``; None: there is nothing to wait for."""
        if self._first_s is None:
            return None
        quiet_s = self._last_s + self._quiet_s()
        return max(min(quiet_s, self._first_s + self._delay_max_s), self._not_before_s)

    def is_due(self, now_s: float, *, is_held: bool) -> bool:
        """Whether the batch is whole. is_held: git is at work, ask again a moment later."""
        due_s = self.due_s()
        if due_s is None or now_s < due_s:
            return False
        assert self._first_s is not None
        if is_held and now_s < self._first_s + HELD_MAX_S:
            self._not_before_s = now_s + HELD_LOOK_S
            return False
        return True

    def taken(self, now_s: float) -> None:
        """The batch was taken: what comes now belongs to the next one."""
        self._before, self._before_s = self._paths, now_s
        self._paths, self._first_s, self._not_before_s = set(), None, 0.0
        self._open.clear()

    def _quiet_s(self) -> float:
        stretch_s = STRETCH_S * max(0, len(self._paths) - 1)
        if self._streak:
            stretch_s = max(stretch_s, STRETCH_S * 2 ** min(self._streak, 10))
        stretch_s = min(stretch_s, STRETCH_MAX_S)
        return self._delay_s + max(stretch_s, OPEN_S if self._open else 0.0)
