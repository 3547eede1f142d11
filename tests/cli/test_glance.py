"""What somebody is told who has one look: what holds an old version, how fast things go, what to type next."""

from __future__ import annotations

import msgspec
import pytest

from midair.cli.glance import (
    Advice,
    advice,
    bar,
    connections_of,
    drain_sentence,
    draining,
    losing,
    loss_sentence,
    rates,
)
from midair.control import words
from midair.control.ondisk import trouble_with_disk
from tests.cli import reports


def commands(report: words.StatusReport) -> list[str]:
    return [each.command for each in advice(report)]


def test_connections_are_told_by_what_they_are_at() -> None:
    old = reports.draining().generations[0]
    assert str(connections_of(old)) == "744 idle, 3 requests, 1 stream, 12 WebSockets"
    assert drain_sentence(old) == "744 idle, 3 requests, 1 stream, 12 WebSockets; cut in 4 min"


def test_who_serves_does_not_drain() -> None:
    assert [each.number for each in draining(reports.draining())] == [7]
    assert draining(reports.refused()) == []


def test_in_a_bake_the_way_back_and_what_keeps_the_old_version_are_told() -> None:
    assert commands(reports.draining()) == ["midair rollback", "midair why-alive 7", "midair drain"]
    assert "for 7.0 s yet" in advice(reports.draining())[0].why


def test_after_a_refusal_its_reason_is_told_and_not_that_the_refused_version_could_be_tried_again() -> None:
    assert advice(reports.refused()) == [
        Advice("midair receipt 8", "update 8 was refused: syntax error in main.py, line 7")
    ]


def test_what_was_written_since_the_refusal_can_be_tried() -> None:
    assert "midair reload" in commands(msgspec.structs.replace(reports.refused(), on_disk="1.10"))


def test_with_all_well_nothing_is_to_be_typed() -> None:
    report = reports.refused()
    assert commands(msgspec.structs.replace(report, last=report.last[1:], on_disk="1.8")) == []


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"state": "failing"}, "midair logs --level error"),
        ({"hold": words.HoldStatus(reason="freeze")}, "midair hold --release"),
        ({"on_disk": "2.0", "update": None}, "midair reload"),
        ({"moving": words.MovingStatus(left=1, of=2, share=0.5)}, "midair rollback"),
    ],
)
def test_each_trouble_has_a_command(changes: dict[str, object], command: str) -> None:
    assert command in commands(msgspec.structs.replace(reports.draining(), **changes))


def test_a_crash_loop_has_the_way_back_first_and_then_what_the_workers_printed() -> None:
    report = reports.crash_loop()
    assert commands(report) == ["midair rollback", "midair logs -g 8"]
    assert advice(report)[0].why == "workers of 1.9 die again and again; 1.8 served before"
    assert commands(msgspec.structs.replace(report, back="")) == ["midair logs -g 8"]


def test_how_workers_died_and_when_the_next_one_comes_stands_in_one_line() -> None:
    (lost,) = losing(reports.crash_loop())
    assert (
        loss_sentence(lost) == "9 workers within a minute; worker 21 ended: exit 7; the next one is started in 24.0 s"
    )
    once = msgspec.structs.replace(lost, deaths=1, is_crash_loop=False, next_start_s=None)
    assert loss_sentence(once) == "1 worker within a minute; worker 21 ended: exit 7"
    assert losing(reports.refused()) == []


@pytest.mark.parametrize(
    ("result", "why"), [("refused", "refused"), ("rolled-back", "rolled back"), ("committed", ""), ("superseded", "")]
)
def test_what_became_of_the_version_on_disk_is_said(result: str, why: str) -> None:
    report = reports.refused()
    last = msgspec.structs.replace(report.last[0], result=result)
    assert trouble_with_disk(msgspec.structs.replace(report, last=(last, *report.last[1:]))) == why


def test_after_a_rollback_nobody_is_told_to_take_up_again_what_he_went_back_from() -> None:
    report = reports.gone_back()
    assert trouble_with_disk(report) == "left"
    assert commands(report) == ['midair hold -m "WHY"']
    held = msgspec.structs.replace(report, hold=words.HoldStatus(reason="incident"))
    assert commands(held) == ["midair hold --release"]


def test_a_version_that_was_updated_to_itself_was_not_left() -> None:
    report = reports.gone_back()
    again = msgspec.structs.replace(report.last[0], source="1.8", target="1.8")
    assert commands(msgspec.structs.replace(report, on_disk="1.8", last=(again, again))) == []


def test_an_older_version_that_was_put_back_on_the_disk_can_be_reloaded() -> None:
    report = reports.gone_back()
    put_back = msgspec.structs.replace(report, last=report.last[:1])
    assert trouble_with_disk(put_back) == ""
    assert commands(put_back) == ["midair reload"]


def test_a_worker_that_hangs_is_told_with_where_to_look() -> None:
    report = reports.refused()
    hung = msgspec.structs.replace(report.generations[0], workers=(reports.worker(3, 0, "hung"),))
    assert "midair stacks 7.0" in commands(msgspec.structs.replace(report, generations=(hung,)))


# --- rates ---------------------------------------------------------------------------------------------------------


def test_rates_are_those_between_two_reports() -> None:
    found = rates(reports.draining(), reports.draining(2.0))
    assert found[7].requests_per_s == pytest.approx(100)
    assert found[8].requests_per_s == pytest.approx(400)
    assert found[8].errors_per_s == pytest.approx(2)
    assert found[8].processor == pytest.approx(0.75)
    assert found[8].p50_s is not None
    assert found[8].p99_s is not None
    assert found[8].p50_s < 0.001
    assert 0.1 < found[8].p99_s < 0.25


def test_a_generation_that_was_not_there_before_is_counted_from_its_beginning() -> None:
    before = reports.draining()
    found = rates(msgspec.structs.replace(before, generations=before.generations[:1]), reports.draining(2.0))
    assert found[8].requests_per_s == pytest.approx(4_800 / 2)


def test_after_a_restart_nothing_is_known_and_an_upgrade_is_none() -> None:
    before, now = reports.draining(5.0), reports.draining(6.0)
    assert rates(msgspec.structs.replace(before, pid=1), now) == {}
    assert rates(reports.draining(7.0), now) == {}, "it has lived for less long than before"
    assert rates(msgspec.structs.replace(before, midair="0.0.9"), now) != {}


def test_figures_that_a_worker_took_with_it_are_no_negative_rate() -> None:
    now, before = reports.draining(1.0), reports.draining(2.0)
    found = rates(msgspec.structs.replace(before, uptime_s=now.uptime_s - 1), now)
    assert min(found[8].requests_per_s, found[8].processor, found[8].errors_per_s) == 0
    assert found[8].p50_s is None


def test_a_bar_is_as_wide_as_it_is_told() -> None:
    assert bar(1, 2, 10) == "█████░░░░░"
    assert bar(0, 0, 4) == "████"
    assert bar(9, 3, 4) == "████"
