"""The helpers of the system tests see what they claim to see."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

import pytest

from tests.support.processes import Process, marked
from tests.support.service import APPS, Service, clean_environment
from tests.support.toml import Setting, toml
from tests.support.waiting import DidNotHappen, wait_for


def test_waiting_in_vain_says_what_was_seen() -> None:
    with pytest.raises(DidNotHappen, match=r"the tide did not come true within 0\.05 s; last seen: 'ebb'"):
        wait_for(lambda: "ebb", 0.05, until=lambda seen: seen == "flood", what="the tide")


def test_a_process_is_seen_with_its_parent_its_descriptors_and_its_memory() -> None:
    own = Process(os.getpid())
    assert own.is_alive
    assert own.parent == os.getppid()
    assert own.rss_bytes >= own.pss_bytes > 1_000_000
    with Path("/dev/null").open() as null:
        assert own.descriptors[null.fileno()] == "/dev/null"


def test_an_orphan_is_found_by_its_mark() -> None:
    mark = uuid.uuid4().hex
    script = "import subprocess, sys; subprocess.Popen(['sleep', '60'])"
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "TESTED_SERVICE": mark}, check=True, timeout=10)
    [orphan] = wait_for(lambda: marked("TESTED_SERVICE", mark), 5)
    assert orphan.command == "sleep 60"
    orphan.kill()
    wait_for(lambda: not orphan.is_alive, 5)


def test_each_version_of_an_application_is_other_code_in_every_file(tmp_path: Path) -> None:
    service = Service(tmp_path, "health_503", "1")
    try:
        service.write("crashes_after", "2")
        assert (service.folder / "app.py").read_text().startswith('"""Serves well, and dies')
        for name in ("app.py", "good.py"):
            assert 'VERSION = "2"' in (service.folder / name).read_text()
        assert 'VERSION = "0"' in (APPS / "good.py").read_text()
    finally:
        service.__exit__(None)


def test_settings_are_written_as_toml() -> None:
    settings: dict[str, Setting] = {
        "app": "app:app",
        "workers": 2,
        "bake": {"for": "1s"},
        "command": ['a"b', "c"],
        "factory": True,
    }
    assert tomllib.loads(toml(settings)) == settings


def test_nothing_hides_stale_bytecode_from_a_tested_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("MIDAIR_NAME", "of-the-caller")
    environment = clean_environment(MORE="1")
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert "MIDAIR_NAME" not in environment
    assert environment["MORE"] == "1"
