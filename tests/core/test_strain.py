"""How the new side bears what moves to it: judged by its predecessor, never by too few answers, and it always recovers."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.core.strain import (
    ENOUGH_ANSWERS,
    Before,
    Brake,
    Figures,
    Record,
    Strain,
    Stretch,
    bearable,
    before_of,
    compared,
    slow_over,
    strain_of,
)
from midair.observe.counters import LATENCY_BOUNDS_S as BOUNDS_S

PLACES = len(BOUNDS_S) + 1
HALT_AT = 0.2


def took(**counts: int) -> tuple[int, ...]:
    """Answers by how long they took: ``took(b3=20)`` are 20 in the bucket of the fourth bound (10 ms)."""
    return tuple(counts.get(f"b{place}", 0) for place in range(PLACES))


def figures(at_s: float, answers: int, errors: int = 0, *, slow: int = 0, active: int = 0) -> Figures:
    """Ordinary answers take under 1 ms, slow ones nearly a second."""
    return Figures(at_s, answers, errors, active, took(b0=answers - slow, b9=slow))


USED_TO = Before(error_share=0.0, slow_over=5, slow_share=0.0)
"""Quick and faultless: over 50 ms is slow."""

# --- what clients were used to -------------------------------------------------------------------------------------


def test_the_old_side_is_judged_by_its_last_minute() -> None:
    record = Record()
    for second in range(300):  # ten answers a second; the first 200 s all of them errors, then none
        record.add(figures(float(second), second * 10, min(second, 200) * 10))
    assert before_of(record, BOUNDS_S) == USED_TO
    record.add(figures(300.0, 3000, 2010))
    assert before_of(record, BOUNDS_S).error_share == pytest.approx(10 / 600, rel=0.05)


def test_one_that_was_never_looked_at_before_has_answered_all_of_it_now() -> None:
    record = Record()
    record.add(figures(0.0, 100, 30))
    assert before_of(record, BOUNDS_S).error_share == pytest.approx(0.3)


def test_one_that_has_answered_nothing_has_no_errors_and_no_measure_of_slow() -> None:
    record = Record()
    assert before_of(record, BOUNDS_S) == Before()
    record.add(figures(0.0, 0))
    record.add(figures(1.0, 0))
    assert before_of(record, BOUNDS_S) == Before()
    assert record.over(60.0).error_share == 0.0


@pytest.mark.parametrize(
    ("finished", "slow_s"),
    [
        (took(b0=100), 0.05),  # under 1 ms: but 2 ms would be nobody's trouble
        (took(b3=95, b8=5), 0.05),  # 10 ms; one in twenty takes half a second and does not count
        (took(b3=94, b8=6), 2.5),  # ... more of them are what clients are used to
        (took(b6=100), 0.5),  # 100 ms
        (took(b11=100), None),  # 5 s: beyond the last bound but one nobody can tell
        (took(b0=ENOUGH_ANSWERS - 1), None),
    ],
)
def test_slow_is_four_times_what_nearly_all_answers_took(finished: tuple[int, ...], slow_s: float | None) -> None:
    over = slow_over(finished, BOUNDS_S)
    assert (BOUNDS_S[over] if over >= 0 else None) == slow_s


# --- how the new side does -----------------------------------------------------------------------------------------


def test_errors_and_slow_answers_count_beyond_what_was_usual() -> None:
    before = Before(error_share=0.1, slow_over=5, slow_share=0.05)
    now = Stretch(answers=100, errors=30, finished=took(b0=75, b9=25))
    strain = compared(now, before)
    assert [strain.errors, strain.slow] == pytest.approx([0.2, 0.2])


def test_one_that_does_no_worse_than_its_predecessor_is_not_strained() -> None:
    before = Before(error_share=0.6, slow_over=5, slow_share=0.3)
    now = Stretch(answers=100, errors=60, finished=took(b0=70, b9=30))
    assert compared(now, before) == Strain()


@given(answers=st.integers(0, ENOUGH_ANSWERS - 1), data=st.data())
def test_too_few_answers_are_no_failure(answers: int, data: st.DataObject) -> None:
    errors = data.draw(st.integers(0, answers))
    now = Stretch(answers=answers, errors=errors, finished=took(b13=answers))
    assert compared(now, USED_TO) == Strain()


def test_without_a_measure_of_before_nothing_is_slow() -> None:
    now = Stretch(answers=1000, finished=took(b13=1000))
    assert compared(now, Before()) == Strain()


def test_a_version_that_answers_nothing_at_all_is_slow() -> None:
    record = Record()
    record.add(figures(0.0, 100))
    record.add(figures(1.0, 200, active=50))
    record.add(figures(1.03, 200, active=55))
    assert strain_of(record, USED_TO, BOUNDS_S) == Strain(), "nobody waits for longer than 50 ms yet"
    record.add(figures(1.5, 200, active=90))
    assert strain_of(record, USED_TO, BOUNDS_S).slow == pytest.approx(55 / 255)
    record.add(figures(1.6, 280, active=110))
    assert strain_of(record, USED_TO, BOUNDS_S).slow == pytest.approx(10 / 290), "80 of those 90 were answered"


def test_streams_under_way_are_not_waiting() -> None:
    record = Record()
    for second in range(6):  # 500 event streams have begun, each an answer that does not finish; 20 quick ones a second
        quick = second * 20
        record.add(Figures(float(second), 500 + quick, 0, 500, took(b0=quick)))
    assert strain_of(record, USED_TO, BOUNDS_S) == Strain()


def test_streams_that_another_version_began_are_not_waiting_either() -> None:
    record = Record()
    for second in range(6):  # 100 event streams a second are adopted, half of them end; 20 quick answers a second
        quick, ended = second * 20, second * 50
        record.add(Figures(float(second), quick, 0, second * 50, took(b0=quick + ended), adopted=second * 100))
    assert strain_of(record, USED_TO, BOUNDS_S) == Strain()


def test_long_polls_that_are_answered_now_and_then_are_what_clients_are_used_to() -> None:
    record = Record()
    for second in range(100):  # 500 requests wait for news for two minutes each, four are answered a second
        record.add(Figures(float(second), second * 4, 0, 500, took(b13=second * 4)))
    before = before_of(record, BOUNDS_S)
    assert strain_of(record, before, BOUNDS_S) == Strain()


# --- what follows --------------------------------------------------------------------------------------------------

SHARES = st.floats(0.0, 1.0)
HALTS = st.floats(0.01, 1.0)


@pytest.mark.parametrize(
    ("strain", "share"), [(0.0, 1.0), (0.1, 1.0), (0.15, 0.5), (0.19, 0.1), (0.2, 0.0), (1.0, 0.0)]
)
def test_the_pace_is_whole_up_to_half_of_the_limit_and_falls_from_there(strain: float, share: float) -> None:
    assert bearable(strain, 0.2) == share


@given(strain=SHARES, worse=SHARES, halt_at=HALTS)
def test_the_share_is_one_and_falls_with_the_strain(strain: float, worse: float, halt_at: float) -> None:
    low, high = sorted((strain, worse))
    assert 0.0 <= bearable(high, halt_at) <= bearable(low, halt_at) <= 1.0
    assert bearable(0.0, halt_at) == 1.0
    assert bearable(halt_at, halt_at) == 0.0


STEPS = st.lists(st.tuples(st.floats(0.01, 3.0), SHARES, SHARES), max_size=40)


@given(STEPS)
def test_whoever_does_worse_is_never_given_more(steps: list[tuple[float, float, float]]) -> None:
    better, worse, now_s = Brake(), Brake(), 100.0
    for pause_s, one, other in steps:
        now_s += pause_s
        better.set(max(one, other), now_s)
        worse.set(min(one, other), now_s)
        assert 0.0 <= worse.share <= better.share <= 1.0


@given(STEPS)
def test_it_recovers_within_ten_seconds_of_the_new_sides_recovery(steps: list[tuple[float, float, float]]) -> None:
    brake, now_s = Brake(), 100.0
    for pause_s, wanted, _ in steps:
        now_s += pause_s
        brake.set(wanted, now_s)
    for _ in range(21):
        now_s += 0.5
        brake.set(1.0, now_s)
    assert (brake.share, brake.level) == (1.0, "full")


def test_down_at_once_and_up_slowly() -> None:
    brake = Brake()
    brake.set(1.0, 1.0)
    shares = []
    for at_s, wanted in ((1.5, 0.0), (2.0, 1.0), (2.5, 1.0), (3.0, 0.05), (4.0, 1.0)):
        brake.set(wanted, at_s)
        shares.append(brake.share)
    assert shares == pytest.approx([0.0, 0.05, 0.1, 0.05, 0.15])


def test_a_side_on_the_edge_is_told_of_once() -> None:
    brake, now_s, said = Brake(), 1.0, []
    for wanted in (1.0, 0.7, 0.4, 0.0, 1.0, 0.0, 0.9, 0.0, *[1.0] * 30, 0.5):
        now_s += 0.5
        said.append(brake.set(wanted, now_s))
    assert [level for level in said if level] == ["slowed", "halted", "full", "slowed"]


def test_how_long_it_was_held_back_is_known() -> None:
    brake = Brake()
    for at_s, wanted in ((1.0, 1.0), (2.0, 0.0), (5.0, 0.0), (5.5, 1.0), (20.5, 1.0)):
        brake.set(wanted, at_s)
    assert brake.spent_s == {"full": 1.0, "halted": 3.5, "slowed": 15.0}


def test_it_can_be_written_down_and_goes_on() -> None:
    brake = Brake()
    brake.set(0.5, 1.0)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode((brake, USED_TO)), type=tuple[Brake, Before])
    assert again == (brake, USED_TO)


@given(trouble_s=st.integers(1, 30), kind=st.sampled_from(["errors", "slow", "hangs"]))
def test_trouble_halts_and_its_end_lets_go(trouble_s: int, kind: str) -> None:
    """The whole of it, twice a second: 40 answers a second, in trouble all of them errors, or slow, or none at all."""
    record, brake = Record(), Brake()
    answers = errors = slow = active = 0
    shares: list[float] = []
    for tick in range(2 * trouble_s + 40):
        is_trouble = 4 <= tick < 4 + 2 * trouble_s
        hangs = is_trouble and kind == "hangs"
        active = active + 20 if hangs else 0
        answers += 0 if hangs else 20
        errors += 20 if is_trouble and kind == "errors" else 0
        slow += 20 if is_trouble and kind == "slow" else 0
        record.add(figures(tick / 2, answers, errors, slow=slow, active=active))
        brake.set(bearable(strain_of(record, USED_TO, BOUNDS_S).worst, HALT_AT), 100 + tick / 2)
        shares.append(brake.share)
    assert min(shares[:4]) == 1.0
    assert min(shares[4:]) <= 0.5
    assert shares[-1] == 1.0
