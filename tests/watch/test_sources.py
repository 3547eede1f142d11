"""One suite for all that news can come from: whatever the source, what differs on the disk is told, and nothing else."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from midair.config.schema import Watch
from midair.errors import MidairError
from midair.watch.inotify import Inotify
from midair.watch.polling import Polling
from midair.watch.portable import Portable
from midair.watch.source import Source
from midair.watch.watcher import Watcher
from midair.watch.words import Begin
from tests.support.processes import Process
from tests.support.waiting import wait_for
from tests.support.watching import Told, told

SOURCES: dict[str, Callable[[], Source]] = {
    "inotify": Inotify,
    "poll": lambda: Polling(0.02),
    "watchfiles": Portable,
}
NOTHING_S = 0.1


class Run:
    """A watcher in this process, turned by the test."""

    def __init__(self, folder: Path, source: Source, watch: Watch, **begin: object) -> None:
        self.troubles: list[MidairError] = []
        word = Begin(folder=os.fspath(folder), watch=watch, **begin)  # type: ignore[arg-type]  # fields of Begin
        self.watcher = Watcher(word, time.monotonic, self.troubles.append, source)
        self.source = source

    def batch(self, within_s: float = 3.0) -> list[Told]:
        """The next batch; empty: there was none within that time."""
        deadline_s = time.monotonic() + within_s
        while (now_s := time.monotonic()) < deadline_s:
            due_s = self.watcher.due_s()
            wait_s = max(0.0, min(deadline_s, deadline_s if due_s is None else due_s) - now_s)
            fds = [self.watcher.fileno()] if self.watcher.fileno() >= 0 else []
            select.select(fds, [], [], wait_s)
            self.watcher.take()
            if found := self.watcher.batch():
                return sorted(told(change) for change in found.changes)
        return []

    def batches(self, wanted: Sequence[Told]) -> list[Told]:
        """Batches until all of these have been told: a source that looks now and then may see half of what happens at once."""
        seen: list[Told] = []
        while not set(wanted) <= set(seen):
            assert len(seen) < 10 * len(wanted) + 10, f"{seen} was told"
            more = self.batch()
            assert more, f"only {seen} was told"
            seen += more
        return sorted(seen)


Begun = Callable[..., Run]


@pytest.fixture(params=SOURCES)
def begin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Begun]:
    runs: list[Run] = []

    def run(watch: Watch = Watch(), folder: Path = tmp_path, **more: object) -> Run:  # noqa: B008 - immutable
        runs.append(Run(folder, SOURCES[request.param](), watch, **more))
        return runs[-1]

    before = len(Process(os.getpid()).descriptors)
    yield run
    for each in runs:
        each.watcher.close()
        each.watcher.close()
    # The library's own threads end a moment later.
    wait_for(lambda: len(Process(os.getpid()).descriptors), until=lambda now: now <= before, what="all closed")


def write(path: Path, content: str = "new") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def in_place(path: Path) -> None:
    path.write_text("saved")


def in_two_steps(path: Path) -> None:
    with path.open("w") as file:
        file.flush()
        os.fsync(file.fileno())
        file.write("sav")
        file.flush()
        file.write("ed")


def renamed_over(path: Path) -> None:
    beside = path.with_name("app.py.tmp")
    beside.write_text("saved")
    beside.replace(path)


def as_vim(path: Path) -> None:
    probe = path.with_name("4913")
    probe.touch()
    probe.unlink()
    backup = path.with_name(path.name + "~")
    path.rename(backup)
    path.write_text("saved")
    path.chmod(0o644)
    backup.unlink()


def as_emacs(path: Path) -> None:
    lock = path.with_name(".#" + path.name)
    lock.symlink_to("someone@host.1")
    auto_saved = path.with_name(f"#{path.name}#")
    auto_saved.write_text("half")
    shutil.copy2(path, path.with_name(path.name + "~"))
    path.write_text("saved")
    auto_saved.unlink()
    lock.unlink()


def as_jetbrains(path: Path) -> None:
    new, old = path.with_name("app.py___jb_tmp___"), path.with_name("app.py___jb_old___")
    new.write_text("saved")
    path.rename(old)
    new.rename(path)
    old.unlink()


def backed_up(path: Path) -> None:
    """The backup is a copy that nobody has heard of."""
    os.link(path, path.with_name("app.py.4711.backup"))
    beside = path.with_name("app.py.new")
    beside.write_text("saved")
    beside.replace(path)
    path.with_name("app.py.4711.backup").unlink()


@pytest.mark.parametrize(
    "save", [in_place, in_two_steps, renamed_over, as_vim, as_emacs, as_jetbrains, backed_up], ids=lambda f: f.__name__
)
def test_a_save_is_one_write_however_the_editor_does_it(
    begin: Begun, tmp_path: Path, save: Callable[[Path], None]
) -> None:
    write(tmp_path / "app.py", "before")
    run = begin()
    save(tmp_path / "app.py")
    assert run.batches([("write", "app.py")]) == [("write", "app.py")]
    assert run.batch(NOTHING_S) == []


@pytest.mark.parametrize("save", [in_place, renamed_over, as_vim], ids=lambda f: f.__name__)
def test_saving_the_same_bytes_is_nothing(begin: Begun, tmp_path: Path, save: Callable[[Path], None]) -> None:
    write(tmp_path / "app.py", "saved")
    run = begin()
    save(tmp_path / "app.py")
    assert run.batch(NOTHING_S) == []


def test_touching_files_is_nothing(begin: Begun, tmp_path: Path) -> None:
    for name in ("a.py", "b/c.py"):
        write(tmp_path / name)
    run = begin()
    for name in ("a.py", "b/c.py"):
        os.utime(tmp_path / name)
        (tmp_path / name).chmod(0o600)
    subprocess.run(["touch", str(tmp_path / "a.py")], check=True)
    assert run.batch(NOTHING_S) == []


def test_permission_bits_are_told_to_those_who_ask(begin: Begun, tmp_path: Path) -> None:
    write(tmp_path / "run.sh")
    (tmp_path / "run.sh").chmod(0o644)
    run = begin(wants_chmod=True)
    (tmp_path / "run.sh").chmod(0o755)
    assert run.batch() == [("chmod", "run.sh")]
    os.utime(tmp_path / "run.sh")
    assert run.batch(NOTHING_S) == []


def test_each_kind_of_change_is_told_as_what_it_is(begin: Begun, tmp_path: Path) -> None:
    for name in ("gone.py", "old.py", "kept.py"):
        write(tmp_path / name, name)
    run = begin()
    write(tmp_path / "new.py", "new")
    write(tmp_path / "kept.py", "changed")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "old.py").rename(tmp_path / "moved.py")
    wanted = [("create", "new.py"), ("move", "moved.py", "old.py"), ("remove", "gone.py"), ("write", "kept.py")]
    assert run.batches(wanted) == sorted(wanted)


def test_a_file_that_is_moved_over_another_or_edited_on_the_way_is_moved(tmp_path: Path) -> None:
    """The kernel's word for it counts: neither the place on the disk nor the content says it."""
    for name in ("a.py", "b.py", "c.py"):
        write(tmp_path / name, name)
    run = Run(tmp_path, Inotify(), Watch())
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    (tmp_path / "c.py").rename(tmp_path / "d.py")
    write(tmp_path / "d.py", "edited")
    assert run.batch() == [("move", "b.py", "a.py"), ("move", "d.py", "c.py")]
    run.watcher.close()


class Racing(Inotify):
    """Somebody makes a file in each folder in the very moment before the kernel begins to tell of it."""

    def watch(self, key: str, absolute: str) -> None:
        Path(absolute, "raced.py").touch()
        super().watch(key, absolute)


def test_a_file_that_is_made_while_its_folder_is_entered_is_not_missed(tmp_path: Path) -> None:
    run = Run(tmp_path, Racing(), Watch())
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert run.batch() == [("create", "a/b/raced.py"), ("create", "a/raced.py")]
    run.watcher.close()


def test_what_comes_and_goes_between_two_batches_is_nothing(begin: Begun, tmp_path: Path) -> None:
    run = begin()
    write(tmp_path / "a" / "b" / "c.py")
    shutil.rmtree(tmp_path / "a")
    assert [change for change in run.batch(NOTHING_S) if change[0] == "remove"] == []


def test_a_folder_is_watched_as_soon_as_it_is_made(begin: Begun, tmp_path: Path) -> None:
    run = begin()
    write(tmp_path / "a" / "b" / "c.py")
    assert run.batches([("create", "a/b/c.py")]) == [("create", "a/b/c.py")]
    write(tmp_path / "a" / "b" / "c.py", "again")
    assert run.batches([("write", "a/b/c.py")]) == [("write", "a/b/c.py")]


def test_no_file_is_missed_in_folders_that_are_made_and_filled_at_once(begin: Begun, tmp_path: Path) -> None:
    run = begin()
    wanted = []
    for place in range(60):
        write(tmp_path / f"d{place}" / "x" / "y" / "f.py")
        wanted.append(("create", f"d{place}/x/y/f.py"))
    assert run.batches(wanted) == sorted(wanted)


def test_a_folder_that_moves_takes_its_files_along(begin: Begun, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    inside.mkdir()
    write(outside / "in" / "sub" / "a.py", "a")
    write(inside / "within" / "sub" / "b.py", "b")
    write(inside / "out" / "sub" / "c.py", "c")
    run = begin(folder=inside)
    (outside / "in").rename(inside / "in")
    (inside / "within").rename(inside / "there")
    (inside / "out").rename(outside / "out")
    wanted = [("create", "in/sub/a.py"), ("move", "there/sub/b.py", "within/sub/b.py"), ("remove", "out/sub/c.py")]
    assert run.batches(wanted) == sorted(wanted)
    for path in (inside / "in/sub/a.py", inside / "there/sub/b.py", outside / "out/sub/c.py"):
        path.write_text("again")
    wanted = [("write", "in/sub/a.py"), ("write", "there/sub/b.py")]
    assert run.batches(wanted) == wanted


def test_a_folder_and_a_file_change_places(begin: Begun, tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.py")
    write(tmp_path / "b")
    run = begin()
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "b").unlink()
    write(tmp_path / "a", "now a file")
    write(tmp_path / "b" / "x.py", "now a folder")
    wanted = [("create", "a"), ("create", "b/x.py"), ("remove", "a/x.py"), ("remove", "b")]
    assert run.batches(wanted) == wanted


def test_ignored_folders_are_silent_and_nested_gitignores_count(begin: Begun, tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "*.log\nbuild/\n!keep.log\n")
    write(tmp_path / "sub" / ".gitignore", "*.tmp\n!special.log\n/only_here\n")
    (tmp_path / "node_modules").mkdir()
    run = begin(Watch(ignore=("dist/",)))
    silent = [
        "a.log",
        "build/x",
        "sub/a.tmp",
        "sub/only_here",
        "node_modules/m/i.js",
        ".git/index",
        "sub/dist/out.js",
        "__pycache__/a.pyc",
    ]
    for name in silent:
        write(tmp_path / name)
    loud = ["keep.log", "sub/special.log", "a.tmp", "only_here"]
    for name in loud:
        write(tmp_path / name)
    wanted = sorted(("create", name) for name in loud)
    assert run.batches(wanted) == wanted


def test_only_files_of_some_endings_count_if_any_are_named(begin: Begun, tmp_path: Path) -> None:
    run = begin(Watch(extensions=("py", ".html")), files=("midair.toml",))
    for name in ("a.py", "b.html", "c.txt", "midair.toml"):
        write(tmp_path / name)
    wanted = [("create", "a.py"), ("create", "b.html"), ("create", "midair.toml")]
    assert run.batches(wanted) == wanted


def test_what_is_named_counts_whoever_ignores_it(begin: Begun, tmp_path: Path) -> None:
    for name in ("notes.txt", "node_modules/mine/a.py", "node_modules/other/a.py"):
        write(tmp_path / name, "old")
    run = begin(Watch(paths=(".", "notes.txt", "node_modules/mine"), extensions=("py",), ignore_regex=("notes",)))
    for name in ("notes.txt", "node_modules/mine/a.py", "node_modules/other/a.py"):
        write(tmp_path / name)
    wanted = [("write", "node_modules/mine/a.py"), ("write", "notes.txt")]
    assert run.batches(wanted) == wanted


def test_single_files_and_folders_outside_are_told_as_they_were_typed(begin: Begun, tmp_path: Path) -> None:
    project = tmp_path / "project"
    write(project / "app" / "a.py")
    write(project / "settings.ini")
    write(project / "other.ini")
    write(tmp_path / "shared" / "s.py")
    run = begin(Watch(paths=("app", "./settings.ini", "../shared/")), folder=project)
    for path in (project / "app/a.py", project / "settings.ini", project / "other.ini", tmp_path / "shared/s.py"):
        path.write_text("changed")
    wanted = [("write", "../shared/s.py"), ("write", "app/a.py")]
    if run.source.how != "watchfiles":  # which watches whole trees or nothing
        wanted.append(("write", "settings.ini"))
    assert run.batches(wanted) == wanted


def test_a_gitignore_that_changes_counts_from_then_on_and_changes_nothing_else(begin: Begun, tmp_path: Path) -> None:
    write(tmp_path / "out" / "a.js")
    write(tmp_path / "hidden" / "b.js")
    write(tmp_path / ".gitignore", "hidden/\n")
    run = begin()
    write(tmp_path / ".gitignore", "out/\n")
    assert run.batches([("write", ".gitignore")]) == [("write", ".gitignore")]
    write(tmp_path / "out" / "a.js", "ignored")
    write(tmp_path / "hidden" / "b.js", "seen")
    assert run.batches([("write", "hidden/b.js")]) == [("write", "hidden/b.js")]


def test_a_virtual_environment_is_not_entered_whatever_it_is_called(begin: Begun, tmp_path: Path) -> None:
    write(tmp_path / "env311" / "pyvenv.cfg")
    write(tmp_path / "env311" / "lib" / "a.py")
    run = begin()
    write(tmp_path / "env311" / "lib" / "a.py", "installed")
    write(tmp_path / "app.py")
    assert run.batches([("create", "app.py")]) == [("create", "app.py")]


def test_a_link_to_a_folder_is_followed_and_a_loop_ends(begin: Begun, tmp_path: Path) -> None:
    project = tmp_path / "project"
    write(project / "app.py")
    write(tmp_path / "library" / "lib.py")
    (project / "lib").symlink_to("../library")
    (project / "loop").symlink_to(".")
    run = begin(folder=project)
    if run.source.how == "watchfiles":
        pytest.skip("the library does not tell of what lies behind a link")
    write(tmp_path / "library" / "lib.py", "changed")
    assert run.batches([("write", "lib/lib.py")]) == [("write", "lib/lib.py")]
    write(project / "app.py", "changed")
    assert run.batches([("write", "app.py")]) == [("write", "app.py")]


def swap(link: Path, target: str) -> None:
    """As deployments do it: at once."""
    beside = link.with_name(link.name + ".new")
    beside.symlink_to(target)
    beside.replace(link)


def test_a_current_link_that_is_swapped_is_told_with_the_files_that_differ(begin: Begun, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for version in ("1", "2"):
        write(tmp_path / "releases" / version / "app.py", f"version {version}")
        write(tmp_path / "releases" / version / "same.py", "same")
    project.mkdir()
    (project / "current").symlink_to("../releases/1")
    run = begin(folder=project)
    if run.source.how == "watchfiles":
        pytest.skip("the library does not tell of what lies behind a link")
    swap(project / "current", "../releases/2")
    wanted = [("write", "current"), ("write", "current/app.py")]
    assert run.batches(wanted) == wanted
    write(tmp_path / "releases" / "1" / "app.py", "the old one")
    write(tmp_path / "releases" / "2" / "app.py", "the new one")
    assert run.batches([("write", "current/app.py")]) == [("write", "current/app.py")]


def test_the_watched_folder_itself_may_be_behind_a_link_that_is_swapped(begin: Begun, tmp_path: Path) -> None:
    for version in ("1", "2"):
        write(tmp_path / "releases" / version / "app.py", f"version {version}")
    (tmp_path / "current").symlink_to("releases/1")
    run = begin(folder=tmp_path / "current")
    if run.source.how == "watchfiles":
        pytest.skip("the library watches what the link led to at the beginning")
    swap(tmp_path / "current", "releases/2")
    assert run.batches([("write", "app.py")]) == [("write", "app.py")]
    write(tmp_path / "releases" / "2" / "app.py", "again")
    assert run.batches([("write", "app.py")]) == [("write", "app.py")]


def test_a_link_to_a_file_is_told_when_the_file_changes(begin: Begun, tmp_path: Path) -> None:
    """As Kubernetes mounts a configuration: ``config.yaml -> ..data/config.yaml``, and ``..data`` is swapped."""
    project = tmp_path / "project"
    for version in ("one", "two"):
        write(project / f"..{version}" / "config.yaml", version)
    (project / "..data").symlink_to("..one")
    (project / "config.yaml").symlink_to("..data/config.yaml")
    write(tmp_path / "outside.ini")
    (project / "outside.ini").symlink_to("../outside.ini")
    (project / "named.yaml").symlink_to("../outside.ini")
    run = begin(Watch(extensions=("yaml",), paths=(".", "outside.ini")), folder=project)
    if run.source.how == "watchfiles":
        pytest.skip("the library does not tell of what lies behind a link")
    swap(project / "..data", "..two")
    assert ("write", "config.yaml") in run.batches([("write", "config.yaml")])
    write(tmp_path / "outside.ini", "changed")
    wanted = [("write", "named.yaml"), ("write", "outside.ini")]
    assert run.batches(wanted) == wanted


def test_a_watched_folder_may_go_and_come_again(begin: Begun, tmp_path: Path) -> None:
    project = tmp_path / "project"
    write(project / "app.py", "one")
    run = begin(folder=project)
    if run.source.how == "watchfiles":
        pytest.skip("the library watches the folder that was there at the beginning")
    shutil.rmtree(project)
    assert run.batches([("remove", "app.py")]) == [("remove", "app.py")]
    assert [error.code for error in run.troubles] == ["watch-gone"]
    write(project / "app.py", "two")
    assert run.batches([("create", "app.py")]) == [("create", "app.py")]
    write(project / "app.py", "three")
    assert run.batches([("write", "app.py")]) == [("write", "app.py")]


def test_a_watched_folder_may_be_made_anew_at_once(begin: Begun, tmp_path: Path) -> None:
    """The new one often gets the inode of the old one."""
    project = tmp_path / "project"
    write(project / "app.py", "one")
    run = begin(folder=project)
    if run.source.how == "watchfiles":
        pytest.skip("the library watches the folder that was there at the beginning")
    for content in ("two", "three", "four"):
        shutil.rmtree(project)
        write(project / "app.py", content)
        assert run.batches([("write", "app.py")]) == [("write", "app.py")]
    write(project / "app.py", "five")
    assert run.batches([("write", "app.py")]) == [("write", "app.py")]


def test_a_watched_folder_is_found_again_with_the_folder_around_it(begin: Begun, tmp_path: Path) -> None:
    project = tmp_path / "around" / "project"
    write(project / "app.py", "one")
    run = begin(folder=project)
    if run.source.how == "watchfiles":
        pytest.skip("the library watches the folder that was there at the beginning")
    shutil.rmtree(tmp_path / "around")
    assert run.batches([("remove", "app.py")]) == [("remove", "app.py")]
    write(project / "app.py", "two")
    assert run.batches([("create", "app.py")]) == [("create", "app.py")]
    write(project / "app.py", "three")
    assert run.batches([("write", "app.py")]) == [("write", "app.py")]


def test_a_path_that_is_not_there_yet_is_said_and_watched_as_soon_as_it_is(begin: Begun, tmp_path: Path) -> None:
    write(tmp_path / "app.py")
    run = begin(Watch(paths=("app.py", "later")))
    assert [error.code for error in run.troubles] == ["watch-gone"]
    if run.source.how == "watchfiles":
        pytest.skip("the library watches what is there at the beginning")
    write(tmp_path / "later" / "b.py")
    assert run.batches([("create", "later/b.py")]) == [("create", "later/b.py")]


@contextmanager
def as_nobody() -> Iterator[Path]:
    """A folder, and whoever may not read everything. Root's own folders are closed to others."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(before)


def test_a_folder_that_may_not_be_read_is_said_and_the_others_are_watched(begin: Begun) -> None:
    with as_nobody() as folder:
        write(folder / "secret" / "a.py")
        (folder / "secret").chmod(0)
        run = begin(folder=folder)
        assert [error.code for error in run.troubles] == ["watch-unreadable"]
        write(folder / "app.py")
        assert run.batches([("create", "app.py")]) == [("create", "app.py")]
        (folder / "secret").chmod(0o700)
        if run.source.how == "watchfiles":
            return  # The library tried once.
        assert run.batches([("create", "secret/a.py")]) == [("create", "secret/a.py")]
        write(folder / "secret" / "a.py", "again")
        assert run.batches([("write", "secret/a.py")]) == [("write", "secret/a.py")]


def test_names_that_are_no_utf8_are_said_and_passed_over(begin: Begun, tmp_path: Path) -> None:
    with suppress(OSError):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.py")).write_text("x")
    run = begin()
    assert [error.code for error in run.troubles] == ["watch-name"]
    write(tmp_path / "café.py")
    assert run.batches([("create", "café.py")]) == [("create", "café.py")]


def test_a_large_file_is_told_by_its_size_and_time(
    begin: Begun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midair.watch.known.READ_MAX_BYTES", 10)
    write(tmp_path / "big.bin", "x" * 100)
    os.utime(tmp_path / "big.bin", (1_000_000_000, 1_000_000_000))
    run = begin()
    write(tmp_path / "big.bin", "y" * 100)
    assert run.batches([("write", "big.bin")]) == [("write", "big.bin")]
