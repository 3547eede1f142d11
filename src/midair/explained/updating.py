"""An update that ended early."""

from __future__ import annotations

from midair.explained.explanation import NOBODY_NOTICED, ROLLED_BACK, Explanation, Step

TITLE = "An update that ended early"

EXPLANATIONS = (
    Explanation(
        code="bake-died",
        summary="A worker of the new version died while it was watched.",
        exits=(4,),
        happened=(
            "The new version was cut over to, and within `bake.for` one of its workers ended, which the kernel tells "
            "midair at once. The version was taken back. The message says which worker, how long after the cut-over, "
            "and how it ended: a signal's name (SIGKILL, SIGSEGV), or `exit` with the number that the application ended with."
        ),
        serves=ROLLED_BACK,
        causes=(
            (
                "SIGKILL: somebody killed it. If nobody here did, it was the kernel, for want of memory: "
                '`journalctl -k` has a line with "Out of memory" or "oom-kill".'
            ),
            (
                "SIGSEGV, SIGABRT: a crash in native code: a C extension that does not fit the others, or is "
                "used from two threads."
            ),
            (
                "`exit` with a number: the application ended itself (`os._exit`, an unhandled error in a program); its "
                "last lines say why."
            ),
        ),
        do=(
            Step(
                "See what it printed last, and which request it had.",
                (
                    "midair receipt",
                    "midair logs --update 12",
                ),
            ),
            Step(
                "If it says SIGKILL, ask the kernel.",
                ("journalctl -k --since -15min",),
            ),
            Step(
                "Put it right and ask again. Unchanged, it is refused (`quarantined`).",
                ("midair reload",),
            ),
        ),
        prevent=(
            (
                "Keep `bake.for` long enough for the work that kills it to come by; 0 commits at the cut-over and "
                "takes nothing back."
            ),
            "`worker.max_memory` replaces a worker that grows, its successor first, before the kernel kills it.",
        ),
        see=(
            "bake-errors",
            "bake-unhealthy",
            "quarantined",
            "no-memory",
            "updates.md#the-bake",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: worker 5 died 0.1 s after the cut-over: exit 7; 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain bake-died",
        ),
    ),
    Explanation(
        code="bake-errors",
        summary="Too many of the new version's answers were errors (`bake.error_rate`).",
        exits=(4,),
        happened=(
            "The new version served, and of its first 20 answers or more, at least `bake.error_rate` (50%) were 5xx "
            "or exceptions that left the application, while the version before had under 5% in its last minute. "
            "midair counts answers each second of the bake, and took it back."
        ),
        serves=ROLLED_BACK,
        causes=(
            (
                "An error in the new code on a path that the health probe does not ask for: the application's own "
                "lines have the traceback."
            ),
            (
                "Something that only the new code needs is not there: a table that was not migrated, a variable, a "
                "service, a template."
            ),
            "A setting that came with it: compare with `midair config --diff` before you ask again.",
        ),
        do=(
            Step(
                "See which requests failed, and with what.",
                (
                    "midair receipt",
                    "midair logs --update 12 --level error",
                ),
            ),
            Step(
                "Put it right and ask again. Unchanged, it is refused (`quarantined`).",
                ("midair reload",),
            ),
            Step(
                "If these errors are meant (a service that answers 503 on purpose), say so, once.",
                ("midair reload --force",),
            ),
        ),
        prevent=(
            (
                "Give the application a health route that fails when a part that it needs is missing (`health.path`): "
                "then it is refused before it meets anybody."
            ),
            (
                "Ask for the paths that matter before the cut-over (`health.warm`), or let a few slots go first "
                "(`canary.workers`)."
            ),
        ),
        see=(
            "bake-unhealthy",
            "bake-died",
            "quarantined",
            "updates.md#the-bake",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: 20 of its first 20 answers were errors (before: 0%); 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain bake-errors",
        ),
    ),
    Explanation(
        code="bake-unhealthy",
        summary="A worker of the new version failed three health probes in a row.",
        exits=(4,),
        happened=(
            "The new version was healthy before the cut-over, and served. Then one of its workers failed three probes "
            "in a row (`health.interval` apart, each answered within `health.timeout`), and the version was taken "
            "back. The message has what the last probe was answered."
        ),
        serves=ROLLED_BACK,
        causes=(
            (
                "Under real load the health route waits for something that is used up: connections of a pool, "
                "threads. The message says that there was no answer in time."
            ),
            (
                "A dependency broke in these seconds: the version before would have failed as well. The message says "
                "503 or another status; ask the health route by hand."
            ),
            "The event loop stands still (a blocking call): after `worker.hang_warn` the log says where.",
        ),
        do=(
            Step(
                "See what the probe was answered, and what the worker said.",
                (
                    "midair receipt",
                    "midair logs --update 12",
                ),
            ),
            Step(
                "See whether the version that serves now is healthy: if it is not, it is not the new version's fault.",
                ("midair status --workers",),
            ),
            Step(
                "When what broke works again, ask again; the version is in quarantine, so insist.",
                ("midair reload --force",),
            ),
        ),
        prevent=("Let the health route answer from memory and quickly; raise `health.timeout` if it may take longer.",),
        see=(
            "bake-errors",
            "bake-died",
            "not-ready",
            "quarantined",
            "updates.md#the-bake",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: worker 5 failed 3 health probes in a row: GET /health: 503 Service Unavailable; 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain bake-unhealthy",
        ),
    ),
    Explanation(
        code="not-ready",
        summary="It was not ready within `ready.timeout`: import, start-up or health probe.",
        exits=(4, 1),
        happened=(
            "The new version was started, and after `ready.timeout` (1 min) not all of its workers could serve. It "
            "was ended. The message says how far it had come: the import did not finish, the start-up did not finish, "
            "or what the health probe was answered."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            (
                '"its import did not finish": something at import waits (a download, a lock, a database) or is simply '
                "large."
            ),
            (
                '"its start-up did not finish": the application\'s lifespan start-up waits for something that does not '
                "come, a database that cannot be reached above all."
            ),
            (
                '"health probe: …": it started, and the health route does not answer 200: the status or the error '
                "stands behind it."
            ),
            (
                '"did not say READY=1": a command that has to tell when it can serve, and does not know how. See '
                "`health.probe`."
            ),
        ),
        do=(
            Step(
                "Read how far it came, and its own lines.",
                (
                    "midair receipt",
                    "midair logs --update 12",
                ),
            ),
            Step(
                "Import it in a process that is thrown away: says how long the import takes, or where it fails.",
                ("midair check",),
            ),
            Step(
                (
                    'If it only needs longer, give it longer: `timeout = "3m"` under `[ready]` in midair.toml. Then '
                    "ask again."
                ),
                ("midair reload",),
            ),
        ),
        prevent=(
            (
                "A start-up that gives up by itself after some seconds (a connect timeout) says why; one that waits "
                "for ever is ended without a word."
            ),
            "For a program that never says READY=1 set `health.probe`, for example to `listener:/PATH`.",
        ),
        see=(
            "startup-failed",
            "worker-exited",
            "bake-unhealthy",
            "commands.md",
            "updates.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: generation 3 was not ready after 2 s: its start-up did not finish; 1.8.2 (generation 2) serves",
            "hint: see the application's own lines; ready.timeout sets the limit",
            "more: midair explain not-ready",
        ),
    ),
    Explanation(
        code="worker-exited",
        summary="A worker ended before it was ready; its own last lines are shown.",
        exits=(4, 1),
        happened=(
            "A process of the new version ended before it could serve: the kernel told midair. Its last lines stand above "
            "the error. The message says how it ended: a signal's name (SIGKILL, SIGSEGV), or `exit` with the number that it "
            "ended with itself."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "A command that reads its configuration, finds fault and exits: its last line says it.",
            (
                'A program that binds its own port, which the running version holds ("address already in use"): it '
                'has to take the socket that midair passes, or be lent it (`listener = "lent"`).'
            ),
            "SIGKILL: killed, mostly for want of memory; SIGSEGV: a crash in native code while it starts.",
            (
                "`exit 0`: it did its work and ended: a program that goes into the background, or a script that is no "
                "server."
            ),
        ),
        do=(
            Step(
                "Read its last lines above the error, or again in the receipt.",
                ("midair receipt",),
            ),
            Step(
                (
                    "Start it by hand in the service's folder, with the same environment, on another port; what it "
                    "says there is what it said here."
                ),
            ),
            Step(
                "For an application: import it in a process that is thrown away.",
                ("midair check",),
            ),
            Step(
                "Put it right and ask again.",
                ("midair reload",),
            ),
        ),
        prevent=("`midair check` in the deployment, before the reload, finds what fails at import.",),
        see=(
            "command-failed",
            "not-ready",
            "startup-failed",
            "port-in-use",
            "commands.md",
            "air.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "  no such table: orders",
            "error: server (slot 0) ended before it was ready: exit 3; 1.8.2 (generation 2) serves",
            "hint: see its own lines: midair logs",
            "more: midair explain worker-exited",
        ),
    ),
    Explanation(
        code="zygote-exited",
        summary="The process that imports the application ended; how, stands in the message.",
        exits=(4, 1),
        happened=(
            "midair imports a version in a process of its own (the zygote). That process ended in the middle of the "
            "import without an exception: the kernel told how it ended. An import that raises, or calls `sys.exit()`, "
            "has codes of its own."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "`exit` with a number: something at import called `os._exit`, or a library ended the process.",
            (
                "SIGSEGV, SIGABRT: a native module crashes when it is imported: built for another Python, or "
                "against another library."
            ),
            "SIGKILL: killed, mostly for want of memory while it imported.",
        ),
        do=(
            Step(
                "Import it in a process that is thrown away; it crashes there as well, and says where.",
                ("midair check",),
            ),
            Step(
                "Have Python say where it stood: the last frame is the import that crashes.",
                ("python -X faulthandler -c 'import app'",),
            ),
            Step(
                "For a kill, ask the kernel.",
                ("journalctl -k --since -15min",),
            ),
            Step(
                "Put it right and ask again.",
                ("midair reload",),
            ),
        ),
        prevent=("`midair check` in the deployment, before the reload.",),
        see=(
            "app-import-exited",
            "app-import-raised",
            "worker-exited",
            "no-memory",
            "forking.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: the process that imports the application ended: exit 9; 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain zygote-exited",
        ),
    ),
    Explanation(
        code="command-failed",
        summary="The program could not be executed; the kernel's reason stands in the message.",
        exits=(4, 1),
        happened=(
            "The new version is a program (`command`), and the kernel would not execute it: nothing of it ran. That "
            "is not tried again."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            (
                '"No such file or directory": the program is not there: not built, or the path is relative to another '
                "folder (`chdir`). A script whose first line names an interpreter that is not there says the same."
            ),
            '"Permission denied": it is not executable, or lies on a file system mounted noexec.',
            '"Exec format error": it was built for another processor, or is a script without `#!`.',
        ),
        do=(
            Step(
                "See what would be executed, and whether it can be.",
                (
                    "midair check",
                    "ls -l ./server",
                ),
            ),
            Step(
                "Build it or make it executable, and ask again.",
                (
                    "chmod +x ./server",
                    "midair reload",
                ),
            ),
        ),
        prevent=(
            "Let midair build it: `hooks.before` runs before the version starts, and its failure refuses the update.",
        ),
        see=(
            "program-missing",
            "worker-exited",
            "hook-failed",
            "commands.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: server could not be started: Permission denied: ./server; 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain command-failed",
        ),
    ),
    Explanation(
        code="hook-failed",
        summary="The `before` hook failed, or did not end within `hooks.timeout`.",
        exits=(4, 1),
        happened=(
            "Before the new version starts, `hooks.before` is run with its environment. It ended with something else "
            "than exit code 0, or was ended at `hooks.timeout` (5 min). Its last lines stand above the error. What it "
            "has done by then is done: midair takes nothing of it back."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The command itself: its own lines say why (a migration that fails, a build with an error).",
            (
                '"it could not be started": the program is not there. A hook is an argument list, read by no shell: '
                'write `["sh", "-c", "…"]` for one.'
            ),
            '"it did not end within": it waits for a lock (a migration behind a long transaction), or needs longer.',
        ),
        do=(
            Step(
                "Read its lines.",
                ("midair receipt",),
            ),
            Step(
                "Run it by hand in the service's folder.",
            ),
            Step(
                'If it needs longer, say so: `timeout = "20m"` under `[hooks]` in midair.toml. Then ask again.',
                ("midair reload",),
            ),
        ),
        prevent=(
            (
                "A migration that the old code can live with (expand first, contract later) may fail in peace; see "
                "`hooks.contract`."
            ),
        ),
        see=(
            "not-ready",
            "command-failed",
            "updates.md",
            "configuration.md#hooks",
        ),
        shown=(
            "$ midair reload",
            "…",
            "  migrate: table orders is locked",
            "error: the hook before failed: exit 1; 1.8.2 (generation 2) serves",
            "hint: see its own lines",
            "more: midair explain hook-failed",
        ),
    ),
    Explanation(
        code="hook-after-fork",
        summary="A function registered with `after_fork` raised in a new worker.",
        exits=(4, 1),
        happened=(
            "A worker was forked, and a function that the application has registered with `midair.after_fork` raised "
            "in it. A worker whose hooks have not all run does not serve. The traceback stands above the error."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The function opens what cannot be reached at this moment (a database, a broker).",
            "It relies on something that only the process that imported has, such as a thread.",
        ),
        do=(
            Step(
                "Read the traceback.",
                ("midair receipt",),
            ),
            Step(
                "Put it right and ask again.",
                ("midair reload",),
            ),
        ),
        prevent=(
            (
                "Open connections in the application's start-up rather than after the fork: that is tried, timed and "
                "shown as start-up."
            ),
        ),
        see=(
            "fork-unsafe",
            "startup-failed",
            "forking.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: an after_fork hook raised ConnectionError: the broker does not answer; 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain hook-after-fork",
        ),
    ),
    Explanation(
        code="fork-failed",
        summary="A worker could not be forked; the reason stands in the message.",
        exits=(4, 1),
        happened=(
            "The process that has imported the version was asked for a worker, and no new process came of it: the "
            "kernel refused, a `before_fork` function of the application raised, or the process ended meanwhile."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            (
                '"Resource temporarily unavailable": the limit of processes (`ulimit -u`, `TasksMax=` of the unit, '
                "`pids.max` of the container) is reached."
            ),
            '"Cannot allocate memory": no memory, or the kernel does not overcommit.',
            "The name of an exception: a function registered with `midair.before_fork` raised it.",
            '"the zygote ended": the process died; the message says how.',
        ),
        do=(
            Step(
                "Look at limits and memory.",
                (
                    "midair doctor",
                    "midair receipt",
                ),
            ),
            Step(
                "Raise what is used up (`TasksMax=` in the unit), or put the hook right, and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "no-process",
            "no-memory",
            "fork-unsafe",
            "forking.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: no worker could be forked: ConnectionError: the pool is in use; 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain fork-failed",
        ),
    ),
    Explanation(
        code="fork-unsafe",
        summary='Importing left something that a fork would break, and `zygote = "always"`.',
        exits=(4, 1),
        happened=(
            "After the import midair looked at the process that workers would be forked from, and found what two "
            'processes must not share. With `zygote = "always"` that refuses the version; with `"auto"` its workers '
            "would each import by themselves. The message names what was found."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "A connection (a database, Redis, a broker) is opened when the module is imported.",
            "A thread is started at import: a scheduler, a metrics sender, a file watcher.",
            "A file is opened for writing, a SQLite database, an event loop or a pipe is made at import.",
        ),
        do=(
            Step(
                "See what it is, without an update.",
                ("midair check",),
            ),
            Step(
                (
                    "Open it in the application's start-up, or close and open it again around the fork "
                    "(`midair.before_fork`, `midair.after_fork`)."
                ),
                ("midair reload",),
            ),
            Step(
                'Or go without: write `zygote = "auto"` in midair.toml; it costs the import once for each worker.',
                ("midair reload",),
            ),
        ),
        prevent=("`midair doctor` names it (`forking`) before an update does.",),
        see=(
            "fork-failed",
            "hook-after-fork",
            "forking.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: not safe to fork: thread 'ticker' is running; 1.8.2 (generation 2) serves",
            'hint: open it in the start-up of the application, or set zygote = "auto"',
            "more: midair explain fork-unsafe",
        ),
    ),
    Explanation(
        code="no-memory",
        summary=(
            "The new workers do not fit into memory beside the old, nor one by one; the figures are in the message."
        ),
        exits=(4, 1),
        happened=(
            "Before anything was started, midair compared what the serving version takes with what is left, of the "
            "machine and of every control group above. It would not have fitted: the kernel would have killed "
            "somebody. Or it would fit slot by slot, but the workers that had to end for that could not be started "
            "again, as their files are gone."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            (
                "The limit of the container or the unit (`memory.max`, `MemoryMax=`) leaves no room for a second set "
                "of workers."
            ),
            "Old versions still drain and hold memory: `midair status` shows them.",
            (
                "The service has grown since its start: a leak. Compare `midair status --workers` with what a fresh "
                "worker takes."
            ),
            "Something else on the machine takes it.",
        ),
        do=(
            Step(
                "See who takes what.",
                (
                    "midair status --workers",
                    "midair why-alive",
                ),
            ),
            Step(
                "Let old versions end now, if they hold it.",
                ("midair drain",),
            ),
            Step(
                (
                    'Or let slots change hands one after the other: write `surge = "slot"` in midair.toml; the way '
                    "back is then shorter than usual."
                ),
                ("midair reload",),
            ),
            Step(
                'Or insist, if you know better than the figures: `surge = "all"`.',
            ),
        ),
        prevent=(
            (
                "Leave room for one and a half times the service; run fewer workers (`workers`); let forks share "
                'memory (`zygote = "auto"`).'
            ),
        ),
        see=(
            "fork-unsafe",
            "bake-died",
            "no-process",
            "updates.md#memory",
        ),
        shown=(
            "$ midair reload",
            "…",
            (
                "error: 2 new workers need about 240 MiB beside the 2 that serve, one by one 180 MiB, and 64 MiB are left; "
                "1.8.2 (generation 2) serves"
            ),
            'hint: free memory, run fewer workers, or start it all the same with surge = "all"',
            "more: midair explain no-memory",
        ),
    ),
    Explanation(
        code="no-process",
        summary="The kernel made no process: memory, the number of processes, or descriptors.",
        exits=(4, 1),
        happened=(
            "midair needed a process, to look at the disk or to import, and the kernel would not make one. The "
            "message says what for, and the kernel's reason."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            (
                '"Resource temporarily unavailable": too many processes of this user, this unit (`TasksMax=`) or this '
                "container (`pids.max`)."
            ),
            '"Too many open files": descriptors of the supervisor (`LimitNOFILE=`).',
            '"Cannot allocate memory".',
        ),
        do=(
            Step(
                "Look at the limits; each that is short is named with what to type.",
                ("midair doctor",),
            ),
            Step(
                "See who has so many processes.",
                ("ps -eLf --sort=-nlwp",),
            ),
            Step(
                "Raise the limit, or end what runs away, and ask again.",
                ("midair reload",),
            ),
        ),
        prevent=("Set `TasksMax=` and `LimitNOFILE=` as `midair systemd` writes them.",),
        see=(
            "fork-failed",
            "no-memory",
            "descriptors-lost",
            "systemd.md",
        ),
    ),
    Explanation(
        code="files-changed",
        summary=(
            "The files are not the version's any more that its processes would join. Reload to start what is there."
        ),
        exits=(4, 1),
        happened=(
            "A version is pinned to the files that it was started from. A process of it had to be started again, and "
            "the files on disk are others by now: new code would have come in under an old number, so nothing was "
            "started."
        ),
        serves=(
            "The workers that are left serve on, fewer than there should be (`midair status` says that it runs "
            "short). When none is left, what is on disk is tried as an update of its own."
        ),
        causes=(
            "Somebody changed files in place (git pull, rsync) and has not reloaded; then a worker died.",
            (
                'The version\'s workers are not forked (`zygote = "never"`, unsafe to fork, a command), so each has to '
                "be started from files."
            ),
        ),
        do=(
            Step(
                "See what serves and what is on disk.",
                ("midair status",),
            ),
            Step(
                "If what is on disk is meant to serve, update to it.",
                ("midair reload",),
            ),
            Step(
                "If it is not, put the version's files back and update to them: all workers start again.",
                ("git checkout v1.8.2", "midair reload"),
            ),
        ),
        prevent=(
            "Deploy into release folders (`midair deploy`): each version keeps its files.",
            'Let workers be forked (`zygote = "auto"`): a replacement then needs no file.',
        ),
        see=(
            "rollback-files-gone",
            "files-changing",
            "version-lost",
            "deploy.md",
            "forking.md",
        ),
    ),
    Explanation(
        code="files-changing",
        summary=(
            "The files changed each of the three times that they were imported. Reload when the deployment has "
            "finished."
        ),
        exits=(4, 1),
        happened=(
            "After an import midair looks whether the files are still those that it began with. They were not, three "
            "times in a row, so nobody knows what was imported, and the version was given up."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The reload was asked for while files were still being copied.",
            (
                "The application writes into its own folder when it is imported (a generated module, a version file): "
                "each import changes what the next one sees."
            ),
            "A formatter, a sync or an editor is at work in the folder.",
        ),
        do=(
            Step(
                "See which files are new.",
                ("find . -newermt '-2 minutes' -not -path './.git/*' -type f",),
            ),
            Step(
                "When the deployment has finished, ask again.",
                ("midair reload",),
            ),
            Step(
                "If the application writes them itself, let it write outside its folder, or in `hooks.before`.",
            ),
        ),
        prevent=("Deploy into release folders, which are whole before they are named: `midair deploy`.",),
        see=(
            "files-changed",
            "deploy.md",
            "updates.md#what-a-version-is",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: the files changed each time they were imported; 1.8.2 (generation 2) serves",
            "hint: reload again when the deployment has finished, or deploy into release folders",
            "more: midair explain files-changing",
        ),
    ),
    Explanation(
        code="quarantined",
        summary="This very version was rolled back before. Mend it, or insist with `--force`.",
        exits=(4,),
        happened=(
            "These files, this environment and this interpreter were rolled back by midair itself. Asked for again "
            "unchanged, they are refused before anything starts; the message says why they went back. A rollback that "
            "somebody asked for quarantines nothing."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The deployment was repeated, and nothing has changed.",
            (
                "The change lies where the version does not: a file that is not counted (`.json`, `.txt`), a table in "
                "the database, another service."
            ),
            "A timer or a webhook asks for the same version again and again.",
        ),
        do=(
            Step(
                "See why it went back.",
                (
                    "midair history",
                    "midair receipt",
                ),
            ),
            Step(
                "Mend it, and ask again: any change of code, packages or environment makes another version.",
                ("midair reload",),
            ),
            Step(
                "If the cause was elsewhere and is gone, insist; it is watched as ever.",
                ("midair reload --force",),
            ),
        ),
        see=(
            "bake-died",
            "bake-errors",
            "bake-unhealthy",
            "updates.md#the-way-back",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: version 3 was rolled back: 20 of its first 20 answers were errors (before: 0%); 1.8.2 (generation 2) serves",
            "hint: mend it, or insist with midair reload --force",
            "more: midair explain quarantined",
        ),
    ),
    Explanation(
        code="unexpected-version",
        summary="What is on disk is not the version that `--expect` named.",
        exits=(4, 1),
        happened=(
            "`midair reload --expect` names the version that has to be on disk, as `version_from` says it. Something "
            "else is there, so nothing was started."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The deployment has not arrived, or another one came after it.",
            (
                "The name is another kind of name: `version_from` is `auto` (eight digits of a hash) and a tag was "
                "given, or the other way round."
            ),
            "The command was typed in another folder than the service's.",
        ),
        do=(
            Step(
                "See what is on disk, and how versions are named here.",
                (
                    "midair status",
                    "midair config --all",
                ),
            ),
            Step(
                "Bring the right files, then ask for it again.",
                ("midair reload --expect 1.9.0",),
            ),
        ),
        see=(
            "files-changing",
            "superseded",
            "configuration.md#the-service",
        ),
        shown=(
            "$ midair reload --expect 1.9.0",
            "build        0.02 s",
            "error: on disk is version 1.8.3, expected was 1.9.0; 1.8.2 (generation 2) serves",
            "hint: put the files of 1.9.0 in place, or reload without --expect",
            "more: midair explain unexpected-version",
        ),
    ),
    Explanation(
        code="superseded",
        summary="A newer request took its place.",
        exits=(4,),
        happened=(
            "Another update was asked for while this one had not been cut over to yet, or waited. What matters is "
            "what is on disk now, so the newer one goes on in its place. The message names who asked."
        ),
        serves="The version that served before serves on until the newer update is through.",
        causes=(
            "Two deployments, or a deployment and somebody at a terminal, at the same time.",
            "Several signals (SIGHUP) or webhooks for one push.",
        ),
        do=(
            Step(
                "See what became of the newer one.",
                (
                    "midair status",
                    "midair history",
                ),
            ),
        ),
        prevent=(
            (
                "Let one at a time deploy: `midair deploy` holds a lock. `midair hold -m REASON` keeps others away "
                "while you work."
            ),
        ),
        see=(
            "called-off",
            "held",
            "updates.md#several-at-once",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: superseded by a newer request (uid 1000 (you)); 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain superseded",
        ),
    ),
    Explanation(
        code="called-off",
        summary="Somebody asked for a rollback before the cut-over.",
        exits=(4,),
        happened=(
            "The new version was still on its way (build, start or ready) when `midair rollback` was typed. It was "
            "given up; the message says by whom."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "Somebody saw that the wrong version was coming.",
            "`midair rollback` was meant for the version before, and an update happened to be under way.",
        ),
        do=(
            Step(
                "See who called it off, and ask them.",
                ("midair receipt",),
            ),
            Step(
                "If it is to serve after all, ask again; it is not quarantined.",
                ("midair reload",),
            ),
        ),
        see=(
            "rollback-asked",
            "superseded",
            "updates.md#the-way-back",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: called off by uid 1000 (you); 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain called-off",
        ),
    ),
    Explanation(
        code="rollback-asked",
        summary="Somebody asked for a rollback while the new version was watched.",
        exits=(4,),
        happened=(
            "The new version served and was in its bake when `midair rollback` was typed. The workers of the version "
            "before, which were parked, accept again. The message says by whom, and why (`-m`)."
        ),
        serves=(
            "The version before serves again, within milliseconds; connections come back to it at `rollback.rate`. "
            "Nothing was lost. The version is not quarantined."
        ),
        causes=(
            "Somebody saw in a graph or a log what midair does not count.",
            "`midair rollback` was typed for an earlier update, not knowing that a new one was in its bake.",
        ),
        do=(
            Step(
                "See who and why.",
                ("midair receipt",),
            ),
            Step(
                "If it is to serve after all, ask again.",
                ("midair reload",),
            ),
        ),
        prevent=("What they saw may be a health route's business: then midair sees it, too (`health.path`).",),
        see=(
            "called-off",
            "rolled-back",
            "updates.md#the-way-back",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: rolled back by uid 1000 (you): prices are wrong; 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain rollback-asked",
        ),
    ),
    Explanation(
        code="rolled-back",
        summary="The update was rolled back.",
        exits=(4, 1),
        happened=(
            "The new version served and was taken back, without a reason of its own code. The receipt has all that "
            "happened in it."
        ),
        serves="The version before serves again.",
        causes=("Something took the way back that no other code names.",),
        do=(
            Step(
                "Read the receipt from its end.",
                ("midair receipt",),
            ),
        ),
        see=(
            "rollback-asked",
            "bake-died",
            "bake-errors",
            "bake-unhealthy",
            "updates.md",
        ),
    ),
    Explanation(
        code="rollback-files-gone",
        summary="The earlier version can only be started from its files, and they are not there any more.",
        exits=(4,),
        happened=(
            "`midair rollback` wants to start the version before, of which no process is kept, from its files. What "
            "is on disk is another version. The message names it."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            (
                "Files were changed in place (git pull, rsync), and the version's workers are not forked, so that "
                "nothing of it was kept."
            ),
            "It is a command, which is always started from files.",
            "`rollback.warm` (10 min) was over, or memory was short, and the process that had imported it is gone.",
        ),
        do=(
            Step(
                "Put the files of that version back, then update to them.",
                (
                    "git checkout v1.8.2",
                    "midair reload",
                ),
            ),
            Step(
                "Where there are release folders, any release that is there can be gone back to.",
                (
                    "midair deploy --list",
                    "midair deploy --rollback",
                ),
            ),
        ),
        prevent=(
            (
                "Deploy into release folders: `midair deploy`. Or keep the old workers for a while: `keep = "
                '"workers"` under `[rollback]`.'
            ),
        ),
        see=(
            "rollback-nothing",
            "rollback-barred",
            "files-changed",
            "deploy.md",
            "updates.md#the-way-back",
        ),
        shown=(
            "$ midair rollback",
            "…",
            "error: its files are gone: on disk is version 1.8.3; 1.8.2 (generation 2) serves",
            "hint: put the files of that version back and run midair reload",
            "more: midair explain rollback-files-gone",
        ),
    ),
    Explanation(
        code="version-lost",
        summary=(
            "Nothing is left of the version, and it cannot be started again; under `midair dev` a page that says so "
            "serves."
        ),
        exits=(1,),
        happened=(
            "Under `midair dev` all workers of the serving version ended, and no other could take their place soon: "
            "the files have changed since, they died again and again, or a replacement was not ready within "
            "`ready.timeout`. A page of midair's own (generation 0, 503) answers until a version serves again."
        ),
        serves="The page that says so. Connections to the lost version are gone with its workers.",
        causes=(
            "The code crashes some time after it has started.",
            "The version was broken by hand while its workers were ended (a debugger, `kill`).",
        ),
        do=(
            Step(
                "Read why it ended: the page and the terminal say it.",
                ("midair logs",),
            ),
            Step(
                "Save a change that mends it: the next good version takes over. Or start what is there again with `r`.",
                ("midair reload",),
            ),
        ),
        see=(
            "worker-exited",
            "files-changed",
            "not-ready",
            "dev.md",
            "updates.md#while-no-version-can-serve",
        ),
    ),
    Explanation(
        code="offload-died",
        summary="The process that looks at the disk ended without an answer.",
        exits=(4, 1),
        happened=(
            "Whatever may block (reading the files of a version, hashing them) is done in a child of the supervisor. "
            "That child ended without saying anything."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "It was killed, for want of memory above all: then the kernel says so.",
            "A fault of the file system: `dmesg` has lines of it.",
        ),
        do=(
            Step(
                "Ask the kernel.",
                ("journalctl -k --since -15min",),
            ),
            Step(
                "Ask again. If it happens again, report it with the receipt.",
                ("midair reload",),
            ),
        ),
        see=(
            "too-slow",
            "no-memory",
            "bug",
        ),
    ),
    Explanation(
        code="too-slow",
        summary="Looking at the disk took too long.",
        exits=(4, 1),
        happened="Reading the new version's files took more than 30 s, and was given up.",
        serves=NOBODY_NOTICED,
        causes=(
            "A network file system (NFS) that hangs: `ls` in the folder takes as long.",
            (
                "A folder of data below the application's: hundreds of thousands of files are looked at for the "
                "fingerprint."
            ),
            "A disk that is busy with a backup.",
        ),
        do=(
            Step(
                "See how long it takes, and how many there are.",
                ("time find . -type f -not -path './.git/*' | wc -l",),
            ),
            Step(
                "When the disk answers again, ask again.",
                ("midair reload",),
            ),
        ),
        prevent=("Keep data and uploads outside the application's folder (`chdir` may name a smaller one).",),
        see=(
            "offload-died",
            "files-changing",
            "updates.md#what-a-version-is",
        ),
    ),
    Explanation(
        code="update",
        summary="An update ended early. The earlier version serves.",
        exits=(4,),
        happened=(
            "The update ended without a reason that has a code of its own; the result stands in the message. The "
            "service was stopped, for example, while the update was under way."
        ),
        serves="The version that served before serves on, unless the service has been stopped.",
        causes=("The service was stopped in the middle of it.",),
        do=(
            Step(
                "See what it was.",
                (
                    "midair status",
                    "midair history",
                ),
            ),
        ),
        see=(
            "stopping",
            "superseded",
            "updates.md",
        ),
    ),
)
