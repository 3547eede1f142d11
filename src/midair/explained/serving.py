"""Programs that serve themselves."""

from __future__ import annotations

from midair.explained.explanation import NOBODY_NOTICED, Explanation, Step

TITLE = "Programs that serve themselves"

EXPLANATIONS = (
    Explanation(
        code="serve-not-reached",
        summary="The main file has ended, and has not called `midair.serve()`.",
        exits=(4, 1),
        happened=(
            "`main` is run in each version up to the line where it calls `midair.serve()`. It came to its end without."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            (
                "The call stands under a condition that does not hold here: an argument that is missing "
                "(`arguments`), a variable."
            ),
            "The file still ends with `uvicorn.run(app)`, or with nothing.",
        ),
        do=(
            Step(
                "See it, without an update.",
                ("midair check",),
            ),
            Step(
                "Let the file end with `midair.serve(app)`, and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "serve-misplaced",
            "main-missing",
            "drop-in.md",
        ),
    ),
    Explanation(
        code="serve-misplaced",
        summary="`midair.serve()` was called where nothing can be served from.",
        exits=(2, 4),
        happened=(
            "It belongs at the end of a program, in the main thread, outside an event loop. The message says where it "
            "was called."
        ),
        serves="A service that runs is not touched.",
        causes=(
            (
                '"was imported": the module is the target of `midair run module:app`, and calls it at import. Put it '
                'under `if __name__ == "__main__":`.'
            ),
            '"in a thread", "inside an event loop": `asyncio.run(main())` with the call in it.',
            '"by a command": the program was started as `midair run -- python main.py`; run its file instead.',
        ),
        do=(
            Step(
                "Run the file itself.",
                ("midair run --main main.py",),
            ),
        ),
        see=(
            "serve-not-reached",
            "serve-twice",
            "drop-in.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            (
                "error: midair.serve() was called while app:app was imported (app.py:125, midair.serve()); 1.8.2 "
                "(generation 2) serves"
            ),
            'hint: put it under if __name__ == "__main__":, or run the file itself: midair run --main app.py',
            "more: midair explain serve-misplaced",
        ),
    ),
    Explanation(
        code="serve-no-file",
        summary="There is no file that `midair run` could run: a prompt, a notebook, `python -c`.",
        exits=(2,),
        happened=(
            "`midair.serve()` makes the process a service that runs the program's file again for each version. There "
            "is none."
        ),
        serves="Nothing was started.",
        causes=("It was typed at a prompt or in a notebook.",),
        do=(
            Step(
                "Put it into a file, or name the application.",
                (
                    "python main.py",
                    "midair run module:app",
                ),
            ),
        ),
        see=(
            "serve-misplaced",
            "drop-in.md",
        ),
    ),
    Explanation(
        code="serve-twice",
        summary="`midair.serve()` was called in a process that serves already.",
        exits=(2, 4),
        happened="A process serves one application.",
        serves="A service that runs is not touched.",
        causes=("The application calls it itself, at start-up or in a request.",),
        do=(
            Step(
                "Mount the other application in it, or run it as a service of its own.",
                ("midair run other:app --name other --bind 127.0.0.1:8001",),
            ),
        ),
        see=(
            "serve-misplaced",
            "drop-in.md",
        ),
    ),
    Explanation(
        code="serve-argument",
        summary="`midair.serve()` was given an argument that it does not have.",
        exits=(2, 4),
        happened=(
            "Its arguments are keys of the configuration, by uvicorn's names where it has them. The message says "
            "which is not one, and what takes its place."
        ),
        serves="A service that runs is not touched.",
        causes=(
            "`reload=True`: `midair dev` is for that.",
            "A key that counts before the program is imported (`python`, `env_files`): set it in midair.toml.",
        ),
        do=(
            Step(
                "See what there is.",
                ("midair config --all",),
            ),
        ),
        see=(
            "bad-config",
            "drop-in.md",
            "configuration.md",
        ),
    ),
    Explanation(
        code="upgrader-misplaced",
        summary="An Upgrader was made where it cannot hear that it has to leave, or a second one.",
        exits=(2,),
        happened="A program of Python that uses `midair.Upgrader` made one in a thread, or two of them.",
        serves="A service that runs is not touched; the program's process ends with the error.",
        causes=("A library of the program makes one as well.",),
        do=(
            Step(
                "Make one Upgrader, in the main thread, before the threads that use it.",
            ),
        ),
        see=(
            "upgrader-too-much",
            "python-api.md#upgrader",
        ),
    ),
    Explanation(
        code="upgrader-too-much",
        summary="More descriptors or state than one thing may have.",
        exits=(2,),
        happened=(
            "`Upgrader.pass_on` was given more descriptors or more state than goes in one message. The message has "
            "the figures."
        ),
        serves="What was to be passed on stays with the process that has it.",
        causes=("All connections were passed as one thing.",),
        do=(
            Step(
                "Pass it on in parts, each with a name.",
            ),
        ),
        see=(
            "upgrader-misplaced",
            "python-api.md#upgrader",
        ),
    ),
)
