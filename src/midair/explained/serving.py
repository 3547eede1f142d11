"""Programs that serve themselves."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "Programs that serve themselves"

EXPLANATIONS = (
    Explanation(
        code="serve-not-reached",
        exits=(1,),
        summary="The main file has ended, and has not called `midair.serve()`.",
        do=(
            Step(
                (
                    "end it with midair.serve(app), outside of any condition that does not hold here (the arguments, "
                    "the environment)"
                ),
            ),
        ),
    ),
    Explanation(
        code="serve-misplaced",
        exits=(2,),
        summary="`midair.serve()` was called where nothing can be served from.",
    ),
    Explanation(
        code="serve-no-file",
        exits=(2,),
        summary="There is no file that `midair run` could run: a prompt, a notebook, `python -c`.",
        do=(
            Step(
                "put the application into a file and run that: python main.py; or name it: midair run module:app",
            ),
        ),
    ),
    Explanation(
        code="serve-twice",
        exits=(2,),
        summary="`midair.serve()` was called in a process that serves already.",
        do=(
            Step(
                "serve one application; mount the other one in it, or run it as a service of its own",
            ),
        ),
    ),
    Explanation(
        code="serve-argument",
        exits=(2,),
        summary="`midair.serve()` was given an argument that it does not have.",
    ),
    Explanation(
        code="upgrader-misplaced",
        exits=(2,),
        summary="An Upgrader was made where it cannot hear that it has to leave, or a second one.",
        do=(
            Step(
                "make one Upgrader, in the main thread, before the threads that use it",
            ),
        ),
    ),
    Explanation(
        code="upgrader-too-much",
        exits=(2,),
        summary="More descriptors or state than one thing may have.",
        do=(
            Step(
                "pass it on in parts, each with a name",
            ),
        ),
    ),
)
