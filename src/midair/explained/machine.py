"""The machine."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "The machine"

EXPLANATIONS = (
    Explanation(
        code="name-taken",
        summary="Another supervisor runs under this name.",
        exits=(1,),
        happened=(
            "A service has a lock in its runtime folder as long as it lives, over upgrades, too. `midair run` found "
            "it locked: a service of this name runs."
        ),
        serves="The one that runs. Nothing was started here.",
        causes=(
            "It is this very service: it is updated, not started a second time.",
            "Two folders have the same name.",
            "systemd runs it, and somebody typed `midair run` in a terminal.",
        ),
        do=(
            Step(
                "See it.",
                ("midair status",),
            ),
            Step(
                "Update it, or start another one under another name.",
                (
                    "midair reload",
                    "midair run --name shop-test",
                ),
            ),
        ),
        see=(
            "other-folder",
            "port-in-use",
            "not-running",
        ),
        shown=(
            "$ midair run app:app",
            "error: a service named 'shop' runs already (/run/midair/shop)",
            "hint: midair status shows it; start another one with --name, or update this one with midair reload",
            "more: midair explain name-taken",
        ),
    ),
    Explanation(
        code="no-runtime-folder",
        summary="The runtime folder cannot be made.",
        exits=(1,),
        happened=(
            "The control socket and the lock need a folder: `runtime_dir`, else `$RUNTIME_DIRECTORY`, "
            "/run/midair/NAME (root) or `$XDG_RUNTIME_DIR/midair/NAME`. It cannot be made or used."
        ),
        serves="Nothing was started.",
        causes=(
            "A user without a session (cron, a container) has no `$XDG_RUNTIME_DIR`, and may not write in /run.",
            "The file system is read-only.",
        ),
        do=(
            Step(
                "In a unit: `RuntimeDirectory=`, which `midair systemd` writes.",
                ("midair systemd --write",),
            ),
            Step(
                "Elsewhere: name a folder that this user may write in.",
                ("midair run --set runtime_dir=/srv/shop/run",),
            ),
        ),
        prevent=("`midair doctor` says it before a start does (`runtime-folder`).",),
        see=(
            "notify-socket",
            "name-taken",
            "systemd.md",
            "containers.md",
        ),
    ),
    Explanation(
        code="notify-socket",
        summary="The socket that command children report to cannot be made.",
        exits=(4, 1),
        happened=(
            "Each command gets a socket (NOTIFY_SOCKET) in the runtime folder, to say when it can serve. It cannot be "
            "made."
        ),
        serves="What served before serves on; the command was not started.",
        causes=(
            "The folder's path is too long: a Unix socket's has 107 bytes.",
            "The folder has been removed or may not be written in: something cleans /run.",
        ),
        do=(
            Step(
                "Look at the folder.",
                (
                    "midair config --all",
                    "midair doctor",
                ),
            ),
            Step(
                "Name a shorter one in `runtime_dir`, and start again.",
            ),
        ),
        see=(
            "no-runtime-folder",
            "commands.md",
        ),
    ),
    Explanation(
        code="descriptors-in-flight",
        summary=(
            "Too many descriptors are sent and not yet received. Nothing was sent; try again when the peer has read."
        ),
        exits=(),
        happened=(
            "Sockets go between processes as descriptors. The kernel bounds how many may be on their way, by the "
            "limit of open files; midair waits and sends again."
        ),
        serves="Everything: connections move more slowly.",
        causes=("A low limit of open files and thousands of connections that move at once.",),
        do=(
            Step(
                "See the limit.",
                ("midair doctor",),
            ),
        ),
        prevent=("`LimitNOFILE=` in the unit, as `midair systemd` writes it.",),
        see=(
            "descriptors-lost",
            "systemd.md",
        ),
    ),
    Explanation(
        code="descriptors-lost",
        summary="Descriptors of a message did not fit into this process. Those that did were closed again.",
        exits=(),
        happened="A process was sent sockets and had reached its limit of open files.",
        serves="What it held before. The books in `midair receipt` say what became of connections.",
        causes=(
            "The limit of open files is lower than the connections of a worker.",
            "The application leaks descriptors.",
        ),
        do=(
            Step(
                "See limit and use.",
                (
                    "midair doctor",
                    "ls /proc/PID/fd | wc -l",
                ),
            ),
        ),
        prevent=("`LimitNOFILE=` in the unit, as `midair systemd` writes it.",),
        see=(
            "descriptors-in-flight",
            "bind-failed",
            "systemd.md",
        ),
    ),
    Explanation(
        code="message-cut",
        summary="The peer sent more than a message may hold. What came was thrown away, its descriptors closed.",
        exits=(),
        happened="Two processes of midair do not speak the same protocol.",
        serves="The process that listens goes on without that message.",
        causes=("The application's environment has another midair than the supervisor, many versions apart.",),
        do=(
            Step(
                "See the versions, and bring them to one.",
                ("midair doctor",),
            ),
        ),
        see=(
            "interpreter-unusable",
            "upgrade-preflight",
        ),
    ),
    Explanation(
        code="world",
        summary="The machine refused something: an address, a descriptor, a disk.",
        exits=(1,),
        happened="The kernel said no, and no other code says it better. The message has its reason and the path.",
        serves="A service that runs is not touched by a command that fails.",
        causes=("A full or read-only disk; a folder of another user.",),
        do=(
            Step(
                "See what is short.",
                (
                    "df -h .",
                    "midair doctor",
                ),
            ),
        ),
        see=(
            "port-in-use",
            "no-runtime-folder",
            "deploy-no-room",
        ),
    ),
)
