"""The Dockerfile of a service, and its ``.dockerignore``. Pure; each line says why it is there.

Only what every builder knows: no ``RUN --mount`` and no directive in the first line, so that Docker with and without BuildKit,
Buildah, Podman and Kaniko take it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from midair.containers.container import UID, Container
from midair.containers.file_text import BLANK, File, Line, words
from midair.containers.survey import ENVIRONMENT, Packages, Stage
from midair.systemd.units import stop_signal

NAME = "Dockerfile"
IGNORE_NAME = ".dockerignore"
HEALTH_EVERY_S = 10
HEALTH_WITHIN_S = 5
MADE = "Made by `midair container --dockerfile`; it may be written anew."


def dockerfile(container: Container, base: str, packages: Packages, program: Stage | None) -> File:
    """``Dockerfile``. base: the image that has Python. Raises NoStopSignal."""
    head = f"{container.settings.name} under midair. {MADE}"
    return File(NAME, head, (*_packages(base, packages), *_program(program), *_image(container, base, program)))


def _packages(base: str, packages: Packages) -> Iterator[Line]:
    yield Line(
        f"FROM {base} AS packages",
        "What installs stays behind in this stage. A package without a wheel needs a compiler here, and here alone.",
    )
    yield Line("WORKDIR /src")
    yield from (Line(step.text, step.why) for step in packages.tool)
    yield Line(
        f"RUN python -m venv {ENVIRONMENT}",
        "Outside of the code's folder, so that a volume may be mounted there. midair takes the environment"
        " that VIRTUAL_ENV names.",
    )
    yield Line(f"ENV VIRTUAL_ENV={ENVIRONMENT} PATH={ENVIRONMENT}/bin:$PATH")
    yield from (Line(step.text, step.why) for step in packages.steps)
    yield BLANK


def _program(program: Stage | None) -> Iterator[Line]:
    if program:
        yield Line(f"FROM {program.base} AS program", "The program is made here; its tools are no part of the image.")
        yield Line(f"WORKDIR {program.folder}")
        yield from (Line(step.text, step.why) for step in program.steps)
        yield BLANK


def _image(container: Container, base: str, program: Stage | None) -> Iterator[Line]:
    name, folder = container.name, container.folder
    yield Line(f"FROM {base}", "The image.")
    owned = f"{container.runtime_dir} {container.state_dir}"
    yield Line(
        f"RUN useradd --uid {UID} --user-group --no-create-home --home-dir {folder} --shell"
        f" /usr/sbin/nologin {name} \\",
        "Not root. A number that no user of the machine has; with a name, since some libraries ask for one."
        " Its folders are what"
        " midair writes: a socket and a lock, and the receipts of updates.",
    )
    yield Line(f" && install -d -m 0700 -o {UID} -g {UID} {owned}")
    yield Line(
        f"WORKDIR {folder}",
        "The code, which belongs to root: the service can read it. Commands find the service by this folder.",
    )
    yield Line(f"COPY --from=packages {ENVIRONMENT} {ENVIRONMENT}")
    if not (program and program.has_code):
        yield Line("COPY . .")
    yield from (Line(step.text, step.why) for step in (program.copied if program else ()))
    yield Line(f"ENV VIRTUAL_ENV={ENVIRONMENT} PATH={ENVIRONMENT}/bin:$PATH")
    for variable, value, why in container.environment:
        yield Line(f"ENV {variable}={_value(value)}", why)
    yield Line(f"USER {UID}:{UID}", "As numbers: Kubernetes cannot tell of a name that it is not root's.")
    if container.ports:
        yield Line(f"EXPOSE {' '.join(str(port.number) for port in container.ports)}", "For people; it opens nothing.")
    yield Line(
        f"STOPSIGNAL SIG{stop_signal(container.settings)}",
        f"Requests end, then the service does. Docker waits 10 s if it is not told more: {container.stop}.",
    )
    yield Line(
        f"HEALTHCHECK --interval={HEALTH_EVERY_S}s --timeout={HEALTH_WITHIN_S}s"
        f" --start-period={container.start.total_s}s \\",
        "Whether a version accepts; over the control socket, without a client in the image. It counts from"
        " the first time that it"
        " is well, or from the end of the longest first start on. Kubernetes does not look at it.",
    )
    yield Line('  CMD ["midair", "status", "--ready"]')
    yield Line(
        f"CMD {words(container.command)}",
        "A list: as a line it would run in a shell, which would be process 1 and keep the signal to itself."
        " midair is made to be"
        " process 1, so that no init is needed: it collects orphans, and its children end with it.",
    )


def _value(text: str) -> str:
    """A value of ENV: a dollar sign would take in another variable."""
    plain = text.replace("\\", "\\\\").replace("$", "\\$").replace('"', '\\"')
    return f'"{plain}"' if any(char.isspace() or char in "'\"#" for char in text) else plain


# --- what is no part of it -----------------------------------------------------------------------------------------

INSTALLED = (".venv", "venv", "node_modules")
MADE_BY_TOOLS = ("**/__pycache__", "**/*.pyc", ".pytest_cache", ".mypy_cache", ".ruff_cache", "*.egg-info")
TOLD_APART = (
    ".git",
    ".gitignore",
    ".github",
    "Dockerfile*",
    ".dockerignore",
    "compose*.y*ml",
    "docker-compose*.y*ml",
    "k8s.yaml",
)


def dockerignore(container: Container, built: Sequence[str] = ()) -> File:
    """``.dockerignore``. built: what is made in the image anew, and must not come from this machine."""
    secret = "Secret values: they would be in the image for everybody who has it. They are mounted."
    lines = [
        *(Line(each, "Not of the service; a change of these would make every layer anew.") for each in TOLD_APART),
        *(
            Line(each, "Installed for this machine, and not for the image. midair would take a .venv in the folder.")
            for each in INSTALLED
        ),
        *(Line(each, "Made by tools, and made again.") for each in (*MADE_BY_TOOLS, *built)),
        *(Line(each, secret) for each in (".env", ".env.*", "*.key", *_beside(container.secrets))),
    ]
    return File(IGNORE_NAME, f"What of this folder is no part of the image. {MADE}", tuple(lines))


def _beside(secrets: Sequence[str]) -> Iterator[str]:
    """Those that the patterns above do not name already."""
    for path in secrets:
        name = posixpath.basename(path)
        if "/" in path or not (name == ".env" or name.startswith(".env.") or name.endswith(".key")):
            yield path
