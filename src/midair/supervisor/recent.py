"""What has happened lately: the latest events of the log and, with what the processes print, one count over both.

For whoever looks on (``midair top``, ``midair logs``). The log itself is elsewhere and keeps everything; this keeps a little,
bounded in rows and in bytes, and gets over an upgrade. Numbers are microseconds since the epoch, made to grow: they say when,
they go on over a restart, and whoever lost its connection can name the last one that it has seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from midair.control.words import EventLine, FieldValue
from midair.observe.events import EVENTS

ROWS_MAX = 400
BYTES_MAX = 256 * 1024
VALUE_MAX = 2_000
"""Characters of one field: the end of a traceback."""


class Row(msgspec.Struct, frozen=True):
    number: int
    event: str
    level: str
    fields: dict[str, FieldValue]

    def line(self) -> EventLine:
        return EventLine(
            number=self.number, time_s=time_s(self.number), level=self.level, event=self.event, fields=self.fields
        )


class State(msgspec.Struct):
    """On its way to the next image of the supervisor."""

    last: int = 0
    rows: list[Row] = []


class Recent:
    """Counts, and keeps the latest events."""

    def __init__(self, wall_s: Callable[[], float]) -> None:
        self._wall_s = wall_s
        self.last = 0
        """Number of the line or event that was told just now."""
        self._rows: deque[Row] = deque()
        self._bytes = 0
        self.followers: list[Callable[[Row], None]] = []
        """Who wants every event as it comes."""

    def count(self) -> int:
        """The number of one more line or event."""
        self.last = max(self.last + 1, int(self._wall_s() * 1e6))
        return self.last

    def note(self, event: str, fields: Mapping[str, FieldValue]) -> None:
        """An event of the log."""
        known = EVENTS.get(event)
        kept = {name: _cut(value) for name, value in fields.items() if value is not None}
        row = Row(self.count(), event, known.level if known else "info", kept)
        self._add(row)
        for follower in list(self.followers):
            follower(row)

    def _add(self, row: Row) -> None:
        self._rows.append(row)
        self._bytes += _size(row)
        while len(self._rows) > ROWS_MAX or self._bytes > BYTES_MAX:
            self._bytes -= _size(self._rows.popleft())

    def latest(self, count: int) -> list[Row]:
        return list(self._rows)[-count:] if count > 0 else []

    # --- over an upgrade ------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return ""

    def freeze(self) -> tuple[bytes, list[int]]:
        return msgspec.msgpack.encode(State(self.last, list(self._rows))), []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        known = msgspec.msgpack.decode(state, type=State)
        self.last = known.last
        for row in known.rows:
            self._add(row)


def time_s(number: int) -> float:
    """When it was, in seconds since the epoch."""
    return number / 1e6


def _cut(value: FieldValue) -> FieldValue:
    return f"… {value[-VALUE_MAX:]}" if isinstance(value, str) and len(value) > VALUE_MAX else value


def _size(row: Row) -> int:
    return 100 + sum(len(name) + (len(value) if isinstance(value, str) else 8) for name, value in row.fields.items())
