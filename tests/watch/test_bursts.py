"""What a person does once is one batch: a checkout, a rebase, a formatter over hundreds of files."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from midair.config.schema import Watch
from midair.watch.busy import LOCK_MAX_S, Checkout
from midair.watch.debounce import HELD_MAX_S
from tests.support.watching import watching

pytestmark = pytest.mark.slow

GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_EDITOR": "true",
}


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, env=os.environ | GIT, capture_output=True)


def rewrite(folder: Path, files: int, version: str) -> None:
    for place in range(files):
        path = folder / f"pkg{place % 10}" / f"m{place}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{version} of {place}\n" * 20)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    rewrite(tmp_path, 300, "first")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_a_checkout_of_hundreds_of_files_is_one_batch(repository: Path) -> None:
    git(repository, "checkout", "-qb", "other")
    rewrite(repository, 300, "second")
    (repository / "new.py").write_text("new")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "second")
    with watching(repository) as child:
        git(repository, "checkout", "-q", "main")
        found = child.batch()
        assert (len(found), {kind for kind, *_ in found}) == (301, {"write", "remove"})
        assert child.hear(0.3) is None


def test_a_rebase_is_one_batch(repository: Path) -> None:
    git(repository, "checkout", "-qb", "topic")
    for number in range(5):
        (repository / f"topic{number}.py").write_text("topic")
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", f"topic {number}")
    git(repository, "checkout", "-q", "main")
    rewrite(repository, 50, "main")
    git(repository, "commit", "-qam", "main goes on")
    git(repository, "checkout", "-q", "topic")
    with watching(repository) as child:
        git(repository, "rebase", "-q", "main")
        assert len(child.batch()) == 50
        assert child.hear(0.3) is None


def test_who_resolves_a_conflict_of_a_rebase_sees_each_save(repository: Path) -> None:
    steps = repository / ".git" / "rebase-merge"
    steps.mkdir()
    os.utime(steps, (1_000_000_000, 1_000_000_000))
    with watching(repository) as child:
        (repository / "pkg1" / "m1.py").write_text("resolved")
        began_s = time.monotonic()
        assert child.batch() == [("write", "pkg1/m1.py")]
        assert time.monotonic() - began_s < 0.5


def test_a_lock_that_git_left_behind_holds_nothing_up(repository: Path) -> None:
    lock = repository / ".git" / "index.lock"
    lock.touch()
    assert Checkout(str(repository / "pkg1")).is_busy()
    old_s = time.time() - LOCK_MAX_S - 1
    os.utime(lock, (old_s, old_s))
    assert not Checkout(str(repository)).is_busy()
    assert LOCK_MAX_S <= HELD_MAX_S


def test_without_git_nothing_is_waited_for(tmp_path: Path) -> None:
    assert not Checkout(str(tmp_path)).is_busy()


@pytest.mark.alone
def test_files_rewritten_over_half_a_second_are_one_batch(tmp_path: Path) -> None:
    rewrite(tmp_path, 300, "first")
    with watching(tmp_path) as child:
        began_s = time.monotonic()
        for place in range(300):
            (tmp_path / f"pkg{place % 10}" / f"m{place}.py").write_text("second")
            while time.monotonic() < began_s + 0.5 * place / 300:
                pass
        assert len(child.batch()) == 300
        assert child.hear(0.3) is None


def test_a_steady_writer_does_not_keep_a_save_from_being_told(tmp_path: Path) -> None:
    stop = threading.Event()

    def log() -> None:
        with (tmp_path / "app.log").open("w") as file:
            while not stop.wait(0.003):
                file.write("line\n")
                file.flush()

    writer = threading.Thread(target=log)
    with watching(tmp_path, Watch(delay_max_s=0.4)) as child:
        writer.start()
        try:
            (tmp_path / "app.py").write_text("saved")
            began_s = time.monotonic()
            assert ("create", "app.py") in child.batch()
            assert time.monotonic() - began_s < 1.5
        finally:
            stop.set()
            writer.join()
