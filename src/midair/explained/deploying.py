"""Deployments."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "Deployments"

EXPLANATIONS = (
    Explanation(
        code="deploy-refused",
        exits=(4,),
        summary="The service refused the new release or took it back. `current` names the one again that serves.",
    ),
    Explanation(
        code="deploy-superseded",
        exits=(4,),
        summary="It was committed, but another release serves by now: somebody updated meanwhile.",
    ),
    Explanation(
        code="deploy-build",
        exits=(1,),
        summary=(
            "The release's environment could not be made, or a line of `prepare` failed. The new folder is gone, the "
            "service as it was."
        ),
    ),
    Explanation(
        code="deploy-busy",
        exits=(1,),
        summary="Somebody deploys here already: two at a time would take each other's release away.",
        do=(
            Step(
                (
                    "wait for it to end, or end that process: whatever it leaves behind is put right by the next "
                    "deployment"
                ),
            ),
        ),
    ),
    Explanation(
        code="deploy-updating",
        exits=(1,),
        summary="The service is in the middle of an update: which release `current` should name is open until it ends.",
        do=(
            Step(
                "deploy again when it has ended (midair status), or end it with midair rollback",
            ),
        ),
    ),
    Explanation(
        code="deploy-current",
        exits=(1,),
        summary="`current` is there, and no link: replacing it would lose what is in it.",
        do=(
            Step(
                "move it out of the way, or deploy to another folder with --to",
            ),
        ),
    ),
    Explanation(
        code="deploy-elsewhere",
        exits=(1,),
        summary="The service that runs does not run in ROOT/current, so it would not see the new release.",
    ),
    Explanation(
        code="deploy-folders",
        exits=(1,),
        summary="The release folders, or what should be deployed, cannot be read or written by whoever deploys.",
        do=(
            Step(
                "deploy as the user whose folders these are",
            ),
        ),
    ),
    Explanation(
        code="deploy-no-room",
        exits=(1,),
        summary="The disk has not enough room for another release. Nothing was changed.",
        do=(
            Step(
                "make room, or keep fewer releases (`keep` under [deploy])",
            ),
        ),
    ),
    Explanation(
        code="deploy-nowhere",
        exits=(2,),
        summary="It is not known where to: there are no release folders here, and nothing says where they should be.",
        do=(
            Step(
                (
                    'say --to /srv/shop (it gets releases/, current and shared/), or write root = "/srv/shop" under '
                    "[deploy]"
                ),
            ),
        ),
    ),
    Explanation(
        code="deploy-shared",
        exits=(1,),
        summary="A file that outlives releases is neither in the release nor in ROOT/shared yet.",
    ),
    Explanation(
        code="deploy-source",
        exits=(2,),
        summary="What should be deployed is not there, or is nothing that can be deployed.",
        do=(
            Step(
                (
                    "a folder, a git checkout with --ref, a .tar, .tar.gz or .zip archive, or - for a tar stream on "
                    "standard input"
                ),
            ),
        ),
    ),
    Explanation(
        code="deploy-unknown-release",
        exits=(2,),
        summary="There is no whole release of that name.",
        do=(
            Step(
                "midair deploy --list shows those that are there",
            ),
        ),
    ),
    Explanation(
        code="deploy-unsafe",
        exits=(2,),
        summary=(
            "The source holds something that leads out of it or is no file: a link to elsewhere, a device, a name "
            "with `..`."
        ),
        do=(
            Step(
                "leave it out with `ignore` under [deploy]; what outlives releases belongs into `shared`",
            ),
        ),
    ),
)
