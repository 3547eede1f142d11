"""The supervisor's log: events with fields, one line each, as JSON for machines or in words for a terminal.

An event's level and status come from the table in ``events.py``; a line carries what was bound (node, version,
generation, update) and what the call adds. No library: a logger of the size of this file costs the supervisor nothing
(structlog: 18 MB and 187 ms of import), and its only sink never waits.

    {"time":"2025-11-22T12:00:00.123Z","level":"info","event":"cut_over","status":"hot-update-cut-over","node":"node-3",…}
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Literal, TypeAlias

import msgspec

from midair.errors import Bug
from midair.observe.capture import Line
from midair.observe.events import EVENTS, LEVELS, Level
from midair.observe.sink import Sink

FieldValue: TypeAlias = str | int | float | bool | Sequence[str] | None
Format = Literal["json", "console", "journal"]
Encode: TypeAlias = Callable[[Mapping[str, object]], bytes]

VALUE_MAX = 8 * 1024
"""Characters of one field: a traceback fits, a page of HTML does not."""

OURS = ("node", "version", "generation", "slot", "process")
"""Fields that a worker's line gains."""

_COLOURS = {"debug": "\x1b[2m", "info": "", "warning": "\x1b[33m", "error": "\x1b[31m"}


class UnknownEvent(Bug):
    """An event that the table does not list."""

    code = "unknown-event"


class Log:
    """Writes events. ``bind`` gives one that knows more; all share the sink."""

    __slots__ = ("_bound", "_encode", "_format", "_is_coloured", "_is_strict", "_lowest", "_sink", "_wall_s")

    def __init__(
        self,
        sink: Sink,
        *,
        format: Format = "json",
        level: Level = "info",
        wall_s: Callable[[], float] = time.time,
        is_coloured: bool = False,
        is_strict: bool = False,
        bound: Mapping[str, FieldValue] | None = None,
        encode: Encode | None = None,
    ) -> None:
        """wall_s: seconds since the epoch. is_strict: an event that is not in the table is our bug, not a line.

        encode: for the journal, makes an entry of a record, whose ``message`` is for people.
        """
        self._sink = sink
        self._format = format
        self._lowest = LEVELS.index(level)
        self._wall_s = wall_s
        self._is_coloured = is_coloured
        self._is_strict = is_strict
        self._bound = dict(bound or {})
        self._encode = encode or _encode

    def show(self, level: Level) -> None:
        """From now on, this level and above. Lines of workers are shown in any case."""
        self._lowest = LEVELS.index(level)

    def bind(self, **fields: FieldValue) -> Log:
        """The same log with more fields on every line; None takes a field away."""
        other = copy(self)
        other._bound = {key: value for key, value in {**self._bound, **fields}.items() if value is not None}
        return other

    def say(self, event: str, /, **fields: FieldValue) -> None:
        """Write an event of the table, at its level. Raises UnknownEvent if strict."""
        known = EVENTS.get(event)
        if known is None and self._is_strict:
            raise UnknownEvent(f"the event {event!r} is not in observe/events.py")
        self._say_dropped()
        level: Level = known.level if known else "info"
        status = {"status": known.status} if known and known.status else {}
        self._write(level, event, {**status, **self._bound, **fields})

    def pass_on(self, line: Line, *, prefix: str | None = None, **fields: FieldValue) -> None:
        """Write a line of a worker: as it is, with our fields. Not filtered by level: it is the application's to choose.

        prefix: what stands before it for people; None: who wrote it. fields: what is known of the worker besides generation and
        slot, such as its version.
        """
        source = f"{line.generation}.{line.slot}"
        if self._sink.would_drop(source):
            self._sink.drop(source)
            return
        self._say_dropped()
        ours = {**self._bound, **fields, "generation": line.generation, "slot": line.slot, "process": line.name or None}
        if line.lost_bytes:
            ours["lost_bytes"] = line.lost_bytes
        self._sink.write(self._passed_on(line, ours, prefix), source=f"{line.generation}.{line.name or line.slot}")

    def _say_dropped(self) -> None:
        # Said by whoever writes next once there is room again: a sink has no clock of its own.
        for source, count in self._sink.take_dropped().items():
            self._write("warning", "log_lines_dropped", {**self._bound, "lines": count, "of": source or "supervisor"})

    def _write(self, level: Level, event: str, fields: Mapping[str, FieldValue]) -> None:
        if LEVELS.index(level) < self._lowest:
            return
        shown = {key: _cut(value) for key, value in fields.items() if value is not None}
        now_s = self._wall_s()
        if self._format != "console":
            record = {"time": timestamp(now_s), "level": level, "event": event, **shown}
            if self._format == "journal":
                record["message"] = _words(event, shown)
            self._sink.write(self._encode(record))
            return
        self._sink.write(_console(now_s, level, event, shown, self._is_coloured).encode(errors="backslashreplace"))

    def _passed_on(self, line: Line, ours: Mapping[str, FieldValue], prefix: str | None) -> bytes:
        if self._format == "console":
            lost = f" … {line.lost_bytes} bytes more" if line.lost_bytes else ""
            if prefix is None:
                prefix = f"{line.generation}.{line.name or line.slot} | "
            return f"{prefix}{line.text}{lost}\n".encode(errors="backslashreplace")
        added = {key: ours[key] for key in (*OURS, "lost_bytes") if ours.get(key) is not None}
        theirs = _object(line.text)
        if self._format == "journal":
            # As they wrote it. Their fields are theirs to name: the journal's are not to be taken by them.
            level = str((theirs or {}).get("level", "info")).lower()
            return self._encode({"level": level, "event": "worker_output", "message": line.text, **added})
        if theirs is None:
            record = {
                "time": timestamp(self._wall_s()),
                "level": "info",
                "event": "worker_output",
                "message": line.text,
            }
            return _encode({**record, **added})
        # Their fields stay as they are. One of ours whose name they use goes by another: nothing is lost.
        for key, value in added.items():
            theirs[f"midair_{key}" if key in theirs else key] = value
        return _encode(theirs)


def timestamp(wall_s: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    whole_s, milliseconds = divmod(int(wall_s * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole_s))}.{milliseconds:03}Z"


def _console(now_s: float, level: Level, event: str, fields: Mapping[str, FieldValue], is_coloured: bool) -> str:
    colour, plain = (_COLOURS[level], "\x1b[0m") if is_coloured and _COLOURS[level] else ("", "")
    clock = time.strftime("%H:%M:%S", time.localtime(now_s))
    return f"{clock} {colour}{level:<7} {_words(event, fields, plain)}\n"


def _words(event: str, fields: Mapping[str, FieldValue], plain: str = "") -> str:
    """An event for people. plain: what ends a colour."""
    # Text of several lines goes below, indented: a traceback stays readable.
    below = [value for value in fields.values() if isinstance(value, str) and "\n" in value]
    words = [
        f"{key}={_word(value)}"
        for key, value in fields.items()
        if key not in ("status", "node") and not (isinstance(value, str) and "\n" in value)
    ]
    first = f"{event.replace('_', ' ')}{plain}  {' '.join(words)}".rstrip()
    return "\n".join([first, *(f"    {row}" for text in below for row in map(_harmless, text.splitlines()))])


def _word(value: FieldValue) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, str):
        shown = _harmless(value)
        return f'"{shown}"' if " " in shown or not shown else shown
    if isinstance(value, Sequence):
        return ",".join(_harmless(item) for item in value)
    return str(value)


def _harmless(text: str) -> str:
    """Without control characters: what an application says must not drive the operator's terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _cut(value: FieldValue) -> FieldValue:
    if isinstance(value, str) and len(value) > VALUE_MAX:
        # The end of a traceback says what happened.
        return f"… {value[-VALUE_MAX:]}"
    return value


def _object(text: str) -> dict[str, object] | None:
    """The fields of a line that is a JSON object, else None."""
    if not text.startswith("{"):
        return None
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _encode(record: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode(record) + b"\n"
    except UnicodeEncodeError:
        # A lone surrogate, from a path that is no UTF-8.
        clean = {
            key: value.encode(errors="backslashreplace").decode() if isinstance(value, str) else str(value)
            for key, value in record.items()
        }
        return msgspec.json.encode(clean) + b"\n"
