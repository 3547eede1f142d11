"""midair itself."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "midair itself"

EXPLANATIONS = (
    Explanation(
        code="bug",
        exits=(3,),
        summary="An impossible state: ours to mend.",
        do=(
            Step(
                "this is a bug in midair; please report it with the lines above",
            ),
        ),
    ),
    Explanation(
        code="midair",
        exits=(1,),
        summary="Root of all errors that midair raises on purpose.",
    ),
    Explanation(
        code="unknown-event",
        exits=(3,),
        summary="An event that the table does not list.",
        do=(
            Step(
                "this is a bug in midair; please report it with the lines above",
            ),
        ),
    ),
    Explanation(
        code="message-too-large",
        exits=(3,),
        summary="Something tried to send more than one message may hold.",
        do=(
            Step(
                "this is a bug in midair; please report it with the lines above",
            ),
        ),
    ),
    Explanation(
        code="no-such-series",
        exits=(3,),
        summary="A dashboard or a rule asks for a metric or a label that is not in observe/metrics.py.",
        do=(
            Step(
                "this is a bug in midair; please report it with the lines above",
            ),
        ),
    ),
)
