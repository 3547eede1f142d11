"""What the codes mean that no exception class stands for: the core and the supervisor say them as data (``Fault``).

A code is stable: scripts and receipts refer to it. The page ``exit-codes.md`` is made from this table and from the
classes in the code; a test checks that every code that is said anywhere stands in one of the two.
"""

from __future__ import annotations

WHOLE_UPDATE = "The update is refused or rolled back"
REQUEST = "The request is not taken up"
ELSEWHERE = "Somewhere else"
DEVELOPING = "While a service is developed"

FAULTS: dict[str, tuple[str, str]] = {
    # --- an update that ended early
    "bake-died": (WHOLE_UPDATE, "A worker of the new version died while it was watched."),
    "bake-errors": (WHOLE_UPDATE, "Too many of the new version's answers were errors (`bake.error_rate`)."),
    "bake-unhealthy": (WHOLE_UPDATE, "A worker of the new version failed three health probes in a row."),
    "called-off": (WHOLE_UPDATE, "Somebody asked for a rollback before the cut-over."),
    "carry-late": (
        WHOLE_UPDATE,
        "The state of a slot (`midair.carry`) was not with its next worker in time: 10 s in the trial, 1 s at the cut-over.",
    ),
    "carry-no-room": (WHOLE_UPDATE, "The state could not be written or passed on: memory, or descriptors."),
    "command-failed": (WHOLE_UPDATE, "The program could not be executed; the kernel's reason stands in the message."),
    "deploy-superseded": (
        WHOLE_UPDATE,
        "It was committed, but another release serves by now: somebody updated meanwhile.",
    ),
    "files-changed": (
        WHOLE_UPDATE,
        "The files are not the version's any more that its processes would join. Reload to start what is there.",
    ),
    "files-changing": (
        WHOLE_UPDATE,
        "The files changed each of the three times that they were imported. Reload when the deployment has finished.",
    ),
    "fork-failed": (WHOLE_UPDATE, "A worker could not be forked; the reason stands in the message."),
    "fork-unsafe": (WHOLE_UPDATE, 'Importing left something that a fork would break, and `zygote = "always"`.'),
    "hook-after-fork": (WHOLE_UPDATE, "A function registered with `after_fork` raised in a new worker."),
    "hook-failed": (WHOLE_UPDATE, "The `before` hook failed, or did not end within `hooks.timeout`."),
    "no-memory": (
        WHOLE_UPDATE,
        "The new workers do not fit into memory beside the old, nor one by one; the figures are in the message.",
    ),
    "no-process": (WHOLE_UPDATE, "The kernel made no process: memory, the number of processes, or descriptors."),
    "not-ready": (WHOLE_UPDATE, "It was not ready within `ready.timeout`: import, start-up or health probe."),
    "offload-died": (WHOLE_UPDATE, "The process that looks at the disk ended without an answer."),
    "quarantined": (WHOLE_UPDATE, "This very version was rolled back before. Mend it, or insist with `--force`."),
    "rollback-asked": (WHOLE_UPDATE, "Somebody asked for a rollback while the new version was watched."),
    "rollback-files-gone": (
        WHOLE_UPDATE,
        "The earlier version can only be started from its files, and they are not there any more.",
    ),
    "rolled-back": (WHOLE_UPDATE, "The update was rolled back."),
    "superseded": (WHOLE_UPDATE, "A newer request took its place."),
    "too-slow": (WHOLE_UPDATE, "Looking at the disk took too long."),
    "unexpected-version": (WHOLE_UPDATE, "What is on disk is not the version that `--expect` named."),
    "version-lost": (
        WHOLE_UPDATE,
        "Nothing is left of the version, and it cannot be started again; under `midair dev` a page that says so serves.",
    ),
    "worker-exited": (WHOLE_UPDATE, "A worker ended before it was ready; its own last lines are shown."),
    "zygote-exited": (WHOLE_UPDATE, "The process that imports the application ended; how, stands in the message."),
    # --- a request that was not taken up
    "too-many-connections": (
        REQUEST,
        "More are connected to the control socket than it serves; of users that are not its own, fewer.",
    ),
    "unanswerable": (REQUEST, "The answer is too long for a frame, or has in it what is no text."),
    "no-receipt": (REQUEST, "There is no receipt of that number."),
    "no-update": (REQUEST, "There is nothing to look on at."),
    "no-worker": (REQUEST, "There is no such worker; `midair status` lists them."),
    "no-generation": (REQUEST, "There is no such generation, or nothing has started yet; `midair status` lists them."),
    "not-built": (REQUEST, "This part of the supervisor is not available."),
    "other-folder": (
        REQUEST,
        "The service that runs under this name is another folder's. Give one of them a name, or say `--name`.",
    ),
    "rollback-barred": (REQUEST, "A version released with `--no-rollback`, or the `contract` hook, bars the way back."),
    "rollback-nothing": (
        REQUEST,
        "No earlier version is kept (`rollback.keep`, `rollback.warm`). Put its files back, reload.",
    ),
    "stopping": (REQUEST, "The service is stopping."),
    "upgrade-busy": (REQUEST, "The supervisor found no quiet moment to re-execute itself; try again."),
    "upgrade-developing": (REQUEST, "`midair dev` is ended and started again instead."),
    "upgrade-exec": (REQUEST, "The new midair could not be executed; the running one goes on."),
    "upgrade-preflight": (REQUEST, "The new midair failed its check in a child; the running one goes on."),
    "upgrade-undone": (REQUEST, "The new midair could not take over; the one before serves again."),
    # --- the command line
    "interrupted": (ELSEWHERE, "Ctrl-C before anything was asked for."),
    # --- midair dev
    "action-failed": (DEVELOPING, "A program of `[[watch.action]]` failed; its own lines say why."),
    "action-behind": (
        DEVELOPING,
        "A program of `[[watch.action]]` does not end while more and more changes wait for it.",
    ),
    "beside-ended": (DEVELOPING, "A program of `[[dev.process]]` has ended by itself."),
    "feeds-itself": (
        DEVELOPING,
        "Files change again each time something is built or started: it writes them. They are left alone while that goes on.",
    ),
    "step-failed": (DEVELOPING, "A line of `[build]` failed, so what was saved is not live."),
    "watcher-ended": (DEVELOPING, "The process that watches the folder has died. It is started again."),
}
"""Code → when it is said, and what it means."""
