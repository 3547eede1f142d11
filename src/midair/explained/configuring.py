"""Configuration and command line."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "Configuration and command line"

EXPLANATIONS = (
    Explanation(
        code="bad-config",
        exits=(4, 2),
        summary="The configuration has problems. Nothing was started or changed because of it.",
    ),
    Explanation(
        code="config-unreadable",
        exits=(4, 2),
        summary="The file cannot be opened.",
    ),
    Explanation(
        code="config",
        exits=(4, 2),
        summary="The configuration cannot be read or does not mean anything.",
    ),
    Explanation(
        code="tls",
        exits=(4, 2),
        summary="A file of `[tls]` cannot be read, is not what it should be, or does not fit the others.",
    ),
    Explanation(
        code="program-missing",
        exits=(4, 2),
        summary="The command's program is not there, or may not be executed.",
    ),
    Explanation(
        code="config-exists",
        exits=(2,),
        summary="The folder has a configuration. It was not touched.",
        do=(
            Step(
                "to see what would be written: --dry-run; to replace it, a copy is kept: --force",
            ),
        ),
    ),
    Explanation(
        code="config-for-dev",
        exits=(2,),
        summary="A file of a development tool was given to a command that is not `midair dev`.",
        do=(
            Step(
                "midair dev reads it; midair init writes a midair.toml from it",
            ),
        ),
    ),
    Explanation(
        code="nothing-to-run",
        exits=(2,),
        summary="There is no application and no program here that midair could run.",
        do=(
            Step(
                "name it: midair init --app module:attribute; to begin anew: midair new NAME --template fastapi",
            ),
        ),
    ),
    Explanation(
        code="project-exists",
        exits=(2,),
        summary="Something has that name already. Nothing in it was changed.",
        do=(
            Step(
                "choose another name; for a project that you have: midair init",
            ),
        ),
    ),
    Explanation(
        code="bad-project-name",
        exits=(2,),
        summary="The name cannot be a folder's, a package's and a service's at once.",
    ),
    Explanation(
        code="needs-linux",
        exits=(1,),
        summary=(
            "What midair does with processes and sockets, only Linux can. On other systems the rest of the command "
            "line works."
        ),
    ),
    Explanation(
        code="usage",
        exits=(2,),
        summary="The command line does not say what to do.",
    ),
    Explanation(
        code="interrupted",
        exits=(130,),
        summary="Ctrl-C before anything was asked for.",
    ),
)
