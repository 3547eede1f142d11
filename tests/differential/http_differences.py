"""Where other servers do otherwise: ``http_differences.toml``, read."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parent / "http_differences.toml"


@dataclass(frozen=True, slots=True)
class Difference:
    """Cases on which midair and others differ for one reason."""

    title: str
    """What the cases are about, for a heading."""
    reason: str
    cases: dict[str, dict[str, str]]
    """By case and server, ours first: what came of it. Servers that are alike share an entry, with commas between."""


def differences() -> list[Difference]:
    found = tomllib.loads(FILE.read_text())["difference"]
    return [Difference(each["title"], each["reason"], each["cases"]) for each in found]


def by_server() -> dict[tuple[str, str], str]:
    """What is listed, by case and server."""
    return {
        (case, server): outcome
        for each in differences()
        for case, outcomes in each.cases.items()
        for servers, outcome in outcomes.items()
        for server in servers.split(", ")
    }
