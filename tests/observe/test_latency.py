"""What the buckets of a histogram say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.observe.latency import quantile_s

BOUNDS_S = (0.1, 1.0, 10.0)


@pytest.mark.parametrize(
    ("buckets", "share", "seconds"),
    [
        ([], 0.5, None),
        ([0, 0, 0, 0], 0.5, None),
        ([4, 0, 0, 0], 0.5, 0.05),
        ([1, 1, 0, 0], 1.0, 1.0),
        ([1, 0, 0, 9], 0.5, float("inf")),
    ],
)
def test_a_quantile_lies_inside_its_bucket(buckets: list[int], share: float, seconds: float | None) -> None:
    assert quantile_s(buckets, BOUNDS_S, share) == (None if seconds is None else pytest.approx(seconds))


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4), st.floats(0.01, 0.99))
def test_a_quantile_lies_in_its_bucket(counts: list[int], share: float) -> None:
    found = quantile_s(counts, BOUNDS_S, share)
    assert (found is None) == (sum(counts) == 0)
    if found is not None:
        edges = (0.0, *BOUNDS_S, float("inf"))
        below = [sum(counts[:place]) for place in range(5)]
        place = next(place for place in range(4) if counts[place] and below[place + 1] >= share * below[4])
        assert edges[place] <= found <= edges[place + 1]
