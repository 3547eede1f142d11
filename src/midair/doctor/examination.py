"""All checks, in the order in which they are shown, and what they find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from midair.doctor import application, configuration, container, kernel, limits, permissions, releases, traces, unit
from midair.doctor.facts import Facts
from midair.doctor.finding import LEVELS, WRITTEN, Check, Group, Level, Result

ROOMS = (configuration, traces, application, permissions, limits, kernel, unit, container, releases)
"""Where checks stand; reading a file puts its checks into the list."""

_ORDER = get_args(Group)
CHECKS: dict[str, Check] = {each.code: each for each in sorted(WRITTEN, key=lambda each: _ORDER.index(each.group))}
"""By code."""


def examine(facts: Facts) -> list[Result]:
    """Every check, in order. Pure."""
    return [Result(each, each.judge(facts)) for each in CHECKS.values()]


def worst(results: Sequence[Result]) -> Level:
    found = {result.finding.level for result in results if result.finding}
    return next((level for level in LEVELS if level in found), "ok")
