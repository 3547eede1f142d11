"""Incidents: what became of each alert, in a file of JSON lines that only grows. One process writes it.

    incident_opened    an alert fires: the alert, the update that it is about, its receipt and its lines
    incident_extended  the same alert, repeated: another update, or what could not be had before
    incident_closed    it fires no more

A line is on the disk before whoever told of the alert is answered. A line that was cut off (a full disk, a lost power) is
passed over by readers. The file is rotated to ``FILE.1`` … at ROTATE_BYTES; incidents are counted on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Self, TypeAlias

import msgspec

from midair.alerting.alertmanager import Alert
from midair.alerting.evidence import Evidence
from midair.errors import WorldError
from midair.observe.log import timestamp

FORMAT = 1
ROTATE_BYTES = 16 * 1024 * 1024
KEPT = 3
"""Rotated files beside the present one."""
Event: TypeAlias = Literal["incident_opened", "incident_extended", "incident_closed"]
INCIDENTS_MAX = 500
"""In memory, the newest. An alert that is older than so many others is forgotten: its end opens nothing."""


class IncidentsLocked(WorldError):
    """Another `midair alerts serve` writes this file."""

    code = "incidents-locked"
    hint = "end the other one, or give this one a file of its own: --incidents FILE"


class IncidentsUnwritable(WorldError):
    """The file of incidents, or its folder, cannot be made or written."""

    code = "incidents-unwritable"
    hint = "--incidents FILE names another one; by default it is where the user who runs this keeps what midair writes"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the file."""

    format: int
    time: str
    event: Event
    incident: int
    alert: Alert | None = None
    evidence: Evidence | None = None


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """An alert from its beginning to its end."""

    incident: int
    opened: str
    closed: str = ""
    """Empty while it fires."""
    alert: Alert
    evidence: tuple[Evidence, ...] = ()
    """One for each update that it was about, the last as complete as it could be had."""


def fold(records: Iterable[Record]) -> dict[int, Incident]:
    """The incidents that these records tell of, the newest INCIDENTS_MAX. Pure."""
    found: dict[int, Incident] = {}
    for record in records:
        _take(found, record)
    return found


def _take(found: dict[int, Incident], record: Record) -> None:
    if record.event == "incident_opened" and record.alert:
        shown = (record.evidence,) if record.evidence else ()
        found[record.incident] = Incident(
            incident=record.incident, opened=record.time, alert=record.alert, evidence=shown
        )
    elif incident := found.get(record.incident):
        found[record.incident] = _later(incident, record)
    if len(found) > INCIDENTS_MAX:
        del found[next(iter(found))]


def _later(incident: Incident, record: Record) -> Incident:
    if record.event == "incident_closed":
        return msgspec.structs.replace(incident, closed=record.time)
    if record.evidence is None:
        return incident
    others = tuple(each for each in incident.evidence if each.update not in (0, record.evidence.update))
    return msgspec.structs.replace(incident, evidence=(*others, record.evidence))


def read(path: str) -> Iterator[Record]:
    """All records of the file and of those it was rotated to, oldest first. No file is an empty one. Raises OSError."""
    for each in (*(f"{path}.{number}" for number in range(KEPT, 0, -1)), path):
        try:
            with open(each, "rb") as file:
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            continue
        for line in lines:
            try:
                yield msgspec.json.decode(line, type=Record)
            except (msgspec.MsgspecError, RecursionError):
                continue  # cut off, or of a midair that says more than we know


class Incidents:
    """The file, open for its one writer, and what it tells. Blocking."""

    def __init__(self, path: str, sync: Callable[[int], None] = os.fsync) -> None:
        """sync: has the disk write what was written. Raises IncidentsLocked, IncidentsUnwritable."""
        self.path, self._sync = path, sync
        with contextlib.ExitStack() as stack:
            try:
                os.makedirs(os.path.dirname(path) or ".", mode=0o750, exist_ok=True)
                # A lock file of its own: the file itself goes when it is rotated.
                self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
                stack.callback(os.close, self._lock)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._known = fold(read(path))
                self._file = self._open()
            except BlockingIOError as exc:
                raise IncidentsLocked(f"{path} is written by another midair alerts serve") from exc
            except OSError as exc:
                raise IncidentsUnwritable(f"{exc.filename or path}: {exc.strerror or exc}") from exc
            stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._file)
        os.close(self._lock)

    def of(self, alert: Alert) -> Incident | None:
        """The incident of this alert; of one that fires again after its end there is none yet."""
        return next((each for each in reversed(self._known.values()) if each.alert.key == alert.key), None)

    def open(self, alert: Alert, evidence: Evidence, now_s: float) -> Incident:
        """Raises OSError, as ``extend`` and ``close``; then nothing has changed."""
        number = max(self._known, default=0) + 1
        return self._add("incident_opened", number, now_s, alert, evidence)

    def extend(self, incident: Incident, evidence: Evidence, now_s: float) -> Incident:
        return self._add("incident_extended", incident.incident, now_s, evidence=evidence)

    def close(self, incident: Incident, now_s: float) -> Incident:
        return self._add("incident_closed", incident.incident, now_s)

    def _add(
        self, event: Event, number: int, now_s: float, alert: Alert | None = None, evidence: Evidence | None = None
    ) -> Incident:
        record = Record(
            format=FORMAT, time=timestamp(now_s), event=event, incident=number, alert=alert, evidence=evidence
        )
        self._append(msgspec.json.encode(record) + b"\n")
        _take(self._known, record)
        return self._known[number]

    def _append(self, line: bytes) -> None:
        size = os.fstat(self._file).st_size
        if size and size + len(line) > ROTATE_BYTES:
            self._rotate()
            size = 0
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(28, "no space left for the whole line", self.path)
            self._sync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def _rotate(self) -> None:
        for number in range(KEPT, 0, -1):
            source = f"{self.path}.{number - 1}" if number > 1 else self.path
            if os.path.exists(source):
                os.replace(source, f"{self.path}.{number}")
        os.close(self._file)
        self._file = self._open()

    def _open(self) -> int:
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")  # A line that was cut off stays by itself.
        return file
