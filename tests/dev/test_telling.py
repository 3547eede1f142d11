"""What of the supervisor's log the developer sees."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from midair.browser.messages import Error
from midair.config.schema import Log, Settings
from midair.dev.telling import Telling
from midair.observe.capture import Line
from midair.supervisor.estate import Estate


def telling(*, workers: int = 1, log: Log | None = None) -> tuple[Telling, list[str]]:
    """And what it has written."""
    settings = Settings(
        name="shop", folder="/srv/shop", app="app:app", workers=workers, log=log or Log(format="console")
    )
    written: list[str] = []
    estate = cast(Estate, SimpleNamespace(settings=settings, listeners=[]))
    return Telling(estate, written.append), written


@pytest.mark.parametrize(
    ("event", "is_shown"),
    [
        ("update_started", False),
        ("update_refused", False),
        ("worker_hung", True),
        ("process_died", True),
        ("bug", True),
    ],
)
def test_what_happens_is_quiet_and_what_went_wrong_is_shown(event: str, is_shown: bool) -> None:
    assert telling()[0].passes(event, {}) is is_shown


def test_a_worker_that_dies_is_shown_unless_it_is_why_a_save_is_not_live() -> None:
    shown, _ = telling()
    assert shown.passes("worker_died", {"state": "serving"})
    assert not shown.passes("worker_died", {"state": "starting"})


def test_what_each_look_at_the_disk_finds_again_is_said_once() -> None:
    shown, _ = telling()
    said = [shown.passes("survey_warning", {"warning": text}) for text in ("A is hidden", "A is hidden", "B is hidden")]
    assert said == [True, False, True]


@pytest.mark.parametrize("log", [Log(format="json"), Log(format="console", level="debug")])
def test_who_asks_for_everything_gets_it(log: Log) -> None:
    assert telling(log=log)[0].passes("update_started", {})


def test_an_error_is_told_with_its_place_and_a_caret_and_nothing_drives_the_terminal() -> None:
    shown, written = telling()
    source = ((3, "ok"), (4, "\tx = \x1b[2J("))
    error = Error(
        phase="import", title="SyntaxError", message="odd", file="a.py", line=4, column=6, source=source, serving=7
    )
    shown.failed(error, has_gone_by=False)
    assert written == [
        "  import: SyntaxError: odd",
        "  a.py:4:6",
        "    3 | ok",
        "  > 4 |     x = \\x1b[2J(",
        "      |         ^",
        "  generation 7 is still serving, your save is not live",
    ]


def test_what_a_step_has_printed_already_is_not_printed_again() -> None:
    shown, written = telling()
    shown.failed(Error(phase="build", title="", message="exit 2", source=((1, "x"),), line=1), has_gone_by=True)
    assert written == ["  build: exit 2", "  no version serves now"]


def test_lines_of_the_application_stand_alone_and_those_of_others_have_a_name() -> None:
    shown, _ = telling()
    assert shown.prefix(Line(4, 0, "hello")) == ""
    assert shown.prefix(Line(0, -3, "hello", name="front")) == "front | "
    assert telling(workers=2)[0].prefix(Line(4, 1, "hello")) == "1 | "


def test_a_program_that_reads_gets_no_line_for_people() -> None:
    shown, written = telling(log=Log(format="json"))
    shown.note("watching")
    assert written == []
