"""Who lives beside a supervisor, in its loop, for as long as one image of it: the developer's loop (``midair dev``).

It tells the supervisor facts as anybody does, hears how updates end (``Supervisor.closed``), and says what of the log people see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from midair.observe.capture import Line
from midair.supervisor.estate import FieldValue
from midair.supervisor.supervisor import Supervisor


class Attendant(Protocol):
    """All of it is called from the loop's thread, and nothing of it may wait."""

    @property
    def signals(self) -> tuple[int, ...]:
        """Which it wants besides those of ``[signals]``."""

    def begin(self) -> None:
        """Everything is in place. It asks for the first update, now or later."""

    def signalled(self, number: int) -> None:
        """One of its own has come."""

    def passes(self, event: str, fields: Mapping[str, FieldValue]) -> bool:
        """Whether this event goes into the log, or is left out because people see it otherwise, or not at all."""

    def prefix(self, line: Line) -> str:
        """What stands before a line that a process has printed."""

    def finish(self, then: Callable[[], None]) -> None:
        """The service has ended. Call ``then`` when what it started has ended, too; what has not is killed after that."""

    def hurry(self) -> None:
        """Somebody wants the end now: kill what runs."""

    def end(self) -> None:
        """The loop has ended, for whatever reason: leave the terminal as it was."""


Attend: TypeAlias = Callable[[Supervisor, Callable[[str], None]], Attendant]
"""Makes one of a supervisor and of a function that writes a line for people. It must not call either yet."""
