"""What ``midair dev --explain`` answers is what the watcher does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from midair.config.schema import Watch
from midair.watch.explain import explain

WATCH = Watch(
    paths=(".", "notes.txt", "../shared"),
    extensions=("py", "html"),
    ignore=("/generated/", "!dist/"),
    ignore_regex=("_test[.]py$",),
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("app/a.py", "env/pyvenv.cfg", "env/b.py", "app/deep/.gitignore", "dist/kept.py", "large.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / ".gitignore").write_text("# comment\nbuild/\ndist/\n")
    (folder / "app/deep/.gitignore").write_text("x*.py\n!xy.py\n")
    (folder / "hidden").symlink_to("node_modules/lib")
    (folder / "node_modules" / "lib").mkdir(parents=True)
    os.truncate(folder / "large.py", 20 * 1024 * 1024)
    return folder


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "app/a.py",
            "app/a.py is watched: it is below the service folder, and nothing ignores it; news come from inotify",
        ),
        (
            "new.py",
            "new.py is watched: it is below the service folder, and nothing ignores it; it is not there now; news",
        ),
        ("notes.txt", "is watched: it is named in the settings"),
        ("../shared/x.py", "../shared/x.py is watched: it is below ../shared"),
        ("dist/kept.py", "is watched"),
        ("large.py", "its size and time tell"),
        ("app/deep/xy.py", "is watched"),
        ("", ". is watched"),
        ("app/deep/xz.py", "is not watched: it is ignored by x*.py (app/deep/.gitignore:1)"),
        ("node_modules/lib/i.py", "is not watched: node_modules/ is ignored by node_modules/ (built in)"),
        ("build/x/y.py", "is not watched: build/ is ignored by build/ (.gitignore:2)"),
        ("generated/a.py", "is not watched: generated/ is ignored by /generated/ (watch.ignore)"),
        ("app/a.txt", "is not watched: it is ignored by watch.extensions, where only .py, .html count"),
        ("app/a_test.py", "is not watched: it is ignored by _test[.]py$ (watch.ignore_regex)"),
        ("env/b.py", "is not watched: env/ is a virtual environment"),
        ("hidden", "is not watched: it leads to"),
        ("../elsewhere/a.py", "is not watched: it is in none of watch.paths (., notes.txt, ../shared)"),
        ("tmp/x.py", "is not watched: tmp/ is ignored by /tmp/ (named by the build)"),
    ],
)
def test_each_answer_names_the_rule_and_where_it_stands(project: Path, path: str, expected: str) -> None:
    found = explain(str(project), WATCH, path, ignore=("/tmp/",))
    assert expected in str(found)
    assert found.is_watched == ("is watched" in str(found))


@pytest.mark.parametrize("path", ["service.log", "shop.db", "shop.db-journal", "data/shop.sqlite3-wal"])
def test_what_a_program_writes_while_it_runs_is_no_save(project: Path, path: str) -> None:
    assert "(built in)" in str(explain(str(project), Watch(), path))
    name = path.rpartition("/")[2]
    assert "is watched" in str(explain(str(project), Watch(ignore=(f"!{name}",)), path))


def test_an_absolute_path_is_the_same_path(project: Path) -> None:
    assert str(explain(str(project), WATCH, str(project / "build/x.py"))).startswith("build/x.py is not watched")


def test_every_answer_that_can_be_helped_says_how(project: Path) -> None:
    for path in ("node_modules/x.py", "build/x.py", "generated/x.py", "a.txt", "a_test.py", "../elsewhere"):
        assert explain(str(project), WATCH, path).hint, path


def test_where_files_are_compared_it_says_so_and_why(project: Path) -> None:
    found = explain(str(project), Watch(poll="always"), "app/a.py")
    assert 'files are compared every 0.5 s (watch.poll = "always")' in str(found)
