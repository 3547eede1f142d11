"""Deployments."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "Deployments"

EXPLANATIONS = (
    Explanation(
        code="deploy-refused",
        summary="The service refused the new release or took it back. `current` names the one again that serves.",
        exits=(4,),
        happened=(
            "The release was whole, `current` named it, and the service was asked to update. It was refused or rolled "
            "back; the message says why, and for that there is a code of its own."
        ),
        serves=(
            "The release before, and `current` names it: a restart would start that one. The failed release's folder "
            "stays until the next one fails, to be looked at."
        ),
        causes=("What refuses any update: an import, a start-up, a health probe, errors in the bake.",),
        do=(
            Step(
                "See why.",
                (
                    "midair explain --last",
                    "midair receipt",
                ),
            ),
            Step(
                "Mend it, and deploy again.",
                ("midair deploy . --to /srv/shop",),
            ),
        ),
        prevent=(
            (
                "The step `check` imports each release before `current` is touched; let `prepare` under `[deploy]` "
                "run the tests, too."
            ),
        ),
        see=(
            "deploy-superseded",
            "quarantined",
            "bake-errors",
            "deploy.md",
        ),
    ),
    Explanation(
        code="deploy-superseded",
        summary="It was committed, but another release serves by now: somebody updated meanwhile.",
        exits=(4,),
        happened=(
            "The update to this release ended well, and by the time it was looked at another one served. `current` "
            "names the one that serves."
        ),
        serves="The newer release.",
        causes=("A second deployment, or `midair rollback`, came right after.",),
        do=(
            Step(
                "See who asked for what.",
                (
                    "midair history",
                    "midair deploy --list",
                ),
            ),
        ),
        prevent=("Say that you deploy: `midair hold -m REASON`.",),
        see=(
            "deploy-busy",
            "superseded",
            "deploy.md",
        ),
    ),
    Explanation(
        code="deploy-build",
        summary=(
            "The release's environment could not be made, or a line of `prepare` failed. The new folder is gone, the "
            "service as it was."
        ),
        exits=(1,),
        happened=(
            "In the new folder midair made an environment (`venv` under `[deploy]`) or ran a line of `prepare`. It "
            "ended with an error, could not be started, or took longer than `deploy.timeout` (10 min). Its last lines "
            "stand above the error."
        ),
        serves="The release before: nothing that serves was touched.",
        causes=(
            "pip or uv cannot find or build a package: its own lines name it.",
            "The package index cannot be reached from here.",
            "A test or a front-end build in `prepare` fails, as it should.",
            "There is no requirements file of the name that `deploy.requirements` says.",
        ),
        do=(
            Step(
                "Read the lines above the error; run the step by hand in a copy.",
            ),
            Step(
                "Put it right, and deploy again.",
                (
                    "midair deploy . --to /srv/shop --dry-run",
                    "midair deploy . --to /srv/shop",
                ),
            ),
        ),
        prevent=(
            "Pin what is installed (hashes in requirements.txt), so that it does not change between two deployments.",
        ),
        see=(
            "deploy-no-room",
            "deploy-source",
            "interpreter-missing",
            "deploy.md",
        ),
    ),
    Explanation(
        code="deploy-busy",
        summary="Somebody deploys here already: two at a time would take each other's release away.",
        exits=(1,),
        happened="A deployment holds a lock on ROOT as long as it goes on.",
        serves="Nothing was changed by this one.",
        causes=(
            "Another one is under way: it says what it does in its own terminal.",
            "Its process hangs, in a `prepare` line for example.",
        ),
        do=(
            Step(
                "See who it is.",
                ("pgrep -af 'midair deploy'",),
            ),
            Step(
                "Wait, or end that process: whatever it leaves behind is put right by the next deployment.",
            ),
        ),
        see=(
            "deploy-updating",
            "deploy-superseded",
            "deploy.md",
        ),
        shown=(
            "$ midair deploy . --to ../live",
            "error: process 5042 (uid 0) is at it since 00:49:00: midair deploy . --ref v1.9",
            "hint: wait for it to end, or end that process: whatever it leaves behind is put right by the next deployment",
            "more: midair explain deploy-busy",
        ),
    ),
    Explanation(
        code="deploy-updating",
        summary="The service is in the middle of an update: which release `current` should name is open until it ends.",
        exits=(1,),
        happened="The service is between an update's beginning and its end, in its bake for example.",
        serves="Nothing was changed.",
        causes=("Another deployment or a reload came a moment before.",),
        do=(
            Step(
                "See how far it is; deploy again when it has ended.",
                ("midair status",),
            ),
            Step(
                "Or end it.",
                ("midair rollback",),
            ),
        ),
        see=(
            "deploy-busy",
            "superseded",
            "deploy.md",
        ),
    ),
    Explanation(
        code="deploy-current",
        summary="`current` is there, and no link: replacing it would lose what is in it.",
        exits=(1,),
        happened="`current` under ROOT has to be a link to a release; it is a folder or a file.",
        serves="Nothing was changed.",
        causes=("The service was installed there by hand before.",),
        do=(
            Step(
                "Move it out of the way, deploy, and start the service in current again.",
                (
                    "mv /srv/shop/current /srv/shop/before",
                    "midair deploy . --to /srv/shop",
                ),
            ),
        ),
        see=(
            "deploy-elsewhere",
            "deploy-folders",
            "deploy.md",
        ),
    ),
    Explanation(
        code="deploy-elsewhere",
        summary="The service that runs does not run in ROOT/current, so it would not see the new release.",
        exits=(1,),
        happened=(
            "A service of this name runs, in another folder. A new release under ROOT would not be what it starts."
        ),
        serves="The service that runs; nothing was changed.",
        causes=(
            "It was started in a release folder, or in the checkout, instead of in `current`.",
            "ROOT is another service's.",
        ),
        do=(
            Step(
                "See where it runs.",
                ("midair status --all",),
            ),
            Step(
                "In a quiet moment stop it where it runs (`midair stop`), and start it in current.",
                ("midair run -C /srv/shop/current",),
            ),
        ),
        prevent=("`midair systemd` in ROOT/current writes a unit that runs there.",),
        see=(
            "deploy-current",
            "other-folder",
            "deploy.md",
        ),
    ),
    Explanation(
        code="deploy-folders",
        summary="The release folders, or what should be deployed, cannot be read or written by whoever deploys.",
        exits=(1,),
        happened="The kernel refused a folder or a file; the message names it.",
        serves="Nothing was changed.",
        causes=(
            "ROOT belongs to the service's user, and somebody else deploys.",
            "The source has files that this user may not read.",
        ),
        do=(
            Step(
                "See whose they are, and deploy as that user.",
                (
                    "ls -ld /srv/shop /srv/shop/releases",
                    "sudo -u shop midair deploy /srv/shop.git --ref v1.9 --to /srv/shop",
                ),
            ),
        ),
        see=(
            "deploy-no-room",
            "deploy-source",
            "deploy.md",
        ),
    ),
    Explanation(
        code="deploy-no-room",
        summary="The disk has not enough room for another release. Nothing was changed.",
        exits=(1,),
        happened=(
            "What the release needs was compared with what is free before anything was written; or the disk was full "
            "in the middle, and the new folder was removed again."
        ),
        serves="The release before; nothing that serves was touched.",
        causes=(
            "Old releases, logs, a database's dump on the same disk.",
            "Inodes: many small files.",
        ),
        do=(
            Step(
                "See which of the two it is, and what takes it.",
                (
                    "df -h /srv/shop",
                    "df -i /srv/shop",
                    "midair deploy --list",
                ),
            ),
            Step(
                "Make room, or keep fewer: `keep = 3` under `[deploy]`. Then deploy again.",
            ),
        ),
        see=(
            "deploy-build",
            "deploy-folders",
            "deploy.md",
        ),
    ),
    Explanation(
        code="deploy-nowhere",
        summary="It is not known where to: there are no release folders here, and nothing says where they should be.",
        exits=(2,),
        happened=(
            "Neither `--to` nor `root` under `[deploy]` says where releases go, and the folder where the command was "
            "typed has none."
        ),
        serves="Nothing was changed.",
        causes=("The first deployment on this machine.",),
        do=(
            Step(
                "Say where; the folder gets releases/, current and shared/.",
                ("midair deploy . --to /srv/shop",),
            ),
        ),
        see=(
            "deploy-source",
            "deploy-elsewhere",
            "deploy.md",
        ),
        shown=(
            "$ midair deploy .",
            "error: there are no release folders in /srv/shop",
            'hint: say --to /srv/shop (it gets releases/, current and shared/), or write root = "/srv/shop" under [deploy]',
            "more: midair explain deploy-nowhere",
        ),
    ),
    Explanation(
        code="deploy-shared",
        summary="A file that outlives releases is neither in the release nor in ROOT/shared yet.",
        exits=(1,),
        happened="`shared` under `[deploy]` names paths that become links into ROOT/shared. One of them is nowhere.",
        serves="The release before; nothing that serves was touched.",
        causes=(
            "The first deployment: the file (a database, an .env) has to be brought once.",
            "It is a folder that may begin empty: then its name ends with `/`.",
        ),
        do=(
            Step(
                "Put it there, and deploy again.",
                (
                    "cp .env /srv/shop/shared/.env",
                    "midair deploy . --to /srv/shop",
                ),
            ),
        ),
        see=(
            "deploy-unsafe",
            "deploy-source",
            "deploy.md",
        ),
        shown=(
            "$ midair deploy . --to ../live",
            "fetch        0.00 s",
            "share        0.01 s",
            "error: there is no /srv/live/shared/.env, nor .env in the release",
            "hint: put it there; a folder that may begin empty is written .env/",
            "more: midair explain deploy-shared",
        ),
    ),
    Explanation(
        code="deploy-source",
        summary="What should be deployed is not there, or is nothing that can be deployed.",
        exits=(2,),
        happened=(
            "PATH is a folder, a git checkout with `--ref`, a .tar, .tar.gz or .zip archive, or - for a tar stream. "
            "What was given is none of these, cannot be read, or has no midair.toml at its top."
        ),
        serves="Nothing was changed.",
        causes=(
            "No midair.toml: `midair init` writes one.",
            "`--ref` names a commit that the checkout does not have: fetch first.",
            "The archive is damaged, or a wheel: put it into requirements.txt instead.",
        ),
        do=(
            Step(
                "See what would be deployed.",
                ("midair deploy . --to /srv/shop --dry-run",),
            ),
            Step(
                "Put it right, and deploy again.",
                (
                    "git -C /srv/shop.git fetch",
                    "midair deploy /srv/shop.git --ref v1.9 --to /srv/shop",
                ),
            ),
        ),
        see=(
            "deploy-unsafe",
            "deploy-nowhere",
            "config-exists",
            "deploy.md",
        ),
        shown=(
            "$ midair deploy shop.tar --to ../releases",
            "error: there is no shop.tar",
            "hint: a folder, a git checkout with --ref, a .tar, .tar.gz or .zip archive, or - for a tar stream on standard input",
            "more: midair explain deploy-source",
        ),
    ),
    Explanation(
        code="deploy-unknown-release",
        summary="There is no whole release of that name.",
        exits=(2,),
        happened="`--rollback` names a release, or means the one before, and it is not there or not whole.",
        serves="Nothing was changed.",
        causes=("It was tidied away: `keep` under `[deploy]` says how many stay.",),
        do=(
            Step(
                "See which there are, and name one.",
                (
                    "midair deploy --list",
                    "midair deploy --rollback 20261125-170210",
                ),
            ),
        ),
        see=(
            "rollback-nothing",
            "deploy.md",
        ),
        shown=(
            "$ midair deploy --rollback 20261125-170210 --to ../releases",
            "error: there are no releases in /srv/releases",
            'hint: say --to /srv/shop (it gets releases/, current and shared/), or write root = "/srv/shop" under [deploy]',
            "more: midair explain deploy-unknown-release",
        ),
    ),
    Explanation(
        code="deploy-unsafe",
        summary=(
            "The source holds something that leads out of it or is no file: a link to elsewhere, a device, a name "
            "with `..`."
        ),
        exits=(2,),
        happened=(
            "A release has to be whole in its own folder: what leads out of it would be shared with others, or is an "
            "attack of an archive. The message names it."
        ),
        serves="Nothing that serves was touched; the new folder is gone.",
        causes=(
            "A link to data (uploads, a database) beside the project.",
            "A virtual environment or node_modules with absolute links.",
            "An archive with hard links or absolute names.",
        ),
        do=(
            Step(
                (
                    "Leave it out with `ignore` under `[deploy]`, or let it outlive releases with `shared`; then "
                    "deploy again."
                ),
                ("midair deploy . --to /srv/shop --dry-run",),
            ),
        ),
        see=(
            "deploy-shared",
            "deploy-source",
            "deploy.md",
        ),
        shown=(
            "$ midair deploy . --to ../live",
            "error: uploads is a link that leads out of what is deployed, to /srv/uploads",
            "hint: leave it out with `ignore` under [deploy]; what outlives releases belongs into `shared`",
            "more: midair explain deploy-unsafe",
        ),
    ),
)
