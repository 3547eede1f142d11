"""systemd."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "systemd"

EXPLANATIONS = (
    Explanation(
        code="unit-unwritable",
        exits=(1,),
        summary="The units cannot be written there.",
    ),
    Explanation(
        code="no-systemd-analyze",
        exits=(1,),
        summary="systemd-analyze is not here, or does not answer.",
        do=(
            Step(
                "it is part of systemd: run this on the machine where the units are to be",
            ),
        ),
    ),
    Explanation(
        code="no-journal",
        exits=(1,),
        summary="There is no journal on this machine.",
        do=(
            Step(
                'systemd-journald must run; or write format = "json" under [log]',
            ),
        ),
    ),
    Explanation(
        code="no-socket-unit",
        exits=(2,),
        summary="systemd cannot open the listeners of this configuration.",
    ),
    Explanation(
        code="no-stop-signal",
        exits=(2,),
        summary="systemd stops a service with a signal, and here every signal means something else.",
        do=(
            Step(
                'systemd can only stop a service that has a signal for it: term = "stop" under [signals]',
            ),
        ),
    ),
    Explanation(
        code="line-break",
        exits=(2,),
        summary="A name or a path that is to stand in a unit has a line break.",
        do=(
            Step(
                "give it another name",
            ),
        ),
    ),
)
