"""State that is carried."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "State that is carried"

EXPLANATIONS = (
    Explanation(
        code="carry-restore",
        exits=(4, 1),
        summary="The new version could not begin with the state: what it called raised.",
        do=(
            Step(
                "mend restore=, upgrade= or merge= of the new version; the running one was not touched",
            ),
        ),
    ),
    Explanation(
        code="carry-export",
        exits=(4, 1),
        summary=(
            "The running version could not give its state away: its export raised, or what it gave is no plain data."
        ),
        do=(
            Step(
                "mend the export of the running version, or go without its state: stop and start the service",
            ),
        ),
    ),
    Explanation(
        code="carry-late",
        exits=(4, 1),
        summary=(
            "The state of a slot (`midair.carry`) was not with its next worker in time: 10 s in the trial, 1 s at the "
            "cut-over."
        ),
    ),
    Explanation(
        code="carry-too-large",
        exits=(4, 1),
        summary="All that a worker carries is more than `carry.max_size`.",
        do=(
            Step(
                "raise carry.max_size, or keep what is large in a database",
            ),
        ),
    ),
    Explanation(
        code="carry-version",
        exits=(4, 1),
        summary="The new version does not take state of the version in which the running one has it.",
        do=(
            Step(
                "name the earlier version in accepts=, with upgrade= if its form differs",
            ),
        ),
    ),
    Explanation(
        code="carry-meets",
        exits=(4, 1),
        summary=(
            "Fewer slots follow than there were, so that several values meet in one, and nothing says what they make "
            "together."
        ),
        do=(
            Step(
                "give it merge=, carry it by export= and restore=, or keep the number of workers",
            ),
        ),
    ),
    Explanation(
        code="carry-unreadable",
        exits=(4, 1),
        summary="The state was written in a form that this midair does not read.",
    ),
    Explanation(
        code="carry-no-room",
        exits=(4, 1),
        summary="The state could not be written or passed on: memory, or descriptors.",
    ),
    Explanation(
        code="carried-twice",
        exits=(4, 1),
        summary="Two parts of the application carry state under one name.",
        do=(
            Step(
                "give each a name of its own: the next version finds its state by it",
            ),
        ),
    ),
    Explanation(
        code="carried-wrongly",
        exits=(4, 1),
        summary="A call of `midair.carry` that makes no sense.",
        do=(
            Step(
                "either an initial value, or export= and restore=",
            ),
        ),
    ),
)
