"""The application."""

from __future__ import annotations

from midair.explained.explanation import NOBODY_NOTICED, Explanation, Step

TITLE = "The application"

EXPLANATIONS = (
    Explanation(
        code="app-syntax",
        summary="A file of the application is no valid Python.",
        exits=(4, 1),
        happened=(
            "The new version was imported, and Python would not read one of its files. Message and lines above name "
            "the file and the line."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "A slip in an edit, or a merge with its `<<<<<<<` left in.",
            (
                "The file is for a newer Python than the one that the version runs in; `midair status` and `midair "
                "check` say which that is."
            ),
            "A half-copied file: the deployment was not finished.",
        ),
        do=(
            Step(
                "See the line.",
                ("midair check",),
            ),
            Step(
                "Mend it and ask again.",
                ("midair reload",),
            ),
        ),
        prevent=("`midair check` in the deployment before the reload; it says the same and touches nothing.",),
        see=(
            "app-import-raised",
            "app-import-missing",
            "files-changing",
            "interpreter-unusable",
        ),
        shown=(
            "$ midair reload",
            "…",
            "  SyntaxError: invalid syntax",
            "error: syntax error in /srv/shop/app.py, line 7: invalid syntax; 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain app-syntax",
        ),
    ),
    Explanation(
        code="app-import-raised",
        summary="The application raised while it was imported.",
        exits=(4, 1),
        happened=(
            "Code that runs at import raised an exception. Its traceback stands above the error, from the "
            "application's first line on; the last frame is the place."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            (
                "A variable of the environment is not set (`KeyError`): services started by systemd have not what a "
                "shell has. See `env_files` and `[env]`."
            ),
            "A file or a service that is used at import is not there.",
            "An error in the code itself.",
        ),
        do=(
            Step(
                "See it again, without an update, in the interpreter and environment that a start would have.",
                ("midair check",),
            ),
            Step(
                "See what the environment is made of.",
                ("midair config --all",),
            ),
            Step(
                "Put it right and ask again.",
                ("midair reload",),
            ),
        ),
        prevent=(
            (
                "Do at start-up, not at import, what can fail for reasons outside the code: a start-up is tried again "
                "at a first start, an import is not."
            ),
        ),
        see=(
            "app-import-missing",
            "app-factory-raised",
            "startup-failed",
            "environment",
        ),
        shown=(
            "$ midair reload",
            "…",
            "  RuntimeError: SHOP_DATABASE is not set",
            "error: importing app raised RuntimeError: SHOP_DATABASE is not set; 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain app-import-raised",
        ),
    ),
    Explanation(
        code="app-import-missing",
        summary="The module is there, but something that it imports is not.",
        exits=(4, 1),
        happened=(
            "The application's own module was found, and an `import` in it was not: the message names the module that "
            "is missing, the traceback the line."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "A new dependency was not installed in the environment that the version runs in.",
            (
                "It was installed in another one: `python` beats `.venv` beside midair.toml, that beats VIRTUAL_ENV, "
                "that beats midair's own."
            ),
            "A module of the project that was not deployed, or a misspelt import.",
        ),
        do=(
            Step(
                "See which interpreter it is, and what is missing.",
                ("midair check",),
            ),
            Step(
                "Install it there. The path stands in what check has said.",
                (".venv/bin/python -m pip install -r requirements.txt",),
            ),
            Step(
                "Ask again.",
                ("midair reload",),
            ),
        ),
        prevent=('Let each release have an environment of its own: `venv = "pip"` under `[deploy]`.',),
        see=(
            "app-module-not-found",
            "interpreter-missing",
            "interpreter-unusable",
            "deploy.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "  ModuleNotFoundError: No module named 'redys'",
            "error: app imports 'redys', which is not installed; 1.8.2 (generation 2) serves",
            "hint: install it in the application's environment, or mend the import",
            "more: midair explain app-import-missing",
        ),
    ),
    Explanation(
        code="app-module-not-found",
        summary="There is no such module where the application is looked for.",
        exits=(4, 1),
        happened=(
            "The part of the target in front of the colon was looked for in the application's folder and on the "
            "interpreter's path, and is not there. The message says which part of a dotted name is missing."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The target is misspelt, or the module was renamed.",
            (
                "The folder is another: modules are looked for in `chdir`, relative to midair.toml; a project with a "
                '`src` folder wants `chdir = "src"`.'
            ),
            "The package is installed in another environment.",
        ),
        do=(
            Step(
                "See target, folder and interpreter.",
                (
                    "midair config",
                    "midair check",
                ),
            ),
            Step(
                "Put `app`, `chdir` or `python` right in midair.toml, and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "app-import-missing",
            "app-attribute-missing",
            "folder-missing",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: no module named 'shop'; 1.8.2 (generation 2) serves",
            "hint: check the name, the folder (chdir) and the environment (python)",
            "more: midair explain app-module-not-found",
        ),
    ),
    Explanation(
        code="app-attribute-missing",
        summary="The module has no such attribute.",
        exits=(4, 1),
        happened=(
            "The module was imported, and has not the name behind the colon. Names that are alike stand in the hint."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The application has another name there: `application` where `app` is asked for.",
            "It is made by a function: then name the function and say `factory = true`.",
            'It is made under a condition (`if __name__ == "__main__":`) that does not hold here.',
        ),
        do=(
            Step(
                "See what is said, without an update.",
                ("midair check",),
            ),
            Step(
                "Put `app` right in midair.toml, and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "app-module-not-found",
            "app-not-callable",
            "app-target",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: app has no attribute 'apps'; 1.8.2 (generation 2) serves",
            "hint: did you mean app?",
            "more: midair explain app-attribute-missing",
        ),
    ),
    Explanation(
        code="app-import-exited",
        summary="The application called `sys.exit()` while it was imported.",
        exits=(4, 1),
        happened=(
            "Importing the application ended in `sys.exit()`; what with stands in the message, where in the traceback "
            "above it."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The module is a program: it reads its command line (argparse, click) and ends.",
            "A check of its own that ends the process: a missing setting, a licence.",
        ),
        do=(
            Step(
                "See where.",
                ("midair check",),
            ),
            Step(
                (
                    'Put what belongs to the command line under `if __name__ == "__main__":`; or run the file as a '
                    "program: `midair run --main main.py`."
                ),
                ("midair reload",),
            ),
        ),
        see=(
            "app-import-raised",
            "zygote-exited",
            "serve-not-reached",
            "drop-in.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: importing app called sys.exit(0); 1.8.2 (generation 2) serves",
            "hint: keep what belongs to the command line under: if __name__ == '__main__'",
            "more: midair explain app-import-exited",
        ),
    ),
    Explanation(
        code="app-factory-raised",
        summary="The factory raised instead of returning an application.",
        exits=(4, 1),
        happened=(
            "The target was imported and called, as `factory = true` says, and raised. The traceback stands above the "
            "error."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "It wants arguments: midair calls it without any.",
            "What it sets up cannot be reached, or a variable is missing.",
        ),
        do=(
            Step(
                "See it again, without an update.",
                ("midair check",),
            ),
            Step(
                "Put it right and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "app-import-raised",
            "app-not-callable",
            "startup-failed",
        ),
        shown=(
            "$ midair reload",
            "…",
            "  NameError: name 'missing' is not defined",
            "error: the factory app:make raised NameError: name 'missing' is not defined; 1.8.2 (generation 2) serves",
            "hint: midair receipt 3 tells everything",
            "more: midair explain app-factory-raised",
        ),
    ),
    Explanation(
        code="app-not-callable",
        summary="The target is no application: it cannot be called.",
        exits=(4, 1),
        happened="What the target names was found and cannot be called: the message says what it is.",
        serves=NOBODY_NOTICED,
        causes=(
            "It names a module, or a settings object, instead of the application in it.",
            "`factory` is set, and the target is the application itself.",
        ),
        do=(
            Step(
                "See what it is.",
                ("midair check",),
            ),
            Step(
                "Put `app` (or `factory`) right in midair.toml, and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "app-attribute-missing",
            "app-interface",
            "app-target",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: app:VERSION is a str, which cannot be called; 1.8.2 (generation 2) serves",
            "hint: name the application object itself",
            "more: midair explain app-not-callable",
        ),
    ),
    Explanation(
        code="app-interface",
        summary="It can be called, but neither as ASGI 3 nor as WSGI.",
        exits=(4, 1),
        happened=(
            "midair tells the interface by how the application can be called: with three arguments or as a coroutine "
            "function ASGI, with two WSGI. This one is neither, or does not tell."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "A class or a function that makes the application was named: say `factory = true`.",
            (
                "It is wrapped in something that takes any arguments (`*args`): say which it is with `interface` "
                "under `[serve]`."
            ),
            (
                "An ASGI 2 application, which takes one argument and returns another callable: wrap it "
                "(`asgiref.compatibility.guarantee_single_callable`)."
            ),
        ),
        do=(
            Step(
                "See what is said of it.",
                ("midair check",),
            ),
            Step(
                (
                    'Write `interface = "asgi"` under `[serve]` in midair.toml ("wsgi" if it is that), or name the right '
                    "object, and ask again."
                ),
                ("midair reload",),
            ),
        ),
        see=(
            "app-not-callable",
            "app-attribute-missing",
            "django-flask.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: app:make takes no arguments; 1.8.2 (generation 2) serves",
            "hint: a function that returns the application wants --factory",
            "more: midair explain app-interface",
        ),
    ),
    Explanation(
        code="app-target",
        summary="The target is not written as `module:attribute`.",
        exits=(4, 1),
        happened=(
            "A string that names the application, given to `midair.serve()` for example, has no colon, or nothing on "
            "one side of it. Where `app` or the word after `midair run` is wrong, that is told as `bad-config`."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "A path was given: `shop/web.py` is written `shop.web:app`.",
            "A program was meant: it stands behind `--`.",
        ),
        do=(
            Step(
                "Write it as a module and a name in it.",
                (
                    "midair run shop.web:app",
                    "midair run -- ./server --flag",
                ),
            ),
        ),
        see=(
            "app-module-not-found",
            "bad-config",
            "cli.md",
        ),
    ),
    Explanation(
        code="application",
        summary="The application could not be imported or started.",
        exits=(4, 1),
        happened=(
            "`midair check`, or a command that has to ask a program what it serves, imported it in a process that is "
            "thrown away, and got no answer: the import took more than 60 s, or the process ended."
        ),
        serves="A service that runs is not touched by it.",
        causes=(
            "Something at import waits: a download, a lock, a database.",
            (
                "Something at import ends the process (`os._exit`), or crashes it: a native module built for another "
                "Python."
            ),
        ),
        do=(
            Step(
                "See the last line that it says.",
                (
                    "midair check",
                    "python -X faulthandler -c 'import app'",
                ),
            ),
        ),
        see=(
            "zygote-exited",
            "app-import-exited",
            "not-ready",
        ),
    ),
    Explanation(
        code="startup-failed",
        summary="The application said `lifespan.startup.failed`, or raised where lifespan is required.",
        exits=(4, 1),
        happened=(
            "The application was imported, and its start-up (the ASGI lifespan) failed: it said so, or raised. Its "
            "message or traceback stands above the error. At a first start this is tried again until `start.timeout` "
            "(5 min), as a database may come up later."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "A database, a broker or another service cannot be reached, or refuses the password.",
            "A migration that the new code needs has not run.",
            "An error in the start-up code itself.",
            (
                '"completing its start-up": `lifespan = "on"` under `[serve]`, and the application does not speak the '
                "protocol."
            ),
        ),
        do=(
            Step(
                "Read what it said.",
                (
                    "midair receipt",
                    "midair logs --update 12",
                ),
            ),
            Step(
                (
                    "See whether the version that serves can still reach what it needs: then it is the new version's "
                    "own, else wait for it."
                ),
                ("midair status",),
            ),
            Step(
                "Put it right and ask again.",
                ("midair reload",),
            ),
        ),
        prevent=("Run migrations in `hooks.before`: their failure has a name of its own.",),
        see=(
            "not-ready",
            "worker-exited",
            "hook-failed",
            "shutdown-failed",
            "environment",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: the application failed to start: the database is on fire; 1.8.2 (generation 2) serves",
            "hint: the application's own start-up refused; its message is above",
            "more: midair explain startup-failed",
        ),
    ),
    Explanation(
        code="shutdown-failed",
        summary="The application said `lifespan.shutdown.failed`, or raised while shutting down.",
        exits=(),
        happened=(
            "A worker was on its way out, its connections were gone, and the application's shutdown (the ASGI "
            "lifespan) failed. It stands in the log; the worker ended all the same."
        ),
        serves="Whoever serves is not touched. What the shutdown was to save (a queue, a file) may not have been.",
        causes=("Something that it closes has been closed already, or cannot be reached any more.",),
        do=(
            Step(
                "Read its traceback.",
                ("midair logs --level error",),
            ),
        ),
        prevent=("Let the shutdown survive what is gone: it has `exit.timeout` (10 s), then the worker is ended.",),
        see=(
            "startup-failed",
            "updates.md",
        ),
    ),
    Explanation(
        code="main-missing",
        summary="There is no such main file.",
        exits=(4, 1),
        happened="`main` (or `--main`) names a Python file or a module, and it is not there.",
        serves=NOBODY_NOTICED,
        causes=(
            "It is looked for in the service's folder: `chdir`, relative to midair.toml.",
            "A module was meant: written as after `python -m`, without `.py`.",
        ),
        do=(
            Step(
                "See what is looked for, and where.",
                ("midair config",),
            ),
            Step(
                "Put `main` or `chdir` right, and ask again.",
                ("midair reload",),
            ),
        ),
        see=(
            "serve-not-reached",
            "folder-missing",
            "drop-in.md",
        ),
    ),
    Explanation(
        code="folder-missing",
        summary="The application's folder is not there.",
        exits=(4, 2),
        happened=(
            "The folder that `chdir` names (without it the folder of midair.toml, as it was typed) was not there when "
            "the version was looked at. It is resolved anew for each version, so that a `current` link that was "
            "swapped is seen."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "`current` is missing or names a release that was removed by hand.",
            "`chdir` is relative to midair.toml, not to where the command was typed.",
            "The file system is not mounted.",
        ),
        do=(
            Step(
                "See what the service looks at.",
                (
                    "midair config --all",
                    "ls -l /srv/shop",
                ),
            ),
            Step(
                "Put the link or the folder back, and ask again.",
                ("midair reload",),
            ),
        ),
        prevent=("Let `midair deploy` swap the link: it is never missing in between.",),
        see=(
            "app-module-not-found",
            "main-missing",
            "deploy.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: the application's folder /srv/shop/src is not there; 1.8.2 (generation 2) serves",
            "hint: set `chdir` to the application's folder, relative to midair.toml",
            "more: midair explain folder-missing",
        ),
    ),
    Explanation(
        code="interpreter-missing",
        summary="The interpreter that was asked for is not there.",
        exits=(4, 2),
        happened=(
            "The version runs in the interpreter that `python` names, else in `.venv` beside midair.toml, else in "
            "VIRTUAL_ENV, else in midair's own. The message says which of them it was; the file is not there or "
            "cannot be executed."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "The virtual environment was not made, or was removed to be made again.",
            (
                "It was made with a Python that has been removed or upgraded since: `.venv/bin/python` is a link to "
                "nothing."
            ),
            "`python` names a folder or a file that belongs to another machine.",
        ),
        do=(
            Step(
                "See whether the link leads somewhere.",
                ("ls -lL .venv/bin/python",),
            ),
            Step(
                "Make the environment again, with midair in it.",
                (
                    "python3 -m venv --clear .venv",
                    ".venv/bin/python -m pip install -r requirements.txt",
                ),
            ),
            Step(
                "Ask again.",
                ("midair reload",),
            ),
        ),
        prevent=('An environment for each release: `venv = "pip"` under `[deploy]`.',),
        see=(
            "interpreter-unusable",
            "app-import-missing",
            "deploy.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: the interpreter /srv/shop/.venv (from python) is not there or cannot be executed; 1.8.2 (generation 2) serves",
            "hint: make the virtual environment (python3 -m venv .venv), or set `python` to another one",
            "more: midair explain interpreter-missing",
        ),
    ),
    Explanation(
        code="interpreter-unusable",
        summary="The interpreter cannot run a worker: broken, too old, or without midair.",
        exits=(4, 1),
        happened=(
            "midair asked the version's interpreter for its version and whether it can import midair: a worker needs "
            "both. The message says what it answered."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "midair is not installed in the application's environment. The hint has the line to type.",
            "It is older than Python 3.11.",
            "It does not start at all: a library that it needs was removed by an upgrade of the system.",
        ),
        do=(
            Step(
                "Install midair there: the same version as the supervisor's.",
                (".venv/bin/python -m pip install midair",),
            ),
            Step(
                "Or see how it fails.",
                (".venv/bin/python -c 'import midair; print(midair.__version__)'",),
            ),
            Step(
                "Ask again.",
                ("midair reload",),
            ),
        ),
        prevent=("Put midair into requirements.txt, so that a new environment has it.",),
        see=(
            "interpreter-missing",
            "app-import-missing",
            "upgrade-preflight",
        ),
        shown=(
            "$ midair reload",
            "…",
            (
                "error: midair cannot be imported by /srv/shop/.venv/bin/python (Python 3.11.7): "
                "ModuleNotFoundError: No module named 'midair'; 1.8.2 (generation 2) serves"
            ),
            "hint: install it there: uv pip install --python /srv/shop/.venv/bin/python midair==0.1.0",
            "more: midair explain interpreter-unusable",
        ),
    ),
    Explanation(
        code="environment",
        summary="A file that `env_files` or `[env]` names cannot be read, or a value cannot be one.",
        exits=(4, 2),
        happened=(
            "`env_files` and values written `file:PATH` are read anew for each version. One is not there, may not be "
            "read by the user that midair runs as, or is not what it should be. The message names the file, never its "
            "content."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            (
                "The file is not there: `.env` was not deployed. Where it may be missing write a minus in front: "
                '`"-.env"`.'
            ),
            "It belongs to root or has mode 0600, and the service runs as another user.",
            "A line that is not `KEY=VALUE`, or a file that is not UTF-8.",
        ),
        do=(
            Step(
                "See who may read it.",
                (
                    "ls -l .env",
                    "midair check",
                ),
            ),
            Step(
                "Give it to the service's user, or to its group, and ask again.",
                (
                    "chgrp shop .env && chmod 640 .env",
                    "midair reload",
                ),
            ),
        ),
        prevent=("`midair doctor` says when everybody may read it (`secrets`).",),
        see=(
            "app-import-raised",
            "tls",
            "bad-config",
            "configuration.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: env_files: /srv/shop/.env is not there; 1.8.2 (generation 2) serves",
            "hint: make it, or write '-.env' where it may be missing",
            "more: midair explain environment",
        ),
    ),
    Explanation(
        code="version-unknown",
        summary="`version_from` gives no name.",
        exits=(4, 2),
        happened=(
            "The version's name is taken from where `version_from` says (git, a file, a package, a variable, a "
            "command), and there is none, or it is no name of one line."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            '`git` where there is no checkout, or git refuses a folder of another user ("dubious ownership").',
            (
                "The file was not deployed, the variable is not set, the package is not installed in the version's "
                "environment."
            ),
            "The command failed, or took more than 10 s.",
        ),
        do=(
            Step(
                "See what is asked.",
                (
                    "midair config",
                    "midair check",
                ),
            ),
            Step(
                'Put it right, or write `version_from = "auto"`, and ask again.',
                ("midair reload",),
            ),
        ),
        see=(
            "unexpected-version",
            "environment",
            "configuration.md#the-service",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: version_from = 'env:SHOP_VERSION': the variable SHOP_VERSION is not set; 1.8.2 (generation 2) serves",
            "hint: set it, or use `auto`",
            "more: midair explain version-unknown",
        ),
    ),
)
