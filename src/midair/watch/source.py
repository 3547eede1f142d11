"""Where news of the disk comes from: the kernel, a library, or looking again and again. One interface for all of them."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple, Protocol

from midair.watch.words import How

ANCHOR = "\0"
"""Begins the key of a folder of which a few names count: one with a watched path in it, or a link on the way to one."""


class What(Enum):
    """What happened to a name in a folder."""

    CREATED = auto()
    WRITTEN = auto()
    """Its writer has it open still."""
    CLOSED = auto()
    """By somebody who could write."""
    ATTRIBUTES = auto()
    REMOVED = auto()
    MOVED_AWAY = auto()
    MOVED_HERE = auto()
    FOLDER_GONE = auto()
    """The folder itself, under its name until now."""
    LOST = auto()
    """Anything may have happened anywhere."""


class Event(NamedTuple):
    what: What
    folder: str = ""
    """The key it was watched under."""
    name: str = ""
    is_folder: bool = False
    cookie: int = 0
    """Of a move: the same at both ends."""


class Source(Protocol):
    """Tells what happens in folders, each of them asked for by itself: nothing is told of folders that nobody asked for."""

    how: How
    every_s: float
    """How often it has to be read; 0: when ``fileno`` is readable."""

    def fileno(self) -> int:
        """What becomes readable with news; -1: nothing does."""

    def watch(self, key: str, absolute: str) -> None:
        """Tell what happens in the folder, under ``key``. Two keys may be one folder.

        Raises OSError if it cannot be opened, WatchLimit.
        """

    def forget(self, key: str) -> None:
        """Tell no more of it. A key that is unknown is none."""

    def read(self) -> list[Event]:
        """All that has happened since. Never waits."""

    def close(self) -> None:
        """Give back all that it has open. Twice is once."""
