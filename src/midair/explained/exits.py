"""The exit codes of the command line: what each means, and what to look at."""

from __future__ import annotations

from msgspec import Struct


class Exit(Struct, frozen=True):
    number: int
    meaning: str
    """In one line."""
    do: str
    """What to look at, or to do."""


EXITS = (
    Exit(0, "done", "Nothing. `midair status` shows what serves."),
    Exit(
        1,
        "failed: the machine, the application's first start, or a request that could not be carried out",
        "Read `error:`. A service that ran before runs on; one that was being started for the first time does not run.",
    ),
    Exit(
        2,
        "wrong usage or configuration; nothing was started or changed",
        "Mend what `error:` names, and ask again: `midair check` says whether the configuration is whole.",
    ),
    Exit(
        3,
        "a bug in midair: please report it",
        "Report the lines above `error:`. A service that runs is not touched by a command that fails.",
    ),
    Exit(
        4,
        "refused or rolled back: the earlier version serves",
        "Nothing is urgent. `midair explain --last` says why; mend it and ask again.",
    ),
    Exit(
        5,
        "nothing runs under that name",
        "See whether it is another folder or name that was meant, and then why it does not run: `midair explain not-running`.",
    ),
    Exit(
        6,
        "outcome unknown: whoever watched stopped watching (`--timeout`, Ctrl-C); the update goes on",
        "`midair status` shows it, `midair history` how it ended.",
    ),
    Exit(
        7,
        "held: somebody holds updates back (`midair hold`)",
        "`midair status` says who and why. Ask them before you type `midair hold --release`.",
    ),
)

INTERRUPTED = 130
"""Ctrl-C before anything was asked for."""
