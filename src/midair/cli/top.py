"""``midair top``: the service, live. What is shown is decided in ``topscreen.py``; this asks, draws and takes keys.

One thread: it asks once an interval, draws, and waits for a key. An action is a request like that of any command, taken up by the
service or refused; how it ends is seen in the next reports.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import click

from midair.cli import topscreen
from midair.cli.options import Duration, Service, service_options
from midair.cli.screen import Screen
from midair.cli.show import age
from midair.cli.topscreen import View
from midair.control import client
from midair.control.client import HungUp
from midair.control.words import (
    Accepted,
    Done,
    Drain,
    Outcome,
    Reload,
    Request,
    Rollback,
    Status,
    StatusReport,
)
from midair.errors import MidairError, NotRunning

INTERVAL_S = 1.0
INTERVAL_MIN_S = 0.1
ASK_WITHIN_S = 2.0
"""Keys are taken between two questions, so none may take long."""
EVENTS = 60
"""As many as a tall terminal shows."""
BY = "midair top"

ACTIONS: dict[str, tuple[str, Callable[[], Request]]] = {
    "r": ("update to what is on disk", lambda: Reload(wait="none", reason=BY)),
    "R": ("go back to the version before", lambda: Rollback(wait="none", reason=BY)),
    "d": ("end what drains within 5 s", lambda: Drain(reason=BY)),
}
"""By key: what it does, in words, and how it is asked for."""


@click.command
@click.option("--once", is_flag=True, help="One screen, as text; the rates are those of one interval.")
@click.option(
    "--interval",
    "interval_s",
    type=Duration(),
    default=INTERVAL_S,
    metavar="DURATION",
    help="Between two looks; default: 1s.",
)
@service_options
def command(service: Service, *, once: bool, interval_s: float) -> int:
    """Watch versions, connections, requests, the drain and the update that goes on; press h for the keys.

    With --json a document each interval, with --once just one.
    """
    interval_s = max(interval_s, INTERVAL_MIN_S)
    if once or service.show.as_json:
        return _print(service, interval_s, is_once=once)
    screen = Screen()
    if not screen.is_possible:
        raise click.UsageError("midair top needs a terminal; --once prints one screen, --json is for scripts")
    now = _ask(service)
    with screen:
        Top(service, screen, now, interval_s).run()
    return 0


def _ask(service: Service) -> StatusReport:
    request = Status(look=False, events=EVENTS)
    return client.ask_one(service.address(), request, StatusReport, timeout_s=ASK_WITHIN_S)


def _print(service: Service, interval_s: float, *, is_once: bool) -> int:
    before = _ask(service)
    try:
        while True:
            time.sleep(interval_s)  # Rates are those between two reports.
            try:
                now = _ask(service)
            except (HungUp, NotRunning):
                if is_once:
                    raise
                continue  # It upgrades itself, or is away: who reads on waits for what comes next.
            view = View(now=now, before=before)
            if service.show.as_json:
                service.show.json(topscreen.document(view))
            else:
                width = service.show.width() or 120
                lines = topscreen.screen(view, width, 1000)
                for text in _without_end([line.text for line in lines[:-2]]):
                    service.show.line(text)
            if is_once:
                return 0
            before = now
    except KeyboardInterrupt:
        return 0


def _without_end(texts: list[str]) -> list[str]:
    """Without the empty lines at the end: where nothing is drawn anew there is nothing to fill."""
    while texts and not texts[-1]:
        texts = texts[:-1]
    return texts


class Top:
    """What is known, and what a key does to it."""

    def __init__(self, service: Service, screen: Screen, now: StatusReport, interval_s: float) -> None:
        self._service, self._screen, self._interval_s = service, screen, interval_s
        self._view = View(now=now)
        self._pending = ""
        """The key of an action that waits for a yes."""
        self._update = 0
        """One that was asked for here: its end is told."""
        self._lost_s: float | None = None
        self._is_over = False

    def run(self) -> None:
        """Until q, or until the terminal is gone."""
        next_s = time.monotonic() + self._interval_s
        self._draw()
        while not self._is_over:
            key = self._screen.key(max(0.0, next_s - time.monotonic()))
            if key is None:
                return
            if key:
                self.pressed(key)
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + self._interval_s
                self._look()
            self._draw()

    def _draw(self) -> None:
        width, height = self._screen.size()
        self._screen.draw([(line.text, line.style) for line in topscreen.screen(self._view, width, height)])

    # --- looks ----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        try:
            now = _ask(self._service)
        except MidairError as error:
            self._lost(error)
            return
        before = self._view.now
        if self._lost_s is not None:
            self._lost_s = None
            self._say(_back(before, now))
        self._view = replace(self._view, now=now, before=before, trouble="")
        self._tell_end(now)

    def _lost(self, error: MidairError) -> None:
        now_s = time.monotonic()
        self._lost_s = now_s if self._lost_s is None else self._lost_s
        what = "the service does not run" if isinstance(error, (NotRunning, HungUp)) else str(error)
        trouble = f"{what} since {age(now_s - self._lost_s)}; what is below is old. Trying again."
        self._view = replace(self._view, trouble=trouble)

    def _tell_end(self, now: StatusReport) -> None:
        """An update that was asked for here has ended."""
        ended = next((each for each in now.last if each.number == self._update and each.result), None)
        if self._update and ended:
            self._update = 0
            why = ended.fault.partition("\n")[0]
            self._say(f"update {ended.number}: {ended.result}" + (f": {why}" if why else ""))

    def _say(self, text: str) -> None:
        self._view = replace(self._view, message=text)

    # --- keys -----------------------------------------------------------------------------------------------------

    def pressed(self, key: str) -> None:
        """One key."""
        if self._pending:
            pending, self._pending = self._pending, ""
            if key == "y":
                self._act(*ACTIONS[pending])
            else:
                self._say("nothing was done")
        elif key in ACTIONS:
            self._pending = key
            self._say(f"{ACTIONS[key][0]}? y: do it, any other key: do not")
        elif key == "h":
            self._view = replace(self._view, is_help=not self._view.is_help)
        elif key == "q":
            self._is_over = True

    def _act(self, what: str, request: Callable[[], Request]) -> None:
        """Ask for it; how it was taken is told at once, its end when it comes."""
        try:
            for answer in client.ask(self._service.address(), request(), timeout_s=ASK_WITHIN_S):
                match answer:
                    case Accepted(update=update, note=note):
                        self._update = update
                        self._say(f"{what}: update {update} has begun" + (f" ({note})" if note else ""))
                    case Done(note=note):
                        self._say(f"{what}: {note or 'done'}")
                    case Outcome(update=update):
                        self._update = update
                    case _:
                        pass
                return
        except MidairError as error:
            fault = error.fault()
            self._say(f"{what}: not done: {fault.message}" + (f" ({fault.hint})" if fault.hint else ""))


def _back(before: StatusReport, now: StatusReport) -> str:
    """Why it was away, as far as reports tell."""
    if before.pid == now.pid and now.uptime_s > before.uptime_s:
        was = f", {before.midair} before" if before.midair != now.midair else ""
        return f"the supervisor is there again (midair {now.midair}{was}); the service ran on"
    return f"the service was started anew, pid {now.pid}"
