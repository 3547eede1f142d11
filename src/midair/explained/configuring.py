"""Configuration and command line."""

from __future__ import annotations

from midair.explained.explanation import NOBODY_NOTICED, Explanation, Step

TITLE = "Configuration and command line"

EXPLANATIONS = (
    Explanation(
        code="bad-config",
        summary="The configuration has problems. Nothing was started or changed because of it.",
        exits=(4, 2),
        happened=(
            "midair.toml (or `[tool.midair]` of pyproject.toml), a variable or a flag says something that does not "
            "mean anything. All mistakes are told at once, each with its line and what is expected. An update reads "
            "the file anew, and is refused for it."
        ),
        serves="A service that runs goes on with the settings that it has.",
        causes=(
            (
                "A key that midair does not know: misspelt, in the wrong table, or from a newer midair. The nearest "
                "one stands beside it."
            ),
            'A number without its unit: `"30s"`, `"5%"`, `"64KiB"`.',
            "A value of the wrong kind, or two keys that do not go together.",
            "A slip of TOML: a bracket, a quote, a table named twice.",
        ),
        do=(
            Step(
                "See all of it, with lines.",
                ("midair check --no-import",),
            ),
            Step(
                "Mend it, see what it would change, and ask again.",
                (
                    "midair config --diff",
                    "midair reload",
                ),
            ),
        ),
        prevent=("`midair check` in the deployment, before the reload.",),
        see=(
            "config-unreadable",
            "environment",
            "bad-address",
            "configuration.md",
        ),
        shown=(
            "$ midair reload",
            "…",
            "error: midair.toml:4: there is no key wokers; 1.8.2 (generation 2) serves",
            "hint: did you mean workers?",
            "more: midair explain bad-config",
        ),
    ),
    Explanation(
        code="config-unreadable",
        summary="The file cannot be opened.",
        exits=(4, 2),
        happened="A configuration was named (`--config`, MIDAIR_CONFIG) or found, and cannot be read.",
        serves="A service that runs goes on with the settings that it has.",
        causes=(
            "It is not there: the name is relative to the folder of the service.",
            "It may not be read by this user.",
        ),
        do=(
            Step(
                "See where it is looked for, and who may read it.",
                (
                    "midair config --file",
                    "ls -l midair.toml",
                ),
            ),
        ),
        see=(
            "bad-config",
            "folder-missing",
            "configuration.md",
        ),
        shown=(
            "$ midair check --config shop.toml",
            "error: there is no file shop.toml",
            "hint: looked for /srv/shop/shop.toml",
            "more: midair explain config-unreadable",
        ),
    ),
    Explanation(
        code="config",
        summary="The configuration cannot be read or does not mean anything.",
        exits=(4, 2),
        happened=(
            "Something that midair was given is not what it should be, and no other code says it better; the message "
            "does."
        ),
        serves="A service that runs goes on with the settings that it has.",
        causes=(
            (
                '"an update cannot make it a command": the service runs an application, and the file says a program by '
                "now, or the other way round. Their sockets differ, so that takes a restart."
            ),
            "An address that is none (`midair alerts test --to`).",
        ),
        do=(
            Step(
                "See what the file would change.",
                ("midair config --diff",),
            ),
            Step(
                "If it is to be another kind of service: stop it in a quiet moment, and start it again.",
                ("systemctl restart shop",),
            ),
        ),
        see=(
            "bad-config",
            "usage",
        ),
    ),
    Explanation(
        code="tls",
        summary="A file of `[tls]` cannot be read, is not what it should be, or does not fit the others.",
        exits=(4, 2),
        happened=(
            "Certificate, key or authorities are read when a version starts, before it serves. The message names the "
            "key of the configuration and the file."
        ),
        serves="A service that runs goes on with the certificate that it has.",
        causes=(
            "The file is not there, or may not be read by the user that midair runs as: keys belong to root, mostly.",
            "The key is not that of the certificate: one of the two was renewed.",
            "The key is encrypted, and `tls.keyfile_password` is missing or wrong.",
            "It is not PEM, or holds only the chain.",
        ),
        do=(
            Step(
                "See who may read them, and whether they fit.",
                (
                    "ls -lL cert.pem key.pem",
                    "openssl x509 -in cert.pem -noout -subject -enddate -pubkey",
                    "openssl pkey -in key.pem -pubout",
                ),
            ),
            Step(
                "Put it right, and ask again.",
                (
                    "midair check",
                    "midair reload",
                ),
            ),
        ),
        prevent=(
            (
                "Renewed files are taken up by themselves (`tls.reload_interval`); `midair doctor` says when one ends "
                "(`certificate`)."
            ),
        ),
        see=(
            "environment",
            "bad-config",
            "tls.md",
        ),
        shown=(
            "$ midair check",
            "error: tls.certfile: /srv/shop/cert.pem cannot be read: No such file or directory",
            "hint: a path is relative to the service's folder",
            "more: midair explain tls",
        ),
    ),
    Explanation(
        code="program-missing",
        summary="The command's program is not there, or may not be executed.",
        exits=(2,),
        happened=(
            "`midair check` and `midair deploy` look for the program of a `command` before anything is started: with a "
            "slash in its name in the service's folder, else in PATH. An update that meets it is refused "
            "(`command-failed`)."
        ),
        serves="Nothing was started. A service that runs is not touched.",
        causes=(
            "It was not built yet, and no `hooks.before` builds it.",
            "`./` is missing in front of a program of the folder.",
            "It is not executable.",
            "The service's PATH is another than the shell's: systemd's is short.",
        ),
        do=(
            Step(
                "See where it is looked for.",
                (
                    "midair check",
                    "ls -l ./server",
                ),
            ),
            Step(
                "Build it, or write its whole path, and start again.",
                ("chmod +x ./server",),
            ),
        ),
        see=(
            "command-failed",
            "hook-failed",
            "commands.md",
        ),
        shown=(
            "$ midair check",
            "error: there is no program ./server",
            "hint: looked in /srv/shop/",
            "more: midair explain program-missing",
        ),
    ),
    Explanation(
        code="config-exists",
        summary="The folder has a configuration. It was not touched.",
        exits=(2,),
        happened="`midair init` writes a midair.toml, and there is one, or a `[tool.midair]` in pyproject.toml.",
        serves="Nothing was changed.",
        causes=("It was written before.",),
        do=(
            Step(
                "See what would be written now, or replace it; a copy is kept.",
                (
                    "midair init --dry-run",
                    "midair init --force",
                ),
            ),
        ),
        see=(
            "nothing-to-run",
            "new-project.md",
        ),
        shown=(
            "$ midair init",
            "error: /srv/shop/midair.toml is there already",
            "hint: to see what would be written: --dry-run; to replace it, a copy is kept: --force",
            "more: midair explain config-exists",
        ),
    ),
    Explanation(
        code="config-for-dev",
        summary="A file of a development tool was given to a command that is not `midair dev`.",
        exits=(2,),
        happened=(
            "Air's and nodemon's files say how a program is built and restarted while it is developed. `midair run` "
            "and the others do not read them."
        ),
        serves="Nothing was started.",
        causes=("`--config .air.toml` was typed after `midair run`.",),
        do=(
            Step(
                "Develop with it, or make a midair.toml of it.",
                (
                    "midair dev --config .air.toml",
                    "midair init --from .air.toml",
                ),
            ),
        ),
        see=(
            "bad-config",
            "air.md",
            "nodemon.md",
        ),
        shown=(
            "$ midair run --config .air.toml",
            "error: .air.toml is Air's: it says how the service is developed, not how it runs",
            "hint: midair dev reads it; midair init writes a midair.toml from it",
            "more: midair explain config-for-dev",
        ),
    ),
    Explanation(
        code="nothing-to-run",
        summary="There is no application and no program here that midair could run.",
        exits=(2,),
        happened=(
            "`midair init` looked at the folder and found no application, no program and no way in which it was "
            "started before. What it looked at in vain stands above the error."
        ),
        serves="Nothing was changed.",
        causes=(
            "It is not the project's folder.",
            "The application is made in a way that cannot be seen without running it.",
        ),
        do=(
            Step(
                "Name it, or begin anew.",
                (
                    "midair init --app shop.web:app",
                    "midair new shop --template fastapi",
                ),
            ),
        ),
        see=(
            "config-exists",
            "new-project.md",
        ),
        shown=(
            "$ midair init",
            "error: nothing that midair could run was found",
            "hint: name it: midair init --app module:attribute; to begin anew: midair new NAME --template fastapi",
            "more: midair explain nothing-to-run",
        ),
    ),
    Explanation(
        code="project-exists",
        summary="Something has that name already. Nothing in it was changed.",
        exits=(2,),
        happened="`midair new` makes a new folder, and there is one (or a file) of that name.",
        serves="Nothing was changed.",
        causes=("It was typed twice.",),
        do=(
            Step(
                "Choose another name; for a project that you have:",
                ("midair init",),
            ),
        ),
        see=(
            "config-exists",
            "new-project.md",
        ),
        shown=(
            "$ midair new shop --template fastapi",
            "error: shop exists already",
            "hint: choose another name; for a project that you have: midair init",
            "more: midair explain project-exists",
        ),
    ),
    Explanation(
        code="bad-project-name",
        summary="The name cannot be a folder's, a package's and a service's at once.",
        exits=(2,),
        happened="`midair new` makes a folder, a package and a service of one name. The hint has one that can be.",
        serves="Nothing was changed.",
        causes=("It has spaces or signs in it, begins with a digit, or is a word of Python or a module of it.",),
        do=(
            Step(
                "Take the one in the hint.",
                ("midair new shop --template fastapi",),
            ),
        ),
        see=(
            "project-exists",
            "new-project.md",
        ),
        shown=(
            "$ midair new 2shop --template fastapi",
            "error: '2shop' cannot be a project's name",
            "hint: lower-case letters, digits, - and _, a letter first; such as shop",
            "more: midair explain bad-project-name",
        ),
    ),
    Explanation(
        code="needs-linux",
        summary=(
            "What midair does with processes and sockets, only Linux can. On other systems the rest of the command "
            "line works."
        ),
        exits=(1,),
        happened="A command that runs or asks a service was typed on another system.",
        serves="Nothing was started.",
        causes=("macOS or Windows.",),
        do=(
            Step(
                "Run it in a Linux container, a virtual machine, or WSL2.",
            ),
        ),
        see=(
            "not-running",
            "containers.md",
        ),
    ),
    Explanation(
        code="usage",
        summary="The command line does not say what to do.",
        exits=(2,),
        happened="A flag, an argument or their combination is not one of the command's.",
        serves="Nothing was started or changed.",
        causes=(
            "A slip: what is nearest stands in the hint.",
            "A flag of another server: the hint says what takes its place.",
        ),
        do=(
            Step(
                "See what there is.",
                (
                    "midair --help",
                    "midair reload --help",
                ),
            ),
        ),
        see=(
            "bad-config",
            "cli.md",
        ),
    ),
    Explanation(
        code="interrupted",
        summary="Ctrl-C before anything was asked for.",
        exits=(130,),
        happened="The command was ended from the keyboard before it had done anything.",
        serves="Nothing was changed.",
        causes=("Somebody pressed Ctrl-C.",),
        do=(
            Step(
                "Nothing. Ctrl-C after an update was asked for is another thing: it goes on.",
                ("midair status",),
            ),
        ),
        see=("outcome-unknown",),
    ),
    Explanation(
        code="traces-missing",
        summary="Traces are configured, and OpenTelemetry is not installed where it is needed.",
        exits=(4, 2, 1),
        happened=(
            "`[traces]` says where spans go. What sends them is OpenTelemetry, which comes with `midair[traces]`: "
            "midair's own Python needs it for updates, and with `traces.requests` the application's Python for "
            "requests, too. One of the two has not got it, and the message names which."
        ),
        serves=NOBODY_NOTICED,
        causes=(
            "midair was installed without the extra.",
            "The application has an environment of its own (`.venv`, a release's), and there it is missing.",
            "An environment was made anew from a list that does not name the extra.",
        ),
        do=(
            Step("Install it where the message says; the hint has the whole line.", ("midair check",)),
            Step("Ask again.", ("midair reload",)),
        ),
        prevent=("Write `midair[traces]` into the application's requirements.",),
        see=("traces-nowhere", "interpreter-unusable", "traces.md"),
    ),
    Explanation(
        code="traces-nowhere",
        summary="Requests are to be spans, and no collector is named.",
        exits=(2,),
        happened=(
            "`traces.requests` is true, and neither `traces.endpoint` nor the environment says who takes the spans. Of "
            "the environment counts `OTEL_EXPORTER_OTLP_ENDPOINT`, where `midair[traces]` is installed and no other "
            "protocol than `http/protobuf` is asked for."
        ),
        serves="Nothing was started or changed because of it.",
        causes=(
            "The variable is set in a shell, and not for the service (a unit, a container).",
            "`OTEL_EXPORTER_OTLP_PROTOCOL` is `grpc`, which is not spoken.",
        ),
        do=(
            Step("See what counts.", ("midair config",)),
            Step("Name the collector in `[traces]`, and look whether it answers.", ("midair check",)),
        ),
        see=("traces-missing", "traces.md"),
    ),
)
