"""Whoever asks when the service is down is told what it has left."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from midair.__main__ import main
from midair.errors import NOT_RUNNING, Fault
from midair.supervisor.ledger import Receipt

SETTINGS = 'name = "shop"\napp = "app:app"\nstate_dir = "state"\nruntime_dir = "run"\n'


@pytest.fixture
def down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a service that has been updated once, and was killed in the next update."""
    receipts = tmp_path / "state" / "receipts"
    receipts.mkdir(parents=True)
    for receipt in (
        Receipt(number=1, generation=1, by="start", began=1.0, began_s=1.0, version="1.8", result="committed"),
        Receipt(number=2, generation=2, by="uid 0", began=2.0, began_s=2.0, version="1.9", fault=Fault("x", "why")),
    ):
        (receipts / f"{receipt.number:08d}.json").write_bytes(msgspec.json.encode(receipt))
    (receipts / "00000003.json").write_text("half a rec")
    (tmp_path / "midair.toml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_updates_are_listed_and_where_they_are_is_said(down: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history"]) == NOT_RUNNING
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["UPDATE", "2", "1"]
    assert "unknown" in printed.out, "it ended with the supervisor"
    assert printed.err == (
        f"warning: nothing runs under the name 'shop'; this is what is left in {down}/state/receipts\n"
    )
    assert main(["history", "-n", "1", "--json"]) == NOT_RUNNING
    assert [each["number"] for each in json.loads(capsys.readouterr().out)["receipts"]] == [2]


def test_its_last_receipt_is_shown_or_one_that_is_asked_for(down: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["receipt"]) == NOT_RUNNING
    assert "the supervisor ended during this update" in capsys.readouterr().out
    assert main(["receipt", "1", "--json"]) == NOT_RUNNING
    assert json.loads(capsys.readouterr().out)["version"] == "1.8"


@pytest.mark.parametrize("words", [("history",), ("receipt",)])
def test_where_nothing_is_left_it_is_an_error_as_ever(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "midair.toml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    assert main([*words]) == NOT_RUNNING
    assert capsys.readouterr().err.startswith("error: nothing runs under the name 'shop'\n")
    (tmp_path / "midair.toml").write_text("this is no configuration")
    assert main([*words, "--name", "shop"]) != 0
