"""While nothing happens nothing is done: in a tree with a large node_modules, not a watch on it and next to no processor time."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import pytest

from midair.config.schema import Watch
from tests.support.waiting import wait_for
from tests.support.watching import WatcherChild, watching

pytestmark = pytest.mark.slow

IDLE_CPU_S_A_MINUTE = 0.5


def grow(root: Path, files: int, ignored_folders: int) -> int:
    """A project of so many files, 50 a folder; how many folders are to be watched."""
    for place in range(files):
        folder = root / "app" / f"pkg{place // 500}" / f"mod{place // 50}"
        if place % 50 == 0:
            folder.mkdir(parents=True)
        (folder / f"f{place}.py").write_text(f"x = {place}\n")
    for place in range(ignored_folders // 10):
        for below in range(9):
            os.makedirs(root / "node_modules" / f"p{place}" / f"lib{below}")
    for name in (".git/objects/aa", ".venv/lib", "dist/assets"):
        (root / name).mkdir(parents=True)
    (root / ".gitignore").write_text("dist/\n")
    return 2 + sum(len(names) for _, names, _ in os.walk(root / "app"))


def rests(child: WatcherChild, for_s: float) -> float:
    """Processor seconds a minute that it uses while nothing happens."""
    # First it takes digests ahead; then it is asleep.
    wait_for(lambda: child.process.state == "S", every_s=0.3)
    before_s, began_s = child.process.cpu_s, time.monotonic()
    assert child.hear(for_s) is None
    return (child.process.cpu_s - before_s) * 60 / (time.monotonic() - began_s)


def idle_in(root: Path, files: int, ignored: int, for_s: float) -> None:
    folders = grow(root, files, ignored)
    with watching(root) as child:
        # One more for the name of the folder in the one above, and one for each link on the way there.
        assert folders < child.watched <= folders + 4
        assert rests(child, for_s) < IDLE_CPU_S_A_MINUTE
        (root / "app" / "pkg0" / "mod0" / "f0.py").write_text("changed")
        assert child.batch() == [("write", "app/pkg0/mod0/f0.py")]


@pytest.mark.alone
def test_ignored_folders_have_no_watch_and_nothing_is_done_while_nothing_happens(tmp_path: Path) -> None:
    idle_in(tmp_path, files=1000, ignored=500, for_s=1.5)


@pytest.mark.soak
def test_ten_thousand_files_beside_twenty_thousand_ignored_folders(tmp_path: Path) -> None:
    idle_in(tmp_path, files=10_000, ignored=20_000, for_s=60)


@pytest.mark.alone
def test_a_save_is_told_a_delay_after_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text("0")
    late_s = []
    with watching(tmp_path) as child:
        for number in range(20):
            path.write_text(f"{number + 1}")
            written_s = time.monotonic()
            assert child.batch() == [("write", "app.py")]
            late_s.append(time.monotonic() - written_s)
    assert 0.009 <= statistics.median(late_s) < 0.018, late_s


@pytest.mark.alone
def test_a_large_project_is_watched_within_a_second(tmp_path: Path) -> None:
    grow(tmp_path, 5000, 0)
    child_began_s = time.monotonic()
    with watching(tmp_path) as child:
        assert time.monotonic() - child_began_s < 1.0
        assert child.process.rss_bytes < 60 * 1024 * 1024


@pytest.mark.alone
def test_where_files_are_compared_it_takes_a_tenth_of_a_processor_at_most(tmp_path: Path) -> None:
    grow(tmp_path, 2000, 0)
    with watching(tmp_path, Watch(poll="always", poll_interval_s=0.01)) as child:
        assert rests(child, 1.5) < 60 * 0.15
