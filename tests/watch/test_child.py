"""The watcher child: what is saved is told, once, and nothing else is; it ends with its link and leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

from midair.watch import words
from tests.support.waiting import wait_for
from tests.support.watching import watching

NOTHING_S = 0.3
"""Nothing is told for this long: 30 times the delay."""


def test_what_is_saved_is_told_and_what_is_only_touched_is_not(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("one")
    with watching(tmp_path) as child:
        (tmp_path / "app.py").write_text("two")
        assert child.batch() == [("write", "app.py")]
        (tmp_path / "app.py").write_text("two")
        os.utime(tmp_path / "app.py")
        assert child.hear(NOTHING_S) is None


def test_what_was_named_while_it_runs_counts_no_more_and_is_not_watched(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "out.js").write_text("one")
    with watching(tmp_path) as child:
        before = child.watched
        child.tell(words.Ignore(lines=("/dist/",)))
        wait_for(lambda: child.watched == before - 1, what="one watch less")
        (tmp_path / "dist" / "out.js").write_text("two")
        (tmp_path / "app.py").write_text("two")
        assert child.batch() == [("create", "app.py")]


def test_the_child_ends_with_its_link(tmp_path: Path) -> None:
    with watching(tmp_path) as child:
        assert child.process.is_alive
    assert not child.process.is_alive


def test_a_second_start_leaves_nothing_of_the_first_one_open(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "below").mkdir(parents=True)
    with watching(tmp_path / "one") as child:
        before = sorted(child.process.descriptors.values())
        for name in ("two", "one"):
            child.tell(words.Begin(folder=str(tmp_path / name)))
            child.ready()
        assert sorted(child.process.descriptors.values()) == before


def test_digests_are_those_that_a_survey_would_take(tmp_path: Path) -> None:
    from midair.release.digest import digest_of

    (tmp_path / "old.py").write_text("old")
    os.utime(tmp_path / "old.py", (1_000_000_000, 1_000_000_000))
    with watching(tmp_path) as child:
        # Just changed: its times would not show a second change in the same moment, so nobody is told to trust it.
        assert child.digests() == {}
        (tmp_path / "old.py").write_text("new")
        (change,) = child.changes()
        assert change.digest == digest_of(b"new")
