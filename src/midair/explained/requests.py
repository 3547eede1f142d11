"""A request that was not taken up."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "A request that was not taken up"

EXPLANATIONS = (
    Explanation(
        code="not-running",
        exits=(5,),
        summary="No service answers under that name.",
    ),
    Explanation(
        code="held",
        exits=(7,),
        summary="Updates are held back by somebody.",
    ),
    Explanation(
        code="rollback-nothing",
        exits=(1,),
        summary="No earlier version is kept (`rollback.keep`, `rollback.warm`). Put its files back, reload.",
    ),
    Explanation(
        code="rollback-barred",
        exits=(4,),
        summary="A version released with `--no-rollback`, or the `contract` hook, bars the way back.",
    ),
    Explanation(
        code="outcome-unknown",
        exits=(6,),
        summary="Whoever watched the update stopped watching. The update goes on.",
    ),
    Explanation(
        code="stopping",
        exits=(1,),
        summary="The service is stopping.",
    ),
    Explanation(
        code="not-allowed",
        exits=(1,),
        summary="The control socket is another user's, and we are in none of its groups.",
        do=(
            Step(
                (
                    "ask as the service's own user or as root, or have your group named in control.operators or "
                    "control.readers"
                ),
            ),
        ),
    ),
    Explanation(
        code="other-folder",
        exits=(1,),
        summary="The service that runs under this name is another folder's. Give one of them a name, or say `--name`.",
    ),
    Explanation(
        code="no-generation",
        exits=(1,),
        summary="There is no such generation, or nothing has started yet; `midair status` lists them.",
    ),
    Explanation(
        code="no-worker",
        exits=(1,),
        summary="There is no such worker; `midair status` lists them.",
    ),
    Explanation(
        code="no-receipt",
        exits=(1,),
        summary="There is no receipt of that number.",
        do=(
            Step(
                "midair history lists them",
            ),
        ),
    ),
    Explanation(
        code="no-update",
        exits=(1,),
        summary="There is nothing to look on at.",
    ),
    Explanation(
        code="not-built",
        exits=(1,),
        summary="This part of the supervisor is not available.",
    ),
    Explanation(
        code="too-many-connections",
        exits=(1,),
        summary="More are connected to the control socket than it serves; of users that are not its own, fewer.",
    ),
    Explanation(
        code="unanswerable",
        exits=(1,),
        summary="The answer is too long for a frame, or has in it what is no text.",
    ),
    Explanation(
        code="hung-up",
        exits=(1,),
        summary="The service closed the connection in the middle of its answers.",
        do=(
            Step(
                "see the service's own log; midair status tells whether it runs",
            ),
        ),
    ),
    Explanation(
        code="control-garbage",
        exits=(1,),
        summary=(
            "What came over the control socket is not a frame, or not a word. The connection is of no use any more."
        ),
    ),
    Explanation(
        code="metrics-unanswered",
        exits=(1,),
        summary="The supervisor said something else than what it was asked for.",
    ),
)
