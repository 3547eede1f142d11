"""Printing a bench: a table in plain text, the machine, and which versions were compared."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under columns; numbers to the right. Floats are rounded to three digits."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(columns, *texts, strict=True)]
    print(f"== {title}")
    print("  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip())
    for row, cells in zip(rows, texts, strict=True):
        places = zip(row, cells, widths, strict=True)
        print("  ".join(_placed(cell, text, width) for cell, text, width in places).rstrip())


def _text(cell: object) -> str:
    return (
        f"{cell:,.3g}"
        if isinstance(cell, float) and abs(cell) < 1000
        else f"{cell:,.0f}"
        if isinstance(cell, float)
        else f"{cell:,}"
        if isinstance(cell, int)
        else str(cell)
    )


def _placed(cell: object, text: str, width: int) -> str:
    return text.rjust(width) if isinstance(cell, int | float) else text.ljust(width)


def versions(*packages: str) -> str:
    """``midair 0.1.0, uvicorn 0.54.0, …; CPython 3.11.7, 2 cores``."""
    named = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    return f"{named}; {platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, loopback"
