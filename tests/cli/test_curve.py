"""What is said of connections on their way: a curve that falls, and figures that are true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.cli.curve import BLOCKS, WIDTH, Curve, blocks, sentence
from midair.control.words import MovingStatus


def test_the_curve_falls_from_full_to_empty() -> None:
    assert blocks([2000, 1500, 1000, 500, 0], 2000) == "█▇▅▃▁"
    assert blocks([], 0) == ""


@given(st.lists(st.integers(0, 5000), max_size=400), st.integers(0, 5000))
def test_it_fits_on_a_line_and_keeps_the_first_and_the_last(lefts: list[int], of: int) -> None:
    line = blocks(lefts, of)
    assert len(line) == min(len(lefts), WIDTH)
    assert set(line) <= set(BLOCKS)
    if lefts:
        assert (line[0], line[-1]) == (blocks([lefts[0]], max(of, *lefts)), blocks([lefts[-1]], max(of, *lefts)))


def test_another_cut_over_begins_another_curve() -> None:
    curve = Curve()
    for left, of in ((100, 100), (50, 100), (140, 140)):
        curve.add(left, of)
    assert str(curve) == "█"


@pytest.mark.parametrize(
    ("moving", "said"),
    [
        (MovingStatus(left=760, of=2000, for_s=7.6, rate_per_s=0.05), "1,240 of 2,000 moved, 7.6 s left, 5 %/s"),
        (MovingStatus(left=5, of=5, rate_per_s=1), "0 of 5 moved, all at once"),
        (
            MovingStatus(left=50, of=100, for_s=10, rate_per_s=0.05, share=0.5),
            "50 of 100 moved, 20.0 s left, 5 %/s, slowed to 50% of that: the new version fails or is slow",
        ),
        (
            MovingStatus(left=50, of=100, for_s=10, rate_per_s=0.05, share=0),
            "50 of 100 moved, halted: the new version fails or is slow",
        ),
    ],
)
def test_the_figures_are_said_in_one_sentence(moving: MovingStatus, said: str) -> None:
    assert sentence(moving) == said
