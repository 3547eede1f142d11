"""What is typed to develop a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.__main__ import main
from midair.config.schema import Settings


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> Settings:
    """What ``midair dev`` would hand to the supervisor."""
    seen: list[Settings] = []

    def supervise(settings: Settings, sources: object, attend: object) -> int:
        assert attend
        seen.append(settings)
        return 0

    monkeypatch.setattr("midair.supervisor.main.run", supervise)
    assert main(["dev", *words]) == 0
    return seen[0]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PWD", raising=False)
    return tmp_path


def test_nodemons_words_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "npm run compile && npm run reload, twice"
    words = ["-e", "ts,.tsx", "-e", "*.json", "--ignore", "dist/", "-i", "tmp", "-x", line, "-d", "50ms", "-L"]
    settings = typed(monkeypatch, *words, "--watch", "src", "--", "node", "dist/server.js")
    assert settings.watch.extensions == ("ts", "tsx", "json")
    assert settings.watch.ignore == ("dist/", "tmp")
    assert settings.watch.paths == ("src",)
    assert settings.build.build == (line,), "a comma in a shell line is the shell's"
    assert (settings.watch.delay_s, settings.watch.poll) == (0.05, "always")
    assert settings.command == ("node", "dist/server.js")


def test_the_options_of_run_are_taken_and_win(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = typed(monkeypatch, "app:app", "-w", "2", "--no-access-log", "--set", "dev.inject=false")
    assert (settings.is_dev, settings.workers, settings.serve.access_log, settings.dev.inject) == (
        True,
        2,
        False,
        False,
    )


def test_root_is_warned(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("midair.cli.dev.os.geteuid", lambda: 0)
    typed(monkeypatch, "app:app")
    assert "runs as root" in capsys.readouterr().err


def test_why_a_path_counts_is_said_and_nothing_is_started(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "app.py").write_text("")
    assert (
        main(["dev", "--ignore", "*.log", "--explain", "app.py", "--explain", "x.log", "--explain", "midair.toml"]) == 0
    )
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in out] == [
        "app.py is watched",
        "x.log is not watched",
        "midair.toml is watched",
    ]
