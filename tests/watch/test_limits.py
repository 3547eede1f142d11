"""Where the kernel tells nothing, or no more: files are compared, and it is said why, by whose doing, and what helps."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from midair.config.schema import Watch
from midair.errors import MidairError
from midair.watch import limits
from midair.watch.choose import choose, file_system
from midair.watch.inotify import Inotify
from midair.watch.source import Event, Source, What
from midair.watch.trouble import WatchLimit
from midair.watch.watcher import Watcher
from midair.watch.words import Begin
from tests.support.waiting import wait_for
from tests.support.watching import Told, told


def batch(watcher: Watcher) -> list[Told]:
    def look() -> list[Told]:
        watcher.take()
        found = watcher.batch()
        return [told(change) for change in found.changes] if found else []

    return wait_for(look)


def chosen(
    watch: Watch, *, type_: str = "ext4", is_told: bool = True, folders: Iterable[str] = ("/",)
) -> tuple[Source, str]:
    said: list[MidairError] = []
    source, why = choose(watch, folders, said.append, type_of=lambda folder: type_, is_told=lambda folder: is_told)
    source.close()
    assert said == []
    return source, why


@pytest.mark.parametrize("type_", ["nfs4", "cifs", "9p", "virtiofs", "fuse.sshfs", "fuse", "vboxsf"])
def test_files_are_compared_where_others_write_behind_the_kernels_back(type_: str) -> None:
    source, why = chosen(Watch(), type_=type_)
    assert source.how == "poll"
    assert type_ in why


@pytest.mark.parametrize("type_", ["ext4", "overlay", "btrfs", "tmpfs", "fuseblk", ""])
def test_the_kernel_is_listened_to_where_it_tells(type_: str) -> None:
    assert chosen(Watch(), type_=type_)[0].how == "inotify"


def test_the_setting_decides_before_anything_is_asked() -> None:
    assert chosen(Watch(poll="never"), type_="nfs4", is_told=False)[0].how == "inotify"
    source, why = chosen(Watch(poll="always", poll_interval_s=0.25))
    assert (source.how, source.every_s, "always" in why) == ("poll", 0.25, True)


def test_a_kernel_that_does_not_tell_of_our_own_doing_is_not_believed() -> None:
    source, why = chosen(Watch(), is_told=False)
    assert source.how == "poll"
    assert "did not tell" in why


def test_the_kernel_is_asked_without_a_trace_in_the_folder(tmp_path: Path) -> None:
    before = os.stat(tmp_path).st_mtime_ns
    source = Inotify()
    assert source.tells_of(str(tmp_path))
    assert not source.tells_of(str(tmp_path / "none"))
    assert source.read() == []
    source.close()
    assert (os.stat(tmp_path).st_mtime_ns, os.listdir(tmp_path)) == (before, [])


def test_the_file_system_of_a_folder_is_that_of_the_mount_on_top(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/vda rw\n"
        "2 1 0:5 / /srv rw,relatime shared:1 - nfs4 host:/srv rw\n"
        "3 1 0:6 / /srv/with\\040space rw - tmpfs tmpfs rw\n"
        "4 1 0:7 / /srv rw - cifs //host/srv rw\n"
    )
    places = ("/", "/srv/app", "/srv/with space/x", "/srvx")
    assert [file_system(place, str(mounts)) for place in places] == ["ext4", "cifs", "tmpfs", "ext4"]
    assert file_system("/", str(tmp_path / "none")) == ""
    assert file_system("/proc") == "proc"


# --- limits --------------------------------------------------------------------------------------------------------


class Scarce(Inotify):
    """The kernel gives no more than a few watches."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def watch(self, key: str, absolute: str) -> None:
        if self.count >= self.most:
            raise WatchLimit(limits.watches_message(self.count))
        super().watch(key, absolute)


def test_without_watches_left_files_are_compared_and_it_is_said(tmp_path: Path) -> None:
    for place in range(10):
        (tmp_path / f"d{place}").mkdir()
        (tmp_path / f"d{place}" / "a.py").write_text("old")
    troubles: list[MidairError] = []
    begin = Begin(folder=str(tmp_path), watch=Watch(poll_interval_s=0.02))
    watcher = Watcher(begin, time.monotonic, troubles.append, Scarce(5))
    assert [error.code for error in troubles] == ["watch-limit"]
    assert watcher.ready().how == "poll"
    assert "limit" in watcher.ready().why
    for place in (0, 9):
        (tmp_path / f"d{place}" / "a.py").write_text("new")
    assert batch(watcher) == [("write", "d0/a.py"), ("write", "d9/a.py")]
    watcher.close()


def test_watches_that_run_out_later_lose_nothing(tmp_path: Path) -> None:
    troubles: list[MidairError] = []
    source = Scarce(1000)
    begin = Begin(folder=str(tmp_path), watch=Watch(poll_interval_s=0.02))
    watcher = Watcher(begin, time.monotonic, troubles.append, source)
    source.most = source.count + 1
    for place in range(5):
        (tmp_path / f"d{place}").mkdir()
        (tmp_path / f"d{place}" / "a.py").write_text("new")
    seen: list[Told] = []
    while len(seen) < 5:
        seen += batch(watcher)
    assert sorted(seen) == [("create", f"d{place}/a.py") for place in range(5)]
    assert [error.code for error in troubles] == ["watch-limit"]
    watcher.close()


def test_who_holds_the_watches_is_named(tmp_path: Path) -> None:
    """More than most others on this machine, so that we are among the few that are shown."""
    ours = [Inotify() for _ in range(12)]
    for place in range(300):
        (tmp_path / str(place)).mkdir()
        ours[0].watch(str(place), str(tmp_path / str(place)))
    try:
        name = Path("/proc/self/comm").read_text().strip()
        assert f"{name} ({os.getpid()}): 12" in limits.instance_holders()
        assert f"{name} ({os.getpid()}): 300" in limits.watch_holders()
    finally:
        for each in ours:
            each.close()


IN_A_SMALL_NAMESPACE = """
import sys, time
from midair.watch.watcher import Watcher
from midair.watch.words import Begin
said = []
watcher = Watcher(Begin(folder=sys.argv[1]), time.monotonic, said.append)
print(watcher.ready().how)
for error in said:
    print(error.code, "|", error, "|", error.hint)
"""


@pytest.mark.parametrize(
    ("limit", "code", "key"),
    [("watches", "watch-limit", "max_user_watches"), ("instances", "watch-instances", "max_user_instances")],
)
def test_a_limit_of_the_kernel_is_explained_with_the_line_that_lifts_it(
    tmp_path: Path, limit: str, code: str, key: str
) -> None:
    for place in range(10):
        (tmp_path / f"d{place}").mkdir()
    count = 3 if limit == "watches" else 0
    script = f'echo {count} > /proc/sys/user/max_inotify_{limit} || exit 77; exec "$@"'
    argv = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        script,
        "sh",
        sys.executable,
        "-c",
        IN_A_SMALL_NAMESPACE,
    ]
    done = subprocess.run([*argv, str(tmp_path)], capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no user namespace may be made here")
    how, said = done.stdout.splitlines()
    assert how == "poll"
    assert said.startswith(code)
    assert f"sysctl fs.inotify.{key}=" in said


# --- lost news -----------------------------------------------------------------------------------------------------


class Forgetful(Inotify):
    """The queue overflows."""

    def read(self) -> list[Event]:
        return [Event(What.LOST)] if super().read() else []


def test_after_an_overflow_everything_is_compared_and_nothing_is_missed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for name in ("a.py", "b.py", "kept/c.py", "kept/same.py"):
        (tmp_path / name).write_text("old")
    troubles: list[MidairError] = []
    watcher = Watcher(Begin(folder=str(tmp_path)), time.monotonic, troubles.append, Forgetful())
    (tmp_path / "a.py").write_text("new")
    (tmp_path / "b.py").unlink()
    (tmp_path / "kept" / "c.py").rename(tmp_path / "kept" / "d.py")
    (tmp_path / "kept" / "same.py").write_text("old")
    (tmp_path / "made" / "below").mkdir(parents=True)
    (tmp_path / "made" / "below" / "e.py").write_text("new")
    assert batch(watcher) == [
        ("write", "a.py"),
        ("remove", "b.py"),
        ("move", "kept/d.py", "kept/c.py"),
        ("create", "made/below/e.py"),
    ]
    assert {error.code for error in troubles} == {"watch-lost"}
    watcher.close()


def test_the_kernels_own_overflow_is_noticed(tmp_path: Path) -> None:
    """Its queue holds fs.inotify.max_queued_events; nobody reads meanwhile."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 100_000:
        pytest.skip(f"the queue holds {most} events")
    for name in ("app.py", "other.py"):
        (tmp_path / name).write_text("old")
    troubles: list[MidairError] = []
    watcher = Watcher(Begin(folder=str(tmp_path)), time.monotonic, troubles.append)
    for _ in range(most // 2 + 1):
        # Equal events one after the other are one.
        os.utime(tmp_path / "app.py", (1, 1))
        os.utime(tmp_path / "other.py", (1, 1))
    (tmp_path / "app.py").write_text("new")
    assert batch(watcher) == [("write", "app.py")]
    assert "watch-lost" in {error.code for error in troubles}
    watcher.close()
