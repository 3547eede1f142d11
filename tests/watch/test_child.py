"""The watcher child: what is saved is told, once, and nothing else is; it ends with its link and leaves nothing behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from midair.config.schema import Watch
from midair.release.digest import digest_of
from midair.release.tree import read_tree
from midair.sockets import passing
from midair.watch import words
from midair.watch.watcher import Watcher
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


def test_a_file_that_is_being_written_is_not_told_half(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("whole")
    with watching(tmp_path) as child:
        with (tmp_path / "app.py").open("w") as file:
            assert child.hear(0.1) is None, "it is empty, and its writer has it open"
            file.write("whole again")
        assert child.batch() == [("write", "app.py")]


def test_what_was_named_while_it_runs_counts_no_more_and_is_not_watched(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "out.js").write_text("one")
    with watching(tmp_path) as child:
        before = child.watched
        child.tell(words.Ignore(lines=("/dist/",)))
        wait_for(lambda: child.watched == before - 1, what="one watch less")
        (tmp_path / "dist" / "out.js").write_text("two")
        (tmp_path / "app.py").write_text("two")
        # Whether it is new is not what this is about: the look at the folder that the word leads to may find it first.
        assert [path for _, path in child.batch()] == ["app.py"]


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


def test_a_batch_that_is_larger_than_a_message_comes_in_parts(tmp_path: Path) -> None:
    names = [f"{place:04}" + "x" * 200 + ".py" for place in range(600)]
    with watching(tmp_path, Watch(delay_s=0.5, delay_max_s=30)) as child:
        for name in names:
            (tmp_path / name).touch()
        assert child.batch() == [("create", name) for name in names]


def test_a_listener_who_does_not_read_for_a_while_is_told_everything_afterwards(tmp_path: Path) -> None:
    """Two rounds that each fill the link; what changes meanwhile is gathered, and told once."""
    names = [f"{place:04}" + "x" * 200 + ".py" for place in range(1000)]
    with watching(tmp_path) as child:
        for content in ("one", "two"):
            for name in names:
                (tmp_path / name).write_text(content)
            wait_for(lambda: child.process.state == "S", what="it sleeps")
        told: list[tuple[str, ...]] = []
        while {name for kind, name in told if kind == "create"} != set(names):
            told += child.batch()
        (tmp_path / "last.py").touch()
        while ("create", "last.py") not in told:
            told += child.batch()
        assert len(told) <= 2 * len(names) + 1


def test_what_is_no_word_ends_the_child(tmp_path: Path) -> None:
    with watching(tmp_path) as child:
        passing.send(child.channel, b"\xc1")
        wait_for(lambda: not child.process.is_alive)


def test_the_child_holds_nothing_but_its_link_and_one_inotify(tmp_path: Path) -> None:
    with watching(tmp_path) as child:
        held = [what for fd, what in child.process.descriptors.items() if fd > 2]
        assert sorted(what.partition(":")[0] for what in held) == ["anon_inode", "socket"]


def test_a_change_says_the_digest_of_what_is_there(tmp_path: Path) -> None:
    with watching(tmp_path) as child:
        # Just changed: its times would not show a second change in the same moment, so nobody is told to trust them.
        (tmp_path / "app.py").write_text("new")
        (change,) = child.changes()
        assert change.digest == digest_of(b"new")
        assert child.digests() == {}


def test_a_survey_that_is_given_the_digests_reads_no_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("app.py", "sub/page.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    expected = read_tree(str(tmp_path)).files
    # As if the files were older than they are.
    monkeypatch.setattr("midair.watch.known.RACY_NS", -10_000_000_000)
    watcher = Watcher(words.Begin(folder=str(tmp_path)), time.monotonic, lambda error: None)
    known = watcher.digests()
    watcher.close()
    monkeypatch.setattr("midair.release.tree.digest_of_rest", None)
    assert read_tree(str(tmp_path), known=known).files == expected
