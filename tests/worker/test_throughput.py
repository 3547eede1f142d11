"""The small twin of ``bench/throughput.py``."""

from __future__ import annotations

import pytest

from bench import peers, throughput


@pytest.mark.alone
@pytest.mark.slow
def test_a_request_costs_less_processor_time_than_in_uvicorn() -> None:
    # Processor time and not the rate: on a busy machine the rate of one turn says more about its other work.
    ours, theirs = throughput.measure((peers.MIDAIR, throughput.UVICORN), turns=3)
    ratio = throughput.median_ratio(ours.cpu_us, theirs.cpu_us)
    assert ratio < 1.0, f"{ours.cpu_us} against {theirs.cpu_us} microseconds a request"
