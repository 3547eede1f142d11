"""While a service is developed."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "While a service is developed"

EXPLANATIONS = (
    Explanation(
        code="step-failed",
        exits=(),
        summary="A line of `[build]` failed, so what was saved is not live.",
    ),
    Explanation(
        code="action-failed",
        exits=(),
        summary="A program of `[[watch.action]]` failed; its own lines say why.",
    ),
    Explanation(
        code="action-behind",
        exits=(),
        summary="A program of `[[watch.action]]` does not end while more and more changes wait for it.",
    ),
    Explanation(
        code="beside-ended",
        exits=(),
        summary="A program of `[[dev.process]]` has ended by itself.",
    ),
    Explanation(
        code="feeds-itself",
        exits=(),
        summary=(
            "Files change again each time something is built or started: it writes them. They are left alone while "
            "that goes on."
        ),
    ),
    Explanation(
        code="watcher-ended",
        exits=(),
        summary="The process that watches the folder has died. It is started again.",
    ),
    Explanation(
        code="watch-limit",
        exits=(),
        summary="The kernel gives this user no more inotify watches. Files are compared from time to time instead.",
        do=(
            Step(
                "sysctl fs.inotify.max_user_watches=524288 (for good: a line in /etc/sysctl.d/60-inotify.conf)",
            ),
        ),
    ),
    Explanation(
        code="watch-instances",
        exits=(),
        summary="The kernel gives this user no more inotify instances. Files are compared from time to time instead.",
        do=(
            Step(
                "sysctl fs.inotify.max_user_instances=1024 (for good: a line in /etc/sysctl.d/60-inotify.conf)",
            ),
        ),
    ),
    Explanation(
        code="watch-lost",
        exits=(),
        summary=(
            "Changes came faster than the kernel's queue holds. All files have been compared instead: nothing was "
            "missed."
        ),
        do=(
            Step(
                (
                    "if it happens often: sysctl fs.inotify.max_queued_events=65536, or name what writes so much "
                    "under watch.ignore"
                ),
            ),
        ),
    ),
    Explanation(
        code="watch-crowded",
        exits=(),
        summary="There is more to watch than is watched.",
        do=(
            Step(
                "name folders of data under watch.ignore, or only those of the code under watch.paths",
            ),
        ),
    ),
    Explanation(
        code="watch-gone",
        exits=(),
        summary="A watched path is not there. It is watched as soon as it is.",
    ),
    Explanation(
        code="watch-unreadable",
        exits=(),
        summary="A folder may not be read. It is not watched; everything else is.",
        do=(
            Step(
                "give the user who runs midair the right to read it, or name it under watch.ignore",
            ),
        ),
    ),
    Explanation(
        code="watch-name",
        exits=(),
        summary="A name is not UTF-8. It is not watched.",
        do=(
            Step(
                "rename it, or name its folder under watch.ignore",
            ),
        ),
    ),
)
