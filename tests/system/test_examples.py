"""The applications of examples/ run as they stand there, with their own midair.toml, and are updated under load."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from midair.testing.client import Load
from tests.support.lines import Lines
from tests.support.service import Service
from tests.support.waiting import wait_for

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ASKING = (Load(connections=3, keep_alive=False, think_s=0.02), Load(connections=4, think_s=0.1))


def _service(tmp: Path, folder: str, target: str) -> Service:
    """The example on a socket of the test's; its bake is shortened."""
    settings = tomllib.loads((EXAMPLES / folder / "midair.toml").read_text())
    del settings["bind"], settings["name"]
    service = Service(tmp, settings={**settings, "app": target or settings["app"], "bake": {"for": "0.3s"}})
    shutil.copytree(
        EXAMPLES / folder,
        service.folder,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("midair.toml", "__pycache__", "README.md"),
    )
    return service


def _save(service: Service, source: str, version: str) -> None:
    path = service.folder / source
    before = path.read_text()
    after = before.replace(f'VERSION = "{int(version) - 1}"', f'VERSION = "{version}"')
    assert after != before
    path.write_text(after)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "source", "target"),
    [
        ("fastapi", "app.py", ""),
        ("state-fastapi", "app.py", ""),
        ("flask", "app.py", ""),
        ("django", "shop/__init__.py", ""),
        ("django", "shop/__init__.py", "shop.wsgi:application"),
    ],
    ids=["fastapi", "state-fastapi", "flask", "django-asgi", "django-wsgi"],
)
def test_an_example_is_updated_with_nothing_lost(tmp_path: Path, folder: str, source: str, target: str) -> None:
    with _service(tmp_path, folder, target) as service:
        with service.asked(*ASKING) as client:
            for version in ("2", "3"):
                _save(service, source, version)
                done = service.reload()
                assert done.code == 0, f"{done}\n{service.log()}"
                assert service.serving_version() == version
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert list(client.report.versions) == ["1", "2", "3"]


@pytest.mark.slow
def test_a_chat_goes_on_in_the_next_version(tmp_path: Path) -> None:
    with _service(tmp_path, "chat", "") as service:
        url = service.url.replace("http://", "ws://") + "/ws/"
        with (
            connect(url + "ann", proxy=None, ping_interval=None) as ann,
            connect(url + "bob", proxy=None, ping_interval=None) as bob,
            service.asked(Load.streams("/ticks"), Load(think_s=0.1)) as client,
        ):
            heard: list[str] = []
            for number in (1, 2, 3):
                if number > 1:
                    _save(service, "app.py", str(number))
                    assert service.reload("--wait", "drained").code == 0, service.log()
                ann.send(f"hello {number}")
                while not heard or f"hello {number}" not in heard[-1]:
                    heard.append(str(bob.recv(timeout=10)))
            told = [text for text in heard if "message" in text]
            assert told == [f"ann (message {number}, version {number}): hello {number}" for number in (1, 2, 3)]
            assert not [text for text in heard if "left" in text]
            assert [text for text in heard if "is here" in text] == ["bob is here"]
        assert client.report.failed == 0, client.report.summary() + service.log()


class DropIn(Service):
    """The example's one command; the environment alone says that it listens on the test's socket."""

    def line(self, fd: int) -> list[str]:
        self._env["MIDAIR_BIND"] = f"fd://{fd}"
        return [sys.executable, "main.py"]


@pytest.mark.slow
def test_the_drop_in_example_is_a_service_after_its_one_command(tmp_path: Path) -> None:
    service = DropIn(tmp_path)
    shutil.copy(EXAMPLES / "drop-in" / "main.py", service.folder)
    with service, service.asked(*ASKING) as client:
        for version in ("2", "3"):
            _save(service, "main.py", version)
            done = service.reload()
            assert done.code == 0, f"{done}\n{service.log()}"
            assert service.serving_version() == version
    assert client.report.failed == 0, client.report.summary() + service.log()
    assert list(client.report.versions) == ["1", "2", "3"]


@pytest.mark.slow
def test_the_upgrader_example_runs_from_its_own_configuration(tmp_path: Path) -> None:
    settings = tomllib.loads((EXAMPLES / "upgrader" / "midair.toml").read_text())
    address = settings["bind"]
    service = Service(tmp_path, command=(sys.executable, *settings["command"][1:]), workers=1, ready_path="")
    text = (EXAMPLES / "upgrader" / "server.py").read_text()
    assert f'listen("{address}")' in text
    (service.folder / "server.py").write_text(text.replace(address, service.url.removeprefix("http://")))
    host, _, port = service.url.removeprefix("http://").partition(":")
    with service:
        wait_for(lambda: "update done" in service.log(), what="the first version")
        with Lines(host, int(port)) as lines:
            for version in ("2", "3"):
                _save(service, "server.py", version)
                assert service.reload().code == 0, service.log()
                lines.wait_for(version, 20)
        assert lines.broken == [], service.log()


@pytest.mark.slow
def test_the_example_of_state_keeps_what_it_has_in_memory(tmp_path: Path) -> None:
    def told(path: str, what: str) -> Any:
        status, body = service.get(path)
        assert status == 200, (status, body)
        return json.loads(body)[what]

    with _service(tmp_path, "state-fastapi", "") as service:
        for _ in range(3):
            assert service.post("/won/ada")[0] == 200
        ticks, hits = told("/", "ticks"), told("/", "hits")
        _save(service, "app.py", "2")
        assert service.reload().code == 0, service.log()
        assert told("/players", "scores") == {"ada": 3}
        assert told("/", "hits") > hits
        wait_for(lambda: told("/", "ticks"), until=lambda now: now > ticks, what="the clock of the new version")
