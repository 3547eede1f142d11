"""What an application keeps in memory goes on with the next version: nothing that was answered is forgotten, or told twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from midair.testing.client import BackgroundClient, Load
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for

ASKING = (
    Load("/", connections=6, think_s=0.01),
    Load("/", connections=10, think_s=0.05),
    Load("/", connections=4, keep_alive=False, think_s=0.01),
)


def _service(tmp: Path, mode: str = "value", *, workers: int = 2, **settings: Any) -> Service:
    """It counts what is asked of ``/``, and nothing else."""
    service = Service(tmp, "carries", workers=workers, ready_path="/count", settings=settings)
    _how(service, mode=mode)
    return service


def _how(service: Service, **how: Any) -> None:
    (service.folder / "how.json").write_text(json.dumps(how))


def _counts(service: Service, slots: int = 2) -> dict[str, int]:
    """What each slot has counted: asked on new connections until every slot has answered."""
    found: dict[str, int] = {}

    def ask() -> int:
        status, body = service.get("/count")
        assert status == 200, (status, body)
        told = json.loads(body)
        found[told["slot"]] = told["count"]
        return len(found)

    wait_for(ask, until=slots.__eq__, what=f"an answer of each of {slots} slots", every_s=0.0)
    return found


def _check(service: Service, client: BackgroundClient, slots: int = 2) -> None:
    """After the load: each answer was counted once, in one of the slots."""
    report = client.report
    assert report.failed == 0, report.summary() + service.log()
    # What is merged comes when the last of an old version's requests has been answered, which may be after the commit.
    wait_for(
        lambda: sum(_counts(service, slots).values()),
        until=report.requests.__eq__,
        what=f"as many counted as were answered ({report.requests})",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("updates", "mode"),
    [(4, "value"), (4, "pair-merge")]
    + [pytest.param(20, mode, marks=pytest.mark.soak) for mode in ("value", "pair", "merge", "pair-merge")],
)
def test_every_answer_is_counted_once_over_updates_under_load(tmp_path: Path, mode: str, updates: int) -> None:
    with _service(tmp_path, mode) as service:
        with service.asked(*ASKING) as client:
            for number in range(updates):
                service.update(str(number + 2))
        _check(service, client)


@pytest.mark.slow
def test_a_receipt_says_what_was_carried(tmp_path: Path) -> None:
    with _service(tmp_path) as service:
        with service.asked(*ASKING):
            service.update("2")
        events = service.receipt()["events"]
        assert [event["fields"]["how"] for event in events if event["event"] == "state_tried"] == ["trial", "trial"]
        carried = [event["fields"] for event in events if event["event"] == "state_carried"]
        assert [(each["how"], each["names"]) for each in carried] == [("take", "hits")] * 2
        assert all(each["bytes"] > 0 and each["seconds"] < 1.0 for each in carried)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"version": 2}, "carry-version"),
        ({"mode": "pair", "restore": "raises"}, "carry-restore"),
        ({"mode": "pair", "restore": "hangs"}, "carry-late"),
    ],
)
def test_a_version_that_does_not_take_the_state_is_refused(tmp_path: Path, how: dict[str, Any], code: str) -> None:
    mode = how.get("mode", "value")
    with _service(tmp_path, mode) as service:
        with service.asked(*ASKING) as client:
            _how(service, mode=mode, **{name: value for name, value in how.items() if name != "mode"})
            service.write("carries", "2")
            refused = service.reload()
            assert (refused.code, refused.data["fault"]["code"]) == (4, code), f"{refused}{service.log()}"
            if code == "carry-restore":
                assert "asked to fail in restore" in refused.data["fault"]["detail"]
            _how(service, mode=mode, version=how.get("version", 1), accepts=[1])
            service.update("3")
        _check(service, client)


@pytest.mark.slow
def test_an_export_that_raises_refuses_the_update_and_hurts_nobody(tmp_path: Path) -> None:
    with _service(tmp_path, "pair") as service:
        _how(service, mode="pair", export="raises", export_from="2")
        service.update("2")  # it is asked only for what the first version gives
        with service.asked(*ASKING) as client:
            service.write("carries", "3")
            refused = service.reload()
            assert (refused.code, refused.data["fault"]["code"]) == (4, "carry-export"), f"{refused}{service.log()}"
            assert "asked to fail in export" in refused.data["fault"]["detail"]
        _check(service, client)


@pytest.mark.slow
@pytest.mark.parametrize("victims", ["old", "new"])
def test_a_worker_killed_while_its_state_is_taken_holds_up_nobody(tmp_path: Path, victims: str) -> None:
    """Its state dies with it, the other slot's goes on."""
    with _service(tmp_path, "pair", ready={"timeout": "8s"}) as service:
        _how(service, mode="pair", export="slow")
        service.update("2")
        with service.asked(*ASKING) as client:
            wait_for(lambda: client.report.requests, until=lambda count: count > 200, what="answers")
            old = service.worker_pids()
            service.write("carries", "3")
            with service.reload_in_background() as reload:
                new = wait_for(lambda: _of_generation(service, 3), until=lambda found: len(found) == 2)
                # Each export takes 0.4 s: it is in the middle of it.
                wait_for(lambda: service.log().count("cut over"), until=(3).__eq__, what="a cut-over", every_s=0.002)
                Process((old if victims == "old" else new)[0]).kill()
                reload.communicate(timeout=20)
            before = client.report.requests
            wait_for(lambda: client.report.requests, until=lambda count: count > before + 100, what="more answers")
        # What the killed one had in its hands is broken off; nobody else notices.
        assert client.report.failed <= 20, client.report.summary() + service.log()
        counts = _counts(service)
        if victims == "new":
            assert sum(counts.values()) >= before, f"{counts}{service.log()}"
        assert all(counts.values()), f"{counts}{service.log()}"


def _of_generation(service: Service, generation: int) -> list[int]:
    found = [each for each in service.status()["generations"] if each["number"] == generation]
    return [worker["pid"] for each in found for worker in each["workers"] if worker["pid"]]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["value", pytest.param("pair", marks=pytest.mark.soak), "merge", "pair-merge"])
def test_a_rollback_in_the_bake_keeps_what_the_new_version_did(tmp_path: Path, mode: str) -> None:
    with _service(tmp_path, mode, bake={"for": "30s"}, drain={"rate": "20%"}) as service:
        with service.asked(*ASKING) as client:
            service.write("carries", "2")
            with service.reload_in_background() as reload:
                wait_for(lambda: client.report.versions.get("2", 0), until=lambda n: n > 200, what="version 2")
                assert service.midair("rollback").code == 0
                reload.communicate(timeout=20)
            before = client.report.versions["1"]
            wait_for(lambda: client.report.versions["1"], until=lambda n: n > before + 50, what="version 1")
        _check(service, client)


@pytest.mark.slow
def test_a_version_that_dies_in_the_bake_leaves_the_copy_from_the_cut_over(tmp_path: Path) -> None:
    with _service(tmp_path, bake={"for": "30s"}) as service:
        with service.asked(Load(connections=4, limit=100)) as client:
            wait_for(lambda: client.report.requests, until=(400).__eq__, what="400 answers")
        service.write("carries", "2")
        with service.reload_in_background() as reload:
            new = wait_for(service.status, until=lambda status: status["serving"] == 2)["generations"]
            for worker in next(each for each in new if each["number"] == 2)["workers"]:
                Process(worker["pid"]).kill()
            reload.communicate(timeout=20)
        assert sum(_counts(service).values()) == 400, service.log()


@pytest.mark.slow
def test_a_rollback_after_the_commit_carries_the_state_back(tmp_path: Path) -> None:
    with _service(tmp_path) as service:
        with service.asked(*ASKING) as client:
            service.update("2")
            assert service.midair("rollback").code == 0
            before = client.report.versions["1"]
            wait_for(lambda: client.report.versions["1"], until=lambda n: n > before + 50, what="version 1")
        _check(service, client)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [pytest.param("pair", marks=pytest.mark.soak), "merge"])
def test_other_numbers_of_workers_keep_the_sum(tmp_path: Path, mode: str) -> None:
    with _service(tmp_path, mode, workers=3) as service:
        with service.asked(*ASKING) as client:
            assert service.midair("scale", "2").code == 0
            wait_for(lambda: _workers(service), until=(2).__eq__, what="two workers")
            assert service.midair("scale", "3").code == 0
            wait_for(lambda: _workers(service), until=(3).__eq__, what="three workers")
            service.configure(workers=2)
            service.update("2")
            service.configure(workers=3)
            service.update("3")
        _check(service, client, slots=3)


def _workers(service: Service) -> int:
    return sum(len(each["workers"]) for each in service.status()["generations"])


@pytest.mark.slow
def test_values_that_meet_and_cannot_be_merged_refuse_the_update(tmp_path: Path) -> None:
    with _service(tmp_path, workers=3) as service:
        with service.asked(*ASKING) as client:
            service.configure(workers=2)
            service.write("carries", "2")
            refused = service.reload()
            assert (refused.code, refused.data["fault"]["code"]) == (4, "carry-meets"), f"{refused}{service.log()}"
        _check(service, client, slots=3)


@pytest.mark.slow
def test_a_recycled_worker_gives_its_state_to_its_successor(tmp_path: Path) -> None:
    with _service(tmp_path, worker={"max_requests": 300}) as service:
        with service.asked(*ASKING) as client:
            wait_for(lambda: service.log().count("worker replaced"), 30, until=lambda n: n >= 4, what="replacements")
        _check(service, client)


@pytest.mark.slow
def test_state_outlives_an_upgrade_of_midair(tmp_path: Path) -> None:
    with _service(tmp_path, "merge", drain={"rate": "10%"}) as service:
        with service.asked(*ASKING) as client:
            service.update("2")
            assert service.midair("upgrade").code == 0, service.log()
            service.update("3")
            wait_for(lambda: _workers(service), 30, until=(2).__eq__, what="the old ones gone")
        _check(service, client)
