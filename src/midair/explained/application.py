"""The application."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "The application"

EXPLANATIONS = (
    Explanation(
        code="app-syntax",
        exits=(4, 1),
        summary="A file of the application is no valid Python.",
    ),
    Explanation(
        code="app-import-raised",
        exits=(4, 1),
        summary="The application raised while it was imported.",
    ),
    Explanation(
        code="app-import-missing",
        exits=(4, 1),
        summary="The module is there, but something that it imports is not.",
        do=(
            Step(
                "install it in the application's environment, or mend the import",
            ),
        ),
    ),
    Explanation(
        code="app-module-not-found",
        exits=(4, 1),
        summary="There is no such module where the application is looked for.",
        do=(
            Step(
                "check the name, the folder (chdir) and the environment (python)",
            ),
        ),
    ),
    Explanation(
        code="app-attribute-missing",
        exits=(4, 1),
        summary="The module has no such attribute.",
    ),
    Explanation(
        code="app-import-exited",
        exits=(4, 1),
        summary="The application called `sys.exit()` while it was imported.",
        do=(
            Step(
                "keep what belongs to the command line under: if __name__ == '__main__'",
            ),
        ),
    ),
    Explanation(
        code="app-factory-raised",
        exits=(4, 1),
        summary="The factory raised instead of returning an application.",
    ),
    Explanation(
        code="app-not-callable",
        exits=(4, 1),
        summary="The target is no application: it cannot be called.",
    ),
    Explanation(
        code="app-interface",
        exits=(4, 1),
        summary="It can be called, but neither as ASGI 3 nor as WSGI.",
        do=(
            Step(
                (
                    'say interface = "asgi" or "wsgi", or wrap it (asgiref.compatibility.guarantee_single_callable '
                    "for ASGI 2)"
                ),
            ),
        ),
    ),
    Explanation(
        code="app-target",
        exits=(4, 1),
        summary="The target is not written as `module:attribute`.",
        do=(
            Step(
                "write it as package.module:attribute, such as shop.web:app",
            ),
        ),
    ),
    Explanation(
        code="application",
        exits=(4, 1),
        summary="The application could not be imported or started.",
    ),
    Explanation(
        code="startup-failed",
        exits=(4, 1),
        summary="The application said `lifespan.startup.failed`, or raised where lifespan is required.",
        do=(
            Step(
                "the application's own start-up refused; its message is above",
            ),
        ),
    ),
    Explanation(
        code="shutdown-failed",
        exits=(),
        summary="The application said `lifespan.shutdown.failed`, or raised while shutting down.",
    ),
    Explanation(
        code="main-missing",
        exits=(4, 1),
        summary="There is no such main file.",
        do=(
            Step(
                "main is a file, or a module as after python -m, in the service's folder (chdir)",
            ),
        ),
    ),
    Explanation(
        code="folder-missing",
        exits=(4, 2),
        summary="The application's folder is not there.",
        do=(
            Step(
                "set `chdir` to the application's folder, relative to midair.toml",
            ),
        ),
    ),
    Explanation(
        code="interpreter-missing",
        exits=(4, 2),
        summary="The interpreter that was asked for is not there.",
    ),
    Explanation(
        code="interpreter-unusable",
        exits=(4, 1),
        summary="The interpreter cannot run a worker: broken, too old, or without midair.",
    ),
    Explanation(
        code="environment",
        exits=(4, 2),
        summary="A file that `env_files` or `[env]` names cannot be read, or a value cannot be one.",
    ),
    Explanation(
        code="version-unknown",
        exits=(4, 2),
        summary="`version_from` gives no name.",
    ),
)
