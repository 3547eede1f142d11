"""A version that cannot start is refused, says why, and the version that serves never notices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

ASKING = (Load(connections=6, think_s=0.05), Load(connections=2, keep_alive=False, think_s=0.02))
SHORT: dict[str, Setting] = {"ready": {"timeout": "2s"}}

BAD = [
    # the application, what its receipt must name
    ("syntax_error", "SyntaxError"),
    ("import_error", "the import of this version fails on purpose"),
    ("import_missing_module", "a_module_that_nobody_installed"),
    ("import_exits_0", "exit"),
    ("import_hangs", "not ready"),
    ("startup_raises", "the start-up of this version fails on purpose"),
    ("startup_fails", "the database is on fire"),
    ("startup_hangs", "not ready"),
    ("health_503", "503"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all of them: that it is none the worse for what it has refused is what they show."""
    with Service(tmp_path_factory.mktemp("refusing"), settings=SHORT) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(("app", "reason"), BAD, ids=[app for app, _ in BAD])
def test_a_bad_version_is_refused_and_nobody_notices(service: Service, app: str, reason: str) -> None:
    serving, before = service.serving_version(), service.status()["serving"]
    following = str(int(serving) + 1)
    with service.asked(*ASKING) as client:
        service.write(app, "bad")
        refused = service.reload()
        assert refused.code == 4, f"{refused}\n{service.log()}"
        assert refused.data["result"] == "refused"

        receipt = service.receipt()
        assert reason in json.dumps(receipt), receipt
        assert (receipt["result"], receipt["exit_code"]) == ("refused", 4)
        assert (receipt["previous_generation"], receipt["serving_generation"]) == (before, before)
        assert receipt["serving_version"] == receipt["previous_version"] != receipt["version"]
        assert receipt["fault"]["message"]
        # It never got as far as touching the version that serves.
        assert {phase["phase"] for phase in receipt["phases"]} <= {"build", "start", "ready"}
        after = service.status()
        assert after["serving"] == before
        assert [found["role"] for found in after["generations"] if found["role"] in ("candidate", "canary")] == []
        assert service.serving_version() == serving

        # What was refused stands in nobody's way.
        service.update(following, "good")
        wait_for(lambda: following in client.report.versions, what="an answer of the next version to the client")
    assert client.report.failed == 0, client.report.summary() + service.log()
    assert list(client.report.versions) == [serving, following], client.report.summary()


@pytest.mark.slow
def test_a_first_version_that_cannot_start_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    with Service(tmp_path, "import_error", settings={"start": {"timeout": "1s"}}, ready_path="") as service:
        assert service.wait_ended() == 1
        assert "the import of this version fails on purpose" in service.log()
