"""What a version is called."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from pathlib import Path

import msgspec
import pytest

from midair.release import version as version_module
from midair.release.git import NotARepository, head_commit
from midair.release.survey import FolderMissing, look_again, survey
from midair.release.values import Survey
from midair.release.version import VersionUnknown
from tests.release.conftest import AMBIENT, MakeSettings, write
from tests.support.processes import marked
from tests.support.waiting import wait_for

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def named(make_settings: MakeSettings, version_from: str, **values: object) -> str:
    # A command child: no interpreter has to be asked.
    command = {"app": "", "command": ("true",)}
    return survey(make_settings(version_from=version_from, **(command | values)), 1, AMBIENT).version


def test_auto_is_a_hash_of_the_code_alone(make_settings: MakeSettings, project: Path) -> None:
    first = named(make_settings, "auto")
    assert len(first) == 8
    assert named(make_settings, "auto", env={"A": "1"}) == first
    write(project / "app.py", "app = 2\n")
    assert named(make_settings, "auto") != first


def test_a_file_a_variable_and_a_command_can_name_it(make_settings: MakeSettings, project: Path) -> None:
    write(project / "VERSION", "1.9.0\nsecond line\n")
    assert named(make_settings, "file:VERSION") == "1.9.0"
    assert named(make_settings, "env:TAG", env={"TAG": "v7"}) == "v7"
    assert named(make_settings, "command:cat VERSION") == "1.9.0"
    assert named(make_settings, 'command:sh -c "echo $TAG"', env={"TAG": "v8"}) == "v8"


@pytest.mark.parametrize(
    ("version_from", "says"),
    [
        ("file:NOTHING", "cannot be read"),
        ("file:EMPTY", "the name is empty"),
        ("file:LONG", "128 printable characters"),
        ("file:ESCAPE", "128 printable characters"),
        ("env:NOTHING", "NOTHING is not set"),
        ("command:false", "status 1"),
        ("command:/no/such/program", "cannot be started"),
        ("command:'unclosed", "split into words"),
        ("command:", "the command is missing"),
        ("command:yes", "wrote more than"),
        ("package:flask", "no interpreter of ours"),
        ("git", "in no git checkout"),
        ("guess", "no such way"),
    ],
)
def test_what_gives_no_name_is_said(make_settings: MakeSettings, project: Path, version_from: str, says: str) -> None:
    write(project / "EMPTY", "\n\n")
    write(project / "LONG", "x" * 129)
    write(project / "ESCAPE", "\x1b[31mred")
    with pytest.raises(VersionUnknown) as caught:
        named(make_settings, version_from)
    assert says in str(caught.value)


def test_a_command_that_does_not_end_is_ended_with_its_children(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_module, "COMMAND_TIMEOUT_S", 0.5)
    mark = uuid.uuid4().hex
    with pytest.raises(VersionUnknown, match="took longer"):
        named(make_settings, "command:sh -c 'sleep 600 & sleep 600'", env={"TESTED_COMMAND": mark})
    # They were killed; the kernel may need a moment more to end them.
    wait_for(lambda: marked("TESTED_COMMAND", mark), until=lambda left: not left, what="the end of all of them")


def git(folder: Path, *words: str) -> str:
    identity = {
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t",
    }
    done = subprocess.run(
        ["git", "-C", str(folder), "-c", "init.defaultBranch=main", "-c", "core.hooksPath=/dev/null", *words],
        env=AMBIENT | identity,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_release_that_was_deployed_from_git_is_known_by_its_commit(
    make_settings: MakeSettings, project: Path
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    write(project / "REVISION", f"{commit}\n")
    write(project.parent / ".git" / "HEAD", "f" * 40)
    (project / "inner").mkdir()
    assert named(make_settings, "git", chdir="inner") == commit[:10]
    write(project / "REVISION", "r1234\n")
    assert named(make_settings, "git") == "f" * 10, "another tool's file of that name"


@needs_git
def test_git_is_read_without_git(make_settings: MakeSettings, project: Path) -> None:
    git(project, "init", "-q")
    with pytest.raises(NotARepository, match="no commit yet"):
        head_commit(str(project))
    git(project, "add", ".")
    git(project, "commit", "-qm", "first")
    commit = git(project, "rev-parse", "HEAD")
    assert named(make_settings, "git") == commit[:10]
    assert head_commit(str(project / "views")) == commit
    git(project, "pack-refs", "--all")
    assert head_commit(str(project)) == commit
    tree = project.parent / "tree"
    git(project, "worktree", "add", "-q", "-b", "next", str(tree))
    git(tree, "commit", "-q", "--allow-empty", "-m", "second")
    assert head_commit(str(tree)) == git(tree, "rev-parse", "HEAD") != commit
    git(project, "checkout", "-q", "--detach")
    assert head_commit(str(project)) == commit


def test_a_damaged_checkout_is_said(tmp_path: Path) -> None:
    for head in ("ref: ../../etc/passwd", "nonsense", "ref: refs/heads/a"):
        write(tmp_path / ".git" / "HEAD", head)
        write(tmp_path / ".git" / "refs/heads/a", "ref: refs/heads/a")
        with pytest.raises(NotARepository):
            head_commit(str(tmp_path))


def test_a_survey_says_all_of_it_and_shows_no_value(make_settings: MakeSettings, project: Path) -> None:
    write(project / "password", "s3cret")
    settings = make_settings(
        version_from="package:msgspec", env={"PASSWORD": "file:password", "HOME": "/srv"}, chdir="views"
    )
    found = survey(settings, 8, AMBIENT)
    assert found.folder == f"{project}/views"
    assert found.version[0].isdigit()
    assert found.environment.variables["MIDAIR_GENERATION"] == "8"
    assert found.environment.variables["MIDAIR_VERSION"] == found.version
    assert any("HOME" in warning for warning in found.warnings)
    assert "s3cret" not in repr(found.shown())
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Survey) == found
    assert survey(settings, 9, AMBIENT, earlier=found.interpreter).interpreter == found.interpreter
    assert look_again(settings, AMBIENT, earlier=found.interpreter) == found.fingerprint


def test_a_package_that_is_not_installed_cannot_name_the_version(make_settings: MakeSettings) -> None:
    with pytest.raises(VersionUnknown, match="not installed"):
        survey(make_settings(version_from="package:no-such-package"), 1, AMBIENT)


def test_a_missing_folder_is_said(make_settings: MakeSettings) -> None:
    with pytest.raises(FolderMissing):
        survey(make_settings(chdir="nowhere"), 1, AMBIENT)
