"""A chart of lines as an SVG file, written out by hand: a library for one picture would be one more to install."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 720, 400, 56
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")

Points = Sequence[tuple[float, float]]


def write(path: Path, title: str, across: str, up: str, lines: Mapping[str, Points]) -> None:
    """Draw each of the lines, named, from nought on. across, up: what the two axes are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg(title, across, up, lines))


def svg(title: str, across: str, up: str, lines: Mapping[str, Points]) -> str:
    """The file's text."""
    most_x = max((x for points in lines.values() for x, _ in points), default=1.0) or 1.0
    most_y = max((y for points in lines.values() for _, y in points), default=1.0) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{MARGIN}" y="24" font-size="15">{escape(title)}</text>',
    ]
    for value in _steps(most_x):
        x = _x(value, most_x)
        parts.append(f'<path d="M{x:.1f} {MARGIN}V{HEIGHT - MARGIN}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{value:g} {escape(across)}</text>'
        )
    for value in _steps(most_y):
        y = _y(value, most_y)
        parts.append(f'<path d="M{MARGIN} {y:.1f}H{WIDTH - MARGIN}" stroke="#ddd"/>')
        parts.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    parts.append(f'<text x="{MARGIN - 6}" y="{MARGIN - 14}" text-anchor="end">{escape(up)}</text>')
    for place, (name, points) in enumerate(lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        way = " ".join(f"{_x(x, most_x):.1f},{_y(y, most_y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{MARGIN + 12}" y="{MARGIN + 16 + 18 * place}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _x(value: float, most: float) -> float:
    return MARGIN + value / most * (WIDTH - 2 * MARGIN)


def _y(value: float, most: float) -> float:
    return HEIGHT - MARGIN - value / most * (HEIGHT - 2 * MARGIN)


def _steps(most: float) -> list[float]:
    """Round values from nought to ``most``, five to ten of them.

    >>> _steps(2000)
    [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0, 1200.0, 1400.0, 1600.0, 1800.0, 2000.0]
    """
    step = 10.0 ** math.floor(math.log10(most))
    while most / step < 5:
        step /= 2 if round(step / 10 ** math.floor(math.log10(step))) != 5 else 2.5
    while most / step > 10:
        step *= 2
    return [step * number for number in range(int(most / step + 1e-9) + 1)]
