"""A finding, and a check that may make one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from midair.doctor.facts import Facts

Level = Literal["ok", "note", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("problem", "warning", "note")
"""Of findings, the worst first."""
Group = Literal["configuration", "application", "permissions", "limits", "kernel", "systemd", "container", "releases"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` is so, ``why`` it matters, and the ``fix`` to type or to write."""

    level: Level
    what: str
    why: str
    fix: str


Judge = Callable[[Facts], Finding | None]


@dataclass(frozen=True, slots=True)
class Check:
    """``code`` is stable; ``looks_at`` says what is looked at, for people."""

    code: str
    group: Group
    looks_at: str
    judge: Judge


@dataclass(frozen=True, slots=True)
class Result:
    check: Check
    finding: Finding | None


WRITTEN: list[Check] = []
"""All checks, as their files were read."""


def check(code: str, group: Group) -> Callable[[Judge], Judge]:
    """The function below is a check; its docstring says what it looks at."""

    def add(judge: Judge) -> Judge:
        WRITTEN.append(Check(code, group, (judge.__doc__ or "").strip(), judge))
        return judge

    return add
