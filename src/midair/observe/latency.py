"""What the buckets of a histogram of latencies say. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def quantile_s(buckets: Sequence[int], bounds_s: Sequence[float], share: float) -> float | None:
    """The latency below which this share of the answers was, even within a bucket. None: there was no answer.

    buckets: not cumulative, one longer than bounds_s. Above the last bound all that is known is that: then it is infinite.
    """
    total = sum(buckets)
    if not total or len(buckets) != len(bounds_s) + 1:
        return None
    wanted, below, lower_s = share * total, 0, 0.0
    for count, upper_s in zip(buckets, (*bounds_s, float("inf")), strict=True):
        if count and below + count >= wanted:
            return lower_s + (upper_s - lower_s) * (wanted - below) / count
        below, lower_s = below + count, upper_s
    return None
