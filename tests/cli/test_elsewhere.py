"""On macOS and Windows what can work works, and what needs Linux says so. (Neither is here: what they lack is taken away.)"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from midair.cli.app import check_system
from midair.cli.commands import ANYWHERE, COMMANDS
from midair.errors import NeedsLinux
from tests.support.service import clean_environment

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "tests" / "support" / "elsewhere.py"
SYSTEMS = ["win32", "darwin"]


def _there(system: str, line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), system, *line.split()]
    return subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    "line", ["--version", "--help", "run --help", "dev --help", "config", "config --file", "completion bash"]
)
def test_what_needs_no_service_works_everywhere(system: str, line: str, tmp_path: Path) -> None:
    done = _there(system, line, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("system", SYSTEMS)
def test_projects_are_made_and_looked_at_everywhere(system: str, tmp_path: Path) -> None:
    assert _there(system, "new shop --template fastapi", tmp_path).returncode == 0
    done = _there(system, "init --force -C shop", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert tomllib.loads((tmp_path / "shop" / "midair.toml").read_text())["app"] == "main:app"


@pytest.mark.parametrize(("system", "words"), [("win32", ["Windows", "WSL2"]), ("darwin", ["macOS", "container"])])
@pytest.mark.parametrize("line", ["run app:app", "dev"])
def test_what_needs_linux_says_so(system: str, words: list[str], line: str, tmp_path: Path) -> None:
    done = _there(system, line, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"midair {line.split(maxsplit=1)[0]} needs Linux" in done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert "bug" not in done.stderr


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_application_imports_midair_everywhere(system: str, tmp_path: Path) -> None:
    done = _there(system, "import", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_other_command_needs_linux() -> None:
    for name in COMMANDS:
        check_system(name, [name], "linux")
        if name in ANYWHERE:
            check_system(name, [name], "win32")
        else:
            with pytest.raises(NeedsLinux, match=f"midair {name} needs Linux"):
                check_system(name, [name], "win32")
    check_system("run", ["run", "--help"], "win32")
    with pytest.raises(NeedsLinux):
        check_system("run", ["run", "--", "x", "--help"], "freebsd14")


def test_the_classifiers_name_the_system_that_services_run_on_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    systems = [each for each in project["classifiers"] if each.startswith("Operating System")]
    assert systems == ["Operating System :: POSIX :: Linux"]


def test_what_windows_cannot_install_is_not_asked_for_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in ("uvloop", "httptools"):
        (line,) = [each for each in project["dependencies"] if each.startswith(name)]
        assert "sys_platform != 'win32'" in line
