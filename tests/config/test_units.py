"""Units: what is written is read back, and a number without a unit is refused with what to write instead."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midair.config import units
from midair.config.units import BadUnit


@settings(deadline=None)  # on a busy machine a deadline measures the neighbours
@given(st.integers(0, 10**10).map(lambda milliseconds: milliseconds / 1000))
def test_a_duration_is_read_back(seconds: float) -> None:
    assert units.read_duration(units.write_duration(seconds)) == seconds


@settings(deadline=None)
@given(st.integers(0, 2**50))
def test_a_size_is_read_back(size: int) -> None:
    assert units.read_size(units.write_size(size)) == size


@settings(deadline=None)
@given(st.integers(0, 100_000).map(lambda parts: parts / 100_000))
def test_a_rate_is_read_back(rate: float) -> None:
    assert units.read_rate(units.write_rate(rate)) == pytest.approx(rate, abs=1e-15)
    assert units.read_share(units.write_share(rate)) == pytest.approx(rate, abs=1e-15)


@settings(deadline=None)
@given(st.integers(0, 0o777))
def test_a_mode_is_read_back(mode: int) -> None:
    assert units.read_mode(units.write_mode(mode)) == mode


@settings(deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_value_or_a_bad_unit(text: str) -> None:
    for reader in (units.read_duration, units.read_rate, units.read_share, units.read_size, units.read_mode):
        try:
            value = reader(text)
        except BadUnit:
            continue
        assert value >= 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("500ms", 0.5), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("1.5s", 1.5), ("0", 0)],
)
def test_durations_mean_what_they_say(text: str, seconds: float) -> None:
    assert units.read_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("64KiB", 65536), ("16MB", 16_000_000), ("1.5KiB", 1536), ("7B", 7), ("1kB", 1000), ("0", 0)]
)
def test_sizes_mean_what_they_say(text: str, size: int) -> None:
    assert units.read_size(text) == size


@pytest.mark.parametrize(
    ("reader", "text", "hint"),
    [
        (units.read_duration, "30", '"30s"'),
        (units.read_rate, "5", '"5%"'),
        (units.read_size, "64", '"64KiB"'),
        (units.read_size, "64k", '"64kB"'),
        (units.read_size, "64mb", '"64MB"'),
    ],
)
def test_a_bare_number_is_refused_with_what_to_write(reader: Callable[[str], float], text: str, hint: str) -> None:
    with pytest.raises(BadUnit) as refused:
        reader(text)
    assert hint in refused.value.hint


@pytest.mark.parametrize("text", ["", "-1s", "1e3s", "s", "1s2", "٣s", "1 week", "nan", "inf", "9" * 99 + "s"])
def test_no_other_text_is_a_duration(text: str) -> None:
    with pytest.raises(BadUnit):
        units.read_duration(text)


@pytest.mark.parametrize("text", ["660x", "0888", "66", "0o1660", "rw"])
def test_no_other_text_is_a_mode(text: str) -> None:
    with pytest.raises(BadUnit):
        units.read_mode(text)
