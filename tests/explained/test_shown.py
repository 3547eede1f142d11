"""What the pages of the errors show is what a terminal shows."""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from midair.cli import app
from midair.explained.book import explanations, find
from tests.docs.shown import fits
from tests.explained.mistyped import MISTYPED
from tests.explained.shops import (
    REFUSALS,
    REFUSALS_OF_PROGRAMS,
    Shop,
    held,
    may_be_held,
    program,
    shop,
    short_of_memory,
)
from tests.support.groups import memory_group
from tests.support.service import Done, clean_environment
from tests.support.toml import toml

SHOWN_FOLDER = "/srv/shop"
ELSEWHERE = {"held", "no-memory", "not-running", "port-in-use"}
"""Those with a test of their own."""

pytestmark = pytest.mark.slow


def plain(lines: Sequence[str]) -> list[str]:
    """Without numbers and who it is, which differ from run to run, and the widths that come with them."""
    figures = re.compile(r"uid \d+( \(\w+\))?|\d+(\.\d+)*")
    return [re.sub(r"\s+", " ", figures.sub("#", line)).rstrip() for line in lines]


def is_as_shown(code: str, done: Done, folder: Path) -> None:
    """The page of this code shows this command and what it printed."""
    explained = find(code)
    assert explained is not None
    command, *shown = explained.shown
    typed = " ".join(["$ midair", *done.words])
    printed = (done.out + done.err).replace(str(folder), SHOWN_FOLDER).splitlines()
    assert (plain([typed]), done.code in explained.exits) == (plain([command]), True), done
    assert fits(plain(shown), plain(printed)), "\n".join(["--- the page shows", *shown, "--- here", str(done)])


def test_everything_that_is_shown_has_happened_here() -> None:
    shown = {each.code for each in explanations() if each.shown}
    assert shown == REFUSALS.keys() | REFUSALS_OF_PROGRAMS.keys() | MISTYPED.keys() | ELSEWHERE


# --- what a service refuses ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all: it serves on, whatever is refused."""
    with shop(tmp_path_factory.mktemp("shop")) as running:
        yield running


def test_the_latest_update_is_explained(service: Shop) -> None:
    REFUSALS["app-syntax"](service)
    done = service.midair("explain", "--last")
    said = done.out.splitlines()
    assert " was refused; " in said[0], done
    assert said[3:5] == ["", "app-syntax"], done
    committed = service.update("1.8.4", "good")
    assert committed.code == 0
    assert "was committed" in service.midair("explain", "--last").out


@pytest.mark.parametrize("code", REFUSALS)
def test_what_a_service_refuses_is_as_shown(service: Shop, code: str) -> None:
    is_as_shown(code, REFUSALS[code](service), service.folder)
    assert service.get("/")[0] == 200


@pytest.fixture(scope="module")
def served_by_a_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with program(tmp_path_factory.mktemp("program")) as running:
        yield running


@pytest.mark.parametrize("code", REFUSALS_OF_PROGRAMS)
def test_what_a_program_does_wrong_is_as_shown(served_by_a_program: Shop, code: str) -> None:
    is_as_shown(code, REFUSALS_OF_PROGRAMS[code](served_by_a_program), served_by_a_program.folder)


@pytest.mark.root
@pytest.mark.skipif(not may_be_held(), reason="there is no group of nobody, or this is not root")
def test_somebody_elses_hold_is_as_shown(service: Shop) -> None:
    is_as_shown("held", held(service), service.folder)


@pytest.mark.root
def test_no_memory_is_as_shown(tmp_path: Path) -> None:
    with memory_group() as group, short_of_memory(tmp_path, group) as service:
        is_as_shown("no-memory", service.midair("reload"), service.folder)


# --- what is wrong before anything runs ----------------------------------------------------------------------------


@pytest.mark.parametrize("code", MISTYPED)
def test_what_is_mistyped_is_as_shown(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mistyped, folder, runtime = MISTYPED[code], tmp_path / "shop", tmp_path / "run"
    for name, text in mistyped.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    for variable, value in {
        "PWD": folder,
        "MIDAIR_RUNTIME_DIR": runtime,
        "MIDAIR_STATE_DIR": tmp_path / "state",
    }.items():
        monkeypatch.setenv(variable, str(value))
    words = shlex.split(mistyped.line)
    with mistyped.around(tmp_path):
        exit_code = app.run(words)
    printed = capsys.readouterr()
    said = (printed.out + printed.err).replace(str(runtime), "/run/midair/shop").replace(str(tmp_path), "/srv")
    is_as_shown(code, Done(tuple(words), exit_code, said, ""), tmp_path)


# --- what does not start -------------------------------------------------------------------------------------------


def test_a_service_that_does_not_run_is_as_shown(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    is_as_shown("not-running", typed(folder, "status"), folder)


@pytest.fixture(scope="module", autouse=True)
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A service that is started where another program listens. It tries for some seconds, while the other tests run."""
    folder = tmp_path_factory.mktemp("second")
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        places = {"runtime_dir": str(folder / "run"), "state_dir": str(folder / "state")}
        (folder / "midair.toml").write_text(toml({"app": "app:app", "bind": bind, **places}))
        with subprocess.Popen(
            [sys.executable, "-m", "midair", "run"],
            cwd=folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            yield folder, process
            process.kill()


def test_an_address_that_is_taken_is_as_shown(second: tuple[Path, subprocess.Popen[str]]) -> None:
    folder, process = second
    said, _ = process.communicate(timeout=30)
    said = re.sub(r"\bpython[\d.]+", "python", said)
    is_as_shown("port-in-use", Done(("run",), process.returncode, said, ""), folder)


def typed(folder: Path, *words: str) -> Done:
    line = [sys.executable, "-m", "midair", *words]
    done = subprocess.run(
        line, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=30, check=False
    )
    return Done(words, done.returncode, done.stdout, done.stderr)
