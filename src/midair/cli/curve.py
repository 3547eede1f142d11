"""How connections move, on one line: a curve of what is left over time, and the figures of this moment. No I/O here."""

from __future__ import annotations

from collections.abc import Sequence

from midair.cli.show import age
from midair.config.units import write_rate
from midair.control.words import MovingStatus

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 24
"""Places of the curve: a terminal of 80 columns holds it with its figures."""
POINTS_MAX = 3600


class Curve:
    """What was left, each time that it was told."""

    def __init__(self) -> None:
        self._of = 0
        self._lefts: list[int] = []

    def add(self, left: int, of: int) -> None:
        """One more point. Another cut-over counts anew, and begins a curve of its own."""
        if of != self._of:
            self._of, self._lefts = of, []
        if len(self._lefts) < POINTS_MAX:
            self._lefts.append(left)

    def __str__(self) -> str:
        return blocks(self._lefts, self._of)


def blocks(lefts: Sequence[int], of: int, *, width: int = WIDTH) -> str:
    """``lefts`` over time as characters between empty and full, the most recent at the right, at most ``width`` of them.

    >>> blocks([2000, 1500, 1000, 500, 1], 2000)
    '█▇▅▃▁'
    """
    most = max(of, *lefts, 1)
    if len(lefts) > width:
        lefts = [lefts[place * (len(lefts) - 1) // (width - 1)] for place in range(width)]
    return "".join(BLOCKS[min(len(BLOCKS) - 1, left * len(BLOCKS) // most)] for left in lefts)


def sentence(moving: MovingStatus) -> str:
    """``1,240 of 2,000 moved, 7.6 s left, 5 %/s``."""
    said = f"{max(moving.of - moving.left, 0):,} of {moving.of:,} moved"
    if moving.share <= 0:
        return f"{said}, halted: the new version fails or is slow"
    if moving.for_s:
        said += f", {age(moving.for_s / moving.share)} left"
    said += ", all at once" if moving.rate_per_s >= 1 else f", {write_rate(moving.rate_per_s).removesuffix('%')} %/s"
    if moving.share < 1:
        said += f", slowed to {moving.share:.0%} of that: the new version fails or is slow"
    return said
