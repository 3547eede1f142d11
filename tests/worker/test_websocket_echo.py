"""The small twin of ``bench/websocket_echo.py``."""

from __future__ import annotations

import pytest

from bench import peers, throughput, websocket_echo


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize(
    "is_compressed", [pytest.param(False, id="plain", marks=pytest.mark.soak), pytest.param(True, id="compressed")]
)
def test_a_message_costs_hardly_more_processor_time_than_in_uvicorn(is_compressed: bool) -> None:
    # Processor time and not the rate, as in test_throughput. The bound is what a busy machine can still tell from 1.
    servers = (peers.MIDAIR, websocket_echo.UVICORN)
    ours, theirs = websocket_echo.measure(servers, 32, is_compressed=is_compressed, turns=3, turn_s=1.0)
    ratio = throughput.median_ratio(ours.cpu_us, theirs.cpu_us)
    assert ratio < 1.0, f"{ours.cpu_us} against {theirs.cpu_us} microseconds a message"
