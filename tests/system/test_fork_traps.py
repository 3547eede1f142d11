"""What must not cross a fork is found at import, named, and its workers are spawned instead of forked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from midair.testing.client import Load
from tests.support.database import echo_database
from tests.support.service import Service
from tests.support.waiting import wait_for

QUERIES = Load("/query", connections=6, think_s=0.005)


def _serving_generation(service: Service) -> dict[str, Any]:
    status = service.status()
    [serving] = [found for found in status["generations"] if found["number"] == status["serving"]]
    assert isinstance(serving, dict)
    return serving


def _query_and_update(service: Service, path: str = "/query") -> None:
    with service.asked(Load(path, connections=6, think_s=0.005)) as client:
        wait_for(lambda: client.report.requests >= 100, what="a hundred queries")
        service.update("2")
        assert service.serving_version() == "2"
    assert client.report.failed == 0, client.report.summary() + service.log()
    assert list(client.report.versions) == ["1", "2"]


@pytest.mark.slow
def test_an_innocent_application_is_forked(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        generation = _serving_generation(service)
        assert generation["mode"] == "fork", generation
        assert generation["why"] == ""


@pytest.mark.slow
def test_a_connection_opened_at_import_is_never_shared(tmp_path: Path) -> None:
    """Forked, each worker would read the others' answers from it."""
    with echo_database() as port, Service(tmp_path, "connects_at_import", env={"DATABASE_PORT": str(port)}) as service:
        _query_and_update(service)
        generation = _serving_generation(service)
        assert generation["mode"] == "spawn", generation
        assert f"127.0.0.1:{port}" in generation["why"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("app", "named"),
    [
        ("sqlite_at_import", "app.sqlite3"),
        ("thread_at_import", "worker-of-the-application"),
        ("writes_file_at_import", "journal.log"),
    ],
)
def test_what_is_unsafe_to_fork_is_named_and_spawned(tmp_path: Path, app: str, named: str) -> None:
    with Service(tmp_path, app) as service:
        _query_and_update(service)
        generation = _serving_generation(service)
        assert generation["mode"] == "spawn", generation
        assert named in generation["why"], generation


@pytest.mark.slow
@pytest.mark.parametrize("target", ["shop.asgi:application", "shop.wsgi:application"])
def test_a_query_in_djangos_ready_is_found(tmp_path: Path, target: str) -> None:
    with Service(tmp_path, "django_project", target=target) as service:
        with service.asked(Load("/query", connections=2, think_s=0.02)) as client:
            service.update("2")
        assert client.report.failed == 0, client.report.summary() + service.log()
        generation = _serving_generation(service)
        assert generation["mode"] == "spawn", generation
        assert "shop.sqlite3" in generation["why"], generation


@pytest.mark.slow
def test_an_update_that_must_be_forked_and_cannot_is_refused(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"zygote": "always"}) as service:
        service.write("thread_at_import", "2")
        refused = service.reload()
        assert refused.code == 4, refused
        assert "worker-of-the-application" in str(service.receipt())
        assert service.serving_version() == "1"


@pytest.mark.slow
def test_workers_draw_different_random_numbers(tmp_path: Path) -> None:
    with Service(tmp_path, workers=3) as service:
        (service.folder / "app.py").write_text(
            "import json, random, os\n"
            "import good\n"
            "first = []\n"
            "async def app(scope, receive, send):\n"
            "    if scope['type'] == 'lifespan' or scope['path'] == '/health':\n"
            "        return await good.app(scope, receive, send)\n"
            "    first.append(random.random()) if not first else None\n"
            "    await good.answer(scope, send, json.dumps({'version': 'r', 'pid': os.getpid(), 'n': first[0]}).encode())\n"
        )
        assert service.reload().code == 0
        drawn: dict[int, float] = {}

        def ask() -> int:
            told = service.about()
            drawn[told["pid"]] = told["n"]
            return len(drawn)

        wait_for(ask, until=lambda seen: seen >= 2, every_s=0, what=f"two workers besides {os.getpid()}")
        assert len(set(drawn.values())) == len(drawn), drawn
