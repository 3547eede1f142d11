"""Whatever is done to a tree, in whatever order: who knew it before and is told the changes knows it afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from midair.config.schema import Watch
from midair.watch.inotify import Inotify
from midair.watch.polling import Polling
from midair.watch.source import Source
from midair.watch.watcher import Watcher
from midair.watch.words import Begin, Change

FOLDERS = ("", "a", "a/b", "c", "build", "a/build", "link")
NAMES = ("x.py", "y.py", "z.txt")
places = st.sampled_from(FOLDERS)
files = st.builds(lambda folder, name: f"{folder}/{name}".lstrip("/"), places, st.sampled_from(NAMES))
contents = st.sampled_from(["one", "two", "much longer"])
Step = tuple[str, str, str]
steps = st.one_of(
    st.tuples(st.just("write"), files, contents),
    st.tuples(st.just("save"), files, contents),
    st.tuples(st.just("remove"), files, st.just("")),
    st.tuples(st.just("touch"), files, st.just("")),
    st.tuples(st.just("move"), files, files),
    st.tuples(st.just("mkdir"), places, st.just("")),
    st.tuples(st.just("rmtree"), places, st.just("")),
    st.tuples(st.just("movetree"), places, places),
    st.tuples(st.just("link"), st.just("link"), st.sampled_from(["a", "c", "a/b", "../outside", "nowhere", "."])),
    st.tuples(st.just("settle"), st.just(""), st.just("")),
)


def do(root: Path, step: Step) -> None:
    """One step of a history; what cannot be done is not done."""
    what, first, second = step
    path = root / first
    with suppress(OSError, shutil.Error):
        if what in ("write", "save"):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(path.name + ".saving") if what == "save" else path
            beside.write_text(second)
            beside.replace(path)
        elif what == "remove":
            path.unlink()
        elif what == "touch":
            os.utime(path)
        elif what == "mkdir":
            path.mkdir(parents=True, exist_ok=True)
        elif what == "rmtree" and first:
            path.unlink() if path.is_symlink() else shutil.rmtree(path)
        elif what in ("move", "movetree") and first and second:
            path.rename(root / second)
        elif what == "link":
            path.unlink(missing_ok=True)
            path.symlink_to(second)


def on_disk(root: Path) -> dict[str, str]:
    """What counts, and what is in it: each folder once, real ones first, as the watcher has it."""
    found: dict[str, str] = {}
    entered: set[tuple[int, int]] = set()
    waiting, links = [""], list[str]()
    while waiting or links:
        at = waiting.pop() if waiting else links.pop(0)
        here = root / at
        status = here.stat()
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        for entry in here.iterdir():
            path = f"{at}/{entry.name}".lstrip("/")
            is_folder = os.path.isdir(entry)  # which says no of a link that leads to itself
            if entry.name == "build" and is_folder:
                continue
            if is_folder and entry.is_symlink():
                links.append(path)
                found[path] = "-> " + os.readlink(entry)
            elif is_folder:
                waiting.append(path)
            elif os.path.isfile(entry):
                found[path] = entry.read_text()
    return found


def apply(known: dict[str, str], changes: list[Change], root: Path) -> None:
    """What somebody knows who is told of changes, and looks at no file that was not named."""
    for change in changes:
        path = root / change.path
        if change.kind == "remove":
            assert known.pop(change.path, None) is not None, f"{change} of what was not there"
            continue
        if change.kind == "create":
            assert change.path not in known, f"{change} of what was there"
        elif change.kind == "write":
            assert change.path in known, f"{change} of what was not there"
        else:
            assert known.pop(change.before, None) is not None, f"{change} of what was not there"
        is_link = path.is_symlink() and os.path.isdir(path)
        known[change.path] = "-> " + os.readlink(path) if is_link else path.read_text()


@contextmanager
def settled(source: Callable[[], Source]) -> Iterator[tuple[Path, Callable[[], list[Change]]]]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        (root / "a" / "b").mkdir(parents=True)
        (Path(folder) / "outside").mkdir()
        for name in ("root/x.py", "root/a/b/y.py", "root/a/x.py", "outside/z.txt"):
            (Path(folder) / name).write_text(name)
        watch = Watch(ignore=("build/", "*.saving"), delay_s=0.0005)
        watcher = Watcher(Begin(folder=str(root), watch=watch), time.monotonic, lambda error: None, source())

        def rest() -> None:
            due_s = watcher.due_s()
            if due_s is not None:
                time.sleep(max(0.0, due_s - time.monotonic()))

        def look() -> list[Change]:
            """All that is to be told now."""
            found: list[Change] = []
            if watcher.fileno() < 0:
                rest()
            while True:
                watcher.take()
                if batch := watcher.batch():
                    found += batch.changes
                elif not watcher.is_waiting:
                    return found
                rest()

        try:
            yield root, look
        finally:
            watcher.close()


SOURCES = pytest.mark.parametrize("source", [Inotify, lambda: Polling(0.0001)], ids=["inotify", "poll"])
HISTORIES = st.lists(steps, max_size=25)


@SOURCES
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=HISTORIES)
def test_who_is_told_the_changes_knows_the_tree(source: Callable[[], Source], history: list[Step]) -> None:
    follow(source, history)


@pytest.mark.soak
@SOURCES
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=HISTORIES)
def test_who_is_told_the_changes_knows_the_tree_after_any_of_many(
    source: Callable[[], Source], history: list[Step]
) -> None:
    follow(source, history)


def follow(source: Callable[[], Source], history: list[Step]) -> None:
    with settled(source) as (root, look):
        known = on_disk(root)
        for step in (*history, ("settle", "", "")):
            if step[0] == "settle":
                apply(known, look(), root)
                assert known == on_disk(root)
            else:
                do(root, step)
