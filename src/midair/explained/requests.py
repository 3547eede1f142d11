"""A request that was not taken up."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "A request that was not taken up"

EXPLANATIONS = (
    Explanation(
        code="not-running",
        summary="No service answers under that name.",
        exits=(5,),
        happened=(
            "The command looked for the service's control socket, by the folder where it was typed (or `-C`, "
            "`--name`), and nobody answers there. If a socket was left behind, the line above says so: the supervisor "
            "was killed."
        ),
        serves="Nothing runs under that name. Others that run here stand in the hint.",
        causes=(
            (
                "The command was typed in another folder than the service's, or as another user: root's services are "
                "in /run/midair, those of a user in `$XDG_RUNTIME_DIR/midair`."
            ),
            "The service has a `name` that is not the folder's.",
            "It is stopped, or its start failed: systemd says why.",
            "It was killed: `journalctl -k` says whether for want of memory.",
        ),
        do=(
            Step(
                "See all services that this user may see.",
                ("midair status --all",),
            ),
            Step(
                "See what systemd knows of it.",
                (
                    "systemctl status shop",
                    "journalctl -u shop -n 50",
                ),
            ),
            Step(
                "Start it.",
                ("systemctl start shop",),
            ),
            Step(
                "Or, without systemd, in its folder.",
                ("midair run",),
            ),
        ),
        prevent=("Let systemd start it again whatever happens: `midair systemd --write` writes a unit that does.",),
        see=(
            "name-taken",
            "other-folder",
            "not-allowed",
            "systemd.md",
        ),
        shown=(
            "$ midair status",
            "error: nothing runs under the name 'shop'",
            "…",
            "more: midair explain not-running",
        ),
    ),
    Explanation(
        code="held",
        summary="Updates are held back by somebody.",
        exits=(7,),
        happened=(
            "`midair hold` was typed, and its time is not over. Whoever asks for an update, other than the holder, is "
            "told who holds and why."
        ),
        serves="What served serves on; nothing was started.",
        causes=(
            "A freeze (month end, an incident) that is meant.",
            "A hold without `--for` that was forgotten.",
        ),
        do=(
            Step(
                "See who holds, why, and until when.",
                ("midair status",),
            ),
            Step(
                "Ask them. Then end it, or insist for this one update.",
                (
                    "midair hold --release",
                    "midair reload --force",
                ),
            ),
        ),
        prevent=('Say for how long: `midair hold -m "month end" --for 2h`.',),
        see=(
            "quarantined",
            "superseded",
            "updates.md#hold",
        ),
        shown=(
            "$ midair reload",
            "error: updates are held by uid 1001 (release): month end",
            "hint: midair hold --release, or --force",
            "more: midair explain held",
        ),
    ),
    Explanation(
        code="rollback-nothing",
        summary="No earlier version is kept (`rollback.keep`, `rollback.warm`). Put its files back, reload.",
        exits=(1,),
        happened="`midair rollback` was asked for, no update is in its bake, and nothing of a version before is kept.",
        serves="What served serves on; nothing was started.",
        causes=(
            "This is the first version since the service was started (a restart begins anew).",
            "The commit is longer ago than `rollback.warm` (10 min).",
            "It was let go for want of memory (`kept_given_up` in the log), or `rollback.keep` is `none`.",
        ),
        do=(
            Step(
                "See what there was.",
                ("midair history",),
            ),
            Step(
                "With release folders: go back to one that is there.",
                (
                    "midair deploy --list",
                    "midair deploy --rollback",
                ),
            ),
            Step(
                "Without: put its files back, and update to them.",
                (
                    "git checkout v1.8.2",
                    "midair reload",
                ),
            ),
        ),
        prevent=(
            'Deploy into release folders (`midair deploy`), or keep versions longer: `warm = "1h"` under `[rollback]`.',
        ),
        see=(
            "rollback-barred",
            "rollback-files-gone",
            "deploy.md",
            "updates.md#the-way-back",
        ),
        shown=(
            "$ midair rollback",
            "error: there is no earlier version to go back to",
            "hint: rollback.keep and rollback.warm (10 min) say what is kept of the version before; put its files back and reload",
            "more: midair explain rollback-nothing",
        ),
    ),
    Explanation(
        code="rollback-barred",
        summary="A version released with `--no-rollback`, or the `contract` hook, bars the way back.",
        exits=(4,),
        happened=(
            "Somebody has said that the code before cannot follow: the update was asked for with `--no-rollback`, or "
            "`hooks.contract` has run and taken away what only the old code needed (a column, a table). The message "
            "says which."
        ),
        serves="What served serves on; nothing was started.",
        causes=("It is meant: going back would have the old code meet a database that it does not know.",),
        do=(
            Step(
                "See which update it was.",
                ("midair history",),
            ),
            Step(
                "The way out is forwards: mend it, and release that.",
                ("midair reload",),
            ),
            Step(
                "If you know that the old code can follow after all, put its files back and update to them.",
                (
                    "git checkout v1.8.2",
                    "midair reload",
                ),
            ),
        ),
        prevent=("Release in two steps: first what both versions can live with, later `hooks.contract`.",),
        see=(
            "rollback-nothing",
            "rollback-files-gone",
            "updates.md#the-way-back",
        ),
        shown=(
            "$ midair rollback",
            "error: no way back: version 1.9.0 was released with --no-rollback",
            "hint: deploy a version that mends it",
            "more: midair explain rollback-barred",
        ),
    ),
    Explanation(
        code="outcome-unknown",
        summary="Whoever watched the update stopped watching. The update goes on.",
        exits=(6,),
        happened=(
            "The command ended before the update did: Ctrl-C, `--timeout`, or the service did not answer it in time. "
            "An update is not called off by that."
        ),
        serves="Whatever served when it ended; the update may have gone on since.",
        causes=(
            "Somebody pressed Ctrl-C.",
            "`--timeout` is shorter than `hooks.before`, start, `bake.for` and what else there is together.",
            '"does not take our call": the supervisor is stopped (SIGSTOP, a debugger), or the machine is very busy.',
        ),
        do=(
            Step(
                "See how far it is, or how it ended.",
                (
                    "midair status",
                    "midair history",
                ),
            ),
            Step(
                "If it should not have been: take it back.",
                ("midair rollback",),
            ),
        ),
        prevent=(
            "In scripts give a `--timeout` that is longer than start and bake together, and look at the exit code.",
        ),
        see=(
            "hung-up",
            "called-off",
            "updates.md",
        ),
    ),
    Explanation(
        code="stopping",
        summary="The service is stopping.",
        exits=(1,),
        happened=(
            "Somebody asked the service to stop (`midair stop`, systemd, a signal), and then something else was asked "
            "of it."
        ),
        serves="It finishes what it has, at most for `stop.timeout` (25 s), and takes nothing new.",
        causes=("A deployment and a restart at the same time.",),
        do=(
            Step(
                "Wait until it has stopped, and start it.",
                ("systemctl start shop",),
            ),
        ),
        see=(
            "not-running",
            "update",
            "signals.md",
        ),
    ),
    Explanation(
        code="not-allowed",
        summary="The control socket is another user's, and we are in none of its groups.",
        exits=(1,),
        happened=(
            "root and the user that the service runs as may do everything. Others need a group in `control.operators` "
            "(look and act) or `control.readers` (look). The kernel's word on who asks counts."
        ),
        serves="What served serves on; nothing was done. The log says who was refused (`control_refused`).",
        causes=(
            "Typed as oneself instead of as the service's user.",
            "The user was added to the group just now: it counts from the next login on.",
            "`control.operators` was set, and takes a restart.",
        ),
        do=(
            Step(
                "See who you are, and ask as the service's user.",
                (
                    "id",
                    "sudo midair status --name shop",
                ),
            ),
        ),
        prevent=("Name a group of those who operate it in `control.operators`.",),
        see=(
            "other-folder",
            "not-running",
            "control-socket.md#rights",
        ),
    ),
    Explanation(
        code="other-folder",
        summary="The service that runs under this name is another folder's. Give one of them a name, or say `--name`.",
        exits=(1,),
        happened=(
            "A service's name is its folder's unless `name` says something else. Two folders have the same one; the "
            "other one's service runs, and this command would have changed it."
        ),
        serves="What served serves on; nothing was done.",
        causes=(
            "A second checkout with the same last part of its path (/srv/shop and /home/you/shop).",
            "A release folder that was named instead of `current`.",
        ),
        do=(
            Step(
                "See which services run, and where.",
                ("midair status --all",),
            ),
            Step(
                "If you mean the one that runs, say so.",
                ("midair reload --name shop",),
            ),
        ),
        prevent=("Give each a `name` of its own in midair.toml.",),
        see=(
            "not-running",
            "name-taken",
            "cli.md",
        ),
    ),
    Explanation(
        code="no-generation",
        summary="There is no such generation, or nothing has started yet; `midair status` lists them.",
        exits=(1,),
        happened="`midair why-alive` was asked for a generation that has no processes.",
        serves="Nothing was changed.",
        causes=(
            "It has ended meanwhile.",
            "The number of an update was given: generations are counted for themselves.",
        ),
        do=(
            Step(
                "See which there are.",
                ("midair status",),
            ),
        ),
        see=(
            "no-worker",
            "no-receipt",
        ),
        shown=(
            "$ midair why-alive 900",
            "error: there is no generation 900",
            "hint: midair status lists them",
            "more: midair explain no-generation",
        ),
    ),
    Explanation(
        code="no-worker",
        summary="There is no such worker; `midair status` lists them.",
        exits=(1,),
        happened=(
            "`midair stacks` was asked for a worker or a generation that is not there. It is written GENERATION.SLOT."
        ),
        serves="Nothing was changed.",
        causes=(
            "It has ended meanwhile.",
            "Command children are no Python of midair's: their stacks cannot be told.",
        ),
        do=(
            Step(
                "See which there are.",
                (
                    "midair status --workers",
                    "midair stacks 8.0",
                ),
            ),
        ),
        see=("no-generation",),
        shown=(
            "$ midair stacks 900.0",
            "error: generation 900 has no such worker",
            "hint: midair status lists them",
            "more: midair explain no-worker",
        ),
    ),
    Explanation(
        code="no-receipt",
        summary="There is no receipt of that number.",
        exits=(1,),
        happened="A receipt was asked for that is not there.",
        serves="Nothing was changed.",
        causes=(
            "A generation's number was given: updates are counted for themselves.",
            "It is older than the 1,000 that are kept.",
            "`state_dir` is another since, or could not be written: then receipts end with the supervisor.",
        ),
        do=(
            Step(
                "See which there are.",
                (
                    "midair history -n 50",
                    "midair doctor",
                ),
            ),
        ),
        see=(
            "no-generation",
            "no-update",
        ),
        shown=(
            "$ midair receipt 4000",
            "error: there is no receipt 4000",
            "hint: midair history lists them",
            "more: midair explain no-receipt",
        ),
    ),
    Explanation(
        code="no-update",
        summary="There is nothing to look on at.",
        exits=(1,),
        happened="A program asked the control socket to watch an update, and none is under way.",
        serves="Nothing was changed.",
        causes=("It has ended already.",),
        do=(
            Step(
                "See how it ended.",
                ("midair history",),
            ),
        ),
        see=(
            "no-receipt",
            "control-socket.md",
        ),
    ),
    Explanation(
        code="not-built",
        summary="This part of the supervisor is not available.",
        exits=(1,),
        happened=(
            "A supervisor that was put together without the part that was asked for (the upgrade in place) got a "
            "request for it. `midair run` always has it."
        ),
        serves="Nothing was changed.",
        causes=("A program that embeds midair's supervisor.",),
        do=(
            Step(
                "End it and start it again instead.",
            ),
        ),
        see=("upgrade-developing",),
    ),
    Explanation(
        code="too-many-connections",
        summary="More are connected to the control socket than it serves; of users that are not its own, fewer.",
        exits=(1,),
        happened=(
            "The control socket serves 64 connections, 32 of them of other users, 8 a user. One more came, and the "
            "one that had asked nothing for longest had to give way."
        ),
        serves="The service itself is not touched: nobody can hold it up from there.",
        causes=(
            "A script asks in a loop and never ends its connections.",
            "Many terminals with `midair top` or `midair logs -f`.",
        ),
        do=(
            Step(
                "See who it is.",
                ("ss -xp | grep control.sock",),
            ),
            Step(
                "Ask again in a moment.",
            ),
        ),
        see=(
            "not-allowed",
            "control-socket.md#bounds",
        ),
    ),
    Explanation(
        code="unanswerable",
        summary="The answer is too long for a frame, or has in it what is no text.",
        exits=(1,),
        happened="The supervisor had an answer that does not fit into 4 MiB, or holds bytes that are no UTF-8.",
        serves="Nothing was changed.",
        causes=("A receipt with a very long traceback; a path that is no UTF-8.",),
        do=(
            Step(
                "Look at the receipt's own file, in `receipts` under `state_dir`.",
                ("midair config --all",),
            ),
        ),
        see=(
            "no-receipt",
            "control-socket.md#frames",
        ),
    ),
    Explanation(
        code="hung-up",
        summary="The service closed the connection in the middle of its answers.",
        exits=(1,),
        happened="The command was connected to the supervisor, and the connection ended before the answer was whole.",
        serves=(
            "If the supervisor ended, its workers finish their requests for some seconds and go. If it re-executed "
            "itself (`midair upgrade`), everything serves."
        ),
        causes=(
            "The supervisor ended or was killed.",
            "It upgraded itself at that moment.",
            "This command read nothing for 10 s: it was stopped (Ctrl-Z).",
        ),
        do=(
            Step(
                "See whether it runs, and ask again.",
                (
                    "midair status",
                    "journalctl -u shop -n 50",
                ),
            ),
        ),
        see=(
            "not-running",
            "outcome-unknown",
            "control-garbage",
        ),
    ),
    Explanation(
        code="control-garbage",
        summary=(
            "What came over the control socket is not a frame, or not a word. The connection is of no use any more."
        ),
        exits=(1,),
        happened="The other side of the control socket said something that midair's words do not have.",
        serves="The service is not touched.",
        causes=(
            "Another program listens at that path, or speaks to it.",
            "The command and the supervisor are many versions of midair apart.",
        ),
        do=(
            Step(
                "See both versions.",
                (
                    "midair --version",
                    "midair doctor",
                ),
            ),
            Step(
                "Put the supervisor on the installed midair.",
                ("midair upgrade",),
            ),
        ),
        see=(
            "hung-up",
            "control-socket.md",
        ),
    ),
    Explanation(
        code="metrics-unanswered",
        summary="The supervisor said something else than what it was asked for.",
        exits=(),
        happened=(
            "The process that serves the metrics and the admin page asked the supervisor, and did not understand the "
            "answer."
        ),
        serves="The service itself; the page or the scrape got an error.",
        causes=("The two are of different versions of midair, in the middle of an upgrade.",),
        do=(
            Step(
                "See whether it lasts; if it does, put both on one version.",
                (
                    "midair doctor",
                    "midair upgrade",
                ),
            ),
        ),
        see=(
            "control-garbage",
            "metrics.md",
        ),
    ),
)
