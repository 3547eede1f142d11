"""Which Python a generation runs in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from midair import __version__
from midair.release.interpreter import InterpreterMissing, InterpreterUnusable, choose, find_interpreter, install_line
from tests.release.conftest import AMBIENT, MakeSettings, write


def fake_python(path: Path, answer: str) -> Path:
    write(path, f"#!/bin/sh\necho started >> {path}.log\n{answer}\n")
    path.chmod(0o755)
    return path


def says(**values: object) -> str:
    """What a fake interpreter prints when it is asked."""
    answer = {
        "version": "3.12.1",
        "implementation": "cpython",
        "prefix": "/nowhere",
        "base_prefix": "/nowhere",
        "path": [],
        "midair": "9.9.9",
        "error": "",
        "pip": True,
    } | values
    text = repr(answer).replace("'", '"').replace("True", "true").replace("False", "false")
    return f"echo a greeting from sitecustomize\necho '{text}'"


def test_the_setting_comes_first_then_the_folder_then_the_shell_then_ours(
    make_settings: MakeSettings, project: Path
) -> None:
    shell = AMBIENT | {"VIRTUAL_ENV": "/opt/active"}
    bare = make_settings(python="")
    assert choose(bare, AMBIENT) == (sys.executable, "midair")
    assert choose(bare, shell) == ("/opt/active/bin/python", "VIRTUAL_ENV")
    write(project / ".venv/bin/python", "")
    assert choose(bare, shell) == (f"{project}/.venv/bin/python", ".venv")
    assert choose(make_settings(python="py/python3"), shell) == (f"{project}/py/python3", "python")
    assert choose(make_settings(python=".venv"), shell) == (f"{project}/.venv/bin/python", "python")
    assert choose(make_settings(python="/usr/bin/python3"), shell) == ("/usr/bin/python3", "python")


def test_our_own_interpreter_can_run_workers(make_settings: MakeSettings) -> None:
    found = find_interpreter(make_settings(), AMBIENT, AMBIENT)
    assert found.path == sys.executable
    assert found.real == os.path.realpath(sys.executable)
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert found.midair == __version__
    assert any(folder.endswith("site-packages") for folder in found.import_path)
    assert not any(folder.endswith(("lib-dynload", ".zip")) for folder in found.import_path)


def test_python_path_counts_as_a_place_of_own_code(make_settings: MakeSettings, tmp_path: Path) -> None:
    found = find_interpreter(make_settings(), AMBIENT, AMBIENT | {"PYTHONPATH": str(tmp_path)})
    assert str(tmp_path) in found.import_path


def test_an_interpreter_without_midair_is_refused_with_the_line_that_installs_it(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    error = "No module named midair"
    python = fake_python(tmp_path / "python", says(midair="", error=error, pip=True))
    with pytest.raises(InterpreterUnusable, match=error) as caught:
        find_interpreter(make_settings(python=str(python)), AMBIENT, AMBIENT)
    assert caught.value.hint == f"install it there: {python} -m pip install midair=={__version__}"
    assert install_line("/x/python", has_pip=False) == f"uv pip install --python /x/python midair=={__version__}"


def test_an_old_or_broken_or_missing_interpreter_is_refused(make_settings: MakeSettings, tmp_path: Path) -> None:
    old = fake_python(tmp_path / "old", says(version="3.9.2"))
    with pytest.raises(InterpreterUnusable, match="needs 3"):
        find_interpreter(make_settings(python=str(old)), AMBIENT, AMBIENT)
    broken = fake_python(tmp_path / "broken", "echo cannot find my library >&2; exit 7")
    with pytest.raises(InterpreterUnusable, match="exit status 7") as caught:
        find_interpreter(make_settings(python=str(broken)), AMBIENT, AMBIENT)
    assert "cannot find my library" in caught.value.detail
    with pytest.raises(InterpreterMissing, match="not there"):
        find_interpreter(make_settings(python="/no/such/python"), AMBIENT, AMBIENT)
    no_program = write(tmp_path / "text", "neither script nor program")
    no_program.chmod(0o755)
    with pytest.raises(InterpreterUnusable, match="cannot be executed"):
        find_interpreter(make_settings(python=str(no_program)), AMBIENT, AMBIENT)


def test_the_answer_holds_until_something_changes(make_settings: MakeSettings, tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    python = fake_python(tmp_path / "python", says(path=[str(packages)]))
    settings = make_settings(python=str(python))
    started = tmp_path / "python.log"
    first = find_interpreter(settings, AMBIENT, AMBIENT)
    assert find_interpreter(settings, AMBIENT, AMBIENT, earlier=first) is first
    assert started.read_text().count("started") == 1
    (packages / "new-1.0.dist-info").mkdir()
    second = find_interpreter(settings, AMBIENT, AMBIENT, earlier=first)
    assert started.read_text().count("started") == 2
    find_interpreter(settings, AMBIENT, AMBIENT | {"PYTHONPATH": "/x"}, earlier=second)
    assert started.read_text().count("started") == 3
