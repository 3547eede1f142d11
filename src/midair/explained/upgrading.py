"""The supervisor's own upgrade."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "The supervisor's own upgrade"

EXPLANATIONS = (
    Explanation(
        code="upgrade-preflight",
        exits=(4,),
        summary="The new midair failed its check in a child; the running one goes on.",
    ),
    Explanation(
        code="upgrade-exec",
        exits=(4,),
        summary="The new midair could not be executed; the running one goes on.",
    ),
    Explanation(
        code="upgrade-undone",
        exits=(4,),
        summary="The new midair could not take over; the one before serves again.",
    ),
    Explanation(
        code="upgrade-busy",
        exits=(4,),
        summary="The supervisor found no quiet moment to re-execute itself; try again.",
    ),
    Explanation(
        code="upgrade-developing",
        exits=(1,),
        summary="`midair dev` is ended and started again instead.",
    ),
    Explanation(
        code="state-unreadable",
        exits=(1,),
        summary="The state document of the running supervisor makes no sense to this version of midair.",
        do=(
            Step(
                "this midair is too different from the running one; stop and start the service in a quiet moment",
            ),
        ),
    ),
    Explanation(
        code="stored-state-unreadable",
        exits=(1,),
        summary="What the supervisor before this one has left makes no sense to this version of midair.",
        do=(
            Step(
                "the service started without it: numbers go on from the receipts; holds and quarantines are forgotten",
            ),
        ),
    ),
    Explanation(
        code="record-unreadable",
        exits=(1,),
        summary="A descriptor that was kept for us holds no document that is whole.",
    ),
)
