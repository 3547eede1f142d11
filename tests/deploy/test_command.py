"""What ``midair deploy`` prints and returns, without a service that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from midair.__main__ import main
from midair.errors import DONE, FAILED, USAGE
from midair.release.folders import Layout, held
from tests.release.conftest import write
from tests.support.processes import Process
from tests.support.service import clean_environment

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def type_in(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """Type ``midair deploy`` where there is a project in ``shop``; exit code, output, the rest."""
    write(tmp_path / "shop" / "midair.toml", f'name = "shop-{os.getpid()}"\napp = "app:app"\n')
    write(tmp_path / "shop" / "app.py", "async def app(scope, receive, send): ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["deploy", *words])
        return code, *capsys.readouterr()

    return run


def test_a_first_deployment_says_how_to_start_the_service(type_in: Type, tmp_path: Path) -> None:
    code, out, err = type_in("shop", "--to", "root", "--id", "one")
    assert (code, out.partition(";")[0]) == (DONE, "prepared: one is current")
    current = tmp_path / "root" / "current"
    assert f"midair run -C {current}" in err
    assert (tmp_path / "root" / "current" / "app.py").exists()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(type_in: Type, tmp_path: Path) -> None:
    code, out, err = type_in("shop", "--to", "root", "--dry-run", "--id", "one")
    assert code == DONE
    assert [line.split()[0] for line in out.splitlines()] == ["fetch", "check", "switch"]
    assert "2 files" in err
    assert not (tmp_path / "root").exists()


def test_where_to_is_found_in_the_folder_or_in_the_configuration(type_in: Type, tmp_path: Path) -> None:
    code, _, err = type_in("shop")
    assert (code, "--to /srv/shop" in err) == (USAGE, True)
    write(tmp_path / "shop" / "midair.toml", f'app = "app:app"\n[deploy]\nroot = "{tmp_path}/there"\n')
    assert type_in("shop", "--id", "one")[0] == DONE
    assert (tmp_path / "there" / "current").exists()
    os.chdir(tmp_path / "there")
    assert "one" in type_in("--list")[1]


def test_release_folders_within_a_project_are_not_deployed_with_it(type_in: Type, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert type_in("shop", "--to", "shop/out", "--id", name)[0] == DONE
    assert {path.name for path in (tmp_path / "shop" / "out" / "current").iterdir()} >= {"app.py", "midair.toml"}
    assert not (tmp_path / "shop" / "out" / "current" / "out").exists()
    code, _, err = type_in("shop", "--to", "shop")
    assert (code, "from a checkout beside it" in err) == (USAGE, True)


def test_what_cannot_be_imported_is_not_switched_to(type_in: Type, tmp_path: Path) -> None:
    write(tmp_path / "shop" / "app.py", "import nothing_of_that_name\n")
    code, _, err = type_in("shop", "--to", "root")
    assert (code, "nothing_of_that_name" in err) == (FAILED, True)
    assert os.listdir(tmp_path / "root" / "releases") == []


def test_a_deployment_that_is_told_to_end_leaves_nothing_behind(type_in: Type, tmp_path: Path) -> None:
    """As when ssh goes away: what a line of ``prepare`` has started is ended with it."""
    configured = f'app = "app:app"\n[deploy]\nprepare = ["echo $$ > {tmp_path}/pid; kill -HUP $PPID; sleep 60"]\n'
    write(tmp_path / "shop" / "midair.toml", configured)
    # In a process of its own, whose one thread can say when it is interrupted.
    line = [sys.executable, "-m", "midair", "deploy", "shop", "--to", "root"]
    done = subprocess.run(line, cwd=tmp_path, env=clean_environment(), capture_output=True, check=False, timeout=50)
    assert done.returncode == 130, done
    assert os.listdir(tmp_path / "root" / "releases") == []
    assert not Process(int((tmp_path / "pid").read_text())).is_alive


def test_releases_are_listed_and_gone_back_to(type_in: Type, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert type_in("shop", "--to", "root", "--id", name)[0] == DONE
    code, out, _ = type_in("--list", "--to", "root", "--json")
    listed = json.loads(out)
    assert (code, listed["current"]) == (DONE, "two")
    assert [(each["id"], each["state"]) for each in listed["releases"]] == [("one", "deployed"), ("two", "current")]
    assert type_in("--rollback", "--to", "root")[0] == DONE
    assert os.readlink(tmp_path / "root" / "current") == "releases/one"
    code, _, err = type_in("--rollback", "three", "--to", "root")
    assert (code, "deploy --list" in err) == (USAGE, True)


def test_a_second_deployment_says_who_is_at_it(type_in: Type, tmp_path: Path) -> None:
    os.makedirs(tmp_path / "root" / "releases")
    with held(Layout(str(tmp_path / "root")), "midair deploy x"):
        code, out, _ = type_in("shop", "--to", "root", "--json")
    assert code == FAILED
    assert json.loads(out)["fault"]["code"] == "deploy-busy"
    assert str(os.getpid()) in json.loads(out)["fault"]["message"]


@pytest.mark.parametrize(
    "words",
    [(), ("shop", "--list"), ("--list", "--rollback"), ("--list", "--ref", "v1"), ("shop", "--to", "r", "--id", "a/b")],
)
def test_what_makes_no_sense_together_is_refused(words: tuple[str, ...], type_in: Type) -> None:
    assert type_in(*words)[0] == USAGE
