"""midair itself."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "midair itself"

EXPLANATIONS = (
    Explanation(
        code="bug",
        summary="An impossible state: ours to mend.",
        exits=(3,),
        happened=(
            "midair met something that cannot be. A command ends with exit code 3 and the last frames of where it "
            "was; inside the supervisor it is an answer like any other, and the service goes on."
        ),
        serves="A service that runs is not touched by a command that fails so.",
        causes=("A fault in midair.",),
        do=(
            Step(
                "See it whole.",
                ("MIDAIR_TRACEBACK=1 midair status",),
            ),
            Step(
                "Report it, with the lines above the error, both versions, and what you had typed.",
                ("midair --version",),
            ),
        ),
        see=(
            "unknown-event",
            "message-too-large",
        ),
    ),
    Explanation(
        code="midair",
        summary="Root of all errors that midair raises on purpose.",
        exits=(1,),
        happened="An error without a code of its own: the message says it all.",
        serves="A service that runs is not touched.",
        causes=("No error should have this code: please report one that has.",),
        do=(
            Step(
                "Report it.",
                ("midair --version",),
            ),
        ),
        see=("bug",),
    ),
    Explanation(
        code="unknown-event",
        summary="An event that the table does not list.",
        exits=(3,),
        happened="A part of midair wrote a log line that the table of events does not have.",
        serves="The service goes on.",
        causes=("A fault in midair.",),
        do=(
            Step(
                "Report it.",
                ("midair --version",),
            ),
        ),
        see=(
            "bug",
            "events.md",
        ),
    ),
    Explanation(
        code="message-too-large",
        summary="Something tried to send more than one message may hold.",
        exits=(3,),
        happened=(
            "A message between two processes of midair was larger than 64 KiB. What an application says is cut before."
        ),
        serves="The process that was to get it goes on without.",
        causes=("A fault in midair.",),
        do=(
            Step(
                "Report it.",
                ("midair --version",),
            ),
        ),
        see=(
            "bug",
            "message-cut",
        ),
    ),
    Explanation(
        code="no-such-series",
        summary="A dashboard or a rule asks for a metric or a label that is not in observe/metrics.py.",
        exits=(3,),
        happened="`midair dashboard` or `midair alerts rules` was to write a query over a metric that does not exist.",
        serves="The service is not touched.",
        causes=("A fault in midair.",),
        do=(
            Step(
                "Report it.",
                ("midair --version",),
            ),
        ),
        see=(
            "bug",
            "metrics.md",
        ),
    ),
)
