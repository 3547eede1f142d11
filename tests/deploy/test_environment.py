"""A release's own virtual environment: which commands make it, and one that is really made."""

from __future__ import annotations

import hashlib
import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import midair
from midair.config.schema import Deploy
from midair.deploy.environment import Wanted, build, commands, look, midair_command, variables_in
from midair.deploy.errors import BuildFailed
from tests.release.conftest import write

OURS = "/usr/bin/python3"


def shown(deploy: Deploy, wanted: Wanted) -> list[str]:
    return [" ".join(line) for line in commands(deploy, wanted, OURS)]


def test_requirements_with_hashes_must_all_have_one() -> None:
    lines = shown(Deploy(venv="pip"), Wanted(requirements="requirements.txt", is_hashed=True, is_project=True))
    assert lines == [
        "/usr/bin/python3 -m venv .venv",
        ".venv/bin/python -m pip --disable-pip-version-check --no-input install --require-hashes -r requirements.txt",
    ]


def test_without_requirements_the_project_itself_is_installed() -> None:
    assert shown(Deploy(venv="pip"), Wanted(is_project=True))[1].endswith("install .")
    assert len(shown(Deploy(venv="pip"), Wanted())) == 1


def test_uv_takes_its_lock_as_it_is() -> None:
    lines = shown(Deploy(venv="uv", python="3.12"), Wanted(has_uv_lock=True, is_project=True))
    assert lines == ["uv venv --python 3.12 .venv", "uv sync --frozen --no-dev"]
    lines = shown(Deploy(venv="uv"), Wanted(requirements="r.txt", is_hashed=True, has_uv_lock=True))
    assert lines[1] == "uv pip install --python .venv/bin/python --require-hashes -r r.txt"


def test_midair_is_installed_in_the_version_that_deploys() -> None:
    assert midair_command(Deploy(venv="pip"))[-1] == f"midair=={midair.__version__}"
    assert midair_command(Deploy(venv="uv"))[:2] == ["uv", "pip"]


def test_what_to_install_is_read_in_the_release(tmp_path: Path) -> None:
    assert look(str(tmp_path), Deploy()) == Wanted()
    write(tmp_path / "pyproject.toml", "[tool.ruff]\n")
    assert not look(str(tmp_path), Deploy()).is_project, "a file of tools only is no project"
    write(tmp_path / "pyproject.toml", '[project]\nname = "shop"\n')
    write(tmp_path / "requirements.txt", "x==1 --hash=sha256:0\n")
    write(tmp_path / "uv.lock", "")
    assert look(str(tmp_path), Deploy()) == Wanted("requirements.txt", True, True, True)
    with pytest.raises(BuildFailed, match=r"no prod\.txt"):
        look(str(tmp_path), Deploy(requirements="prod.txt"))


def test_what_runs_in_a_release_is_meant_for_that_release(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    found = variables_in(str(tmp_path), {"PATH": "/bin", "VIRTUAL_ENV": "/elsewhere", "PYTHONPATH": "/x"})
    assert found["PATH"] == f"{tmp_path}/.venv/bin:/bin"
    assert found["VIRTUAL_ENV"] == f"{tmp_path}/.venv"
    assert found["MIDAIR_RELEASE"] == tmp_path.name
    assert "PYTHONPATH" not in found


def test_without_uv_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="uv cannot be started") as caught:
        build(str(tmp_path), Deploy(venv="uv"), {"PATH": str(tmp_path)})
    assert 'venv = "pip"' in caught.value.hint


def wheel(folder: Path) -> str:
    """A wheel that makes midair and what it needs importable, without any index; its hash."""
    folder.mkdir()
    path = folder / "midair_here-1.0-py3-none-any.whl"
    places = [str(Path(midair.__file__).parent.parent), *site.getsitepackages()]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("midair_here.pth", "\n".join(places) + "\n")
        archive.writestr(
            "midair_here-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: midair-here\nVersion: 1.0\n"
        )
        archive.writestr(
            "midair_here-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("midair_here-1.0.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def offline_in(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("has_own_pip", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_an_environment_is_made_where_it_stays(has_own_pip: bool, tmp_path: Path) -> None:
    release, digest = tmp_path / "release", wheel(tmp_path / "wheels")
    write(release / "requirements.txt", f"midair-here==1.0 --hash=sha256:{digest}\n")
    deploy = Deploy(venv="pip", python=sys.executable if has_own_pip else with_the_machines_pip(tmp_path))
    build(str(release), deploy, offline_in(tmp_path))
    line = [str(release / ".venv" / "bin" / "python"), "-c", "import midair, sys; print(sys.prefix)"]
    said = subprocess.run(line, capture_output=True, text=True, check=True, env=offline_in(tmp_path))
    assert said.stdout.strip() == str(release / ".venv")


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_a_package_of_another_hash_is_not_installed(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels")
    write(tmp_path / "release" / "requirements.txt", f"midair-here==1.0 --hash=sha256:{'0' * 64}\n")
    deploy = Deploy(venv="pip", python=with_the_machines_pip(tmp_path))
    with pytest.raises(BuildFailed, match=r"pip .* failed") as caught:
        build(str(tmp_path / "release"), deploy, offline_in(tmp_path))
    assert "DO NOT MATCH THE HASHES" in caught.value.detail.upper()


def with_the_machines_pip(tmp: Path) -> str:
    """A Python whose ``-m venv`` brings no pip of its own, which takes it seconds: that of the machine is seen."""
    path = write(tmp / "python", f'#!/bin/sh\nexec {sys.executable} "$@" --without-pip --system-site-packages\n')
    path.chmod(0o755)
    return str(path)
