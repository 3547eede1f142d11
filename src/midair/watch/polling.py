"""Looking again and again, where nothing tells: a ``Source`` that says each time that anything may have happened."""

from __future__ import annotations

from midair.watch.source import Event, What
from midair.watch.words import How


class Polling:
    """A ``Source``."""

    how: How = "poll"

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s

    def fileno(self) -> int:
        return -1

    def watch(self, key: str, absolute: str) -> None:
        pass

    def forget(self, key: str) -> None:
        pass

    def read(self) -> list[Event]:
        return [Event(What.LOST)]

    def close(self) -> None:
        pass
