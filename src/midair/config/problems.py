"""What is wrong with a configuration: all of it at once, each with its place and what is expected."""

from __future__ import annotations

from msgspec import Struct

from midair.errors import ConfigError


class Problem(Struct, frozen=True):
    """``where`` is a file and line, ``$VARIABLE`` or ``--flag``; ``message`` names key, value and what is expected."""

    where: str
    message: str
    hint: str = ""
    key: str = ""
    """The key whose value could not be read; what depends on it cannot be judged."""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.where}: {self.message}{hint}" if self.where else f"{self.message}{hint}"


class BadConfig(ConfigError):
    """The configuration has problems. Nothing was started or changed because of it."""

    code = "bad-config"

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        if len(problems) == 1:
            only = problems[0]
            message = f"{only.where}: {only.message}" if only.where else only.message
            super().__init__(message, hint=only.hint or None)
        else:
            lines = "".join(f"\n  {problem}" for problem in problems)
            super().__init__(f"the configuration has {len(problems)} problems:{lines}")
