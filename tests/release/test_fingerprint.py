"""Same fingerprint, same next import; and what differs is said in names."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from midair.config.schema import Settings
from midair.release import fingerprint as fingerprint_module
from midair.release.difference import differences
from midair.release.fingerprint import take_fingerprint
from midair.release.packages import read_packages
from midair.release.values import Digests, Fingerprint, Interpreter
from tests.release.conftest import AMBIENT, MakeSettings, write


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreter:
    """An interpreter that sees one folder of packages."""
    packages = tmp_path / "lib" / "site-packages"
    write(packages / "Flask-3.1.3.dist-info" / "RECORD", "flask/app.py,sha256=abc,1\n")
    write(packages / "old_style-0.9-py3.11.egg-info" / "PKG-INFO", "")
    return Interpreter(
        path=sys.executable,
        real="/usr/bin/python3.11",
        chosen_by="python",
        version="3.11.7",
        implementation="cpython",
        midair="0.1.0",
        import_path=(str(packages),),
        prefix="/usr",
        stamp="",
    )


def take(settings: Settings, interpreter: Interpreter | None, **variables: str) -> Fingerprint:
    return take_fingerprint(settings, settings.folder, interpreter, AMBIENT | variables)


def said(before: Fingerprint, after: Fingerprint) -> list[str]:
    assert (before.value == after.value) == (differences(before, after) == ())
    return [str(difference) for difference in differences(before, after)]


def test_nothing_changed_is_the_same_fingerprint(make_settings: MakeSettings, interpreter: Interpreter) -> None:
    settings = make_settings()
    first = take(settings, interpreter)
    again = take(settings, interpreter, MIDAIR_GENERATION="8", INVOCATION_ID="x", SHLVL="3")
    assert said(first, again) == []
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(first), type=Fingerprint) == first
    assert first.short == first.value[:12]


def test_files_that_differ_are_named(make_settings: MakeSettings, interpreter: Interpreter, project: Path) -> None:
    before = take(make_settings(), interpreter)
    write(project / "app.py", "app = 2\n")
    write(project / "new.py", "")
    (project / "views/cart.html").unlink()
    after = take(make_settings(), interpreter)
    assert said(before, after) == ["files: 1 changed (app.py), 1 added (new.py), 1 removed (views/cart.html)"]
    assert before.code != after.code


def test_names_are_bounded(make_settings: MakeSettings, interpreter: Interpreter, project: Path) -> None:
    before = take(make_settings(), interpreter)
    for number in range(100):
        write(project / f"m{number:03}.py", "")
    (difference,) = differences(before, take(make_settings(), interpreter))
    assert difference.added_count == 100
    assert len(difference.added) == 20
    assert str(difference).endswith("m019.py, …)")


def test_packages_that_differ_are_named(make_settings: MakeSettings, interpreter: Interpreter) -> None:
    packages = Path(interpreter.import_path[0])
    settings = make_settings()
    first = take(settings, interpreter)
    (packages / "Flask-3.1.3.dist-info").rename(packages / "flask-3.2.0.dist-info")
    second = take(settings, interpreter)
    assert said(first, second) == ["packages: 1 changed (flask)"]
    # The same version with other content: installed anew from a branch.
    write(packages / "flask-3.2.0.dist-info" / "RECORD", "flask/app.py,sha256=def,1\n")
    third = take(settings, interpreter)
    assert said(second, third) == ["packages: 1 changed (flask)"]
    assert first.code == third.code


def test_known_digests_of_packages_count_until_the_package_is_installed_anew(interpreter: Interpreter) -> None:
    record = Path(interpreter.import_path[0]) / "Flask-3.1.3.dist-info" / "RECORD"
    known: Digests = {}
    fresh = read_packages(interpreter.import_path, known)
    assert known == {}, "it was written a moment ago and may still change unseen"
    found = record.stat()
    known[str(record)] = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, b"known!")
    assert read_packages(interpreter.import_path, known)["flask"] == f"3.1.3+{b'known!'.hex()}"
    write(record, record.read_text())
    assert read_packages(interpreter.import_path, known) == fresh


def test_another_interpreter_and_another_target_differ(make_settings: MakeSettings, interpreter: Interpreter) -> None:
    settings = make_settings()
    first = take(settings, interpreter)
    newer = msgspec.structs.replace(interpreter, version="3.12.1", real="/usr/bin/python3.12")
    assert said(first, take(settings, newer)) == ["interpreter: 2 changed (path, version)"]
    assert said(first, take(make_settings(app="app:other"), interpreter)) == ["program: 1 changed (target)"]


def test_the_environment_differs_without_a_word_about_values(
    make_settings: MakeSettings, interpreter: Interpreter
) -> None:
    settings = make_settings()
    first = take(settings, interpreter, PASSWORD="s3cret")
    second = take(settings, interpreter, PASSWORD="other")
    assert said(first, second) == ["environment: changed"]
    assert said(first, take(settings, interpreter)) == ["environment: 1 removed (PASSWORD)"]
    assert first.code == second.code
    assert b"s3cret" not in msgspec.msgpack.encode(first)


def test_own_code_on_the_import_path_counts(
    make_settings: MakeSettings, interpreter: Interpreter, tmp_path: Path, project: Path
) -> None:
    write(tmp_path / "shared" / "tax.py", "rate = 1\n")
    sees = (str(tmp_path / "shared"), str(project / "views"), *interpreter.import_path)
    editable = msgspec.structs.replace(interpreter, import_path=sees)
    before = take(make_settings(), editable)
    assert before.parts[0].count == 4, "a folder inside the project is not counted twice"
    write(tmp_path / "shared" / "tax.py", "rate = 2\n")
    assert said(before, take(make_settings(), editable)) == ["files: 1 changed (1:tax.py)"]


def test_a_part_of_too_many_items_is_compared_as_a_whole(
    make_settings: MakeSettings, interpreter: Interpreter, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint_module, "ITEMS_MAX", 2)
    before = take(make_settings(), interpreter)
    write(project / "app.py", "app = 2\n")
    assert said(before, take(make_settings(), interpreter)) == ["files: changed"]


def test_a_command_is_its_program_its_arguments_and_the_files(make_settings: MakeSettings, project: Path) -> None:
    write(project / "server.js", "serve()\n")
    write(project / "bin/run", "#!/bin/sh\nexec node $1\n")
    settings = make_settings(app="", command=("bin/run", "server.js", "--fast"))
    first = take(settings, None)
    write(project / "bin/run", "#!/bin/sh\nexec bun $1\n")
    second = take(settings, None)
    assert said(first, second) == ["program: 1 changed (program)"]
    write(project / "server.js", "serve(2)\n")
    third = take(settings, None)
    assert said(second, third) == ["files: 1 changed (server.js)", "program: 1 changed (argument 1)"]
    slow = make_settings(app="", command=("bin/run", "server.js", "--slow"))
    assert said(third, take(slow, None)) == ["program: 1 changed (argument 2)"]


def test_a_command_is_found_on_the_path_of_its_generation(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(app="", command=("shopd",))
    for place in ("one", "two"):
        write(tmp_path / place / "shopd", f"#!/bin/sh\n# {place}\n").chmod(0o755)
    prints = [take(settings, None, PATH=str(tmp_path / place)).parts[-1].digest for place in ("one", "two", "none")]
    assert len(set(prints)) == 3


def test_the_packages_beside_a_command_in_a_virtual_environment_count(
    make_settings: MakeSettings, project: Path
) -> None:
    write(project / ".venv/pyvenv.cfg", "")
    write(project / ".venv/bin/uvicorn", "#!python\n").chmod(0o755)
    packages = project / ".venv/lib/python3.11/site-packages"
    write(packages / "uvicorn-0.54.0.dist-info/RECORD", "")
    settings = make_settings(app="", command=(".venv/bin/uvicorn", "app:app"))
    before = take(settings, None)
    (packages / "uvicorn-0.54.0.dist-info").rename(packages / "uvicorn-0.55.0.dist-info")
    assert said(before, take(settings, None)) == ["packages: 1 changed (uvicorn)"]
