"""Units as they are written in the configuration, read and written: durations, rates, shares, sizes, file modes.

Each ``read_…`` takes the text of a file, a variable or a flag and raises ``BadUnit`` saying what is expected. Each
``write_…`` gives a text that its reader reads back to the same number.
"""

from __future__ import annotations

import re
from decimal import Decimal

DURATION = 'a duration such as "30s", "500ms", "5m" or "2h"'
RATE = 'a rate per second such as "5%"'
SHARE = 'a share such as "50%", or "off"'
SIZE = 'a size such as "64KiB" or "16MB"'
MODE = 'permission bits such as "0660"'

_DURATION_UNITS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_SIZE_UNITS = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_NUMBER = r"\d{1,18}(?:\.\d{1,9})?"
_DURATION_PART = re.compile(rf"({_NUMBER})\s*(ms|s|m|h|d)\s*", re.ASCII)
_SIZE = re.compile(rf"({_NUMBER})\s*([A-Za-z]+)", re.ASCII)
_PERCENT = re.compile(rf"({_NUMBER})\s*%(?:\s*/\s*s)?", re.ASCII)
_BARE = re.compile(_NUMBER, re.ASCII)


class BadUnit(ValueError):
    """A text that is not what its key expects. ``hint`` is what was probably meant; may be empty."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


def read_duration(text: str) -> float:
    """Seconds of ``30s``, ``500ms``, ``1h30m``. A bare number is refused, except 0."""
    text = text.strip()
    parts = _DURATION_PART.findall(text)
    if parts and _DURATION_PART.sub("", text) == "":
        return float(sum(Decimal(number) * _DURATION_UNITS[unit] for number, unit in parts))
    return _bare(text, f'write "{text}s" or "{text}ms"')


def write_duration(seconds: float) -> str:
    """The shortest exact text: 300.0 is ``5m``, 0.25 is ``250ms``."""
    exact = Decimal(str(seconds))
    if exact == 0:
        return "0"
    for unit in ("d", "h", "m", "s", "ms"):
        count = exact / _DURATION_UNITS[unit]
        if count == count.to_integral_value():
            return f"{int(count)}{unit}"
    return f"{exact / _DURATION_UNITS['ms']:f}ms" if exact < 1 else f"{exact:f}s"


def read_rate(text: str) -> float:
    """Share per second of ``5%`` or ``5%/s``: 0.05. A bare number is refused, except 0."""
    text = text.strip()
    if match := _PERCENT.fullmatch(text):
        return float(Decimal(match[1]) / 100)
    return _bare(text, f'write "{text}%"')


def write_rate(rate: float) -> str:
    return f"{(Decimal(str(rate)) * 100).normalize():f}%"


def read_share(text: str) -> float:
    """Share of ``50%``: 0.5; ``off`` is 0."""
    text = text.strip()
    if text == "off":
        return 0.0
    if text.endswith("s"):
        raise BadUnit("is not a share")
    if _BARE.fullmatch(text) and 0 < Decimal(text) <= 1:
        raise BadUnit("is not a share", f'write "{write_rate(float(text))}"')
    return read_rate(text)


def write_share(share: float) -> str:
    return "off" if share == 0 else write_rate(share)


def read_size(text: str) -> int:
    """Bytes of ``64KiB`` (1024) or ``16MB`` (1000). A bare number is refused, except 0."""
    text = text.strip()
    match = _SIZE.fullmatch(text)
    if match is None:
        return int(_bare(text, f'write "{text}B", "{text}KiB" or "{text}MB"'))
    number, unit = match.groups()
    if unit not in _SIZE_UNITS:
        meant = next(
            (known for known in _SIZE_UNITS if known.lower() == unit.lower() or known[0].lower() == unit.lower()), "MB"
        )
        raise BadUnit(f"{unit} is not a unit of size", f'write "{number}{meant}"; there are {", ".join(_SIZE_UNITS)}')
    return int(Decimal(number) * _SIZE_UNITS[unit])


def write_size(size: float) -> str:
    """The shortest exact text of whole bytes: 65536 is ``64KiB``, 1000000 is ``1MB``."""
    size = int(size)
    if size == 0:
        return "0"
    for unit in ("GiB", "GB", "MiB", "MB", "KiB", "kB"):
        if size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit}"
    return f"{size}B"


def read_mode(text: str) -> int:
    """Permission bits of ``0660`` or ``660``: octal, at most 0777."""
    text = text.strip()
    if not re.fullmatch(r"(0o?)?[0-7]{3}", text, re.ASCII):
        raise BadUnit("is not a file mode")
    return int(text.removeprefix("0o"), 8)


def write_mode(mode: float) -> str:
    return f"{int(mode):04o}"


def _bare(text: str, hint: str) -> float:
    """0, the one number that needs no unit; else why the text is refused."""
    if not _BARE.fullmatch(text):
        raise BadUnit("cannot be read")
    if Decimal(text) != 0:
        raise BadUnit("has no unit", hint)
    return 0.0
