"""What a line of the log looks like."""

from __future__ import annotations

import ast
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import midair
from midair.observe import events
from midair.observe.capture import Line
from midair.observe.events import EVENTS, LEVELS, Level
from midair.observe.log import VALUE_MAX, Format, Log, UnknownEvent, timestamp
from midair.observe.sink import Sink

SOURCE = Path(midair.__file__).parent


class Lines(Sink):
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.dropped: dict[str, int] = {}

    def write(self, line: bytes, source: str = "") -> bool:
        self.lines.append(line)
        return True

    def would_drop(self, source: str) -> bool:
        return source == "9.9"

    def drop(self, source: str) -> None:
        self.dropped[source] = self.dropped.get(source, 0) + 1

    def take_dropped(self) -> dict[str, int]:
        dropped, self.dropped = self.dropped, {}
        return dropped


def make(format: Format = "json", level: Level = "debug", **options: Any) -> tuple[Log, Lines]:
    sink = Lines()
    return Log(sink, format=format, level=level, wall_s=lambda: 1_700_000_000.25, is_strict=True, **options), sink


def only(sink: Lines) -> dict[str, object]:
    (line,) = sink.lines
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found: dict[str, object] = json.loads(line)
    return found


def test_a_line_of_an_update_has_what_dashboards_look_for() -> None:
    log, sink = make()
    log.bind(node="node-3").bind(version="1.9.0", generation=8, update=12).say("cut_over", previous="1.8.2")
    assert only(sink) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "event": "cut_over",
        "status": "hot-update-cut-over",
        "node": "node-3",
        "version": "1.9.0",
        "generation": 8,
        "update": 12,
        "previous": "1.8.2",
    }


def test_binding_leaves_the_log_before_as_it_was() -> None:
    log, sink = make()
    child = log.bind(node="a", version="1")
    child.bind(version=None).say("listening")
    log.say("listening")
    first, second = (json.loads(line) for line in sink.lines)
    assert first.keys() == {"time", "level", "event", "node"}
    assert second.keys() == {"time", "level", "event"}


def test_below_the_level_nothing_is_written() -> None:
    log, sink = make(level="warning")
    log.say("cut_over")
    log.say("worker_killed", worker=3, why="test")
    assert [json.loads(line)["event"] for line in sink.lines] == ["worker_killed"]


def test_an_unlisted_event_is_our_bug_in_tests_and_a_line_in_service() -> None:
    log, sink = make()
    with pytest.raises(UnknownEvent):
        log.say("no_such_event")
    Log(sink).say("no_such_event", worker=3)
    assert only(sink)["event"] == "no_such_event"


def test_lost_lines_are_said_by_the_next_one() -> None:
    log, sink = make()
    sink.dropped = {"": 2, "8.0": 70}
    log.say("cut_over")
    said = [json.loads(line) for line in sink.lines]
    assert [(line["event"], line.get("of"), line.get("lines")) for line in said] == [
        ("log_lines_dropped", "supervisor", 2),
        ("log_lines_dropped", "8.0", 70),
        ("cut_over", None, None),
    ]


def test_a_long_value_keeps_its_end() -> None:
    log, sink = make()
    log.say("hook_failed", detail="x" * 100_000 + "the end")
    detail = only(sink)["detail"]
    assert isinstance(detail, str)
    assert detail.endswith("the end")
    assert len(detail) == VALUE_MAX + 2


@given(st.dictionaries(st.sampled_from(["why", "error"]), st.text() | st.integers() | st.floats() | st.none()))
def test_any_field_makes_one_line(fields: dict[str, Any]) -> None:
    log, sink = make()
    log.say("worker_killed", **fields)
    only(sink)


def test_a_path_that_is_no_text_is_still_written() -> None:
    log, sink = make()
    log.say("listening", address="unix:/run/\udcff")
    assert only(sink)["address"] == "unix:/run/\\udcff"


def test_the_console_says_it_in_words_and_a_traceback_stays_readable() -> None:
    log, sink = make("console", is_coloured=True)
    log.bind(node="n").say(
        "update_refused", generation=8, error="it broke", duration_s=1.5, names=["a", "b"], detail="Trace\n  line 1"
    )
    clock = time.strftime("%H:%M:%S", time.localtime(1_700_000_000))
    assert sink.lines[0].decode().splitlines() == [
        f'{clock} \x1b[31merror   update refused\x1b[0m  generation=8 error="it broke" duration_s=1.5 names=a,b',
        "    Trace",
        "      line 1",
    ]


def test_what_an_application_says_does_not_drive_the_terminal() -> None:
    log, sink = make("console")
    log.say("hook_failed", error="\x1b[2Jgone", detail="a\n\x1b]0;title\x07")
    assert b"\x1b" not in sink.lines[0]
    assert b"\\x1b[2Jgone" in sink.lines[0]


def test_a_workers_line_gains_our_fields() -> None:
    log, sink = make(bound={"node": "node-3"})
    log.pass_on(Line(8, 0, "hello"), version="1.9.0")
    assert only(sink) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "event": "worker_output",
        "message": "hello",
        "node": "node-3",
        "version": "1.9.0",
        "generation": 8,
        "slot": 0,
    }


def test_a_workers_json_keeps_its_fields_and_theirs_win() -> None:
    log, sink = make(bound={"node": "node-3"})
    log.pass_on(Line(8, 1, '{"event":"order","version":"v1","n":1.0}'), version="1.9.0")
    assert only(sink) == {
        "event": "order",
        "version": "v1",
        "n": 1.0,
        "node": "node-3",
        "midair_version": "1.9.0",
        "generation": 8,
        "slot": 1,
    }


def test_a_worker_without_room_loses_its_line_and_it_is_counted() -> None:
    log, sink = make()
    log.pass_on(Line(9, 9, "too many"))
    assert (sink.lines, sink.dropped) == ([], {"9.9": 1})


@pytest.mark.parametrize("text", ["{", "{}x", "[1]", '{"a":' * 2000, "{'a': 1}"])
def test_what_only_looks_like_json_is_text(text: str) -> None:
    log, sink = make()
    log.pass_on(Line(8, 0, text))
    assert only(sink)["message"] == text


def test_the_console_shows_a_workers_line_behind_its_place() -> None:
    log, sink = make("console", level="error")
    log.pass_on(Line(8, 1, "hello"))
    log.pass_on(Line(8, 1, "long", lost_bytes=10))
    assert sink.lines == [b"8.1 | hello\n", "8.1 | long … 10 bytes more\n".encode()]


@given(st.integers(0, 4_000_000_000_000))
def test_times_are_rfc_3339(milliseconds: int) -> None:
    text = timestamp(milliseconds / 1000)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)


# --- the table ---------------------------------------------------------------------------------------------------


SAYING = {"say", "_say", "say_update", "happened", "note", "Said"}


def said_in_source() -> dict[str, str]:
    """Names of events that the core, the supervisor and the worker say, and where."""
    found = {}
    for path in (path for room in ("core", "supervisor", "worker") for path in (SOURCE / room).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SAYING:
                event = [word.value for word in node.keywords if word.arg == "event"]
                # Before the name may stand whom or what it is about; after it stand the fields.
                for word in (*node.args[:2], *event):
                    if isinstance(word, ast.Constant) and isinstance(word.value, str):
                        found[word.value] = f"{path.relative_to(SOURCE)}:{node.lineno}"
                        break
    return found


def test_every_event_that_is_said_is_in_the_table() -> None:
    assert len(said_in_source()) > 20, "the search finds nothing any more"
    unlisted = {name: where for name, where in said_in_source().items() if name not in EVENTS}
    assert unlisted == {}, "add them to observe/events.py"


def test_the_table_is_sound() -> None:
    assert len(EVENTS) == len(events._TABLE), "a name stands there twice"
    assert all(event.level in LEVELS and event.meaning.endswith(".") for event in EVENTS.values())
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in EVENTS)
    assert {event.status for event in EVENTS.values() if event.status} == {
        "hot-update-start",
        "hot-update-ready",
        "hot-update-cut-over",
        "hot-update-done",
        "hot-update-refused",
        "hot-update-rolled-back",
    }
