"""A release's entry in the changelog is made of the notes, and none is lost on the way."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from packaging.version import Version
from shipping.changelog import Note, NotReleasable

from midair import __version__
from shipping import changelog

DAY = datetime.date(2027, 1, 31)
BEFORE = """\
# Changelog

Newest first.

## Unreleased

The first words.

Added

- One thing, on
  two lines.

## 0.0.9 (2026-01-01)

Fixed

- Long ago.
"""


def test_notes_follow_what_was_written_by_hand_each_below_its_word() -> None:
    notes = [Note("removed", "this"), Note("added", "that"), Note("fixed", "those")]
    assert changelog.release(BEFORE, notes, "0.1.0", DAY) == BEFORE.replace(
        "## Unreleased\n\n", "## Unreleased\n\n## 0.1.0 (2027-01-31)\n\n"
    ).replace("two lines.\n", "two lines.\n- That\n\nFixed\n\n- Those\n\nRemoved\n\n- This\n")


def test_the_next_release_begins_with_nothing() -> None:
    once = changelog.release(BEFORE, [], "0.1.0", DAY)
    with pytest.raises(NotReleasable, match="nothing to release"):
        changelog.release(once, [], "0.2.0", DAY)
    twice = changelog.release(once, [Note("fixed", "it")], "0.2.0", DAY)
    assert twice.index("## Unreleased") < twice.index("## 0.2.0") < twice.index("- It") < twice.index("## 0.1.0")


@pytest.mark.parametrize("version", ["0.0.9", "0.0.8", "0.0.9.dev1"])
def test_a_version_that_is_not_newer_is_refused(version: str) -> None:
    with pytest.raises(NotReleasable, match=r"not newer than 0\.0\.9"):
        changelog.release(BEFORE, [], version, DAY)


def test_a_file_may_have_several_notes_of_several_lines() -> None:
    text = "added: a [page](../docs/page.md)\n  that goes on.\nchanged: `x: y` means z.\n"
    assert changelog.parse("some.md", text) == [
        Note("added", "a [page](docs/page.md) that goes on."),
        Note("changed", "`x: y` means z."),
    ]


@pytest.mark.parametrize("text", ["", "new: a thing", "It is better now.\nadded: this"])
def test_a_note_without_its_word_is_named(text: str) -> None:
    with pytest.raises(NotReleasable, match=r"changes\.d/some\.md"):
        changelog.parse("some.md", text)


def test_the_notes_that_are_there_make_an_entry() -> None:
    notes = changelog.read_notes(changelog.ROOT / "changes.d")
    said = changelog.release((changelog.ROOT / "CHANGELOG.md").read_text(), notes, __version__, DAY)
    assert "](../" not in said
    assert all(len(line) <= 140 for line in said.splitlines())


def test_the_version_stands_in_one_place_and_is_a_release() -> None:
    version = Version(__version__)
    assert str(version) == __version__
    assert not version.is_devrelease
    assert not version.local


def release_in(folder: Path, note: str) -> None:
    (folder / "changes.d").mkdir()
    (folder / "changes.d" / "README.md").write_text("how to\n")
    (folder / "changes.d" / "thing.md").write_text(note)
    (folder / "CHANGELOG.md").write_text(BEFORE)


def test_the_entry_is_shown_before_anything_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release_in(tmp_path, "fixed: it.\n")
    assert changelog.main([], tmp_path, DAY) == 0
    assert capsys.readouterr().out.startswith(f"{__version__} (2027-01-31)\n\nThe first words.\n")
    assert (tmp_path / "CHANGELOG.md").read_text() == BEFORE


def test_a_release_takes_the_notes_away(tmp_path: Path) -> None:
    release_in(tmp_path, "fixed: it.\n")
    assert changelog.main(["--write"], tmp_path, DAY) == 0
    assert "- It." in (tmp_path / "CHANGELOG.md").read_text()
    assert [path.name for path in (tmp_path / "changes.d").iterdir()] == ["README.md"]


def test_nothing_is_written_if_a_note_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release_in(tmp_path, "it is better\n")
    assert changelog.main(["--write"], tmp_path, DAY) == 1
    assert "changes.d/thing.md begins with none of" in capsys.readouterr().err
    assert (tmp_path / "CHANGELOG.md").read_text() == BEFORE
