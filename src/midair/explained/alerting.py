"""Alerts."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "Alerts"

EXPLANATIONS = (
    Explanation(
        code="alert-not-delivered",
        exits=(1,),
        summary="The test alert did not get where alerts should go, or was not answered as they are.",
        do=(
            Step(
                "midair alerts serve has to run there; with --through, a route of Alertmanager has to lead to it",
            ),
        ),
    ),
    Explanation(
        code="bad-notification",
        exits=(1,),
        summary="What was posted to `midair alerts serve` is not a notification of Alertmanager, version 4.",
    ),
    Explanation(
        code="bad-token",
        exits=(2,),
        summary="The file with the token for `midair alerts` cannot be used.",
        do=(
            Step(
                "it holds one line, the token that Alertmanager sends: http_config.authorization.credentials_file",
            ),
        ),
    ),
    Explanation(
        code="token-needed",
        exits=(2,),
        summary="Other machines reach that address, so whoever posts there has to say a token.",
        do=(
            Step(
                "give one with --token-file FILE, or bind an address of this machine alone: --bind 127.0.0.1:9466",
            ),
        ),
    ),
    Explanation(
        code="incidents-locked",
        exits=(1,),
        summary="Another `midair alerts serve` writes this file.",
        do=(
            Step(
                "end the other one, or give this one a file of its own: --incidents FILE",
            ),
        ),
    ),
    Explanation(
        code="no-incident",
        exits=(1,),
        summary="There is no such incident in the file, or no such file.",
        do=(
            Step(
                "midair alerts list shows them; --incidents FILE says where they are",
            ),
        ),
    ),
    Explanation(
        code="lines-unread",
        exits=(1,),
        summary="The lines of an update cannot be read where they should be.",
    ),
    Explanation(
        code="out-of-time",
        exits=(1,),
        summary="An alert has to be answered before all that belongs to it could be had.",
    ),
)
