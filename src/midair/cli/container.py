"""``midair container``: what the service is run with in Docker, Compose and Kubernetes, printed, written or checked."""

from __future__ import annotations

import os
import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import click
import msgspec

import midair
from midair.cli.made import compared, there, written
from midair.cli.options import Service, service_options
from midair.cli.running import override_of_target
from midair.cli.show import Show
from midair.config import file
from midair.config.load import Loaded
from midair.config.schema import Settings
from midair.containers import compose, dockerfile, kubernetes, survey
from midair.containers.container import Container, ports_of
from midair.containers.file_text import File, difference, label
from midair.containers.kubernetes import Code, Wish, pod_of
from midair.containers.survey import LOCKS, NAMED, Decision, Packages, Stage
from midair.errors import DONE, FAILED, WorldError
from midair.scaffold.folder import read_folder, read_text

TELLING = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE_KEY", "API_KEY")
"""In the names of variables whose values are nobody else's business."""


class ContainerUnwritable(WorldError):
    """A container's file cannot be written, or read, there."""

    code = "container-unwritable"
    hint = "name another folder: midair container --write DIR"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was typed."""

    target: str
    main: str
    kinds: frozenset[str]
    """``dockerfile``, ``compose``, ``kubernetes``; empty: not said."""
    base: str
    wish: Wish


@dataclass(frozen=True, slots=True)
class _Made:
    name: str
    """As Docker and Kubernetes call it."""
    code_files: tuple[str, ...]
    files: tuple[File, ...]
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...]


@click.command
@click.argument("target", default="", metavar="[TARGET]")
@click.option("--main", "main_file", default="", metavar="FILE", help="A program that calls midair.serve().")
@click.option(
    "--dockerfile", "kinds", flag_value="dockerfile", multiple=True, help="Dockerfile and .dockerignore; the default."
)
@click.option("--compose", "kinds", flag_value="compose", multiple=True, help="A Compose file.")
@click.option(
    "--kubernetes", "kinds", flag_value="kubernetes", multiple=True, help="Deployment, Service and PodDisruptionBudget."
)
@click.option("--base", default="", metavar="IMAGE", help="The image with Python that the Dockerfile begins with.")
@click.option("--image", default="", metavar="IMAGE", help="Kubernetes: what you have built and pushed.")
@click.option(
    "--code", type=click.Choice(["image", "configmap", "claim"]), default="image", show_default=True,
    help="Kubernetes: where the code is; outside of the image it can be updated in place.",
)  # fmt: skip
@click.option(
    "--pre-stop", is_flag=True, help="Kubernetes: a preStop hook waits for the endpoints, and not stop.delay."
)
@click.option("--explain", is_flag=True, help="Only what was decided, and what it was made from.")
@click.option("--plain", "is_plain", is_flag=True, help="Without the comments.")
@click.option(
    "--write", "into", is_flag=False, flag_value=" ", default="", metavar="[DIR]",
    help="Write the files; default: into the service's folder.",
)  # fmt: skip
@click.option("--check", "is_check", is_flag=True, help="Compare with the files that are there.")
@service_options
def command(
    service: Service,
    *,
    target: str,
    main_file: str,
    kinds: tuple[str, ...],
    base: str,
    image: str,
    code: Code,
    pre_stop: bool,
    explain: bool,
    is_plain: bool,
    into: str,
    is_check: bool,
) -> int:
    """Print what runs this service in a container, made from its configuration and its folder; each line says why it is there.
    Nothing of the project is run, and no engine is asked.

    \b
    midair container                       the Dockerfile, and what is no part of the image
    midair container --compose --write     write the Compose file
    midair container --check               1 if what is there is not what the configuration asks for
    """
    if (bool(into), is_check, explain).count(True) > 1:
        raise click.UsageError("one of --write, --check and --explain")
    asked = _Asked(target, main_file, frozenset(kinds), base, Wish(image, code, has_pre_stop=pre_stop))
    loaded = _as_a_container_has_it(service, asked)
    where = os.path.abspath(into.strip()) if into.strip() else loaded.settings.folder
    made = _made(service, loaded, asked, where, is_check=is_check)
    texts = {each.name: each.text(is_plain=is_plain) for each in made.files}
    if is_check:
        return _check(service.show, texts, where)
    for warning in made.warnings:
        service.show.warning(warning)
    if explain:
        _explain(service.show, made.decisions)
        return DONE
    kept = _write(service.show, texts, where) if into else []
    following = list(_next(asked, made, texts, into)) if into else []
    if service.show.as_json:
        rows = [{"name": name, "path": os.path.join(where, name), "text": text} for name, text in texts.items()]
        service.show.json({"files": rows, "written": bool(into), "copies": kept, "next": following})
    elif not into:
        service.show.raw(
            "\n".join(f"# --- {name}\n\n{text}" if len(texts) > 1 else text for name, text in texts.items())
        )
        service.show.note(f"not written; midair container --write puts {' and '.join(texts)} into {where}")
    else:
        service.show.line("next:")
        for line in following:
            service.show.line(f"  {line}")
    return DONE


# --- what they are made of -----------------------------------------------------------------------------------------


def _as_a_container_has_it(service: Service, asked: _Asked) -> Loaded:
    """The configuration without the variables of this shell: they are not there. Raises ConfigError."""
    sources = service.sources(override_of_target((asked.target,) if asked.target else (), (), asked.main))
    return msgspec.structs.replace(sources, environment={}).load()


def _made(service: Service, loaded: Loaded, asked: _Asked, where: str, *, is_check: bool) -> _Made:
    """The files that were asked for. Raises UsageError, NoStopSignal."""
    settings = loaded.settings
    files, locks = _looked(settings.folder)
    program = survey.program(files, locks, settings, f"/srv/{label(settings.name)}")
    container = Container(
        settings,
        chosen=_chosen(loaded),
        command=_command_line(service, asked, settings),
        ports=ports_of(settings),
        secrets=tuple(_secrets(settings)),
        builds_with=program.tool if program and _is_word(program.tool, settings.hooks.before) else "",
    )
    python = survey.python_version(files, ".".join(map(str, sys.version_info[:2])))
    base = asked.base or f"python:{python.value}-slim"
    packages = survey.packages(files, locks, settings.deploy.requirements, midair.__version__)
    code_files = _code_files(files, loaded)
    kinds = asked.kinds or _those_there(where, is_check=is_check)
    made: list[File] = []
    if "dockerfile" in kinds:
        made.append(dockerfile.dockerfile(container, base, packages, program))
        made.append(dockerfile.dockerignore(container, _built(settings)))
    if "compose" in kinds:
        made.append(compose.compose(container, _compose_name(where)))
    decisions = [python, packages.decision, *([program.decision] if program else []), *container.decisions()]
    if "kubernetes" in kinds:
        pod = pod_of(container, replace(asked.wish, code_files=code_files))
        made.append(kubernetes.kubernetes(pod))
        decisions.append(pod.decision)
    warnings = list(_warnings(settings, files, asked.wish))
    if "dockerfile" in kinds:
        warnings += _missing(settings, files, packages, program)
    return _Made(container.name, code_files, tuple(made), tuple(decisions), tuple(warnings))


def _looked(folder: str) -> tuple[dict[str, str], list[str]]:
    """Texts of the folder, and which locks are there."""
    files = read_folder(folder)
    for name in NAMED:
        text = read_text(os.path.join(folder, name))
        if text is not None:
            files[name] = text
    return files, [name for name in LOCKS if os.path.isfile(os.path.join(folder, name))]


def _chosen(loaded: Loaded) -> frozenset[str]:
    """Keys that somebody has set. ``workers = "auto"`` is a number by now, of this machine's CPUs: it is said anew."""
    chosen = {key for key, origin in loaded.origins.items() if origin.kind != "default"}
    if loaded.file and file.read(loaded.file).content.get("workers") == "auto":
        chosen.discard("workers")
    return frozenset(chosen)


def _command_line(service: Service, asked: _Asked, settings: Settings) -> tuple[str, ...]:
    config = (
        "-c",
        os.path.relpath(service.config, settings.folder) if os.path.isabs(service.config) else service.config,
    )
    return (
        *("midair", "run"),
        *((asked.target,) if asked.target else ()),
        *(("--main", asked.main) if asked.main else ()),
        *(config if service.config else ()),
        *(("--name", service.name) if service.name else ()),
    )


def _code_files(files: Mapping[str, str], loaded: Loaded) -> tuple[str, ...]:
    """What a ConfigMap can have of the folder: the configuration and the modules beside it."""
    config = (os.path.basename(loaded.file),) if loaded.file else ()
    return (*sorted(name for name in files if "/" not in name and name.endswith(".py")), *config)


def _secrets(settings: Settings) -> Iterator[str]:
    """Files of the folder with values that nobody else may see."""
    named = [
        *(name for name in settings.env_files if not name.startswith("-")),
        *(value.removeprefix("file:") for value in settings.env.values() if value.startswith("file:")),
        *(path for path in (settings.tls.certfile, settings.tls.keyfile) if path),
    ]
    for path in dict.fromkeys(named):
        inside = posixpath.normpath(os.path.relpath(os.path.join(settings.folder, path), settings.folder))
        if not inside.startswith(".."):
            yield inside


def _built(settings: Settings) -> list[str]:
    """Where the program is, if a step makes it: the one that was made on this machine is for this machine."""
    folder = posixpath.dirname(settings.command[0]) if settings.is_command else ""
    return [f"{folder}/"] if folder and not folder.startswith(("/", ".", "node_modules")) else []


def _those_there(where: str, *, is_check: bool) -> frozenset[str]:
    """What is meant if nothing was said: a check is about all that were made."""
    found = {
        kind
        for kind, name in (("compose", _compose_name(where)), ("kubernetes", kubernetes.NAME))
        if is_check and "midair container" in _there(os.path.join(where, name))
    }
    return frozenset({"dockerfile", *found})


def _compose_name(where: str) -> str:
    return next((name for name in compose.NAMES if os.path.exists(os.path.join(where, name))), compose.NAME)


def _is_word(word: str, command: tuple[str, ...]) -> bool:
    """Whether a command, or a shell line in it, has this word."""
    return any(re.search(rf"(?<![\w/-]){word}(?![\w-])", part) for part in command)


def _missing(settings: Settings, files: Mapping[str, str], packages: Packages, program: Stage | None) -> Iterator[str]:
    """What the image would not have."""
    alone = packages.decision.value == survey.NOTHING.decision.value
    word = posixpath.normpath(settings.command[0]) if settings.is_command else ""
    if settings.is_command and program is None and word not in files and ("/" in word or alone):
        yield f"how {settings.command[0]} comes into the image is not known: write it into the Dockerfile"
    elif not settings.is_command and alone:
        yield "there is no list of what the application needs (requirements.txt, pyproject.toml): the image has midair alone"
    if program and _is_word(program.tool, settings.hooks.before):
        yield f"hooks.before makes the program with {program.tool}: the image has it made, and the hook does nothing there"


def _warnings(settings: Settings, files: Mapping[str, str], wish: Wish) -> Iterator[str]:
    for name, value in settings.env.items():
        if not value.startswith("file:") and any(word in name.upper() for word in TELLING):
            yield f'env.{name} stands in the configuration, and so in the image; {name} = "file:PATH" would be mounted'
    if wish.code == "configmap" and any("/" in name and name.endswith(".py") for name in files):
        yield "a ConfigMap has no folders: modules in folders are left out; a claim or an image has them"
    if any(name.startswith("/") for name in settings.env_files):
        yield "environment files outside of the folder are not mounted: write them into the Compose file or"
        " the manifests"


# --- writing and checking ------------------------------------------------------------------------------------------


def _explain(show: Show, decisions: tuple[Decision, ...]) -> None:
    if show.as_json:
        show.json({"decisions": [{"what": each.what, "value": each.value, "why": each.why} for each in decisions]})
    else:
        show.table(("WHAT", "IS", "MADE FROM"), [(each.what, each.value, each.why) for each in decisions])


def _write(show: Show, texts: Mapping[str, str], where: str) -> list[str]:
    kept = []
    for name, text in texts.items():
        path = os.path.join(where, name)
        before = _there(path)
        try:
            kept += written(show, path, text, before, difference(before, text), "the same as before")
        except OSError as exc:
            raise ContainerUnwritable(f"{path} cannot be written: {exc.strerror}") from exc
    return kept


def _there(path: str) -> str:
    try:
        return there(path)
    except OSError as exc:
        raise ContainerUnwritable(f"{path} cannot be read: {exc.strerror}") from exc


def _next(asked: _Asked, made: _Made, texts: Mapping[str, str], into: str) -> Iterator[str]:
    """What to type after the files are written."""
    if any(name in texts for name in compose.NAMES):
        yield "docker compose up --build --detach"
        yield f"docker compose exec {made.name} midair status"
    elif dockerfile.NAME in texts:
        yield f"docker build --tag {asked.wish.image or f'{made.name}:1'} ."
    if kubernetes.NAME in texts:
        if asked.wish.code == "configmap":
            yield kubernetes.fill_line(made.name, made.code_files)
        yield f"kubectl apply -f {os.path.join(into.strip(), kubernetes.NAME)}"
        yield f"kubectl exec deploy/{made.name} -- midair status"


def _check(show: Show, texts: Mapping[str, str], where: str) -> int:
    """1 if one that is there is not what is asked for."""
    stale, missing = compared(texts, lambda name: _there(os.path.join(where, name)), difference)
    if show.as_json:
        show.json({"stale": stale, "missing": missing, "where": where})
        return FAILED if stale else DONE
    for name, changed in stale.items():
        show.line(f"{os.path.join(where, name)} is not what the configuration asks for; --write would change:")
        for row in changed:
            show.line(f"  {row}")
    for name in missing:
        show.note(f"{name} is not in {where}")
    if not stale and len(missing) < len(texts):
        show.line("good: what is there is what the configuration asks for")
    return FAILED if stale else DONE
