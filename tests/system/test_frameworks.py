"""Flask, Django, FastAPI, and programs that are served by somebody else: each is updated under load."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from midair.testing.client import Load
from midair.testing.report import Answer
from tests.support.service import Service
from tests.support.waiting import wait_for

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ASKING = (Load(connections=3, keep_alive=False, think_s=0.02), Load(connections=4, think_s=0.1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("app", "target"),
    [
        ("flask_app", "app:app"),
        ("fastapi_app", "app:app"),
        ("django_project", "shop.asgi:application"),
        ("django_project", "shop.wsgi:application"),
    ],
    ids=["flask", "fastapi", "django-asgi", "django-wsgi"],
)
def test_a_frameworks_application_is_updated_with_nothing_lost(tmp_path: Path, app: str, target: str) -> None:
    with Service(tmp_path, app, target=target) as service:
        with service.asked(*ASKING, Load.posts(connections=1)) as client:
            for version in ("2", "3"):
                service.update(version)
                assert service.serving_version() == version
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert list(client.report.versions) == ["1", "2", "3"]


def _needs(program: str) -> None:
    """Skip where it is not installed; a run that has to show everything fails instead."""
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is not installed (make system-parts)")
        pytest.skip(f"{program} is not installed (make system-parts)")


def _rewrite(service: Service, source: Path, old: str) -> Callable[[str], None]:
    text = source.read_text()
    assert old in text

    def write(version: str) -> None:
        new = service.folder / (source.name + ".new")
        new.write_text(text.replace(old, old.replace("1", version)))
        new.replace(service.folder / source.name)

    return write


def _update_and_count(
    service: Service, write: Callable[[str], None], record: Callable[[str, object], None], *, may_lose: bool
) -> None:
    """Three updates under load. What another server's own shutdown loses is counted and bounded, never hidden."""
    with service.asked(*ASKING) as client:
        for version in ("2", "3", "4"):
            write(version)
            done = service.reload()
            assert done.code == 0, f"{done}\n{service.log()}"
            # For a command "cut over" is the SIGTERM to the old one: both serve until it has left.
            wait_for(service.serving_version, 10, until=version.__eq__)
    report = client.report
    record("requests", report.requests)
    record("failed", report.failed)
    print(report.summary())
    lost = {answer for answer, count in report.counts.items() if count} - {Answer.OK}
    assert lost <= ({Answer.RESET, Answer.EOF_BEFORE} if may_lose else set()), report.summary() + service.log()
    assert report.failed <= 0.05 * report.requests
    assert set(report.versions) == {"1", "2", "3", "4"}, report.summary()


@pytest.mark.slow
def test_a_go_program_is_updated(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    _needs("go")
    build = ["sh", "-c", "go build -o shop.new . && mv shop.new shop"]
    source = EXAMPLES / "go"
    service = Service(tmp_path, command=("./shop",), settings={"hooks": {"before": build}}, workers=1)
    shutil.copy(source / "go.mod", service.folder)
    write = _rewrite(service, source / "main.go", 'const version = "1"')
    write("1")
    subprocess.run(build, cwd=service.folder, check=True, timeout=50)
    with service:
        _update_and_count(service, write, record_property, may_lose=True)


@pytest.mark.slow
def test_a_node_program_is_updated(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    _needs("node")
    probe = {"health": {"probe": "listener:/health"}}
    service = Service(tmp_path, command=("node", "server.mjs"), settings=probe, workers=1)
    write = _rewrite(service, EXAMPLES / "node" / "server.mjs", 'const version = "1"')
    write("1")
    with service:
        _update_and_count(service, write, record_property, may_lose=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "command"),
    [
        ("uvicorn", ("{python}", "-m", "uvicorn", "app:app", "--fd", "3", "--no-access-log")),
        ("gunicorn", ("{python}", "-m", "gunicorn", "app:app", "--worker-class", "gthread", "--threads", "4")),
    ],
)
def test_another_python_server_is_updated_as_a_command(
    tmp_path: Path, example: str, command: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    service = Service(tmp_path, command=command, workers=1)
    write = _rewrite(service, EXAMPLES / example / "app.py", 'VERSION = "1"')
    write("1")
    with service:
        _update_and_count(service, write, record_property, may_lose=True)
