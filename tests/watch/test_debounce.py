"""When a batch is whole: any history of events against what is promised of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midair.watch.debounce import HELD_MAX_S, NEXT_S, OPEN_S, STRETCH_MAX_S, Debounce

DELAY_S, DELAY_MAX_S = 0.01, 2.0


@dataclass
class Played:
    """What became of a history: when each batch was taken, and which events (by number) are in it."""

    batches: list[tuple[float, list[int]]] = field(default_factory=list)


Seen = tuple[float, str, bool]
"""Seconds since the event before, the path, and whether its writer has it open still."""


def play(events: list[Seen], *, held_until_s: float = 0.0, delay_s: float = DELAY_S) -> Played:
    """As the watcher turns: it looks when it is told to, and when something comes."""
    debounce, played, now_s = Debounce(delay_s, DELAY_MAX_S), Played(), 0.0
    gathered: list[int] = []

    def look_until(end_s: float) -> None:
        nonlocal now_s, gathered
        while (due_s := debounce.due_s()) is not None and due_s <= end_s:
            now_s = max(now_s, due_s)
            if debounce.is_due(now_s, is_held=now_s < held_until_s):
                played.batches.append((now_s, gathered))
                gathered = []
                debounce.taken(now_s)
        now_s = max(now_s, end_s)

    for number, (after_s, path, is_open) in enumerate(events):
        look_until(now_s + after_s)
        debounce.saw(now_s, path, is_open=is_open)
        gathered.append(number)
    look_until(now_s + DELAY_MAX_S + HELD_MAX_S + 1)
    assert not gathered, "something was never told"
    return played


unhurried = settings(deadline=None)
gaps_s = st.sampled_from([0.0, 0.0001, 0.001, 0.005, 0.0099, 0.011, 0.03, 0.1, 0.3, 1.0])
seen = st.tuples(gaps_s, st.sampled_from("abcdefgh"), st.booleans())


@unhurried
@given(st.lists(seen, min_size=1, max_size=60), st.sampled_from([0.0, 0.05, 3.0, 30.0]))
def test_every_event_is_told_in_order_once_and_in_bounded_time(events: list[Seen], held_until_s: float) -> None:
    played = play(events, held_until_s=held_until_s)
    assert [number for _, batch in played.batches for number in batch] == list(range(len(events)))
    at_s, times_s = 0.0, []
    for after_s, _, _ in events:
        at_s += after_s
        times_s.append(at_s)
    bound_s = max(DELAY_MAX_S, HELD_MAX_S if held_until_s else 0.0)
    for told_s, batch in played.batches:
        assert told_s - times_s[batch[0]] <= bound_s + 0.021
        assert told_s - times_s[batch[-1]] >= 0 or held_until_s


@unhurried
@given(st.lists(st.tuples(st.floats(0, 0.0095), st.sampled_from("a"), st.booleans()), min_size=1, max_size=5))
def test_one_save_is_one_batch_and_is_told_a_delay_after_its_last_event(events: list[Seen]) -> None:
    events = [(0.5, *events[0][1:]), *events[1:], (0.0, "a", False)]
    (batch,) = play(events).batches
    last_s = sum(after_s for after_s, _, _ in events)
    assert batch[0] == pytest.approx(last_s + DELAY_S)


@unhurried
@given(st.integers(2, 500), st.floats(0, 0.0095))
def test_many_files_are_one_batch(files: int, gap_s: float) -> None:
    played = play([(gap_s, f"f{place}", False) for place in range(files)])
    within = [batch for told_s, batch in played.batches]
    # Longer than delay_max they are not waited for.
    assert len(within) <= 1 + files * gap_s / DELAY_MAX_S


def test_a_pause_in_the_middle_of_many_files_does_not_end_the_batch() -> None:
    events = [(0.001, f"f{place}", False) for place in range(50)]
    events += [(STRETCH_MAX_S, f"g{place}", False) for place in range(2)]
    assert len(play(events).batches) == 1


@unhurried
@given(st.floats(0.001, 0.0099))
def test_a_steady_writer_cannot_starve_the_others(gap_s: float) -> None:
    events = [(gap_s, "log", False)] * int(3 * DELAY_MAX_S / gap_s + 1)
    played = play(events)
    times_s = [gap_s, *(told_s for told_s, _ in played.batches)]
    assert all(later - earlier <= DELAY_MAX_S + 2 * gap_s for earlier, later in pairwise(times_s))


def test_a_formatter_that_goes_from_file_to_file_is_few_batches() -> None:
    """Each file alone would be one at 15 ms a file: the quiet that ends a batch is 10 ms."""
    played = play([(0.015, f"f{place}.py", False) for place in range(100)])
    assert len(played.batches) <= 3


def test_saving_the_same_file_again_and_again_stays_quick() -> None:
    played = play([(0.02, "app.py", False)] * 10)
    assert [told_s for told_s, _ in played.batches] == pytest.approx([0.02 * n + DELAY_S for n in range(1, 11)])


def test_another_file_saved_a_moment_later_is_as_quick_as_the_first() -> None:
    played = play([(NEXT_S + DELAY_S + 0.001, name, False) for name in "abcdef"])
    assert len(played.batches) == 6


def test_a_file_that_is_still_open_is_waited_for_and_not_for_ever() -> None:
    half_written = [(0.1, "a", True), (0.2, "a", True), (0.05, "a", False)]
    (batch,) = play(half_written).batches
    assert batch[0] == pytest.approx(0.35 + DELAY_S)
    (batch,) = play([(0.1, "log", True)]).batches
    assert batch[0] == pytest.approx(0.1 + DELAY_S + OPEN_S)


def test_git_at_work_is_waited_for_and_not_for_ever() -> None:
    (batch,) = play([(0.0, "a", False), (0.5, "b", False)], held_until_s=3.0).batches
    assert 3.0 <= batch[0] <= 3.03
    first = play([(0.0, "a", False)], held_until_s=1000.0).batches[0]
    assert first[0] == pytest.approx(HELD_MAX_S, abs=0.03)


def test_a_rename_is_one_path() -> None:
    """As long as writing in place: an editor that writes beside the file and renames must not be slower."""
    debounce = Debounce(DELAY_S, DELAY_MAX_S)
    debounce.saw(0.0, "app.py.tmp", is_open=True)
    debounce.saw(0.0, "app.py.tmp")
    debounce.saw(0.001, "app.py.tmp", is_leaving=True)
    debounce.saw(0.001, "app.py")
    assert debounce.due_s() == pytest.approx(0.001 + DELAY_S)
