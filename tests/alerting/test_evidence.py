"""Which update an alert is about, which lines are its own, and where they are read."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from midair.alerting import lines
from midair.alerting.evidence import FAILED, LATEST, LINES_MAX, SERVING, Line, Wanted, bounded, is_of, update_of, wanted
from midair.alerting.lines import LinesUnread, in_file, in_journal, line_of_journal
from midair.control.words import ReceiptLine
from midair.observe.log import timestamp
from tests.support.installed import needs

WANT = Wanted(service="shop", update=3, generation=7, since_s=100.0)


def ended(number: int, began_s: float, took_s: float, result: str, generation: int = 0) -> ReceiptLine:
    return ReceiptLine(
        number=number, time_s=began_s, duration_s=took_s, result=result, generation=generation or number + 4
    )


HISTORY = (
    ended(6, 50, 8, "running"),
    ended(5, 40, 3, "committed"),
    ended(4, 30, 3, "rolled-back"),
    ended(3, 20, 3, "refused"),
    ended(2, 10, 3, "committed"),
)


@pytest.mark.parametrize(
    ("about", "at_s", "number"),
    [
        (FAILED, 24, 3),
        (FAILED, 29, 3),
        (FAILED, 31, 3),  # the next one goes on, and has not failed yet
        (FAILED, 34, 4),
        (FAILED, 60, 4),
        (SERVING, 34, 2),
        (SERVING, 45, 5),
        (SERVING, 60, 5),
        (LATEST, 31, 4),
        (LATEST, 36, 4),
        (LATEST, 55, 6),
        ("", 55, 6),
        ("unheard of", 24, 3),
        (FAILED, 32.6, 4),  # a clock that is a little slow: the update is over for us, and not yet for whoever scraped
        (FAILED, 19, 3),  # or much slower, and there is no other that it could be
        (FAILED, 15, 0),
        (LATEST, 1, 0),
    ],
)
def test_an_alert_is_about_the_update_that_its_rule_asks_for(about: str, at_s: float, number: int) -> None:
    found = update_of(about, at_s, HISTORY)
    assert (found.number if found else 0) == number
    assert update_of(about, at_s, HISTORY[::-1]) == found, "the order of the history does not count"


def test_workers_lines_belong_to_the_update_that_brought_their_generation() -> None:
    upgrade = ended(6, 50, 1, "committed", generation=9)
    assert wanted("shop", HISTORY[3], HISTORY).generation == 7
    assert wanted("shop", upgrade, (upgrade, *HISTORY)).generation == 0


@pytest.mark.parametrize(
    ("line", "is_its"),
    [
        ({"event": "update_started", "update": 3, "generation": 7}, True),
        ({"event": "update_started", "update": 2, "generation": 6}, False),
        ({"event": "worker_died", "generation": 7}, True),
        ({"event": "worker_died", "generation": 6}, False),
        # Of another update, though it is about a process of this one's generation.
        ({"event": "phase_entered", "update": 4, "generation": 7}, False),
        ({"event": "worker_output", "message": "x", "generation": 7}, True),
        ({"event": "worker_output", "message": "x", "generation": 6}, False),
        # What an application itself calls an update, and what it calls a generation.
        ({"msg": "x", "update": 3, "generation": 6}, False),
        ({"msg": "x", "update": 9, "generation": 7}, True),
        ({"msg": "x", "generation": 7, "midair_generation": 6}, False),
        ({"msg": "x", "generation": 6, "midair_generation": 7}, True),
        ({"event": "listening"}, False),
    ],
)
def test_a_line_is_the_updates_or_another_ones(line: Line, is_its: bool) -> None:
    assert is_of(line, WANT) is is_its


def test_a_chatty_worker_leaves_room_for_the_updates_own_lines() -> None:
    own: list[Line] = [{"event": "update_started", "update": 3}]
    chatter: list[Line] = [{"event": "worker_output", "generation": 7, "message": str(n)} for n in range(1000)]
    end: list[Line] = [{"event": "update_refused", "update": 3, "detail": "x" * 100_000}]
    kept = bounded(own + chatter + end, WANT)
    assert len(kept) == LINES_MAX + 2
    assert kept[0] == own[0]
    assert kept[-1]["event"] == "update_refused"
    assert len(kept[-1]["detail"]) < 5000
    assert kept[-2]["message"] == "999"


# --- a file ----------------------------------------------------------------------------------------------------------


def text_of(*found: Line) -> str:
    return "".join(json.dumps(line) + "\n" for line in found)


def line(at_s: float, event: str, **fields: object) -> Line:
    return {"time": timestamp(at_s), "level": "info", "event": event, **fields}


BEFORE = (line(10, "update_started", update=2, generation=6), line(11, "update_refused", update=2, generation=6))
ITS = (
    line(101, "update_started", update=3, generation=7),
    line(102, "worker_output", message="hello", generation=7, slot=0),
    {"msg": "the application's own", "time": "yesterday", "generation": 7, "slot": 0},
    line(104, "update_refused", update=3, generation=7),
)
AFTER = (line(110, "update_started", update=4, generation=8), line(111, "worker_output", message="x", generation=8))


def test_the_lines_of_an_update_are_found_in_a_log_file_and_those_beside_it_are_not(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_text(text_of(*BEFORE) + "not JSON\n{broken\n[1]\n" + text_of(*ITS, *AFTER) + '{"cut')
    assert in_file(str(path))(WANT, 1.0) == (str(path), ITS)


def test_a_log_that_was_rotated_meanwhile_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_text(text_of(*ITS[2:], *AFTER))
    (tmp_path / "shop.jsonl.1").write_text(text_of(*BEFORE, *ITS[:2]))
    assert in_file(str(path))(WANT, 1.0).lines == ITS


def test_a_log_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_text(text_of(*ITS))
    with pytest.raises(LinesUnread, match="no time to read"):
        in_file(str(path))(WANT, -1.0)


def test_an_application_that_prints_events_of_its_own_does_not_end_the_search(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    theirs = {"time": "12:00:00", "event": "saved", "generation": 7, "slot": 0}
    path.write_text(text_of(*BEFORE, *ITS[:2], theirs, *ITS[2:]))
    assert in_file(str(path))(WANT, 1.0).lines == (*ITS[:2], theirs, *ITS[2:])


def test_a_log_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LinesUnread, match="there is no log file"):
        in_file(str(tmp_path / "none"))(WANT, 1.0)


def test_of_a_large_log_only_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 100)
    path = tmp_path / "shop.jsonl"
    path.write_text(text_of(*BEFORE, *ITS) + "x" * 1000 + "\n" + text_of(*AFTER))
    assert in_file(str(path))(WANT, 1.0).lines == ITS
    monkeypatch.setattr(lines, "READ_MAX_BYTES", 500)
    assert in_file(str(path))(WANT, 1.0).lines == ()


# --- the journal -------------------------------------------------------------------------------------------------------


def test_an_entry_of_the_journal_has_the_names_of_our_lines() -> None:
    entry = {
        "__REALTIME_TIMESTAMP": "1795726274526082",
        "_PID": "12",
        "PRIORITY": "3",
        "MESSAGE": [104, 101, 255],
        "MIDAIR_EVENT": "update_refused",
        "MIDAIR_UPDATE": "3",
        "MIDAIR_GENERATION": "7",
        "MIDAIR_SERVICE": "shop",
    }
    assert line_of_journal(entry) == {
        "time": "2026-11-26T20:51:14.526Z",
        "level": "error",
        "event": "update_refused",
        "update": 3,
        "generation": 7,
        "service": "shop",
        "message": "he\ufffd",
    }


def test_a_journal_that_cannot_be_read_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(LinesUnread, match="journalctl"):
        in_journal(str(tmp_path / "none"))(WANT, 5.0)


def test_a_journal_that_does_not_answer_is_waited_for_no_longer_than_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "journalctl"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    began_s = time.monotonic()
    with pytest.raises(LinesUnread, match=r"journalctl took more than 0\.2 s"):
        in_journal()(WANT, 0.2)
    assert time.monotonic() - began_s < 5


def test_the_lines_of_an_update_are_found_in_a_journal(tmp_path: Path) -> None:
    needs("journalctl")
    needs(JOURNAL_REMOTE)
    others = [line(105, "worker_output", message="of another service", update=3, generation=7)]
    entries = [(each, "shop") for each in (*BEFORE, *ITS[:2], *ITS[3:], *AFTER)] + [(each, "other") for each in others]
    exported = "".join(
        f"__REALTIME_TIMESTAMP={int(number * 1e6 + 90e6)}\n_BOOT_ID={'1' * 32}\nMIDAIR_SERVICE={service}\n"
        + "".join(f"MIDAIR_{name.upper()}={value}\n" for name, value in each.items() if name in FIELDS)
        + f"MESSAGE={each.get('message', '')}\n\n"
        for number, (each, service) in enumerate(entries, 11)
    )
    subprocess.run(
        [JOURNAL_REMOTE, f"--output={tmp_path}/of-a-machine.journal", "-"],
        input=exported.encode(),
        timeout=30,
        check=True,
        capture_output=True,
    )
    found = in_journal(str(tmp_path))(WANT, 20.0)
    assert found.where == "the journal"
    assert [each["event"] for each in found.lines] == ["update_started", "worker_output", "update_refused"]
    assert found.lines[1]["message"] == "hello"
    assert in_journal(str(tmp_path))(msgspec.structs.replace(WANT, service="nobody"), 20.0).lines == ()


JOURNAL_REMOTE = "/lib/systemd/systemd-journal-remote"
FIELDS = ("event", "update", "generation")
