"""``midair logs``: what the workers printed, and what midair said, across updates and upgrades."""

from __future__ import annotations

import re
import time

import click
import msgspec

from midair.cli.options import Duration, Service, service_options
from midair.cli.show import clock, json_of
from midair.control import client
from midair.control.client import HungUp
from midair.control.words import LogLine, LogLines, Logs
from midair.errors import NotRunning
from midair.observe.events import LEVELS, Level

KEPT_MAX = 10_000
"""As many as a service could keep, and more: what is left out by --level is counted here, not there."""
AGAIN_S = 0.2
"""Between two tries to come back to a service that hung up."""
PATIENCE_S = 1.0
"""A service that is away for less than this has upgraded itself, which is no news."""
HEAD_CHARS = 120
"""Of a line: where its level stands, if it says one."""

_LEVEL = re.compile(r"(?<![\w./-])(DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)(?![\w./-])")
_NAMES = {"warn": "warning", "critical": "error", "fatal": "error", "exception": "error", "notice": "info"}


@click.command
@click.option("-g", "--generation", type=click.IntRange(1), help="Of this generation; default: all that run.")
@click.option(
    "--update", type=click.IntRange(1), metavar="N", help="Of the version that update N brought, and of the update."
)
@click.option("-f", "--follow", "is_following", is_flag=True, help="And what comes from now on; until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(1, KEPT_MAX), default=200, help="How many; default: 200.")
@click.option("--since", "since_s", type=Duration(), default=0.0, metavar="DURATION", help="Not older than: 30s, 5m.")
@click.option("--level", type=click.Choice(LEVELS), help="At least this level; a line that says none counts as info.")
@click.option("--no-events", "has_events", flag_value=False, default=True, help="Only what the workers printed.")
@service_options
def command(
    service: Service,
    *,
    generation: int | None,
    update: int | None,
    is_following: bool,
    lines: int,
    since_s: float,
    level: str | None,
    has_events: bool,
) -> int:
    """Show the last lines that the service's workers printed, and between them what midair said.

    While it follows, updates and upgrades of midair go by; if the service goes away, it waits for it to come back.
    """
    request = Logs(
        generation=generation or 0,
        update=update or 0,
        follow=is_following,
        limit=KEPT_MAX if level else lines,
        after=int((time.time() - since_s) * 1e6) if since_s else 0,
        events=has_events,
    )
    reader = Reader(service, request, level or "", lines)
    try:
        reader.read()
    except KeyboardInterrupt:
        return 0
    return 0


class Reader:
    """Asks, shows, and comes back where it was cut off."""

    def __init__(self, service: Service, request: Logs, level: str, most: int) -> None:
        self._service, self._request = service, request
        self._level, self._most = level, most
        self._has_begun = False

    def read(self) -> None:
        """Until there is no more; while following, for ever. Raises as ``client.ask`` if the service was never there."""
        while True:
            try:
                self._ask()
            except (HungUp, NotRunning):
                if not (self._request.follow and self._has_begun):
                    raise
                self._wait()
            else:
                return

    def _ask(self) -> None:
        timeout_s = 0.0 if self._request.follow else client.ANSWER_WITHIN_S
        for answer in client.ask(self._service.address(), self._request, timeout_s=timeout_s):
            if isinstance(answer, LogLines):
                self._take(answer)

    def _take(self, answer: LogLines) -> None:
        rows = [line for line in answer.lines if is_at_least(line, self._level)]
        if not self._has_begun:
            rows = rows[-self._most :]
        self._has_begun = True
        if answer.dropped and not self._service.show.as_json:
            self._service.show.note(f"{answer.dropped} lines before these were not kept")
        for line in rows:
            if self._service.show.as_json:
                self._service.show.json(json_of(line))
            else:
                self._service.show.raw(text_of(line))
        self._seen(answer)

    def _seen(self, answer: LogLines) -> None:
        """What was told is not wanted again."""
        newest = max((line.number for line in answer.lines), default=0)
        after = max(self._request.after, newest)
        self._request = msgspec.structs.replace(self._request, after=after, limit=KEPT_MAX)

    def _wait(self) -> None:
        """It re-executes itself, which takes no time, or it has ended: whoever follows waits for the next one."""
        lost_s = time.monotonic()
        is_told = False
        while not self._is_there():
            if not is_told and time.monotonic() - lost_s > PATIENCE_S:
                is_told = True
                self._say("the service has gone; waiting until it is back (Ctrl-C ends this)")
            time.sleep(AGAIN_S)  # Nothing tells of a supervisor that begins.
        if is_told:
            self._say("it is back")

    def _is_there(self) -> bool:
        try:
            client.connect(self._service.address()).close()
        except NotRunning:
            return False
        return True

    def _say(self, text: str) -> None:
        if not self._service.show.as_json:
            self._service.show.note(text)


def text_of(line: LogLine) -> str:
    """A line as people read it: who printed it, and what; midair's own with the time and its fields."""
    if not line.event:
        return f"{_who(line)} | {line.text}"
    shown = [
        f"{name}={_plain(value)}" for name, value in line.fields.items() if value is not None and not _is_long(value)
    ]
    below = [row for value in line.fields.values() if _is_long(value) for row in str(value).splitlines()]
    level = "" if line.level in ("info", "debug") else f"{line.level}: "
    head = f"midair | {clock(line.time_s)} {level}{line.text}  {' '.join(shown)}".rstrip()
    return "\n".join([head, *(f"midair |     {row}" for row in below)])


def is_at_least(line: LogLine, level: str) -> bool:
    """Whether a line is of this level or above; empty: any is."""
    return not level or LEVELS.index(level_of(line)) >= LEVELS.index(level)


def level_of(line: LogLine) -> Level:
    """An event's own; of a line that was printed what it says: a JSON field, or a word in capitals near its beginning."""
    said = line.level if line.event else _said(line.text)
    found = _NAMES.get(said.lower(), said.lower())
    return next((level for level in LEVELS if level == found), "info")


def _said(text: str) -> str:
    if text.startswith("{"):
        try:
            fields = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return ""
        if isinstance(fields, dict):
            return str(next((fields[name] for name in ("level", "levelname", "severity") if name in fields), ""))
        return ""
    match = _LEVEL.search(text, 0, HEAD_CHARS)
    return match[1] if match else ""


def _who(line: LogLine) -> str:
    return f"{line.generation}.{line.slot}" if line.slot >= 0 else f"{line.generation}  "


def _plain(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f'"{text}"' if " " in text else text


def _is_long(value: object) -> bool:
    return isinstance(value, str) and "\n" in value
