"""All explanations, and those that are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from midair.explained import (
    addresses,
    alerting,
    application,
    carrying,
    configuring,
    containers,
    deploying,
    developing,
    machine,
    ourselves,
    requests,
    serving,
    units,
    updating,
    upgrading,
)
from midair.explained.explanation import Explanation

GROUPS: tuple[tuple[str, tuple[Explanation, ...]], ...] = tuple(
    (group.TITLE, group.EXPLANATIONS)
    for group in (
        updating,
        application,
        carrying,
        requests,
        configuring,
        addresses,
        machine,
        deploying,
        upgrading,
        units,
        containers,
        alerting,
        serving,
        developing,
        ourselves,
    )
)
"""Their titles and codes, those that are met most often first."""


def explanations() -> Iterator[Explanation]:
    for _, group in GROUPS:
        yield from group


def find(code: str) -> Explanation | None:
    return next((each for each in explanations() if each.code == code), None)
