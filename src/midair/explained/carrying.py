"""State that is carried."""

from __future__ import annotations

from midair.explained.explanation import NOBODY_NOTICED, Explanation, Step

TITLE = "State that is carried"

EXPLANATIONS = (
    Explanation(
        code="carry-restore",
        summary="The new version could not begin with the state: what it called raised.",
        exits=(4, 1),
        happened=(
            "Before the cut-over the new version's workers are given what the serving ones carry (`midair.carry`), as "
            "a trial. A function of the application (`restore=`, `upgrade=`, `merge=`), or the reading of the value, "
            "raised there. The traceback stands above the error."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The form of the state has changed, and its `version` was not raised: old values meet new code.",
            "`restore=` does not accept an empty list, which a first start and a crash bring.",
        ),
        do=(
            Step(
                "Read the traceback.",
                ("midair receipt",),
            ),
            Step(
                (
                    "Mend it in the new version: raise `version`, name the old one in `accepts=`, and bring it over "
                    "with `upgrade=`."
                ),
                ("midair reload",),
            ),
        ),
        see=(
            "carry-version",
            "carry-export",
            "carry-meets",
            "state.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: state 'rooms' cannot be restored: KeyError: 'topic'; 1.8.2 (generation 2) serves",
            "hint: mend restore=, upgrade= or merge= of the new version; the running one was not touched",
            "more: midair explain carry-restore",
        ),
    ),
    Explanation(
        code="carry-export",
        summary=(
            "The running version could not give its state away: its export raised, or what it gave is no plain data."
        ),
        exits=(4, 1),
        happened=(
            "The version that serves was asked for the state that it carries. Its `export=` raised, or what it "
            "returned cannot be written: plain data is what msgpack knows, and dataclasses, sets, tuples and msgspec "
            "structs of it. It is the code that runs which fails, not the new one."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "An object that is no data has come into the carried value: a connection, a lock, a response.",
            "`export=` reads what another task changes at the same moment.",
        ),
        do=(
            Step(
                "Read the traceback.",
                ("midair receipt",),
            ),
            Step(
                (
                    "The running version cannot be mended without an update. Go without its state: stop it and start "
                    "it again."
                ),
                ("systemctl restart shop",),
            ),
        ),
        prevent=("Test `export=` and `restore=` against each other in the application's own tests.",),
        see=(
            "carry-restore",
            "carry-too-large",
            "state.md",
        ),
    ),
    Explanation(
        code="carry-late",
        summary=(
            "The state of a slot (`midair.carry`) was not with its next worker in time: 10 s in the trial, 1 s at the "
            "cut-over."
        ),
        exits=(4, 1),
        happened=(
            "State goes from the old worker of a slot to the new one. It was not there in time, or the worker that "
            "was to take it ended, or the slots were switched meanwhile; the message says which. The old worker goes "
            "on with its state."
        ),
        serves=(
            "The version that served before serves on with its state. At the cut-over requests may have waited for a second."
        ),
        causes=(
            "There is much of it: writing and reading takes longer than the limit.",
            "The event loop of the old or the new worker stands still: a blocking call.",
            "The machine is very busy.",
        ),
        do=(
            Step(
                "See where the workers stand, and what the receipt has of it.",
                (
                    "midair receipt",
                    "midair stacks",
                ),
            ),
            Step(
                "Ask again when it is quieter.",
                ("midair reload",),
            ),
        ),
        prevent=("Carry less: keep what is large in a database, and carry where it is.",),
        see=(
            "carry-too-large",
            "carry-export",
            "state.md",
        ),
    ),
    Explanation(
        code="carry-too-large",
        summary="All that a worker carries is more than `carry.max_size`.",
        exits=(4, 1),
        happened=(
            "What a serving worker carries was written out, and has more bytes than `carry.max_size` (256 MiB). The "
            "message has both figures."
        ),
        serves=NOBODY_NOTICED,
        causes=("A cache or a history that only grows is carried.",),
        do=(
            Step(
                (
                    'If it is meant to be so large, write `max_size = "1GiB"` under `[carry]` in midair.toml, and ask '
                    "again."
                ),
                ("midair reload",),
            ),
            Step(
                "Else go without it once, and carry less from then on.",
                ("systemctl restart shop",),
            ),
        ),
        prevent=("Bound what you carry, and keep what is large in a database.",),
        see=(
            "carry-late",
            "carry-no-room",
            "state.md",
        ),
    ),
    Explanation(
        code="carry-version",
        summary="The new version does not take state of the version in which the running one has it.",
        exits=(4, 1),
        happened=(
            "Each carried value has a `version` of its form. The running code has one that the new code names neither "
            "as its own nor in `accepts=`; the message has both."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The form was changed (`version=2`), and how old values become new ones was forgotten.",
            "An older version is deployed: it does not know the newer form.",
        ),
        do=(
            Step(
                "Give the new code `accepts={1}` and an `upgrade=` if the form differs, and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "carry-restore",
            "state.md#when-its-form-changes",
        ),
    ),
    Explanation(
        code="carry-meets",
        summary=(
            "Fewer slots follow than there were, so that several values meet in one, and nothing says what they make "
            "together."
        ),
        exits=(4, 1),
        happened=(
            "The new version has fewer workers, so that a slot gets the state of several. A single value without "
            "`merge=` cannot be several."
        ),
        serves=NOBODY_NOTICED,
        causes=("`workers` was made smaller in the same deployment.",),
        do=(
            Step(
                "Keep the number of workers, or give the value a `merge=`, and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "carry-restore",
            "state.md",
        ),
    ),
    Explanation(
        code="carry-unreadable",
        summary="The state was written in a form that this midair does not read.",
        exits=(4, 1),
        happened="The two workers run different versions of midair, and the newer one writes state in another form.",
        serves=NOBODY_NOTICED,
        causes=("The application's environment got a newer or older midair than the running workers have.",),
        do=(
            Step(
                "Bring both to one version of midair, or go without the state once.",
                (
                    "midair doctor",
                    "systemctl restart shop",
                ),
            ),
        ),
        see=(
            "carry-version",
            "upgrade-preflight",
            "state.md",
        ),
    ),
    Explanation(
        code="carry-no-room",
        summary="The state could not be written or passed on: memory, or descriptors.",
        exits=(4, 1),
        happened=(
            "State goes in a piece of memory that only the two workers see. The kernel gave none, or no more "
            "descriptors could be opened."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The memory of the machine or the container is used up.",
            "The limit of open files is reached (`LimitNOFILE=`).",
        ),
        do=(
            Step(
                "See which.",
                ("midair doctor",),
            ),
            Step(
                "Make room, and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "carry-too-large",
            "no-memory",
            "descriptors-lost",
        ),
    ),
    Explanation(
        code="carried-twice",
        summary="Two parts of the application carry state under one name.",
        exits=(4, 1),
        happened=(
            "`midair.carry` was called twice with the same name while the application was imported. The next version "
            "finds its state by that name."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "A module is imported under two names (`shop.rooms` and `rooms`), so that its code runs twice.",
            "Two modules have chosen the same name.",
        ),
        do=(
            Step(
                "See where.",
                ("midair check",),
            ),
            Step(
                "Give each a name of its own, and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "carried-wrongly",
            "state.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: state 'rooms' is carried already; 1.8.2 (generation 2) serves",
            "hint: give each a name of its own: the next version finds its state by it",
            "more: midair explain carried-twice",
        ),
    ),
    Explanation(
        code="carried-wrongly",
        summary="A call of `midair.carry` that makes no sense.",
        exits=(4, 1),
        happened=(
            "`midair.carry` takes either an initial value, or both `export=` and `restore=`. It got neither, both, or "
            "half."
        ),
        serves=NOBODY_NOTICED,
        causes=("`export=` without `restore=`.",),
        do=(
            Step(
                "See where, mend it, and ask again.",
                (
                    "midair check",
                    "midair reload",
                ),
            ),
        ),
        see=(
            "carried-twice",
            "state.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: carry('rooms') needs a value, or export and restore; 1.8.2 (generation 2) serves",
            "hint: either an initial value, or export= and restore=",
            "more: midair explain carried-wrongly",
        ),
    ),
)
