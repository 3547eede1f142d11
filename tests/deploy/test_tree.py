"""What gets into a release folder, and that nothing lands outside of it."""

from __future__ import annotations

import io
import os
import socket
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from midair.deploy.errors import SourceUnusable, UnsafeSource
from midair.deploy.source import Source, fetch, listing, read_source, revision_of
from midair.deploy.tree import Writer, copy_folder, entries_of
from tests.release.conftest import write
from tests.support.installed import needs


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    write(folder / "midair.toml", 'app = "app:app"\n')
    write(folder / "app.py", "app = 1\n")
    write(folder / "static" / "shop.css", "body {}\n")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    folder.mkdir()
    return folder


def copied(project: Path, target: Path, *ignore: str) -> set[str]:
    copy_folder(str(project), str(target), list(entries_of(str(project), ignore)))
    return {str(path.relative_to(target)) for path in target.rglob("*")}


def test_a_folder_is_copied_as_it_is(project: Path, target: Path) -> None:
    (project / "go.sh").write_text("#!/bin/sh\n")
    (project / "go.sh").chmod(0o755)
    (project / "latest.css").symlink_to("static/shop.css")
    assert copied(project, target) == {
        "midair.toml",
        "app.py",
        "static",
        "static/shop.css",
        "go.sh",
        "latest.css",
    }
    assert (target / "app.py").read_text() == "app = 1\n"
    assert os.readlink(target / "latest.css") == "static/shop.css"
    assert stat.S_IMODE((target / "go.sh").stat().st_mode) == 0o755


def test_what_a_version_is_not_made_of_stays_behind(project: Path, target: Path) -> None:
    write(project / ".git" / "HEAD", "ref: x")
    write(project / "__pycache__" / "app.pyc", "")
    write(project / "env" / "pyvenv.cfg", "")
    write(project / "node_modules" / "left-pad" / "index.js", "")
    assert "node_modules" in copied(project, target), "a program in another language needs it"
    assert not {".git", "__pycache__", "env"} & {path.name for path in target.iterdir()}


def test_more_may_be_left_out(project: Path, target: Path) -> None:
    write(project / "notes.log", "")
    assert copied(project, target, "*.log", "/static/") == {"midair.toml", "app.py"}


def test_nobody_else_may_write_and_no_bit_gives_rights(project: Path, target: Path) -> None:
    (project / "app.py").chmod(0o6777)
    (project / "midair.toml").chmod(0o600)
    copied(project, target)
    assert stat.S_IMODE((target / "app.py").stat().st_mode) == 0o755
    assert stat.S_IMODE((target / "midair.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize("to", ["/etc/passwd", "../secret", "static/../../secret"])
def test_a_link_that_leads_out_is_refused_before_anything_is_written(project: Path, to: str) -> None:
    (project / "out").symlink_to(to)
    with pytest.raises(UnsafeSource, match="out is a link that leads out"):
        list(entries_of(str(project)))
    assert list(entries_of(str(project), ("/out",)))


def test_a_link_that_leads_out_by_way_of_another_is_refused(project: Path) -> None:
    deep = project / "a" / "b"
    deep.mkdir(parents=True)
    (project / "deep").symlink_to("a")
    (deep / "up").symlink_to("../../deep/b")
    (project / "x").symlink_to("a/b/up/../../../secret")
    with pytest.raises(UnsafeSource):
        list(entries_of(str(project)))


def test_what_is_no_file_is_refused(project: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(project, os.O_PATH)
        listener.bind(f"/proc/self/fd/{here}/s")
        os.close(here)
        with pytest.raises(UnsafeSource, match="s is neither a file"):
            list(entries_of(str(project)))


def test_a_file_that_has_become_a_link_meanwhile_is_not_followed(project: Path, target: Path, tmp_path: Path) -> None:
    entries = list(entries_of(str(project)))
    (project / "app.py").unlink()
    write(tmp_path / "secret", "secret")
    (project / "app.py").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic"):
        copy_folder(str(project), str(target), entries)


# --- archives ------------------------------------------------------------------------------------------------------


def member(name: str, *, link: str = "", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = (tarfile.SYMTYPE, link) if link and kind == tarfile.REGTYPE else (kind, link)
    return made


def tar(path: Path, *members: tarfile.TarInfo) -> Source:
    with tarfile.open(path, "w:gz") as archive:
        for each in members:
            archive.addfile(each, io.BytesIO() if each.isreg() else None)
    return read_source(str(path))


HOSTILE: dict[str, tuple[tarfile.TarInfo, ...]] = {
    "a name that leads out": (member("../evil"),),
    "an absolute name": (member("/tmp/evil"),),
    "a link that leads out": (member("x", link="../evil"),),
    "a file behind a link": (member("x", link="y"), member("y", kind=tarfile.DIRTYPE), member("x/evil")),
    "two links together": (
        member("a/b/c", kind=tarfile.DIRTYPE),
        member("s", link="a/b/c"),
        member("s2", link="s/../../../../evil"),
    ),
    "two links where nobody looks": (
        member("__pycache__/a/b", kind=tarfile.DIRTYPE),
        member("__pycache__/s", link="a/b"),
        member("__pycache__/s2", link="s/../../../../evil"),
    ),
    "a device": (member("null", kind=tarfile.CHRTYPE),),
    "a hard link": (member("a"), member("b", link="/etc/passwd", kind=tarfile.LNKTYPE)),
    "a file twice": (member("a"), member("a")),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_writes_nothing_outside(case: str, tmp_path: Path, target: Path) -> None:
    source = tar(tmp_path / "x.tar.gz", *HOSTILE[case])
    before = {path for path in tmp_path.rglob("*") if target not in path.parents}
    with pytest.raises(UnsafeSource):
        fetch(source, [], "", str(target))
    assert {path for path in tmp_path.rglob("*") if target not in path.parents} == before


def test_an_archive_with_one_folder_in_it_is_that_folder(tmp_path: Path, target: Path) -> None:
    source = tar(tmp_path / "x.tar.gz", member("shop-1.9/midair.toml"), member("shop-1.9/shop-1.9/app.py"))
    fetch(source, [], "", str(target))
    assert {str(p.relative_to(target)) for p in target.rglob("*")} == {"midair.toml", "shop-1.9", "shop-1.9/app.py"}


def zipped(path: Path, fill: Callable[[zipfile.ZipFile], None]) -> Source:
    with zipfile.ZipFile(path, "w") as archive:
        fill(archive)
    return read_source(str(path))


def test_a_zip_keeps_what_may_be_executed(tmp_path: Path, target: Path) -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr("midair.toml", "")
        info = zipfile.ZipInfo("bin/go")
        info.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(info, "#!/bin/sh\n")

    fetch(zipped(tmp_path / "x.zip", fill), [], "", str(target))
    assert os.access(target / "bin" / "go", os.X_OK)


def test_a_zip_with_a_way_out_is_refused(tmp_path: Path, target: Path) -> None:
    source = zipped(tmp_path / "x.zip", lambda archive: archive.writestr("../evil", ""))
    with pytest.raises(UnsafeSource):
        fetch(source, [], "", str(target))
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_a_torn_archive_is_said_to_be_one(name: str, tmp_path: Path, target: Path) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b\x08 torn")
    with pytest.raises(SourceUnusable, match="cannot be read"):
        fetch(read_source(str(tmp_path / name)), [], "", str(target))


def test_nothing_is_written_through_a_link_or_upwards(target: Path, tmp_path: Path) -> None:
    (target / "out").symlink_to(tmp_path)
    with Writer(str(target)) as writer:
        for name in ("out/evil", "../evil", "/evil", "a/../../evil", ""):
            with pytest.raises(UnsafeSource):
                writer.file(name, 0o644, io.BytesIO(b"x"))
    assert not (tmp_path / "evil").exists()


# --- what is typed -------------------------------------------------------------------------------------------------


def test_what_is_typed_is_told_apart(project: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tgz").touch()
    assert read_source("-").kind == "stream"
    assert read_source(str(project)).kind == "folder"
    assert read_source(str(project), "v1").kind == "commit"
    assert read_source(str(tmp_path / "x.tgz")).kind == "archive"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("gone", "a folder"), ("shop-1.9-py3-none-any.whl", "requirements.txt"), ("notes.txt", "a folder")],
)
def test_what_cannot_be_deployed_is_said_with_what_can(name: str, hint: str, tmp_path: Path) -> None:
    if name != "gone":
        (tmp_path / name).touch()
    with pytest.raises(SourceUnusable) as caught:
        read_source(str(tmp_path / name))
    assert hint in caught.value.hint


def test_a_commit_is_deployed_as_it_was_committed_and_known_by_it(project: Path, target: Path) -> None:
    needs("git")

    def git(*words: str) -> None:
        line = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        assert os.spawnvp(os.P_WAIT, "git", line) == 0

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    git("tag", "v1")
    write(project / "app.py", "app = 2\n")
    source = read_source(str(project), "v1")
    fetch(source, [], revision_of(source), str(target))
    assert (target / "app.py").read_text() == "app = 1\n"
    assert (target / "REVISION").read_text().strip() == revision_of(source) == revision_of(read_source(str(project)))
    with pytest.raises(SourceUnusable):
        revision_of(read_source(str(project), "v2"))


def test_a_dry_look_names_what_would_be_copied(project: Path) -> None:
    assert [entry.name for entry in listing(read_source(str(project)), ("/static",))] == ["app.py", "midair.toml"]
