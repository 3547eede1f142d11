"""The supervisor's own upgrade."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "The supervisor's own upgrade"

EXPLANATIONS = (
    Explanation(
        code="upgrade-preflight",
        summary="The new midair failed its check in a child; the running one goes on.",
        exits=(4,),
        happened=(
            "Before the supervisor re-executes itself, the installed midair is started in a child and reads the "
            "running state. It failed, could not be started, or took more than 30 s. What it said stands above the "
            "error."
        ),
        serves="Everything: the running supervisor goes on, and no worker noticed.",
        causes=(
            "The installation is broken or half done: a package is missing, the interpreter was replaced.",
            "The new midair cannot read the running one's state: the versions are too far apart.",
        ),
        do=(
            Step(
                "See whether the installed midair starts at all.",
                ("midair --version",),
            ),
            Step(
                "Mend the installation (install it again), and upgrade.",
                ("midair upgrade",),
            ),
            Step(
                "If the versions are too far apart, restart in a quiet moment.",
                ("systemctl restart shop",),
            ),
        ),
        prevent=("Keep the running midair and the installed one close: upgrade after each installation.",),
        see=(
            "state-unreadable",
            "upgrade-exec",
            "upgrade-undone",
            "signals.md",
        ),
    ),
    Explanation(
        code="upgrade-exec",
        summary="The new midair could not be executed; the running one goes on.",
        exits=(4,),
        happened="The check had passed, and then the kernel would not execute the command; the message has its reason.",
        serves="Everything: the running supervisor goes on.",
        causes=("The command was removed or replaced at that very moment: an installation was under way.",),
        do=(
            Step(
                "Wait for the installation to end, and ask again.",
                (
                    "midair --version",
                    "midair upgrade",
                ),
            ),
        ),
        see=("upgrade-preflight",),
    ),
    Explanation(
        code="upgrade-undone",
        summary="The new midair could not take over; the one before serves again.",
        exits=(4,),
        happened=(
            "The supervisor had executed the new midair, and that one could not go on from the state it found. It "
            "executed the midair before again, with the same state."
        ),
        serves="Everything: workers served all along.",
        causes=(
            (
                "The new midair does not find something of the machine that the old one had (a changed limit, a "
                "removed folder)."
            ),
        ),
        do=(
            Step(
                "Read what it said.",
                (
                    "midair receipt",
                    "midair logs",
                ),
            ),
            Step(
                "Go back to the installed version from before, or restart in a quiet moment.",
                ("systemctl restart shop",),
            ),
        ),
        see=(
            "upgrade-preflight",
            "state-unreadable",
        ),
    ),
    Explanation(
        code="upgrade-busy",
        summary="The supervisor found no quiet moment to re-execute itself; try again.",
        exits=(4,),
        happened=(
            "An upgrade waits until no update is before its cut-over, no worker is being forked and no file is being "
            "read, at most 90 s. The message says what was still going on."
        ),
        serves="Everything: the running supervisor goes on.",
        causes=("An update takes long: an import, a hook, a start-up.",),
        do=(
            Step(
                "See what goes on, and ask again when it has ended.",
                (
                    "midair status",
                    "midair upgrade",
                ),
            ),
        ),
        see=(
            "upgrade-preflight",
            "upgrade-developing",
        ),
    ),
    Explanation(
        code="upgrade-developing",
        summary="`midair dev` is ended and started again instead.",
        exits=(1,),
        happened=(
            "`midair upgrade` was asked of a service under `midair dev`. What lives beside it (builds, pages, a "
            "terminal) is not handed on."
        ),
        serves="Everything goes on as before.",
        causes=("It was meant for another service: see the folder.",),
        do=(
            Step(
                "End it with Ctrl-C and start it again.",
                ("midair dev",),
            ),
        ),
        see=(
            "upgrade-busy",
            "dev.md",
        ),
    ),
    Explanation(
        code="state-unreadable",
        summary="The state document of the running supervisor makes no sense to this version of midair.",
        exits=(1,),
        happened="The new midair was to take over from the running one, and cannot read the state that it left.",
        serves="In a preflight: everything. After the leap the midair before is executed again, and everything serves.",
        causes=("The two versions are too far apart, or the new one is older.",),
        do=(
            Step(
                "Restart in a quiet moment.",
                ("systemctl restart shop",),
            ),
        ),
        prevent=("Upgrade one version after the other.",),
        see=(
            "upgrade-preflight",
            "upgrade-undone",
            "stored-state-unreadable",
        ),
    ),
    Explanation(
        code="stored-state-unreadable",
        summary="What the supervisor before this one has left makes no sense to this version of midair.",
        exits=(),
        happened=(
            "The supervisor had died, systemd started another, and what the first one had kept at systemd (numbers, "
            "holds, quarantines) cannot be read. The service started without it."
        ),
        serves=(
            "The new supervisor, from what is on disk. Numbers go on from the receipts; holds and quarantines are "
            "forgotten."
        ),
        causes=("midair was replaced by another version before the supervisor died.",),
        do=(
            Step(
                "See what serves, and hold again what was held.",
                (
                    "midair status",
                    "midair history",
                ),
            ),
        ),
        see=(
            "record-unreadable",
            "state-unreadable",
            "systemd.md",
        ),
    ),
    Explanation(
        code="record-unreadable",
        summary="A descriptor that was kept for us holds no document that is whole.",
        exits=(),
        happened="systemd gave a descriptor back that should hold the state of the supervisor before, and it does not.",
        serves="The new supervisor, from what is on disk, as after a first start.",
        causes=("Something else was stored under that name.",),
        do=(
            Step(
                "See what serves.",
                ("midair status",),
            ),
        ),
        see=(
            "stored-state-unreadable",
            "systemd.md",
        ),
    ),
)
