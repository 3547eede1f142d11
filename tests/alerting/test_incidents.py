"""The file of incidents: whole lines, on the disk, one writer, rotated, and readable after any end of that writer."""

from __future__ import annotations

import json
import os
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest

from midair.alerting import incidents as room
from midair.alerting.alertmanager import Alert
from midair.alerting.evidence import Evidence
from midair.alerting.incidents import (
    INCIDENTS_MAX,
    KEPT,
    Incidents,
    IncidentsLocked,
    IncidentsUnwritable,
    Record,
    fold,
    read,
)


def alert(fingerprint: str = "f1", second: int = 0) -> Alert:
    return Alert(
        status="firing",
        labels={"alertname": "MidairUpdateFailed"},
        starts_at=datetime(2026, 11, 26, 20, 0, second, tzinfo=UTC),
        fingerprint=fingerprint,
    )


def about(update: int, **more: object) -> Evidence:
    return Evidence(service="shop", update=update, receipt={"number": update}, **more)  # type: ignore[arg-type]  # few fields


def test_an_incident_is_opened_extended_and_closed_and_read_back_as_it_was(tmp_path: Path) -> None:
    path = str(tmp_path / "made" / "incidents.jsonl")
    with Incidents(path) as file:
        first = file.open(alert(), about(3), 1.0)
        assert (first.incident, first.closed) == (1, "")
        assert file.of(alert()) == first
        second = file.open(alert("f2"), about(4, missing=("its lines: late",)), 2.0)
        whole = file.extend(second, about(4), 3.0)
        assert whole.evidence == (about(4),), "what is complete takes the place of what was not"
        longer = file.extend(whole, about(5), 4.0)
        assert longer.evidence == (about(4), about(5))
        closed = file.close(first, 5.0)
        assert closed.closed == "1970-01-01T00:00:05.000Z"
    assert fold(read(path)) == {1: closed, 2: longer}
    with Incidents(path) as file:
        assert file.of(alert()) == closed
        assert file.of(alert(second=1)) is None, "it fires anew: that is another one"
        assert file.open(alert(second=1), about(6), 6.0).incident == 3
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert [line["event"] for line in lines][:2] == ["incident_opened", "incident_opened"]
    assert all(line["format"] == 1 and line["time"].endswith("Z") for line in lines)


def test_one_process_writes_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "incidents.jsonl")
    with Incidents(path), pytest.raises(IncidentsLocked, match="is written by another"):
        Incidents(path)
    with Incidents(path):
        pass


@pytest.mark.parametrize("path", ["a-file/incidents.jsonl", "a-folder"])
def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing_open(path: str, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    (tmp_path / "a-folder").mkdir()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(IncidentsUnwritable, match="a-f"):
        Incidents(str(tmp_path / path))
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("torn", [b'{"format":1,"time"', b"\xff\xfe", b"{}", b"[]", b""])
def test_a_line_that_was_cut_off_loses_nothing_else(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "incidents.jsonl"
    with Incidents(str(path)) as file:
        file.open(alert(), about(3), 1.0)
    with path.open("ab") as file_of_old:
        file_of_old.write(torn)
    with Incidents(str(path)) as file:
        assert file.open(alert("f2"), about(4), 2.0).incident == 2
    assert list(fold(read(str(path)))) == [1, 2]


def test_a_record_of_a_newer_midair_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    path = tmp_path / "incidents.jsonl"
    with Incidents(str(path)) as file:
        file.open(alert(), about(3), 1.0)
    known = json.loads(path.read_text())
    with path.open("a") as more:
        more.write(json.dumps({**known, "incident": 2, "who": "new"}) + "\n")
        more.write(json.dumps({**known, "event": "incident_mended"}) + "\n")
    assert list(fold(read(str(path)))) == [1, 2]


def test_a_disk_that_is_full_changes_nothing_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "incidents.jsonl"
    with Incidents(str(path)) as file:
        file.open(alert(), about(3), 1.0)
        before = path.read_bytes()
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        # The kernel writes what fits, then refuses (SIGXFSZ is ignored by Python): as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limit[1]))
        try:
            with pytest.raises(OSError, match=r"space|large"):
                file.open(alert("f2"), about(4), 2.0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert path.read_bytes() == before
        assert file.of(alert("f2")) is None
        assert file.open(alert("f2"), about(4), 3.0).incident == 2
    assert list(fold(read(str(path)))) == [1, 2]


def test_what_was_written_is_on_the_disk_before_anybody_is_answered(tmp_path: Path) -> None:
    synced: list[bytes] = []
    path = tmp_path / "incidents.jsonl"
    with Incidents(str(path), sync=lambda fd: synced.append(path.read_bytes())) as file:
        file.open(alert(), about(3), 1.0)
        assert synced == [path.read_bytes()]


def test_the_file_is_rotated_and_incidents_are_counted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ROTATE_BYTES", 4096)
    path = tmp_path / "incidents.jsonl"
    with Incidents(str(path)) as file:
        for number in range(40):
            file.open(alert(f"f{number}"), about(number, lines=({"message": "x" * 400},)), 1.0)
        assert file.open(alert("last"), about(99), 2.0).incident == 41
    there = sorted(each.name for each in tmp_path.iterdir() if not each.name.endswith(".lock"))
    assert there == ["incidents.jsonl", *(f"incidents.jsonl.{number}" for number in range(1, KEPT + 1))]
    assert all(each.stat().st_size <= 4096 for each in tmp_path.iterdir())
    known = list(fold(read(str(path))))
    assert known == list(range(known[0], 42))
    assert known[0] > 1


def test_only_the_newest_incidents_are_kept_in_memory() -> None:
    records = (
        Record(format=1, time="", event="incident_opened", incident=number, alert=alert(), evidence=about(number))
        for number in range(1, INCIDENTS_MAX + 11)
    )
    assert list(fold(records)) == list(range(11, INCIDENTS_MAX + 11))
