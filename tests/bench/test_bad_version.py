"""The bench of bad versions, small: it takes a refusal for no fault of its own, and says what became of the clients."""

from __future__ import annotations

import pytest

from bench import bad_version, peers


@pytest.mark.slow
def test_a_version_that_does_not_start_costs_nobody_an_answer() -> None:
    report, right = bad_version.run(peers.MIDAIR, bad_version.does_not_start, watched_s=0.5)
    assert report.requests > 0
    assert (report.failed, right) == (0, bad_version.AFTERWARDS), report.summary()
