"""Rates and the drain's plot out of what was counted."""

from __future__ import annotations

import pytest

from midair.admin import samples as module
from midair.admin.plot import drain, last_episode
from midair.admin.samples import Sample, Samples
from midair.control.words import StatusReport
from midair.observe.counters import LATENCY_BOUNDS_S
from midair.observe.metrics import GenerationFigures, MetricsSnapshot


def _status(serving: int) -> StatusReport:
    return StatusReport(name="shop", folder="/", target="app", pid=1, midair="0", uptime_s=1.0, serving=serving)


def _figures(*generations: tuple[int, int, int]) -> MetricsSnapshot:
    """(generation, open, requests); each was answered within 2.5 ms."""
    return MetricsSnapshot(
        generations=tuple(
            GenerationFigures(
                generation=number,
                version=f"v{number}",
                role="serving",
                counts={"open": is_open, "requests": requests, "responses_5xx": requests // 10},
                latency_buckets=(0, requests, *[0] * (len(LATENCY_BOUNDS_S) - 1)),
            )
            for number, is_open, requests in generations
        )
    )


def test_connections_of_every_generation_but_the_serving_one_are_left() -> None:
    sample = Samples().add(1.0, _status(3), _figures((1, 4, 0), (2, 5, 0), (3, 6, 0)))
    assert sample.left == 9
    assert Samples().add(1.0, _status(0), _figures((1, 4, 0))).left == 0, "nothing serves: there is nowhere to go"


def test_a_rate_is_over_the_last_seconds_and_a_new_generation_began_at_nought() -> None:
    samples = Samples()
    assert samples.rate(1) is None
    for second in range(11):
        samples.add(float(second), _status(1), _figures((1, 1, 100 * second)))
    rate = samples.rate(1)
    assert rate is not None
    assert rate.requests_per_s == pytest.approx(100)
    assert rate.errors == pytest.approx(0.1)
    assert rate.median_s == pytest.approx(0.00175)
    samples.add(11.0, _status(2), _figures((1, 1, 1000), (2, 1, 50)))
    new = samples.rate(2)
    assert new is not None
    assert new.requests_per_s == pytest.approx(10)


def test_a_generation_that_answered_nothing_has_no_latency() -> None:
    samples = Samples()
    samples.add(0.0, _status(1), _figures((1, 1, 7)))
    samples.add(5.0, _status(1), _figures((1, 1, 7)))
    rate = samples.rate(1)
    assert rate is not None
    assert (rate.requests_per_s, rate.errors, rate.median_s) == (0, 0, None)


def test_only_so_many_moments_are_kept_and_numbers_go_on() -> None:
    samples = Samples()
    for second in range(module.KEPT + 10):
        samples.add(float(second), _status(1), _figures((1, 1, second)))
    assert len(samples.after(0)) == module.KEPT
    assert [each.number for each in samples.after(module.KEPT + 8)] == [module.KEPT + 9, module.KEPT + 10]


def _moments(*left: int) -> list[Sample]:
    return [Sample(number=n, time_s=float(n), serving=1, left=count) for n, count in enumerate(left)]


def test_the_plot_is_of_the_last_drain_alone() -> None:
    episode = last_episode(_moments(0, 9, 0, 0, 6, 4, 2, 0, 0))
    assert episode is not None
    assert [each.left for each in episode.samples] == [0, 6, 4, 2, 0]
    assert (episode.most, episode.is_over) == (6, True)
    assert "after 4 s none was left" in drain(_moments(0, 9, 0, 0, 6, 4, 2, 0, 0))


def test_a_drain_that_goes_on_says_how_many_are_left() -> None:
    assert "4 of 6 connections" in drain(_moments(0, 6, 4))
    assert last_episode(_moments(0, 0)) is None
    assert "<svg" not in drain(_moments(0, 0))
    assert "<svg" in drain(_moments(6))
