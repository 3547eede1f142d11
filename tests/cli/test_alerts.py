"""``midair alerts``: what is typed, what is printed, and a receiver in a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from midair.__main__ import main
from midair.alerting.alertmanager import Alert
from midair.alerting.evidence import Evidence
from midair.alerting.incidents import Incidents
from midair.cli.alerts import incidents_path, is_own, where_of
from midair.errors import DONE, FAILED, USAGE
from tests.alerting.test_webhook import answers
from tests.cli.fake_service import FakeService
from tests.support.service import clean_environment
from tests.support.waiting import wait_for


@contextmanager
def receiver(folder: Path, *words: str) -> Iterator[str]:
    """``midair alerts serve``: its address."""
    line = [sys.executable, "-m", "midair", "alerts", "serve", "--bind", "127.0.0.1:0", *words]
    log_path = folder / "alerts.log"
    with (
        log_path.open("wb") as log,
        subprocess.Popen(line, cwd=folder, env=clean_environment(), stdin=subprocess.DEVNULL, stderr=log) as process,
    ):
        try:
            wait_for(lambda: process.poll() is not None or b"\n" in log_path.read_bytes(), 20, what="its first line")
            yield json.loads(log_path.read_text().splitlines()[0])["address"]
        finally:
            process.terminate()
            assert process.wait(20) == DONE, log_path.read_text()


def test_a_test_alert_goes_all_the_way_and_is_seen_in_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, token = str(tmp_path / "i.jsonl"), tmp_path / "token"
    token.write_text("secret\n")
    with FakeService(tmp_path, answers) as service:
        at = ("-C", str(service.folder))
        with receiver(tmp_path, *at, "--incidents", file, "--token-file", str(token), "--log", "log.jsonl") as address:
            (tmp_path / "log.jsonl").write_text(
                '{"event":"update_refused","update":4}\n{"event":"update_done","update":3}\n'
            )
            to = ("--to", f"http://{address}")
            assert main(["alerts", "test", *at, *to, "--token-file", str(token)]) == DONE
            printed = capsys.readouterr()
            assert printed.out.startswith("incident 1: opened ")
            assert "closed 20" in printed.out
            assert f"update 4 of shop: 1 lines from {tmp_path}/log.jsonl" in printed.out

            # Without the token, and with nobody there.
            assert main(["alerts", "test", *at, *to]) == FAILED
            assert "answered 401: " in capsys.readouterr().err
        assert main(["alerts", "test", *at, *to]) == FAILED
        assert "does not answer" in capsys.readouterr().err

    assert main(["alerts", "list", "--incidents", file]) == DONE
    heads, row = capsys.readouterr().out.splitlines()
    assert heads.split() == ["INCIDENT", "OPENED", "CLOSED", "ALERT", "SERVICE", "UPDATE", "SUMMARY"]
    assert row.split()[3:6] == ["MidairTest", "shop", "4"]
    assert main(["alerts", "list", "--open", "--incidents", file]) == DONE
    assert capsys.readouterr().err == "nothing fires\n"


def test_a_test_alert_that_finds_no_update_fails_and_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "midair.toml").write_text('name = "nobody"\napp = "app:app"\n')
    with receiver(tmp_path, "--incidents", str(tmp_path / "i.jsonl")) as address:
        assert main(["alerts", "test", "-C", str(tmp_path), "--to", f"http://{address}"]) == FAILED
    assert "missing: its history: nothing runs under the name 'nobody'" in capsys.readouterr().err


def test_an_incident_is_shown_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "i.jsonl")
    alert = Alert(status="firing", labels={"alertname": "A\x1b[31m"}, starts_at=datetime(2026, 1, 1, tzinfo=UTC))
    with Incidents(path) as file:
        for update in (3, 4):
            evidence = Evidence(service="shop", update=update, lines=({"message": f"line of {update}"},))
            file.open(alert, evidence, 1.0)
    assert main(["alerts", "show", "--incidents", path]) == DONE
    shown = capsys.readouterr().out
    assert "\n  lines\n    message='line of 4'\n" in shown
    assert "\x1b" not in shown, "what stands in an alert commands no terminal"
    assert main(["alerts", "show", "1", "--json", "--incidents", path]) == DONE
    assert json.loads(capsys.readouterr().out)["evidence"][0]["lines"] == [{"message": "line of 3"}]
    assert main(["alerts", "show", "7", "--incidents", path]) == FAILED
    assert "error: there is no incident 7" in capsys.readouterr().err
    assert main(["alerts", "list", "--json", "--incidents", str(tmp_path / "none")]) == DONE
    assert json.loads(capsys.readouterr().out) == []


def test_who_can_be_reached_from_other_machines_asks_for_a_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["alerts", "serve", "--bind", "0.0.0.0:0", "-C", str(tmp_path), "--incidents", str(tmp_path / "i")]) == 2
    )
    said = capsys.readouterr().err
    assert "can be reached from other machines" in said
    assert "--token-file FILE" in said
    assert is_own("127.0.0.1:1")
    assert is_own("[::1]:1")
    assert is_own("unix:/run/a.sock")
    assert not is_own("[::]:1")
    assert not is_own("10.0.0.1:1")


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "it is empty"), (b"a b", "more than one word"), (b"\xff", "not ASCII"), (None, "No such")],
)
def test_a_token_that_cannot_be_used_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, why: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    assert main(["alerts", "test", "--token-file", str(path)]) == USAGE
    assert why in capsys.readouterr().err


def test_a_file_of_incidents_that_cannot_be_written_is_no_bug_of_midair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "i.jsonl")
    assert main(["alerts", "serve", "--bind", "127.0.0.1:0", "-C", str(tmp_path), "--incidents", path]) == FAILED
    said = capsys.readouterr().err
    assert "file: " in said
    assert "hint: --incidents FILE names another one" in said


def test_a_second_receiver_does_not_write_the_same_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "i.jsonl")
    with Incidents(path):
        words = ["alerts", "serve", "--bind", "127.0.0.1:0", "-C", str(tmp_path), "--incidents", path]
        assert main(words) == FAILED
    assert "is written by another midair alerts serve" in capsys.readouterr().err


def test_an_address_in_use_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["alerts", "serve", "--bind", address, "--incidents", str(tmp_path / "i")]) == FAILED
    assert f"{address} is in use" in capsys.readouterr().err


def test_each_service_may_have_its_log_elsewhere() -> None:
    assert where_of(["/var/log/a.jsonl"], ["a"]) == {"a": "/var/log/a.jsonl"}
    assert where_of(["a=/1", "b=journal:/2"], ["a", "b"]) == {"a": "/1", "b": "journal:/2"}
    assert where_of(["x=1.jsonl"], ["a"]) == {"a": "x=1.jsonl"}, "a file may have such a name"
    assert where_of([], ["a", "b"]) == {}
    with pytest.raises(click.UsageError, match=r"of which service\? write NAME=/1"):
        where_of(["/1"], ["a", "b"])


def test_incidents_stand_beside_the_receipts_of_services() -> None:
    assert incidents_path("/x", {}) == "/x"
    assert incidents_path("", {"STATE_DIRECTORY": "/var/lib/alerts"}) == "/var/lib/alerts/incidents.jsonl"
