"""An update that ended early."""

from __future__ import annotations

from midair.explained.explanation import Explanation

TITLE = "An update that ended early"

EXPLANATIONS = (
    Explanation(
        code="bake-died",
        exits=(4, 1),
        summary="A worker of the new version died while it was watched.",
    ),
    Explanation(
        code="bake-errors",
        exits=(4, 1),
        summary="Too many of the new version's answers were errors (`bake.error_rate`).",
    ),
    Explanation(
        code="bake-unhealthy",
        exits=(4, 1),
        summary="A worker of the new version failed three health probes in a row.",
    ),
    Explanation(
        code="not-ready",
        exits=(4, 1),
        summary="It was not ready within `ready.timeout`: import, start-up or health probe.",
    ),
    Explanation(
        code="worker-exited",
        exits=(4, 1),
        summary="A worker ended before it was ready; its own last lines are shown.",
    ),
    Explanation(
        code="zygote-exited",
        exits=(4, 1),
        summary="The process that imports the application ended; how, stands in the message.",
    ),
    Explanation(
        code="command-failed",
        exits=(4, 1),
        summary="The program could not be executed; the kernel's reason stands in the message.",
    ),
    Explanation(
        code="hook-failed",
        exits=(4, 1),
        summary="The `before` hook failed, or did not end within `hooks.timeout`.",
    ),
    Explanation(
        code="hook-after-fork",
        exits=(4, 1),
        summary="A function registered with `after_fork` raised in a new worker.",
    ),
    Explanation(
        code="fork-failed",
        exits=(4, 1),
        summary="A worker could not be forked; the reason stands in the message.",
    ),
    Explanation(
        code="fork-unsafe",
        exits=(4, 1),
        summary='Importing left something that a fork would break, and `zygote = "always"`.',
    ),
    Explanation(
        code="no-memory",
        exits=(4, 1),
        summary=(
            "The new workers do not fit into memory beside the old, nor one by one; the figures are in the message."
        ),
    ),
    Explanation(
        code="no-process",
        exits=(4, 1),
        summary="The kernel made no process: memory, the number of processes, or descriptors.",
    ),
    Explanation(
        code="files-changed",
        exits=(4, 1),
        summary=(
            "The files are not the version's any more that its processes would join. Reload to start what is there."
        ),
    ),
    Explanation(
        code="files-changing",
        exits=(4, 1),
        summary=(
            "The files changed each of the three times that they were imported. Reload when the deployment has "
            "finished."
        ),
    ),
    Explanation(
        code="quarantined",
        exits=(4,),
        summary="This very version was rolled back before. Mend it, or insist with `--force`.",
    ),
    Explanation(
        code="unexpected-version",
        exits=(4, 1),
        summary="What is on disk is not the version that `--expect` named.",
    ),
    Explanation(
        code="superseded",
        exits=(4,),
        summary="A newer request took its place.",
    ),
    Explanation(
        code="called-off",
        exits=(4,),
        summary="Somebody asked for a rollback before the cut-over.",
    ),
    Explanation(
        code="rollback-asked",
        exits=(4,),
        summary="Somebody asked for a rollback while the new version was watched.",
    ),
    Explanation(
        code="rolled-back",
        exits=(4, 1),
        summary="The update was rolled back.",
    ),
    Explanation(
        code="rollback-files-gone",
        exits=(4,),
        summary="The earlier version can only be started from its files, and they are not there any more.",
    ),
    Explanation(
        code="version-lost",
        exits=(4, 1),
        summary=(
            "Nothing is left of the version, and it cannot be started again; under `midair dev` a page that says so "
            "serves."
        ),
    ),
    Explanation(
        code="offload-died",
        exits=(4, 1),
        summary="The process that looks at the disk ended without an answer.",
    ),
    Explanation(
        code="too-slow",
        exits=(4, 1),
        summary="Looking at the disk took too long.",
    ),
    Explanation(
        code="update",
        exits=(4,),
        summary="An update ended early. The earlier version serves.",
    ),
)
