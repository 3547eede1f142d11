"""midair logs: what it asks for, what it leaves out, and how it comes back to a service that was away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from midair.__main__ import main
from midair.cli.logs import is_at_least, level_of, text_of
from midair.control import words
from midair.control.words import AnyAnswer, Request
from midair.errors import DONE
from tests.cli.fake_service import FakeService
from tests.support.service import clean_environment
from tests.support.waiting import wait_for


def printed(text: str, number: int = 1) -> words.LogLine:
    return words.LogLine(time_s=0, generation=7, slot=0, text=text, stream="stdout", number=number)


def said(event: str, level: str = "info", **fields: str | float) -> words.LogLine:
    return words.LogLine(
        time_s=0,
        generation=7,
        slot=-1,
        text=event.replace("_", " "),
        event=event,
        level=level,
        fields={**fields},
        number=9,
    )


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("hello", "info"),
        ("2026-11-26 10:00:00 ERROR shop: no stock", "error"),
        ("WARNING:root:slow", "warning"),
        ("[2026-11-26] [CRITICAL] out of memory", "error"),
        ("GET /ERROR HTTP/1.1 200", "info"),
        ('{"level": "warn", "message": "x"}', "warning"),
        ('{"levelname": "DEBUG"}', "debug"),
        ('{"severity": "ERROR"}', "error"),
        ('{"level": 50}', "info"),
        ('{"level"', "info"),
        ("x" * 200 + " ERROR", "info"),
    ],
)
def test_a_line_has_the_level_that_it_says(text: str, level: str) -> None:
    assert level_of(printed(text)) == level


def test_an_event_has_its_own_level() -> None:
    assert level_of(said("worker_died", "error", how="ERROR or not")) == "error"
    assert is_at_least(said("held", "info"), "")
    assert not is_at_least(said("held", "info"), "warning")


def test_what_midair_says_stands_between_the_lines_with_its_fields() -> None:
    shown = text_of(said("update_refused", "error", code="app-syntax", duration_s=0.25, detail="File\n  def broken("))
    first, *rest = shown.splitlines()
    assert first.startswith("midair | ")
    assert first.endswith("error: update refused  code=app-syntax duration_s=0.25")
    assert rest == ["midair |     File", "midair |       def broken("]
    assert text_of(printed("hello")) == "7.0 | hello"


def ask(tmp_path: Path, flags: str, *answers: AnyAnswer) -> list[Request]:
    with FakeService(tmp_path, lambda _: answers) as service:
        assert main(["logs", *flags.split(), "-C", str(service.folder)]) == DONE
    return service.requests


def test_what_is_asked_for(tmp_path: Path) -> None:
    (request,) = ask(tmp_path, "--update 8 -n 5 --no-events", words.LogLines(lines=()), words.Done())
    assert request == words.Logs(update=8, limit=5)


def test_since_is_a_number_before_now(tmp_path: Path) -> None:
    (request,) = ask(tmp_path, "--since 5m", words.LogLines(lines=()), words.Done())
    assert isinstance(request, words.Logs)
    assert request.after / 1e6 == pytest.approx(time.time() - 300, abs=30)


def test_a_level_leaves_out_before_it_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        printed("ERROR one"),
        printed("two"),
        printed("ERROR three"),
        printed("four"),
        said("worker_died", "error"),
    ]
    (request,) = ask(tmp_path, "--level error -n 2", words.LogLines(lines=tuple(lines)), words.Done())
    assert isinstance(request, words.Logs)
    assert request.limit > 1000, "the service cannot know which are meant"
    assert [line.partition(" | ")[2].lstrip("0123456789: ") for line in capsys.readouterr().out.splitlines()] == [
        "ERROR three",
        "error: worker died",
    ]


def test_who_follows_comes_back_after_the_last_line_and_is_told_none_twice(tmp_path: Path) -> None:
    """The first connection breaks off, as at an upgrade; then the service is away for a while."""
    answers: list[Sequence[AnyAnswer]] = [
        [words.LogLines(lines=(printed("one", 11), printed("two", 12)))],
        [words.LogLines(lines=()), words.LogLines(lines=(printed("three", 13),))],
        [words.LogLines(lines=(printed("four", 14),)), words.Done()],
    ]
    turns = iter(answers)

    def script(request: Request) -> Sequence[AnyAnswer]:
        return next(turns, [words.Done()])

    with FakeService(tmp_path, script) as service:
        reader = subprocess.Popen(
            [sys.executable, "-m", "midair", "logs", "-f", "-n", "1"],
            cwd=service.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        out, err = reader.communicate(timeout=20)
    assert (reader.returncode, err) == (DONE, "")
    assert out.splitlines() == ["7.0 | two", "7.0 | three", "7.0 | four"]
    assert [request.after for request in service.requests if isinstance(request, words.Logs)] == [0, 12, 13]


def test_who_follows_waits_for_a_service_that_has_gone(tmp_path: Path) -> None:
    turns = iter([[words.LogLines(lines=(printed("one", 11),))]])
    with FakeService(tmp_path, lambda _: next(turns, [words.LogLines(lines=()), words.Done()])) as service:
        away = tmp_path / "away"
        reader = subprocess.Popen(
            [sys.executable, "-m", "midair", "logs", "-f", "--json"],
            cwd=service.folder,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        assert reader.stdout is not None
        timer = threading.Timer(0.0, os.rename, (service.runtime, away))
        assert json.loads(reader.stdout.readline())["text"] == "one"
        timer.start()
        timer.join()
        wait_for(lambda: len(service.requests) >= 1)
        os.rename(away, service.runtime)
        assert reader.wait(20) == DONE
        reader.stdout.close()
