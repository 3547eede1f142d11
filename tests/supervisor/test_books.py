"""The books of a generation: whatever its workers did and however they ended, every connection is accounted for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from midair.observe.counters import LATENCY_BOUNDS_S, NOT_COUNTS, Cell
from midair.supervisor.books import GRACEFUL, Sums, balance, close

NO_LATENCIES = [0] * (len(LATENCY_BOUNDS_S) + 1)
ENDS = [cell.name.lower() for cell in Cell if cell.name.startswith("CLOSED_")] + ["handed_over"]


def _figures(ends: list[str], still_open: int, adopted: int = 0) -> dict[str, int]:
    """What a worker had counted whose connections ended so, and some had not."""
    figures = {cell.name.lower(): 0 for cell in Cell if cell not in NOT_COUNTS}
    for end in ends:
        figures[end] += 1
    began = len(ends) + still_open
    figures["adopted"] = min(adopted, began)
    figures["accepted"] = began - figures["adopted"]
    figures["open"] = still_open
    return figures


workers = st.lists(
    st.tuples(st.lists(st.sampled_from(ENDS), max_size=20), st.integers(0, 5), st.integers(0, 5)), max_size=6
)


@given(workers)
def test_connections_of_killed_workers_are_lost_and_everything_else_is_as_they_said(
    histories: list[tuple[list[str], int, int]],
) -> None:
    sums = Sums()
    for ends, still_open, adopted in histories:
        sums.add_worker(_figures(ends, still_open, adopted), NO_LATENCIES, "SIGKILL")
    books, wrong = close(sums)
    assert wrong == ""
    assert balance(sums.counts) == 0
    assert books["workers"] == len(histories)
    assert books.get("lost", 0) == sum(still_open for _, still_open, _ in histories)
    for end in ENDS:
        assert books.get(end, 0) == sum(ends.count(end) for ends, _, _ in histories)


@given(workers)
def test_workers_that_left_in_good_order_must_have_closed_all(histories: list[tuple[list[str], int, int]]) -> None:
    sums = Sums()
    for ends, still_open, adopted in histories:
        sums.add_worker(_figures(ends, still_open, adopted), NO_LATENCIES, GRACEFUL)
    _, wrong = close(sums)
    left_open = sum(still_open for _, still_open, _ in histories)
    assert bool(wrong) is bool(left_open)
    if left_open:
        assert f"{left_open} are unaccounted for, {left_open} were left open" in wrong


def test_a_connection_that_was_counted_twice_is_seen() -> None:
    sums = Sums()
    sums.add_worker({"accepted": 3, "closed_by_client": 4}, NO_LATENCIES, GRACEFUL)
    _, wrong = close(sums)
    assert "of 3 accepted + 0 adopted connections -1 are unaccounted for" in wrong


def test_requests_in_flight_in_a_killed_worker_are_told_apart_from_connections() -> None:
    sums = Sums()
    sums.add_worker({"accepted": 3, "open": 3, "active": 2, "requests": 7}, NO_LATENCIES, "SIGKILL")
    books, wrong = close(sums)
    assert wrong == ""
    assert (books["lost"], books["requests_lost"], books["requests"]) == (3, 2, 7)
    assert "open" not in books


def test_latencies_of_workers_are_added_bucket_by_bucket() -> None:
    sums = Sums()
    for bucket in (0, 0, 2):
        latencies = list(NO_LATENCIES)
        latencies[bucket] = 5
        sums.add_worker({}, latencies, GRACEFUL)
    assert sums.latency_buckets[:4] == [10, 0, 5, 0]
