"""The machine."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "The machine"

EXPLANATIONS = (
    Explanation(
        code="name-taken",
        exits=(1,),
        summary="Another supervisor runs under this name.",
    ),
    Explanation(
        code="no-runtime-folder",
        exits=(1,),
        summary="The runtime folder cannot be made.",
        do=(
            Step(
                "set runtime_dir, or make the folder and give it to this user",
            ),
        ),
    ),
    Explanation(
        code="notify-socket",
        exits=(1,),
        summary="The socket that command children report to cannot be made.",
        do=(
            Step(
                "the runtime folder must be writable and its path short (runtime_dir)",
            ),
        ),
    ),
    Explanation(
        code="descriptors-in-flight",
        exits=(1,),
        summary=(
            "Too many descriptors are sent and not yet received. Nothing was sent; try again when the peer has read."
        ),
        do=(
            Step(
                "raise the limit of open files (ulimit -n, LimitNOFILE= in the unit)",
            ),
        ),
    ),
    Explanation(
        code="descriptors-lost",
        exits=(1,),
        summary="Descriptors of a message did not fit into this process. Those that did were closed again.",
        do=(
            Step(
                "raise the limit of open files (ulimit -n, LimitNOFILE= in the unit)",
            ),
        ),
    ),
    Explanation(
        code="message-cut",
        exits=(1,),
        summary="The peer sent more than a message may hold. What came was thrown away, its descriptors closed.",
        do=(
            Step(
                "the other process speaks another protocol; both must come from midair",
            ),
        ),
    ),
    Explanation(
        code="world",
        exits=(1,),
        summary="The machine refused something: an address, a descriptor, a disk.",
    ),
)
