"""Hooks run once in every update: ``before`` may refuse it, ``after`` and ``contract`` follow it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from midair.testing.client import Load
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for

TELL = 'printf "%s %s %s %s\\n" "$MIDAIR_HOOK" "$MIDAIR_GENERATION" "$MIDAIR_VERSION" "$MIDAIR_PREVIOUS_VERSION" >> hooks.log'
VERSIONED = {"version_from": "file:version.txt"}


def _tells(more: str = "true") -> list[str]:
    return ["sh", "-c", f"{TELL}; {more}"]


def _told(service: Service) -> list[str]:
    path = service.folder / "hooks.log"
    return path.read_text().splitlines() if path.exists() else []


def _write(service: Service, version: str, app: str = "good") -> None:
    (service.folder / "version.txt").write_text(version)
    service.write(app, version)


def _events(receipt: dict[str, Any], hook: str) -> list[dict[str, Any]]:
    return [e["fields"] for e in receipt["events"] if e["event"] == "hook_ended" and e["fields"]["hook"] == hook]


def _in_flight(service: Service) -> int:
    return sum(w["active"] for g in service.status()["generations"] for w in g["workers"])


@pytest.fixture
def hooked(tmp_path: Path) -> Service:
    """A service that names its versions by a file, and whose hooks tell what they know."""
    hooks = {"before": _tells("echo migrating"), "after": _tells(), "contract": _tells()}
    service = Service(tmp_path, settings={**VERSIONED, "hooks": hooks})
    _write(service, "1")
    return service


@pytest.mark.slow
def test_each_hook_runs_once_an_update_and_knows_what_it_is_about(hooked: Service) -> None:
    with hooked as service:
        wait_for(lambda: _told(service), until=lambda told: len(told) == 3, what="three hooks of the first start")
        _write(service, "2")
        assert service.reload().code == 0, service.log()
        wait_for(lambda: _told(service), until=lambda told: len(told) >= 6, what="three hooks more")
        first, second = _told(service)[:3], _told(service)[3:]
        assert first == ["before 1 1 ", "after 1 1 ", "contract 1 1 "]
        assert second == ["before 2 2 1", "after 2 2 1", "contract 2 2 1"]


@pytest.mark.slow
def test_the_receipt_has_what_each_hook_said(hooked: Service) -> None:
    with hooked as service:
        _write(service, "2")
        assert service.reload().code == 0, service.log()
        receipt = wait_for(service.receipt, until=lambda r: bool(_events(r, "contract")), what="the last hook")
        (before,) = _events(receipt, "before")
        assert (before["output"], before["how"]) == ("migrating", "exit 0")
        assert [len(_events(receipt, hook)) for hook in ("after", "contract")] == [1, 1]


@pytest.mark.slow
def test_what_a_before_hook_builds_is_what_starts(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.configure(hooks={"before": ["sh", "-c", "cp built.txt app.py; echo once >> ran.log"]})
        (service.folder / "built.txt").write_text((service.folder / "app.py").read_text().replace('"1"', '"2"'))
        done = service.reload()
        assert (done.code, done.data["generation"]) == (0, 2), done
        assert service.serving_version() == "2"
        assert (service.folder / "ran.log").read_text() == "once\n"
        assert "unchanged" not in service.log(), "it was so before the hook only"
        assert service.reload().code == 0, service.log()
        assert "unchanged  update=3" in service.log()


@pytest.mark.slow
def test_a_before_hook_that_fails_refuses_the_update_and_nothing_was_started(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.asked(Load(connections=2, keep_alive=False, think_s=0.02)) as client:
        before = {p.pid for p in service.processes()}
        service.configure(hooks={"before": ["sh", "-c", "echo no such table: users; exit 7"]})
        service.write("good", "2")
        refused = service.reload()
        assert (refused.code, refused.data["result"]) == (4, "refused"), refused
        assert "no such table: users" in refused.out + refused.err
        receipt = service.receipt()
        assert receipt["fault"]["code"] == "hook-failed"
        assert [phase["phase"] for phase in receipt["phases"]] == ["build"]
        assert service.serving_version() == "1"
        assert {p.pid for p in service.processes()} <= before
    assert client.report.failed == 0, client.report.summary()


@pytest.mark.slow
def test_a_program_that_is_not_there_refuses_the_update_and_says_so(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.configure(hooks={"before": ["./migrate-nothing"]})
        service.write("good", "2")
        refused = service.reload()
        assert refused.code == 4, refused
        assert "migrate-nothing" in refused.out + refused.err
        assert service.serving_version() == "1"


@pytest.mark.slow
def test_a_hook_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        slow = "trap '' TERM; sleep 60 & echo $! > child.pid; wait; sleep 60"
        service.configure(hooks={"before": ["sh", "-c", slow], "timeout": "0.5s"})
        service.write("good", "2")
        refused = service.reload()
        assert refused.code == 4, refused
        assert "did not end within 0.5 s" in refused.out + refused.err
        child = Process(int((service.folder / "child.pid").read_text()))
        wait_for(lambda: not child.is_alive, what="the end of what the hook started")
        assert service.serving_version() == "1"


@pytest.mark.slow
def test_contract_waits_for_the_old_versions_last_connection_and_bars_a_rollback(hooked: Service) -> None:
    slow, quick = Load("/slow?s=4", connections=1, limit=1), Load(connections=1, limit=1)
    with hooked as service, service.asked(slow, quick) as client:
        wait_for(lambda: _in_flight(service), what="the slow request")
        wait_for(lambda: _told(service), until=lambda told: len(told) == 3)
        _write(service, "2")
        assert service.reload().code == 0, service.log()
        wait_for(lambda: _told(service), until=lambda told: "after 2 2 1" in told, what="the hook after")
        assert "contract 2 2 1" not in _told(service)
        wait_for(lambda: _told(service), until=lambda told: "contract 2 2 1" in told, what="the hook contract")
        assert client.report.failed == 0, client.report.summary()
        back = service.midair("rollback", "--json")
        assert back.code == 4, back
        assert "contract" in back.out + back.err
        assert service.serving_version() == "2"


@pytest.mark.slow
def test_a_newer_request_neither_cuts_a_hook_short_nor_runs_beside_it(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        (service.folder / "gate").mkdir()
        # A directory can be made once: two hooks at one time would be seen.
        alone = "mkdir lock || touch overlapped; until [ -e gate/open ]; do sleep 0.05; done; rmdir lock; echo ran >> ran.log"
        service.configure(hooks={"before": ["sh", "-c", alone]})
        service.write("good", "2")
        first = service.reload_in_background()
        wait_for((service.folder / "lock").exists, what="the first hook")
        service.write("good", "3")
        second = service.reload_in_background()
        out, _ = first.communicate(timeout=20)
        assert (first.returncode, json.loads(out.splitlines()[-1])["result"]) == (4, "superseded"), out
        (service.folder / "gate/open").touch()
        out, err = second.communicate(timeout=20)
        assert second.returncode == 0, out + err + service.log()
        assert (service.folder / "ran.log").read_text().splitlines() == ["ran", "ran"]
        assert not (service.folder / "overlapped").exists()
        assert service.serving_version() == "3"


@pytest.mark.slow
def test_an_upgrade_waits_for_a_hook_that_runs(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        wait_open = "touch began; until [ -e open ]; do sleep 0.05; done; touch ended"
        service.configure(hooks={"after": ["sh", "-c", wait_open]})
        service.update("2")
        wait_for((service.folder / "began").exists, what="the hook")
        upgrade = service.midair_in_background("upgrade", "--json")
        wait_for(lambda: "upgrade started" in service.log(), what="the upgrade")
        assert upgrade.poll() is None
        (service.folder / "open").touch()
        out, err = upgrade.communicate(timeout=20)
        assert upgrade.returncode == 0, out + err + service.log()
        assert (service.folder / "ended").exists()
        assert service.serving_version() == "2"


@pytest.mark.slow
def test_a_stop_asks_a_hook_to_end_and_gives_it_a_moment(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        polite = "trap 'sleep 0.3; touch tidied; exit 0' TERM; touch began; sleep 60 & wait"
        service.configure(hooks={"after": ["sh", "-c", polite]})
        service.update("2")
        wait_for((service.folder / "began").exists, what="the hook")
        assert service.midair("stop").code == 0
        service.wait_ended()
        assert (service.folder / "tidied").exists(), service.log()
