"""What the README shows in its first screen is what a real service says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.service import START_WITHIN_S, clean_environment
from tests.support.waiting import wait_for

README = Path(__file__).parent.parent.parent / "README.md"
SHOWN_ADDRESS = "127.0.0.1:8000"
SHOWN_FOLDER = "/srv/hello"
ANYTHING = "…"
FIGURES = re.compile(r"\d+\.\d+ s|\d+\.\d\d\d?\b|\b[0-9a-f]{8}\b|\d\d:\d\d:\d\d|pid=\d+|python=[\d.]+| {2,}")


@dataclass(frozen=True, slots=True)
class Shown:
    """A command of a console block, and what the README says that it prints."""

    command: str
    output: list[str]


def blocks(kind: str, text: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def first_screen() -> str:
    return README.read_text().partition("\n## Any program")[0]


def shown() -> list[Shown]:
    found: list[Shown] = []
    for line in "".join(blocks("console", first_screen())).splitlines():
        if line.startswith("$ "):
            found.append(Shown(line.removeprefix("$ "), []))
        else:
            found[-1].output.append(line)
    return found


def without_figures(lines: list[str]) -> list[str]:
    """Times, versions, process ids and widths of columns differ from run to run; the words do not."""
    return [FIGURES.sub("#", line).rstrip() for line in lines]


def fits(expected: list[str], actual: list[str]) -> bool:
    """Whether the lines are the same; ``…`` stands for any number of lines."""
    parts = [re.escape(line) if line != ANYTHING else None for line in expected]
    pattern = "".join(r"(?:.*\n)*" if part is None else part + "\n" for part in parts)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in actual)) is not None


class Terminal:
    """The service's folder, its environment, and ``midair`` on the path."""

    def __init__(self, tmp: Path) -> None:
        self.folder = tmp / "hello"
        self.folder.mkdir()
        self.address = ""
        python = str(Path(sys.executable).parent)
        self.environment = clean_environment(
            PATH=f"{python}{os.pathsep}{os.environ['PATH']}",
            PWD=str(self.folder),
            MIDAIR_BIND="127.0.0.1:0",
            MIDAIR_BAKE_FOR="300ms",
            MIDAIR_RUNTIME_DIR=str(tmp / "run"),
            MIDAIR_STATE_DIR=str(tmp / "state"),
            MIDAIR_LOG_FORMAT="console",
            NO_COLOR="1",
        )
        self.log = tmp / "log"

    def start(self, command: str) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(command.split(), cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def type(self, command: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", command.replace(SHOWN_ADDRESS, self.address)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        return self.as_shown(done.stdout)

    def as_shown(self, text: str) -> list[str]:
        text = text.replace(str(self.folder), SHOWN_FOLDER)
        return (text.replace(self.address, SHOWN_ADDRESS) if self.address else text).splitlines()

    def serving(self) -> bool:
        """Whether the service serves; its address is known from then on."""
        done = subprocess.run(
            ["midair", "status", "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            timeout=30,
            check=False,
        )
        if done.returncode or not json.loads(done.stdout)["serving"]:
            return False
        self.address = json.loads(done.stdout)["binds"][0]
        return True


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    (terminal.folder / "app.py").write_text(blocks("python", first_screen())[0])
    process = terminal.start(shown()[0].command)
    try:
        wait_for(lambda: process.poll() is not None or terminal.serving(), START_WITHIN_S, what="a service")
        assert process.poll() is None, terminal.log.read_text()
        yield terminal
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


@pytest.mark.slow
def test_the_first_screen_is_what_happens(terminal: Terminal) -> None:
    run, *rest = shown()
    assert len(rest) == 8, "the search finds nothing any more"
    for each in rest:
        said = without_figures(terminal.type(each.command))
        expected = without_figures(each.output)
        assert fits(expected, said), f"$ {each.command}\n--- the README\n{expected}\n--- here\n{said}"
    # The service goes on talking: the README shows how its log begins.
    log = without_figures(terminal.as_shown(terminal.log.read_text()))
    assert fits([*without_figures(run.output), ANYTHING], log), log


def test_a_shown_line_that_is_not_printed_is_noticed() -> None:
    assert fits(["a", ANYTHING, "d"], ["a", "b", "c", "d"])
    assert fits([ANYTHING, "d"], ["d"])
    assert not fits(["a", ANYTHING, "e"], ["a", "b", "c", "d"])
    assert not fits(["a"], ["a", "b"])
    assert without_figures(["bake        10.00 s"]) == without_figures(["bake         0.30 s"])
