"""What the developer sees: a line a save, what went wrong and what still serves, and the lines of everybody who prints.

The supervisor's own log is quiet meanwhile: what it says is in the line of a save, or nobody has to know. Its warnings are shown.
With ``log.format = "json"`` a program reads: then every event of the log is there, and saves are events of it, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import cycle

from midair.browser.messages import Error
from midair.dev.line import Saved, harmless, save_line
from midair.errors import Fault
from midair.observe.capture import Line
from midair.observe.events import EVENTS
from midair.supervisor.estate import Estate, FieldValue

DIM, BOLD, RED, GREEN, YELLOW = "2", "1", "31", "32", "33"
OF_PROGRAMS = ("36", "35", "34", "32", "33", "96", "95", "94")
"""Colours of those who print, given out in this order."""
TOLD_BETTER = frozenset({"update_refused", "update_rolled_back", "start_failed", "fork_unsafe", "stand_in_serves"})
"""Warnings and errors that the line of a save, or what stands below it, tells in other words."""
WARNED_MAX = 1000
"""Warnings that are remembered; they are about settings and variables, of which there are not so many."""

HELP = """\
  r  reload now          e  show the whole error
  o  open the page       p  pause, and go on
  h  this help           q  quit (Ctrl-C)"""


class Telling:
    """Where it goes: lines for people, or events for programs."""

    def __init__(self, estate: Estate, write: Callable[[str], None]) -> None:
        self._estate, self._write = estate, write
        self._is_json = estate.settings.log.format == "json"
        self._is_coloured = os.isatty(2) and "NO_COLOR" not in os.environ and not self._is_json
        self._colours = cycle(OF_PROGRAMS)
        self._colour_of: dict[str, str] = {}
        self._warned: set[str] = set()
        self._has_begun = False

    # --- lines ----------------------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """For people alone."""
        if not self._is_json:
            self._write(text)

    def paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._is_coloured and text else text

    def note(self, text: str) -> None:
        self.line(self.paint(text, DIM))

    def clear(self) -> None:
        """The visible part alone: what was scrolled away stays."""
        if self._is_coloured:
            self._write("\x1b[H\x1b[2J\x1b[A")

    def began(self, *, has_keys: bool) -> None:
        settings = self._estate.settings
        self._has_begun = True
        where = ", ".join(self.addresses())
        keys = "  h help, q quit" if has_keys else ""
        self.line(f"{self.paint('midair dev', BOLD)}  {settings.target}  {where}{self.paint(keys, DIM)}")

    def addresses(self) -> list[str]:
        """Where the service is, as a browser takes it."""
        scheme = "https" if self._estate.settings.tls.certfile else "http"
        return [
            each.actual if each.actual.startswith("unix:") else f"{scheme}://{_reachable(each.actual)}/"
            for each in (*self._estate.listeners, *self._estate.commands.stored)
        ]

    def saved(self, saved: Saved) -> None:
        if self._is_json:
            seconds = {f"{name.replace(' ', '_')}_s": round(value, 4) for name, value in saved.times}
            self._estate.say("saved", {"what": saved.what, "did": saved.did, "why": saved.why or None, **seconds})
            return
        style = RED if saved.did == "kept" else GREEN
        self.line(save_line(saved, lambda did: self.paint(did, style)))

    def failed(self, error: Error, *, has_gone_by: bool) -> None:
        """Why a save is not live, in short. has_gone_by: the program that found it has printed it all."""
        if self._is_json:
            fields = {"phase": error.phase, "error": _sentence(error), "file": _place(error), "detail": error.detail}
            self._estate.say("save_failed", {name: value or None for name, value in fields.items()})
            return
        self.line(f"  {self.paint(error.phase or 'error', RED)}: {harmless(_sentence(error))}")
        if error.file:
            self.line(f"  {harmless(_place(error))}")
        for row in () if has_gone_by else self._source(error):
            self.line(f"  {row}")
        still = f"generation {error.serving} is still serving, your save is not live"
        self.line(f"  {still if error.serving else 'no version serves now'}")

    def _source(self, error: Error) -> list[str]:
        """The lines around, with a caret below the place."""
        width = max((len(str(number)) for number, _ in error.source), default=0)
        rows = []
        for number, text in error.source:
            is_it = number == error.line
            row = f"{'>' if is_it else ' '} {number:{width}} | {harmless(text.expandtabs(4))}"
            rows.append(row if is_it else self.paint(row, DIM))
            if is_it and error.column:
                before = text[: error.column - 1].expandtabs(4)
                rows.append(f"  {'':{width}} | {'':{len(before)}}{self.paint('^', RED)}")
        return rows

    def warn(self, fault: Fault) -> None:
        """Something beside the way of a save."""
        if self._is_json:
            self._estate.say("dev_trouble", {"code": fault.code, "error": fault.message, "hint": fault.hint or None})
            return
        hint = f"; {fault.hint}" if fault.hint else ""
        self.line(f"{self.paint('warning:', YELLOW)} {fault.message}{hint}")

    def whole(self, error: Error | None) -> None:
        """For the key e."""
        if error is None:
            self.note("there is no error")
            return
        self.line(f"{self.paint(error.phase or 'error', RED)}: {harmless(_sentence(error))}  {harmless(_place(error))}")
        for row in error.detail.rstrip().splitlines():
            self.line(f"  {harmless(row)}")

    # --- the log --------------------------------------------------------------------------------------------------

    def passes(self, event: str, fields: Mapping[str, FieldValue]) -> bool:
        """Whether an event of the supervisor's log is shown."""
        if self._is_json or self._estate.settings.log.level == "debug":
            return True
        if event == "listening" and self._has_begun:  # A program has bound a port that nobody knew.
            self.line(self.addresses()[-1])
        if event == "worker_died" and fields.get("state") == "starting":
            return False  # It is why the save is not live.
        if event == "survey_warning":
            return self._is_new(str(fields.get("warning")))
        known = EVENTS.get(event)
        return known is None or (known.level in ("warning", "error") and event not in TOLD_BETTER)

    def _is_new(self, warning: str) -> bool:
        """What each look at the disk finds again is said once."""
        is_new = warning not in self._warned and len(self._warned) < WARNED_MAX
        self._warned.add(warning)
        return is_new

    def prefix(self, line: Line) -> str:
        """Before what a process prints: nothing for the application itself, as long as it is one."""
        if not line.name:
            return "" if self._estate.settings.workers == 1 else f"{self.paint(str(line.slot), DIM)} | "
        colour = self._colour_of.get(line.name)
        if colour is None:
            colour = self._colour_of[line.name] = next(self._colours)
        return f"{self.paint(line.name, colour)} | "


def _sentence(error: Error) -> str:
    return f"{error.title}: {error.message}" if error.title and error.message else error.title or error.message


def _place(error: Error) -> str:
    """``app/main.py:14:9``, as editors and terminals take it."""
    numbers = [str(number) for number in (error.line, error.column if error.line else 0) if number]
    return ":".join([error.file, *numbers]) if error.file else ""


def _reachable(address: str) -> str:
    """What a browser here takes for an address that listens everywhere."""
    host, _, port = address.rpartition(":")
    return f"localhost:{port}" if host in ("0.0.0.0", "[::]") else address
