"""Flask, Django, FastAPI, and programs that are served by somebody else: each is updated under load."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from midair.testing.client import Load
from midair.testing.report import Answer, Report
from tests.support.installed import needs
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

FOLDER = Path(__file__).parent.parent.parent / "examples"
ASKING = (Load(connections=3, keep_alive=False, think_s=0.02), Load(connections=4, think_s=0.1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("app", "target"),
    [
        ("flask_app", "app:app"),
        pytest.param("fastapi_app", "app:app", marks=pytest.mark.soak),
        # The examples that are updated in the suite are of the same kind.
        pytest.param("django_project", "shop.asgi:application", marks=pytest.mark.soak),
        pytest.param("django_project", "shop.wsgi:application", marks=pytest.mark.soak),
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


@dataclass(frozen=True, slots=True)
class Example:
    """A program of examples/ that is served by something else than midair."""

    folder: str
    source: str
    version: str
    """The line that says the version, as it is in the source."""
    command: tuple[str, ...]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    needs: str = ""
    """A program that must be installed."""
    build: tuple[str, ...] = ()
    loses: bool = False
    """Told to go, it closes connections that it has answered at once, and with them a request that is on its way."""


PYTHON = 'VERSION = "1"'
BUILD = ("sh", "-c", "go build -o shop.new . && mv shop.new shop")
EXAMPLES = [
    Example("go", "main.go", 'const version = "1"', ("./shop",), {"hooks": {"before": list(BUILD)}}, "go", BUILD),
    Example(
        "node",
        "server.mjs",
        'const version = "1"',
        ("node", "server.mjs"),
        {"health": {"probe": "listener:/health"}},
        "node",
    ),
    Example(
        "uvicorn",
        "app.py",
        PYTHON,
        ("{python}", "-m", "uvicorn", "app:app", "--fd", "3", "--no-access-log"),
        loses=True,
    ),
    Example(
        "gunicorn",
        "app.py",
        PYTHON,
        ("{python}", "-m", "gunicorn", "app:app", "--worker-class", "gthread", "--threads", "4"),
    ),
]
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.folder)


def _service(tmp: Path, example: Example) -> tuple[Service, Callable[[str], None]]:
    """The example as a service, not started, with its version 1; and what writes another version."""
    if example.needs:
        needs(example.needs)
    source = FOLDER / example.folder
    service = Service(tmp, command=example.command, settings=example.settings, workers=1)
    if (source / "go.mod").exists():
        shutil.copy(source / "go.mod", service.folder)
    text = (source / example.source).read_text()
    assert example.version in text

    def write(version: str) -> None:
        new = service.folder / f"{example.source}.new"
        new.write_text(text.replace(example.version, example.version.replace("1", version)))
        new.replace(service.folder / example.source)

    write("1")
    if example.build:
        subprocess.run(example.build, cwd=service.folder, check=True, timeout=50)
    return service, write


def _updated(service: Service, write: Callable[[str], None], versions: Sequence[str], loads: Sequence[Load]) -> Report:
    """Update to each version under load; what was asked and answered meanwhile."""
    with service, service.asked(*loads) as client:
        for version in versions:
            write(version)
            done = service.reload()
            assert done.code == 0, f"{done}\n{service.log()}"
            # For a command "cut over" is the SIGTERM to the old one: both serve until it has left.
            wait_for(service.serving_version, until=version.__eq__)
    print(client.report.summary())
    assert set(client.report.versions) == {"1", *versions}, client.report.summary()
    return client.report


def _check_losses(example: Example, report: Report) -> None:
    """Nothing may be lost, or with a server that loses by itself: connections closed under a request, one in twenty at most."""
    lost = {answer for answer, count in report.counts.items() if count} - {Answer.OK}
    assert lost <= ({Answer.RESET, Answer.EOF_BEFORE} if example.loses else set()), report.summary()
    assert report.failed <= 0.05 * report.requests, report.summary()


@pytest.mark.slow
@each_example
def test_another_server_is_updated_as_a_command(tmp_path: Path, example: Example) -> None:
    service, write = _service(tmp_path, example)
    _check_losses(example, _updated(service, write, ("2", "3", "4"), ASKING))


@pytest.mark.soak
@each_example
def test_what_another_server_loses_over_ten_updates(tmp_path: Path, example: Example) -> None:
    """The figures of docs/commands.md: ``pytest -m soak -s tests/system/test_frameworks.py``."""
    service, write = _service(tmp_path, example)
    versions = [str(number) for number in range(2, 12)]
    loads = [Load(connections=5, keep_alive=False, think_s=0.02), Load(connections=100, think_s=0.2)]
    report = _updated(service, write, versions, loads)
    print(f"{example.folder}: {report.failed} of {report.requests} requests lost in {len(versions)} updates")
    _check_losses(example, report)
