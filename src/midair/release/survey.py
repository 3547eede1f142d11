"""One look at what the next generation would be: interpreter, environment, fingerprint, name.

It reads files and starts an interpreter, so it blocks: the supervisor runs it in a forked child and gets the result as
bytes. Everything in a survey can be packed by msgspec; the environment holds secrets, so a survey is never shown or kept
on disk as it is (``shown`` may be).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from midair.config.schema import Settings
from midair.errors import ConfigError
from midair.release.values import Digests, Environment, Fingerprint, Interpreter, Survey

__all__ = ["FolderMissing", "Survey", "look_again", "survey"]


class FolderMissing(ConfigError):
    """The application's folder is not there."""

    code = "folder-missing"
    hint = "set `chdir` to the application's folder, relative to midair.toml"


def survey(
    settings: Settings,
    generation: int,
    ambient: Mapping[str, str],
    *,
    earlier: Interpreter | None = None,
    known: Digests | None = None,
) -> Survey:
    """Look at the disk as the next start would see it. Blocks; call it where nobody waits.

    generation: the number it would get. ambient: the environment that midair was started with.
    earlier: the interpreter of the last survey, which saves asking it again. known: digests of files, see ``tree``.
    Raises EnvironmentUnreadable, InterpreterMissing, InterpreterUnusable, FolderMissing, VersionUnknown.
    """
    # Imported here: the supervisor imports this module, and only a child of it ever looks.
    from midair.release.bytecode import forget_stale
    from midair.release.environment import of_generation
    from midair.release.version import version_name

    settings = at_home(settings)
    folder, environment, interpreter, fingerprint = _look(settings, ambient, earlier, known)
    version = version_name(settings, folder, fingerprint, interpreter, environment.variables)
    if settings.is_command:
        forget_stale(os.path.realpath(folder), _names(fingerprint))
    return Survey(
        home=settings.folder,
        folder=folder,
        version=version,
        fingerprint=fingerprint,
        environment=of_generation(environment, version, generation),
        interpreter=interpreter,
        warnings=_warnings(environment, fingerprint),
    )


def look_again(
    settings: Settings,
    ambient: Mapping[str, str],
    *,
    earlier: Interpreter | None = None,
    known: Digests | None = None,
) -> Fingerprint:
    """The fingerprint alone, to compare: nothing is asked for the version's name, so no command of the user runs.

    As ``survey`` in everything else.
    """
    return _look(at_home(settings), ambient, earlier, known)[3]


def at_home(settings: Settings) -> Settings:
    """The settings with the service's folder where it really is now. A link such as ``current`` is followed once: what a version
    imports later (a lazy import, a template, a package) comes from where it began, and not from the next release."""
    if settings.is_dev:
        return settings  # What is saved is known by the path that was typed.
    return msgspec.structs.replace(settings, folder=os.path.realpath(settings.folder))


def _look(
    settings: Settings, ambient: Mapping[str, str], earlier: Interpreter | None, known: Digests | None
) -> tuple[str, Environment, Interpreter | None, Fingerprint]:
    from midair.release.environment import build_environment
    from midair.release.fingerprint import take_fingerprint
    from midair.release.interpreter import find_interpreter

    # Not normalized: with a link in it, `a/../b` is where the kernel goes, not where the text says.
    folder = os.path.join(settings.folder, os.path.expanduser(settings.chdir)).rstrip("/") or "/"
    folder = folder if settings.is_dev else os.path.realpath(folder)
    if not os.path.isdir(folder):
        raise FolderMissing(f"the application's folder {folder} is not there")
    environment = build_environment(settings, ambient)
    variables = environment.variables
    interpreter = None if settings.is_command else find_interpreter(settings, ambient, variables, earlier)
    return folder, environment, interpreter, take_fingerprint(settings, folder, interpreter, variables, known)


def _names(fingerprint: Fingerprint) -> list[str]:
    """Names of the files that count; none if there are too many to be kept."""
    items = next((part.items for part in fingerprint.parts if part.kind == "files"), b"")
    return [name for name, _ in msgspec.msgpack.decode(items, type=list[tuple[str, bytes]])] if items else []


def _warnings(environment: Environment, fingerprint: Fingerprint) -> tuple[str, ...]:
    warnings = list(fingerprint.gaps)
    if environment.shadowed:
        names = ", ".join(environment.shadowed)
        warnings.append(f"the outer environment holds over midair.toml and env_files for: {names}")
    if environment.dropped:
        warnings.append(f"not passed on, the values are not UTF-8: {', '.join(environment.dropped)}")
    return tuple(warnings)
