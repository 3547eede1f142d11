"""What ``midair.serve()`` makes of a running program: the command line that runs it again, as a service."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from midair.library.serve import NoMainFile, command_line, flags_as_variables
from midair.worker.settings import Served


def main_module(file: Path | None, name: str = "") -> ModuleType:
    module = ModuleType("__main__")
    if file:
        module.__file__ = str(file)
    module.__spec__ = ModuleSpec(name, None) if name else None
    return module


def line(module: ModuleType | None, *argv: str) -> list[str]:
    served = Served(where="main.py:1, midair.serve()", values={"workers": 2})
    made = command_line(module, list(argv), served)
    assert made[:5] == [sys.executable, "-P", "-m", "midair", "run"]
    at = made.index("--served")
    assert made[at + 1] == '{"where":"main.py:1, midair.serve()","values":{"workers":2}}'
    return made[5:at] + made[at + 2 :]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("main.py", "sub/main.py", "start"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_a_file_typed_from_here_stays_a_file_from_here(here: Path) -> None:
    python = ["--python", sys.executable]
    assert line(main_module(here / "main.py"), "main.py") == [*python, "--main", "main.py"]
    assert line(main_module(here / "sub/main.py"), "sub/main.py", "-v", "--", "x") == [
        *python,
        *("--main", "sub/main.py", "--", "-v", "--", "x"),
    ]
    assert line(main_module(here / "start"), "./start") == [*python, "--main", "./start"]


def test_a_file_typed_from_elsewhere_brings_its_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert line(main_module(here / "main.py"), str(here / "main.py"))[:2] == ["-C", str(here)]
    monkeypatch.chdir(here / "sub")
    made = line(main_module(here / "main.py"), "../main.py")
    assert made[:2] == ["-C", str(here)]
    assert made[-2:] == ["--main", "main.py"]


def test_a_module_stays_a_module(here: Path) -> None:
    for name in ("shop", "shop.__main__"):
        assert line(main_module(here / "main.py", name), "main.py")[-2:] == ["--main", "shop"]


@pytest.mark.parametrize("module", [None, main_module(None), main_module(Path("<stdin>"))])
def test_without_a_file_there_is_no_command(module: ModuleType | None) -> None:
    with pytest.raises(NoMainFile):
        line(module, "")


def test_flags_of_the_interpreter_become_variables_unless_those_say_otherwise() -> None:
    flags = SimpleNamespace(optimize=2, dont_write_bytecode=1, dev_mode=False, utf8_mode=0)
    assert flags_as_variables(flags, ["error", "ignore::UserWarning"], {"PYTHONOPTIMIZE": "1"}) == {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "error,ignore::UserWarning",
    }
