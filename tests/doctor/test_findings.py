"""Each finding is made from facts, says what to type, and is not made where all is well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from midair.doctor.examination import CHECKS, examine, worst
from midair.doctor.facts import Limits, Machine, Place
from midair.doctor.finding import LEVELS
from midair.doctor.unit import seconds
from tests.doctor.cases import CASES, WELL, Case, machine, running, settings


def codes(case: Case) -> set[str]:
    return {result.check.code for result in examine(case.facts) if result.finding}


def test_where_all_is_well_nothing_is_found() -> None:
    assert [result for result in examine(WELL) if result.finding] == []
    assert worst(examine(WELL)) == "ok"


@pytest.mark.parametrize("case", CASES, ids=[f"{case.code}-{case.level}" for case in CASES])
def test_what_is_not_right_is_found(case: Case) -> None:
    finding = CHECKS[case.code].judge(case.facts)
    assert finding is not None
    assert (finding.level, case.says in finding.what) == (case.level, True), finding
    assert finding.why
    assert finding.fix
    assert case.level in LEVELS


def test_an_update_to_what_was_refused_is_not_advised() -> None:
    found = CHECKS["disk-and-service"].judge(replace(WELL, running=running(on_disk="1.9", disk_trouble="refused")))
    assert found is not None
    assert "it was refused before" in found.fix
    assert "midair reload" not in found.fix


def test_every_check_has_a_case_and_says_what_it_looks_at() -> None:
    assert set(CHECKS) == {case.code for case in CASES}
    assert [check.code for check in CHECKS.values() if not check.looks_at] == []


def test_the_worst_level_is_that_of_the_whole() -> None:
    assert worst(examine(replace(WELL, settings=settings(workers=1)))) == "note"
    assert worst(examine(replace(WELL, settings=settings(bake={"for_s": 0.0}, workers=1)))) == "warning"


def test_what_is_not_known_is_not_judged() -> None:
    bare = replace(WELL, properties={}, unit="", running=None, releases=None)
    assert [result.check.code for result in examine(bare) if result.finding] == []


def test_a_container_is_told_what_its_orchestrator_calls_it() -> None:
    kills = machine(is_container=True, limits=Limits(kills_group=True))
    inside, outside = (
        CHECKS["group-kill"].judge(replace(WELL, machine=kills)),
        CHECKS["group-kill"].judge(replace(WELL, machine=replace(Machine(), limits=Limits(kills_group=True)))),
    )
    assert inside
    assert outside
    assert "kubelet" in inside.fix
    assert "OOMPolicy=continue" in outside.fix
    full = replace(WELL, machine=machine(is_container=True, state=Place("/state", is_writable=False), uid=10001))
    unwritable = CHECKS["state-folder"].judge(full)
    assert unwritable
    assert "a volume that user 10001 may write to" in unwritable.fix


def test_an_address_that_others_reach_for_its_probes_alone_shows_no_page() -> None:
    admin = {"address": "0.0.0.0:9465", "remote": "probes"}
    assert CHECKS["admin-open"].judge(replace(WELL, settings=settings(admin=admin))) is None


@pytest.mark.parametrize(
    ("text", "length_s"),
    [("1min 30s", 90), ("500ms", 0.5), ("infinity", float("inf")), ("1h 2min", 3720), ("", None), ("15us", 1.5e-5)],
)
def test_lengths_of_time_are_read_as_systemd_writes_them(text: str, length_s: float | None) -> None:
    assert seconds(text) == pytest.approx(length_s)
