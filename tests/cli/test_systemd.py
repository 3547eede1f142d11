"""``midair systemd``: what is printed, written and found."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from midair.__main__ import main
from midair.errors import FAILED, USAGE
from midair.systemd.unit_text import said
from tests.support.installed import needs


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "midair.toml").write_text('app = "web:app"\nbind = "127.0.0.1:8000"\n')
    monkeypatch.chdir(folder)
    for name in (
        *("PWD", "PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"),
        *(name for name in os.environ if name.startswith("MIDAIR_")),
    ):
        monkeypatch.delenv(name, raising=False)
    return folder


def _made(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    """The units by name."""
    capsys.readouterr()
    assert main(["systemd", "--user", "daemon", *words, "--json"]) == 0
    return {unit["name"]: unit["text"] for unit in json.loads(capsys.readouterr().out)["units"]}


def test_units_are_printed_and_nothing_is_written(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systemd", "--user", "daemon"]) == 0
    printed = capsys.readouterr()
    lines = said(printed.out)
    assert f"WorkingDirectory={shop}" in lines
    assert "User=daemon" in lines
    assert any(line.startswith("ExecStart=/") and line.endswith("/midair run") for line in lines)
    assert "not written" in printed.err
    assert sorted(path.name for path in shop.iterdir()) == ["midair.toml"]


def test_without_a_configuration_one_is_told_how_to_come_to_one(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "midair.toml").unlink()
    assert main(["systemd"]) == USAGE
    assert "midair.toml (midair init looks for it)" in capsys.readouterr().err


def test_what_the_shell_says_of_the_service_is_in_the_unit(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDAIR_WORKERS", "3")
    monkeypatch.setenv("PORT", "8001")
    monkeypatch.setenv("MIDAIR_BIND", "")
    monkeypatch.setenv("MIDAIR_TLS_CERTFILE", "cert.pem")
    monkeypatch.setenv("MIDAIR_TLS_KEYFILE_PASSWORD", "file:/secret")
    text = _made(capsys, "--environment", "TZ=Europe/Zurich")["shop.service"]
    environment = [line for line in said(text) if line.startswith("Environment=")]
    assert [line.removeprefix("Environment=") for line in environment] == [
        "MIDAIR_TLS_CERTFILE=cert.pem",
        "MIDAIR_WORKERS=3",
        "PORT=8001",
        "TZ=Europe/Zurich",
    ]


def test_a_folder_behind_a_link_is_named_as_it_was_typed(
    shop: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "current").symlink_to(shop)
    text = _made(capsys, "-C", str(tmp_path / "current"), "--name", "till")["till.service"]
    assert f"reload -C {tmp_path}/current --name till" in text


def test_root_is_named_and_a_user_that_is_not_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() == 0:
        assert main(["systemd"]) == 0
        assert "it will run as root" in capsys.readouterr().err
    assert main(["systemd", "--user", "no-such-user"]) == 0
    assert "there is no user no-such-user: useradd --system no-such-user" in capsys.readouterr().err


def test_writing_shows_what_changes_and_keeps_what_was_there(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["systemd", "--user", "daemon", "--write", str(tmp_path / "units")]
    assert main(line) == 0
    printed = capsys.readouterr().out
    assert "wrote" in printed
    assert "systemctl daemon-reload\n  systemctl enable --now shop.service\n" in printed
    assert main(line) == 0
    assert "the same to systemd as before" in capsys.readouterr().out
    (shop / "midair.toml").write_text('app = "web:app"\nbind = "127.0.0.1:8000"\nbake = "1m"\n')
    assert main(line) == 0
    printed = capsys.readouterr().out
    assert "  -TimeoutStartSec=100s\n  +TimeoutStartSec=150s\n" in printed
    assert "systemctl restart shop.service" in printed
    assert "TimeoutStartSec=100s" in (tmp_path / "units" / "shop.service.bak").read_text()
    assert "TimeoutStartSec=150s" in (tmp_path / "units" / "shop.service").read_text()


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "units").write_text("a file")
    assert main(["systemd", "--user", "daemon", "--write", str(tmp_path / "units")]) == FAILED
    printed = capsys.readouterr().err
    assert "cannot be" in printed
    assert "hint:" in printed


@pytest.mark.parametrize(
    "words", ["--write --check", "--template --socket", "--user x --user-unit", "-e NAME", "--after a\nKey=x"]
)
def test_words_that_contradict_each_other_are_refused(words: str) -> None:
    assert main(["systemd", *words.split(" ")]) == USAGE


# --- systemd's own word --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["", "--socket", "--template", "--user-unit", "--plain --after dbus.service"])
def test_systemd_finds_no_fault(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs("systemd-analyze")
    user = [] if "user" in words else ["--user", "daemon"]
    assert main(["systemd", *words.split(), *user, "--check", "--json"]) == 0, capsys.readouterr().out
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_an_installed_unit_that_is_out_of_date_is_found(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("systemd-analyze")
    monkeypatch.setattr("midair.cli.systemd.SYSTEM_DIR", str(tmp_path / "units"))
    assert main(["systemd", "--user", "daemon", "--socket", "--write"]) == 0
    # The user and the sockets are those of the units that are installed.
    assert main(["systemd", "--check"]) == 0
    assert "what is installed is what is asked for" in capsys.readouterr().out
    (shop / "midair.toml").write_text('app = "web:app"\nbind = "127.0.0.1:8000"\nstop = { timeout = "2m" }\n')
    assert main(["systemd", "--check"]) == FAILED
    assert "+TimeoutStopSec=135s" in capsys.readouterr().out
