"""What midair top shows, from two reports: on any terminal, with nothing cut that matters."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midair.cli.topscreen import KEYS, View, document, latency, screen
from tests.cli import reports

VIEW = View(now=reports.draining(2.0), before=reports.draining())


def shown(view: View, width: int = 80, height: int = 24) -> str:
    return "\n".join(line.text for line in screen(view, width, height))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_versions_drain_update_workers_and_events_are_on_one_screen(width: int, height: int) -> None:
    text = shown(VIEW, width, height)
    for expected in (
        "shop  updating: 1.9 (generation 8)",
        "g7   1.8      retiring    760",
        "g8   1.9      serving   1,240",
        "update 8: 1.9 (generation 8), 6.0 s, 7.0 s left, by uid 1000 (anna)",
        "cut-over > BAKE > commit",
        "moving ████████████░░░░░░░░ 62%  1,240 of 2,000 moved, 7.6 s left, 5 %/s",
        "g7 drains: 744 idle, 3 requests, 1 stream, 12 WebSockets; cut in 4 min",
        "8.1     4106  serving",
        "probe failed  worker=5 answer=503 failures=1",
        "midair rollback: takes update 8 back",
        KEYS,
    ):
        assert expected in text
    assert "connections moving" not in text, "the bar says that"


def test_rates_and_latencies_stand_in_the_row_of_their_version() -> None:
    row = next(line for line in shown(VIEW, 120).splitlines() if line.startswith("g8"))
    assert row.split() == [
        "g8",
        "1.9",
        "serving",
        "1,240",
        "1,231",
        "9",
        "0",
        "400",
        "2",
        "667us",
        "244ms",
        "75%",
        "128M",
    ]


def test_before_a_second_report_there_are_no_rates() -> None:
    row = next(line for line in shown(replace(VIEW, before=None), 120).splitlines() if line.startswith("g8"))
    assert row.split()[7:12] == ["-"] * 5


def test_a_narrow_terminal_loses_whole_columns_and_the_rates_last() -> None:
    heads = next(line for line in shown(VIEW, 66).splitlines() if line.startswith("GEN"))
    assert "IDLE" not in heads
    assert "REQ/S" in heads
    assert "…" not in heads


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 80), st.booleans(), st.booleans())
def test_no_line_is_longer_than_the_terminal_and_all_of_it_is_drawn(
    width: int, height: int, is_help: bool, is_lost: bool
) -> None:
    lines = screen(replace(VIEW, is_help=is_help, trouble="gone" if is_lost else ""), width, height)
    assert len(lines) == height
    assert all(len(line.text) <= width for line in lines)
    if height > 1 and width >= len(KEYS):
        assert lines[-1].text == KEYS


def test_a_service_that_does_not_answer_is_told_above_what_is_old() -> None:
    text = shown(replace(VIEW, trouble="the service does not run since 3.0 s; what is below is old."))
    assert text.splitlines()[1].startswith("the service does not run since 3.0 s")
    assert "midair rollback" not in text, "nobody would take it up"


def test_what_others_have_named_commands_no_terminal() -> None:
    hostile = msgspec.structs.replace(
        VIEW.now, version="1.9\x1b[2J", events=(reports.event(9, "held", by="\x1b]0;x\x07"),)
    )
    assert "\x1b" not in shown(replace(VIEW, now=hostile))


def test_the_help_says_what_each_key_does() -> None:
    text = shown(replace(VIEW, is_help=True))
    for key in "rRdhq":
        assert f"\n{key}   " in text


def test_the_document_has_the_same_figures() -> None:
    found = json.loads(msgspec.json.encode(document(VIEW)))
    new = found["generations"][1]
    assert (new["generation"], new["open"], new["idle"], new["requests_per_s"]) == (8, 1240, 1231, 400.0)
    assert found["moving"]["left"] == 760
    assert found["generations"][0]["ends_in_s"] == 238.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.0004, "400us"), (0.012, "12ms"), (1.5, "1.5s"), (float("inf"), ">10s")],
)
def test_latencies_fit_their_column(seconds: float | None, text: str) -> None:
    assert latency(seconds) == text
