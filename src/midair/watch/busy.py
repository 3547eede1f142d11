"""Whether git is at work in a checkout: switching, pulling or rebasing is one change, however many files it writes."""

from __future__ import annotations

import os
import time

from midair.release.git import NotARepository, git_folder

LOCKS = ("index.lock", "HEAD.lock")
STEPS = ("rebase-merge/done", "rebase-merge", "rebase-apply/next", "rebase-apply")
"""Touched at each step of a rebase. They stay while it waits for somebody to resolve a conflict, who wants to see
each save."""

LOCK_MAX_S = 10.0
"""An older lock was left by a git that died, or is held while somebody writes a commit message."""
STEP_MAX_S = 0.5
"""A rebase that has done no step for this long waits for somebody."""


class Checkout:
    """The git checkout that a folder lies in, if it does."""

    def __init__(self, folder: str) -> None:
        try:
            self._git = git_folder(os.path.realpath(folder))
        except NotARepository:
            self._git = ""

    def is_busy(self) -> bool:
        """A dozen microseconds."""
        if not self._git:
            return False
        return any(self._is_recent(name, LOCK_MAX_S) for name in LOCKS) or any(
            self._is_recent(name, STEP_MAX_S) for name in STEPS
        )

    def _is_recent(self, name: str, within_s: float) -> bool:
        try:
            changed_s = os.stat(os.path.join(self._git, name)).st_mtime
        except OSError:
            return False
        return abs(time.time() - changed_s) < within_s
