"""What ``midair new`` has made runs under ``midair dev`` as it stands; what ``midair init`` has written serves."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from midair.__main__ import main
from midair.testing.client import Load
from tests.support.installed import needs, needs_gin, needs_npm
from tests.support.service import Service
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ASKING = Load(connections=2, think_s=0.02, expect="any")


class Developed(Service):
    """The service under ``midair dev``, which looks for its folders by itself: only the environment counts more."""

    def line(self, fd: int) -> list[str]:
        self._env["MIDAIR_RUNTIME_DIR"] = str(self.runtime)
        self._env["MIDAIR_STATE_DIR"] = str(self.folder.parent / "state")
        return [sys.executable, "-m", "midair", "dev", "--bind", f"fd://{fd}"]


def _made(tmp: Path, kind: str, *flags: str) -> Developed:
    """A new project with its own configuration, on a socket of the test's."""
    assert main(["new", "shop", "-t", kind, "-C", str(tmp), *flags]) == 0
    settings = tomllib.loads((tmp / "shop" / "midair.toml").read_text())
    del settings["bind"], settings["name"]
    command = tuple(settings.pop("command", ()))
    app = settings.pop("app", "")
    # Go keeps what it has built beyond the test: the second run of this takes a second.
    env = {"GOCACHE": os.environ.get("GOCACHE", str(Path.home() / ".cache" / "go-build"))}
    service = Developed(tmp, target=app, workers=1, settings=settings, command=command, ready_path="", env=env)
    shutil.copytree(tmp / "shop", service.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("midair.toml"))
    return service


def _serves_a_save(service: Service, source: str, *, within_s: float = 20.0) -> None:
    """It answers with its page and style; the page changes with the source, and nobody is refused meanwhile."""

    def page() -> str:
        return service.get("/", timeout_s=within_s)[1].decode()

    with service:
        wait_for(page, within_s, until=lambda text: "<h1>Hello from" in text, what="the first version")
        style = "/style.css" if 'href="/style.css"' in page() else "/static/style.css"
        # A program accepts as soon as it listens, a moment before who stands in for it is told to accept no more.
        wait_for(lambda: "  live " in service.log(), what="the end of the first update")
        assert b"font-family" in service.get(style)[1]
        path = service.folder / source
        with service.asked(ASKING) as client:
            path.write_text(path.read_text().replace("Hello from", "Good evening from"))
            wait_for(page, within_s, until=lambda text: "<h1>Good evening from" in text, what="the saved version")
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.parametrize(
    ("kind", "source"), [("fastapi", "main.py"), ("flask", "main.py"), ("django", "pages/views.py")]
)
def test_a_save_in_a_new_python_project_is_served(tmp_path: Path, kind: str, source: str) -> None:
    _serves_a_save(_made(tmp_path, kind), source)


@pytest.mark.timeout(120)  # a compiler for each version, on whatever machine
def test_a_save_in_a_new_gin_project_is_built_and_served(tmp_path: Path) -> None:
    needs_gin()
    _serves_a_save(_made(tmp_path, "gin", "--debian"), "main.go", within_s=50)


@pytest.mark.soak  # The pages' tests make such a project, too, and go through the same loop with it.
@pytest.mark.timeout(120)
def test_a_save_in_a_new_typescript_project_is_compiled_and_served(tmp_path: Path) -> None:
    needs("node")
    needs_npm("typescript")
    _serves_a_save(_made(tmp_path, "typescript"), "src/pages.ts", within_s=50)


# --- midair init ---------------------------------------------------------------------------------------------------

STARLETTE = """\
import os

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

VERSION = "1"


def welcome(request):
    return JSONResponse({"version": VERSION, "folder": os.path.basename(os.getcwd())})


def make():
    return Starlette(routes=[Route("/", welcome)])


if __name__ == "__main__":
    uvicorn.run("main:make", factory=True, host="127.0.0.1", workers=1, log_level="info")
"""


def _example(folder: str) -> dict[str, str]:
    sources = (EXAMPLES / folder).rglob("*.py")
    return {path.relative_to(EXAMPLES / folder).as_posix(): path.read_text() for path in sources}


def _moved(files: dict[str, str], folder: str) -> dict[str, str]:
    return {f"{folder}/{path}": text for path, text in files.items()}


@pytest.mark.parametrize(
    ("files", "target"),
    [
        (_example("fastapi") | {"Procfile": "web: uvicorn app:app --workers 1 --port $PORT\n"}, "app:app"),
        (_example("flask") | {"gunicorn.conf.py": "workers = 1\ntimeout = 60\ndef post_fork(s, w): pass\n"}, "app:app"),
        (_moved(_example("django") | {"manage.py": ""}, "web"), "shop.wsgi:application"),
        ({"main.py": STARLETTE}, "main:make"),
    ],
    ids=["fastapi", "flask", "django", "starlette"],
)
def test_what_init_has_written_serves(tmp_path: Path, files: dict[str, str], target: str) -> None:
    found = tmp_path / "found"
    for path, text in files.items():
        (found / path).parent.mkdir(parents=True, exist_ok=True)
        (found / path).write_text(text)
    assert main(["init", "-C", str(found)]) == 0
    settings = tomllib.loads((found / "midair.toml").read_text())
    assert settings.pop("app") == target
    settings.pop("bind", None)
    service = Service(tmp_path, target=target, settings=settings, ready_path="")
    shutil.copytree(found, service.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("midair.toml"))
    with service:
        assert service.serving_version() == "1"
