"""Where the lines of an update are read: a log file of JSON lines, the journal, or what the supervisor itself has kept.

All block, up to a limit of their own: they run in a thread of ``midair alerts serve``, never in a supervisor.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NamedTuple, TypeAlias

import msgspec

from midair.alerting.evidence import LINES_MAX, Line, Wanted, bounded, is_of
from midair.config.load import ServiceAddress
from midair.control import client
from midair.control.words import LogLine, LogLines, Logs
from midair.errors import MidairError, WorldError
from midair.observe.events import EVENTS
from midair.observe.log import timestamp

READ_MAX_BYTES = 64 * 1024 * 1024
"""Of a log file, from its end: a busy access log of several minutes."""
BLOCK_BYTES = 256 * 1024
JOURNAL_MAX_BYTES = 8 * 1024 * 1024


class LinesUnread(WorldError):
    """The lines of an update cannot be read where they should be."""

    code = "lines-unread"


class Found(NamedTuple):
    """Lines of an update, oldest first, and where they come from, as the incident calls it."""

    where: str
    lines: tuple[Line, ...]


Find: TypeAlias = Callable[[Wanted, float], Found]
"""Takes what is wanted and how many seconds there are. Raises MidairError, OSError."""


def in_file(path: str) -> Find:
    """A file of JSON lines as ``log.format = "json"`` writes them, and the one it was rotated to (``FILE.1``)."""

    def find(want: Wanted, within_s: float) -> Found:
        since, found, deadline_s = timestamp(want.since_s), list[Line](), time.monotonic() + within_s
        for each in (path, f"{path}.1"):
            try:
                with open(each, "rb") as file:
                    if _read_back(file, since, want, found, deadline_s):
                        break
            except FileNotFoundError as exc:
                if each == path:
                    raise LinesUnread(f"there is no log file {path}", hint="see --log") from exc
        return Found(path, bounded(found[::-1], want))

    return find


def _read_back(file: IO[bytes], since: str, want: Wanted, found: list[Line], deadline_s: float) -> bool:
    """Add what belongs to the update, newest first; whether a line before ``since`` was met. Raises LinesUnread."""
    for raw in _backwards(file):
        if time.monotonic() > deadline_s:
            raise LinesUnread("there was no time to read the log back to the update", hint="rotate it more often")
        line = _decoded(raw)
        if line is None:
            continue
        # The order of such texts is the order of the times. The time of a worker's own line is its own.
        at = str(line.get("time"))
        if line.get("event") in EVENTS and _TIME.fullmatch(at) and at < since:
            return True
        if is_of(line, want):
            found.append(line)
    return False


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def _backwards(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file from its end, at most READ_MAX_BYTES of them."""
    end = file.seek(0, os.SEEK_END)
    first, rest = max(0, end - READ_MAX_BYTES), b""
    while end > first:
        start = max(first, end - BLOCK_BYTES)
        file.seek(start)
        rest, *lines = (file.read(end - start) + rest).split(b"\n")
        yield from reversed(lines)
        end = start
    if first == 0:
        yield rest


def _decoded(raw: bytes) -> Line | None:
    if not raw.startswith(b"{"):
        return None
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def in_journal(folder: str = "") -> Find:
    """systemd's journal, by midair's own fields. folder: of journal files, such as a container's that are mounted here; empty:
    this machine's."""
    where = [f"--directory={folder}"] if folder else []

    def find(want: Wanted, within_s: float) -> Found:
        entries = _journal([*where, *_matches(want)], within_s)
        lines = [line_of_journal(entry) for entry in entries]
        return Found("the journal", bounded([line for line in lines if is_of(line, want)], want))

    return find


def _matches(want: Wanted) -> Iterator[str]:
    yield f"--since=@{want.since_s:.3f}"
    yield from (f"MIDAIR_SERVICE={want.service}", f"MIDAIR_UPDATE={want.update}")
    if want.generation:
        yield from ("+", f"MIDAIR_SERVICE={want.service}", f"MIDAIR_GENERATION={want.generation}")


def _journal(words: Sequence[str], within_s: float) -> list[Line]:
    """Raises LinesUnread."""
    try:
        done = subprocess.run(
            [*_JOURNALCTL, *words], capture_output=True, stdin=subprocess.DEVNULL, timeout=within_s, check=False
        )
    except FileNotFoundError as exc:
        raise LinesUnread("journalctl is not installed", hint="--log FILE reads a log file instead") from exc
    except subprocess.TimeoutExpired as exc:
        raise LinesUnread(f"journalctl took more than {within_s:.1f} s") from exc
    if done.returncode != 0 and not done.stdout:
        said = done.stderr.decode(errors="replace").strip()
        raise LinesUnread(f"journalctl: {said}", hint="members of the group systemd-journal may read it")
    decoded = map(_decoded, done.stdout[-JOURNAL_MAX_BYTES:].split(b"\n"))
    return [entry for entry in decoded if entry is not None]


_JOURNALCTL = ["journalctl", "--output=json", "--no-pager", "--quiet", "--all", f"--lines={5 * LINES_MAX}"]
_LEVELS = {"3": "error", "4": "warning", "6": "info", "7": "debug"}
"""Of the journal's PRIORITY: as ``observe/events.py`` names them."""


def line_of_journal(entry: Line) -> Line:
    """An entry with the names that our JSON lines have; what is the journal's own is left out."""
    at_us = int(entry.get("__REALTIME_TIMESTAMP", 0))
    line: Line = {"time": timestamp(at_us / 1e6)}
    if level := _LEVELS.get(str(entry.get("PRIORITY", ""))):
        line["level"] = level
    for name, value in entry.items():
        if name.startswith("MIDAIR_"):
            is_count = name in ("MIDAIR_UPDATE", "MIDAIR_GENERATION") and str(value).isdigit()
            line[name.removeprefix("MIDAIR_").lower()] = int(value) if is_count else value
    message = entry.get("MESSAGE", "")
    # Text that is no UTF-8 comes as a list of bytes.
    line["message"] = bytes(message).decode(errors="replace") if isinstance(message, list) else message
    return line


def in_supervisor(address: ServiceAddress) -> Find:
    """What the supervisor itself keeps: the last lines that workers of a living generation printed."""

    def find(want: Wanted, within_s: float) -> Found:
        if not want.generation:
            return Found("the supervisor", ())
        request = Logs(generation=want.generation, limit=LINES_MAX)
        answers = client.ask(address, request, timeout_s=within_s)
        kept = [_line(each) for answer in answers if isinstance(answer, LogLines) for each in answer.lines]
        return Found("the supervisor", bounded(kept, want))

    return find


def _line(each: LogLine) -> Line:
    return {"generation": each.generation, "slot": each.slot, "stream": each.stream, "message": each.text}


def wherever(address: ServiceAddress) -> Find:
    """The journal if it can be read and has lines of the update, else what the supervisor keeps."""
    journal, kept = in_journal(), in_supervisor(address)

    def find(want: Wanted, within_s: float) -> Found:
        unread: MidairError | None = None
        try:
            found = journal(want, within_s / 2)
            if found.lines:
                return found
        except MidairError as exc:
            unread = exc
        found = kept(want, within_s / 2)
        if unread and not found.lines:
            raise unread
        return found

    return find
