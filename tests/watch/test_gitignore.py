"""Patterns mean what git means by them: git itself is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from midair.config.schema import Watch
from midair.watch.gitignore import Patterns
from midair.watch.ignore import GITIGNORE, Rules

FOLDERS = ("", "a", "a/b", "build", "a/build", "foo.d", "x[y")
NAMES = ("a.py", "b.txt", "build", "foo", "foo.py", ".hidden", "x y", "a-b", "#x", "!y", "\\z", "[ab]", "é.md")
PATHS = (f"{folder}/{name}" if folder else name for folder in FOLDERS for name in NAMES)
FILES = tuple(path for path in PATHS if path not in FOLDERS)

LINES = (
    "*.py", "build", "build/", "/build", "/a/build", "a/", "a/*", "a/**", "**/b.txt", "**/build/**", "a/**/foo",
    "foo*", "foo.?", "!foo.py", "!a.py", "!build/", "[ab].py", "[!a].py", "[^ab]-b", "a[-.]b", "*.[pt][xy]*",
    "[[:alpha:]].py", "[z-a].py", "[]a]*", "x\\ y", "x y  ", "x\\ y\\ ", "\\#x", "#x", "\\!y", "!y", "\\\\z",
    "\\[ab\\]", "x[[]y/", "x[y", "**", "*", "/*", "!*/", "!/a", "a/b/", "a//b", "/", "", "   ", "***/foo", "a**b",
    "foo/**/", "**/", "a/b/../foo", "./a", ".*", "!.*", "é*", "?.txt", "foo\\", "[a", "[!]", "**/a", "b/**",
    "*/b.txt", "/**/foo.py", "[a-c-e]*", "[\\]]*", "foo.d/!a.py",
)  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not here")
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def as_git_sees_it(repository: Path) -> set[str]:
    """The files that git ignores; of tracked ones there are none."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    asked = "\0".join(FILES).encode()
    argv = ["git", "-C", str(repository), "check-ignore", "-z", "--stdin", "--no-index"]
    found = subprocess.run(argv, input=asked, env=environment, capture_output=True, check=False)
    assert found.returncode in (0, 1), found.stderr
    return {name for name in found.stdout.decode().split("\0") if name}


def as_we_see_it(repository: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    monkeypatch.setattr("midair.watch.ignore.BUILT_IN", [])
    rules = Rules(str(repository), Watch())
    return {name for name in FILES if rules.ignores_way(str(repository / name), is_folder=False)}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    top=st.lists(st.sampled_from(LINES), max_size=5),
    nested=st.lists(st.sampled_from(LINES), max_size=3),
)
@example(top=["a/*", "!a/b/"], nested=["!foo.py"])
@example(top=["*", "!*/", "!*.py"], nested=[])
def test_what_git_ignores_is_ignored_and_nothing_else(
    repository: Path, monkeypatch: pytest.MonkeyPatch, top: list[str], nested: list[str]
) -> None:
    (repository / GITIGNORE).write_text("\n".join(top) + "\n")
    (repository / "a" / GITIGNORE).write_text("\n".join(nested) + "\n")
    with monkeypatch.context() as patched:
        assert as_we_see_it(repository, patched) == as_git_sees_it(repository)


@pytest.mark.parametrize("line", LINES)
def test_each_line_alone_means_what_git_means(repository: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    (repository / GITIGNORE).write_text(f"*\n!*/\n{line}\n" if line.startswith("!") else f"{line}\n")
    (repository / "a" / GITIGNORE).write_text("")
    assert as_we_see_it(repository, monkeypatch) == as_git_sees_it(repository)


def test_the_last_line_that_matches_is_named() -> None:
    patterns = Patterns(["# comment", "*.py", "!a.py", "a.*"])
    assert patterns.verdict("a.py", "a.py", False) is True
    found = patterns.decisive("a.py", False)
    assert found is not None
    assert (found.line, found.number) == ("a.*", 4)
    assert patterns.decisive("readme", False) is None


def test_lines_that_mean_nothing_are_passed_over() -> None:
    patterns = Patterns(["", "  ", "#", "!", "/"])
    assert patterns.verdict("a", "a", True) is None
