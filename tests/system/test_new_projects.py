"""What ``midair new`` has made runs as it stands there, and a save is served."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

import pytest

from midair.__main__ import main
from midair.testing.client import Load
from tests.support.installed import needs, needs_gin, needs_npm
from tests.support.service import Service
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow


def _service(tmp: Path, kind: str, *flags: str, env: dict[str, str] | None = None) -> Service:
    """The project with its own configuration, on a socket of the test's; its bake is shortened."""
    assert main(["new", "shop", "-t", kind, "-C", str(tmp), *flags]) == 0
    settings = tomllib.loads((tmp / "shop" / "midair.toml").read_text())
    del settings["bind"], settings["name"]
    settings["bake"] = {"for": "0.3s"}
    command = tuple(settings.pop("command", ()))
    service = Service(
        tmp, target=settings.pop("app", ""), workers=1, settings=settings, command=command, ready_path="", env=env
    )
    shutil.copytree(tmp / "shop", service.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("midair.toml"))
    return service


def _serves_a_save(service: Service, source: str, *, start_within_s: float = 20.0) -> None:
    """It answers with its page and style; the page changes with the source, and nobody is refused meanwhile."""
    with service:
        status, page = service.get("/", timeout_s=start_within_s)
        assert status == 200, service.log()
        assert b"<h1>Hello from" in page
        style = "/style.css" if b'href="/style.css"' in page else "/static/style.css"
        assert b"font-family" in service.get(style)[1]
        wait_for(service.log, start_within_s, until=lambda log: "update done" in log, what="the first version")
        path = service.folder / source
        path.write_text(path.read_text().replace("Hello from", "Good evening from"))
        with service.asked(Load(connections=2, think_s=0.02, expect="any")) as client:
            done = service.reload()
            assert done.code == 0, f"{done}\n{service.log()}"
            assert b"<h1>Good evening from" in service.get("/")[1]
        assert client.report.failed == 0, client.report.summary() + service.log()


@pytest.mark.parametrize(
    ("kind", "source"), [("fastapi", "main.py"), ("flask", "main.py"), ("django", "pages/views.py")]
)
def test_a_new_python_project_serves_and_is_edited(tmp_path: Path, kind: str, source: str) -> None:
    _serves_a_save(_service(tmp_path, kind), source)


def test_a_new_gin_project_is_built_served_and_edited(tmp_path: Path) -> None:
    needs_gin()
    # The cache of Go's builds outlives the test: the second run of this takes a second.
    env = {"GOCACHE": os.environ.get("GOCACHE", str(Path.home() / ".cache" / "go-build"))}
    _serves_a_save(_service(tmp_path, "gin", "--debian", env=env), "main.go", start_within_s=55)


def test_a_new_typescript_project_is_compiled_served_and_edited(tmp_path: Path) -> None:
    needs("node")
    needs_npm("typescript")
    _serves_a_save(_service(tmp_path, "typescript"), "src/pages.ts", start_within_s=55)
