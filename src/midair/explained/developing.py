"""While a service is developed."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "While a service is developed"

EXPLANATIONS = (
    Explanation(
        code="step-failed",
        summary="A line of `[build]` failed, so what was saved is not live.",
        exits=(),
        happened=(
            "A save was noticed, and a line of `build.pre`, `build.build` or `build.post` ended with an error. Its "
            "own lines stand in the terminal and on the page."
        ),
        serves="The version before. (If it was a `post` line, what was saved is live all the same.)",
        causes=(
            "An error of the compiler: the place stands in its lines.",
            "The tool is not installed, or not in PATH.",
        ),
        do=(
            Step(
                "Mend it and save: it is built again by itself.",
            ),
        ),
        see=(
            "action-failed",
            "app-syntax",
            "dev.md",
        ),
    ),
    Explanation(
        code="action-failed",
        summary="A program of `[[watch.action]]` failed; its own lines say why.",
        exits=(),
        happened="A change led to an action (a generator, a formatter), which ended with an error.",
        serves="The version that serves; an update that the same change asks for goes on by itself.",
        causes=("The program refuses the changed file.",),
        do=(
            Step(
                "Read its lines, mend the file, and save.",
            ),
        ),
        see=(
            "action-behind",
            "step-failed",
            "watching.md#kinds-of-change-and-an-action-for-each",
        ),
    ),
    Explanation(
        code="action-behind",
        summary="A program of `[[watch.action]]` does not end while more and more changes wait for it.",
        exits=(),
        happened=(
            "Changes are told to a running action when it has ended. It did not, and so many wait that some are not "
            "told to it any more."
        ),
        serves="The version that serves.",
        causes=(
            (
                "A program that does not end by itself (a server, a watcher of its own): that belongs under "
                "`[[dev.process]]`."
            ),
        ),
        do=(
            Step(
                "Move it there, and save midair.toml.",
            ),
        ),
        see=(
            "action-failed",
            "beside-ended",
            "watching.md",
            "dev.md",
        ),
    ),
    Explanation(
        code="beside-ended",
        summary="A program of `[[dev.process]]` has ended by itself.",
        exits=(),
        happened=(
            "A program that should run beside the service while it is developed has ended; the message says how, and "
            "whether it is started again."
        ),
        serves="The service goes on.",
        causes=(
            "Its port is in use: an earlier one still runs.",
            "An error in it: its own lines say it.",
        ),
        do=(
            Step(
                "Read its lines; `restart` says when it is started again.",
            ),
        ),
        see=(
            "step-failed",
            "dev.md",
        ),
    ),
    Explanation(
        code="feeds-itself",
        summary=(
            "Files change again each time something is built or started: it writes them. They are left alone while "
            "that goes on."
        ),
        exits=(),
        happened="A file changed each time after a build or a start. To go on would be an endless loop.",
        serves="The version that serves; other saves count as ever.",
        causes=(
            "A build writes into the folder that is watched.",
            "The application writes a file at start (a log, a database, a generated module).",
        ),
        do=(
            Step(
                "See why it is watched, and have it left out.",
                ("midair dev --explain static/bundle.css",),
            ),
            Step(
                'Write `ignore = ["/static/"]` under `[watch]` in midair.toml.',
            ),
        ),
        see=(
            "action-behind",
            "files-changing",
            "watching.md",
        ),
    ),
    Explanation(
        code="watcher-ended",
        summary="The process that watches the folder has died. It is started again.",
        exits=(),
        happened=(
            "Watching is done by a process of its own, which ended; what was saved meanwhile is found when it looks "
            "anew."
        ),
        serves="The service goes on.",
        causes=("It was killed, for want of memory for example.",),
        do=(
            Step(
                "Nothing, if it does not happen again.",
            ),
        ),
        see=(
            "watch-crowded",
            "watching.md",
        ),
    ),
    Explanation(
        code="watch-limit",
        summary="The kernel gives this user no more inotify watches. Files are compared from time to time instead.",
        exits=(),
        happened=(
            "Each folder takes a watch, and the user's are used up: by this project, or by editors and other tools."
        ),
        serves="Everything; a save is noticed a little later.",
        causes=(
            "Many projects are open in editors that watch them.",
            "Folders of data or dependencies are watched for nothing.",
        ),
        do=(
            Step(
                "Raise the limit.",
                ("sudo sysctl fs.inotify.max_user_watches=524288",),
            ),
            Step(
                "For good: a line in /etc/sysctl.d/60-inotify.conf.",
            ),
        ),
        prevent=("Name folders of data in `watch.ignore`.",),
        see=(
            "watch-instances",
            "watch-crowded",
            "watching.md",
        ),
    ),
    Explanation(
        code="watch-instances",
        summary="The kernel gives this user no more inotify instances. Files are compared from time to time instead.",
        exits=(),
        happened="Each watching program takes an instance, and the user's are used up.",
        serves="Everything; a save is noticed a little later.",
        causes=("Many programs that watch: editors, other reloaders, containers.",),
        do=(
            Step(
                "Raise the limit.",
                ("sudo sysctl fs.inotify.max_user_instances=1024",),
            ),
            Step(
                "For good: a line in /etc/sysctl.d/60-inotify.conf.",
            ),
        ),
        see=(
            "watch-limit",
            "watching.md",
        ),
    ),
    Explanation(
        code="watch-lost",
        summary=(
            "Changes came faster than the kernel's queue holds. All files have been compared instead: nothing was "
            "missed."
        ),
        exits=(),
        happened="The kernel's queue of news was full, and said so. midair compared everything.",
        serves="Everything.",
        causes=("A checkout of another branch, an installation, a build that writes thousands of files.",),
        do=(
            Step(
                "Nothing. If it happens often, raise the limit.",
                ("sudo sysctl fs.inotify.max_queued_events=65536",),
            ),
        ),
        prevent=("Name what writes so much in `watch.ignore`.",),
        see=(
            "watch-crowded",
            "watching.md",
        ),
    ),
    Explanation(
        code="watch-crowded",
        summary="There is more to watch than is watched.",
        exits=(),
        happened=(
            "The folder has more files or links than are watched. The rest is told of when it is written, or not "
            "followed."
        ),
        serves="Everything; some changes may not be noticed.",
        causes=(
            "Data, uploads or dependencies lie in the project's folder.",
            "A link leads to a large folder elsewhere.",
        ),
        do=(
            Step(
                "See what counts, for a path of it.",
                ("midair dev --explain data/2024/01.csv",),
            ),
            Step(
                "Name such folders in `watch.ignore`, or only the code's in `watch.paths`.",
            ),
        ),
        see=(
            "watch-limit",
            "watching.md",
        ),
    ),
    Explanation(
        code="watch-gone",
        summary="A watched path is not there. It is watched as soon as it is.",
        exits=(),
        happened="`watch.paths` names something that is not there, or it was removed.",
        serves="Everything.",
        causes=("It is misspelt, or made by a build that has not run yet.",),
        do=(
            Step(
                "Nothing, if it comes; else put `watch.paths` right.",
            ),
        ),
        see=(
            "watch-unreadable",
            "watching.md",
        ),
    ),
    Explanation(
        code="watch-unreadable",
        summary="A folder may not be read. It is not watched; everything else is.",
        exits=(),
        happened="The kernel refused a folder below the project.",
        serves="Everything.",
        causes=("A container has written there as root (a database's files).",),
        do=(
            Step(
                "Give yourself the right, or name it in `watch.ignore`.",
                ("sudo chown -R you data",),
            ),
        ),
        see=(
            "watch-gone",
            "watching.md",
        ),
    ),
    Explanation(
        code="watch-name",
        summary="A name is not UTF-8. It is not watched.",
        exits=(),
        happened="A file or folder has a name that cannot be told as text.",
        serves="Everything.",
        causes=("It came from an old archive with another encoding.",),
        do=(
            Step(
                "Rename it, or name its folder in `watch.ignore`.",
            ),
        ),
        see=(
            "watch-unreadable",
            "watching.md",
        ),
    ),
)
