"""Programs in other languages under ``midair dev``: saved, built, started beside the old one, and no request is lost."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from midair.dev.loop import AFTERWARDS_S
from midair.testing.client import Load
from tests.support.installed import needs_gin, needs_npm
from tests.support.service import Service
from tests.support.waiting import wait_for

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
GOPATH = "/usr/share/gocode"
ANEW = Load(connections=3, keep_alive=False, think_s=0.02)
BUILT_WITHIN_S = 120.0
"""A first build of Gin compiles all that it needs: 12 s of processor time, and then it is in Go's own cache."""


class Developed(Service):
    """An example under ``midair dev``, without a midair.toml of the test's."""

    flags: tuple[str, ...] = ()

    def __init__(self, tmp: Path, example: str, **environment: str) -> None:
        super().__init__(tmp, ready_path="", env=environment)
        shutil.rmtree(self.folder)
        shutil.copytree(EXAMPLES / example, self.folder, ignore=shutil.ignore_patterns("node_modules", "dist", "tmp"))
        self._env |= {"MIDAIR_RUNTIME_DIR": str(self.runtime), "MIDAIR_STATE_DIR": str(tmp / "state")}

    def change(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text, text
        path.write_text(text.replace(old, new))

    def is_left_alone(self) -> None:
        """Wait until a change is a person's: what changes right after a build may be the build's doing."""
        began_s = time.monotonic()
        wait_for(lambda: time.monotonic() - began_s > 2 * AFTERWARDS_S)

    def answer(self) -> str:
        try:
            return str(json.loads(self.get("/about", timeout_s=5)[1])["version"])
        except (OSError, ValueError):
            return ""  # Nothing listens yet, or the stand-in answers.

    def wait_for(self, version: str, within_s: float = 30.0) -> None:
        wait_for(self.answer, within_s, until=lambda now: now == version, what=f"version {version}")

    def said(self) -> str:
        """All that was printed: a program that logs each request has filled the last lines."""
        return self.log_path.read_text(errors="replace")

    def wait_until_said(self, words: str) -> None:
        wait_for(self.said, 30, until=lambda log: words in log, what=f"{words!r} in the log")


class Gin(Developed):
    """The Gin example as it is: its configuration is Air's, and it binds its port itself."""

    def __init__(self, tmp: Path) -> None:
        super().__init__(tmp, "gin", GO111MODULE="off", GOPATH=GOPATH)
        self._env["PORT"] = self.url.rpartition(":")[2]

    def _bind(self, unix: bool) -> socket.socket:
        """Bound, so that nobody else gets the port; who listens is the program."""
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{held.getsockname()[1]}"
        return held

    def line(self, fd: int) -> list[str]:
        return [sys.executable, "-m", "midair", "dev"]


@pytest.mark.slow
def test_a_gin_project_that_was_developed_with_air_is_built_and_handed_over(tmp_path: Path) -> None:
    needs_gin()
    with Gin(tmp_path) as service:
        service.wait_for("1", BUILT_WITHIN_S)
        service.is_left_alone()
        with service.asked(ANEW) as client:
            service.change("main.go", 'version = "1"', 'version = "2" +')
            service.wait_until_said("still serving, your save is not live")
            assert service.answer() == "1"
            service.change("main.go", 'version = "2" +', 'version = "2"')
            service.wait_for("2")
            wait_for(lambda: "2" in client.report.versions, what="an answer of version 2 to the client")
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert list(client.report.versions) == ["1", "2"]
        assert (service.folder / "tmp" / "main").exists()
        log = service.said()
        assert f"http://localhost:{service.url.rpartition(':')[2]}/" in log
        assert "killed" not in log
    assert not (service.folder / "tmp").exists()


class TypeScript(Developed):
    """The TypeScript example, as its README has it."""

    def __init__(self, tmp: Path) -> None:
        super().__init__(tmp, "typescript")
        install = ["npm", "install", "--no-audit", "--no-fund", "--prefer-offline"]
        subprocess.run(install, cwd=self.folder, capture_output=True, timeout=60, check=True)

    def line(self, fd: int) -> list[str]:
        line = json.loads((self.folder / "package.json").read_text())["scripts"]["dev"]
        before, after = line.split(" -- ")
        words = [*before.replace("'npm run compile'", "npm_run_compile").split()[1:], "--bind", f"fd://{fd}"]
        words = ["npm run compile" if word == "npm_run_compile" else word for word in words]
        return [sys.executable, "-m", "midair", *words, "--", *after.split()]


@pytest.mark.slow
def test_a_typescript_project_is_compiled_and_handed_over_and_what_the_compiler_refuses_is_not(tmp_path: Path) -> None:
    needs_npm("typescript")
    with TypeScript(tmp_path) as service:
        service.wait_for("1", BUILT_WITHIN_S)
        service.is_left_alone()
        with service.asked(ANEW) as client:
            service.change("src/pages.ts", 'version: string = "1"', "version: string = 2")
            service.wait_until_said("TS2322")
            service.wait_until_said("still serving, your save is not live")
            assert service.answer() == "1"
            service.change("src/pages.ts", "version: string = 2", 'version: string = "2"')
            service.wait_for("2")
            wait_for(lambda: "2" in client.report.versions, what="an answer of version 2 to the client")
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert list(client.report.versions) == ["1", "2"]
