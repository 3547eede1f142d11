"""Environment files and secrets are read anew for each generation, vanished keys are unset, and values are shown nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.service import Service
from tests.support.toml import Setting

pytestmark = pytest.mark.slow

FIRST, SECOND = "correct-horse", "battery-staple"


def _seen(service: Service) -> dict[str, str | None]:
    status, body = service.get("/environment")
    assert status == 200
    seen = json.loads(body)
    assert isinstance(seen, dict)
    return seen


def test_each_generation_reads_them_anew_and_nobody_else_sees_the_values(tmp_path: Path) -> None:
    secret, file = tmp_path / "secret", tmp_path / "values.env"
    secret.write_text(f"{FIRST}\n")
    file.write_text("COLOUR=red\nGONE=soon\n")
    settings: dict[str, Setting] = {"env_files": [str(file)], "env": {"PASSWORD": f"file:{secret}"}}
    with Service(tmp_path, "shows_environment", settings=settings) as service:
        assert _seen(service) == {"COLOUR": "red", "GONE": "soon", "PASSWORD": FIRST}
        secret.write_text(f"{SECOND}\n")
        file.write_text("COLOUR=blue\n")
        assert _seen(service)["COLOUR"] == "red", "what serves keeps what it began with"
        done = service.reload()
        assert done.code == 0, f"{done}\n{service.log()}"
        assert _seen(service) == {"COLOUR": "blue", "GONE": None, "PASSWORD": SECOND}
        told = "".join(
            service.midair(*words).out for words in (("receipt", "--json"), ("status", "--json"), ("config", "--json"))
        )
    for where in (told, service.log_path.read_text(), *(p.read_text() for p in (tmp_path / "state").rglob("*.json"))):
        assert FIRST not in where
        assert SECOND not in where


def test_a_secret_that_cannot_be_read_refuses_the_update(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(FIRST)
    with Service(tmp_path, "shows_environment", settings={"env": {"PASSWORD": f"file:{secret}"}}) as service:
        secret.unlink()
        refused = service.reload()
        assert refused.code == 4, refused
        assert str(secret) in refused.data["fault"]["message"], refused
        assert _seen(service)["PASSWORD"] == FIRST


def test_warm_up_paths_are_asked_of_every_worker_before_it_serves(tmp_path: Path) -> None:
    settings: dict[str, Setting] = {"health": {"warm": ["/warm", "/warm?again"]}}
    with Service(tmp_path, "shows_environment", settings=settings) as service:
        service.update("2")
        assert {service.get("/warmed")[1] for _ in range(10)} == {b"2"}
