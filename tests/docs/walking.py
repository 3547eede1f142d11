"""A page, walked: all that it tells its reader to write is written, all that it shows to be typed is typed, and what is printed is
what the page says.

    WALK = Walk("docs/deploy.md", goes_on={"midair run -C current": "update done"})

    def test_the_page_is_what_happens() -> None:
        with Terminal("/srv/shop") as terminal:
            terminal.write("app.py", …)  # what the page takes for granted
            WALK.whole(terminal)

Guarded by ``test_walks.py``: every page with commands has a walk. Where something has to be done in between:

    with WALK.begun(terminal) as walker:
        walker.through("midair run")
        terminal.write("app.py", …)
        walker.rest()

A page of several situations is walked section by section: ``WALK.begun(terminal, "1. Refused")``.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.docs.page import Command, File, part, steps
from tests.docs.shown import ANYTHING, is_shown, says_nothing
from tests.docs.terminal import ROOT, GoesOn, Terminal
from tests.support.waiting import DidNotHappen, wait_for

SAID_WITHIN_S = 20.0
LOG_LINES = 40


@dataclass(frozen=True)
class Walk:
    """How a page is walked. Its commands are named as they stand there.

    goes_on: commands that do not end by themselves, and a text that they print once they do what they are for. What the page shows
    is what they print first; the test may do something meanwhile. not_typed: commands that cannot be typed here, and why.
    figures: patterns of what else differs from run to run on this page.
    """

    page: str
    goes_on: Mapping[str, str] = field(default_factory=dict)
    not_typed: Mapping[str, str] = field(default_factory=dict)
    figures: Sequence[str] = ()

    def text(self) -> str:
        return (ROOT / self.page).read_text()

    def steps(self, section: str = "") -> list[Command | File]:
        """section: a heading; what follows it, up to the next one."""
        return steps(part(self.text(), section) if section else self.text())

    def commands(self) -> list[Command]:
        return [step for step in self.steps() if isinstance(step, Command)]

    def whole(self, terminal: Terminal) -> None:
        """Walk the page from its first line to its last. Raises AssertionError where it is not as the page says."""
        with self.begun(terminal) as walker:
            walker.rest()

    @contextlib.contextmanager
    def begun(self, terminal: Terminal, section: str = "") -> Iterator[Walker]:
        """For a walk with something in between. It has to come to the end of the page, or of the section."""
        walker = Walker(self, terminal, section)
        yield walker
        walker.settle()
        left = [step for step in walker.left if isinstance(step, Command)]
        assert not left, f"{self.page}, line {left[0].line}: nobody has typed: $ {left[0].typed}"


class Walker:
    """Somebody on the way through a page."""

    def __init__(self, walk: Walk, terminal: Terminal, section: str = "") -> None:
        self._walk, self._terminal = walk, terminal
        self.left = walk.steps(section)
        self._unsettled: list[Command] = []
        self.going_on: dict[str, GoesOn] = {}
        """The programs that were started and go on."""
        self.stands_for: dict[str, str] = {}
        """What is typed in the place of an example on the page: a name that was given meanwhile."""

    def rest(self) -> None:
        while self.left:
            self._take(self.left.pop(0))

    def through(self, command: str) -> None:
        """Walk on until this command has been typed."""
        while self.left:
            step = self.left.pop(0)
            self._take(step)
            if isinstance(step, Command) and step.typed == command:
                return
        raise AssertionError(f"{self._walk.page}: after this there is no: $ {command}")

    def _take(self, step: Command | File) -> None:
        if isinstance(step, File):
            self._terminal.write(step.name, step.text)
        elif step.typed in self._walk.not_typed:
            pass
        elif step.typed in self._walk.goes_on:
            self._begin(step)
        else:
            self._type(step)

    def _begin(self, step: Command) -> None:
        program = self._terminal.begin(step.typed)
        self.going_on[step.typed] = program
        program.wait_said(self._walk.goes_on[step.typed])
        self._unsettled.append(step)

    def settle(self, within_s: float = SAID_WITHIN_S) -> None:
        """The programs that go on have printed first, or will have in time, what the page shows."""
        for step in self._unsettled:
            program = self.going_on[step.typed]
            shown = [*step.shown, ANYTHING]
            try:
                wait_for(program.printed, within_s, until=functools.partial(is_shown, shown, also=self._walk.figures))
            except DidNotHappen:
                self._fail(step, program.printed())

    def _type(self, step: Command) -> None:
        typed = step.typed
        for example, real in self.stands_for.items():
            typed = typed.replace(example, real)
        printed = self._terminal.type(typed)
        if not is_shown(step.shown, printed.lines, self._walk.figures):
            self._fail(step, printed.lines)
        if printed.code != 0 and says_nothing(step.shown):
            self._fail(step, [*printed.lines, f"(it failed: exit code {printed.code}, and the page does not say so)"])

    def _fail(self, step: Command, printed: list[str]) -> None:
        logs = [
            line
            for program in self.going_on.values()
            for line in (f"--- the last lines of {program.command}", *program.printed()[-LOG_LINES:])
        ]
        page = [f"{self._walk.page}, line {step.line}: $ {step.typed}", "--- the page shows", *step.shown]
        raise AssertionError("\n".join([*page, "--- here it prints", *printed, *logs]))
