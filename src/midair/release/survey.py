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
from midair.release.environment import Environment, build_environment, of_generation
from midair.release.fingerprint import Fingerprint, take_fingerprint
from midair.release.interpreter import Interpreter, find_interpreter
from midair.release.tree import Digests
from midair.release.version import version_name


class FolderMissing(ConfigError):
    """The application's folder is not there."""

    code = "folder-missing"
    hint = "set `chdir` to the application's folder, relative to midair.toml"


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What a generation would be if it started now."""

    folder: str
    """The application's folder, absolute, as typed: links are not resolved."""
    version: str
    fingerprint: Fingerprint
    environment: Environment
    interpreter: Interpreter | None
    """None for a command child."""
    warnings: tuple[str, ...] = ()

    def shown(self) -> dict[str, object]:
        """What may be logged: names, no value of the environment."""
        return {
            "folder": self.folder,
            "version": self.version,
            "fingerprint": self.fingerprint.short,
            "interpreter": self.interpreter.path if self.interpreter else "",
            "python": self.interpreter.version if self.interpreter else "",
            "shadowed": list(self.environment.shadowed),
            "warnings": list(self.warnings),
        }


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
    # Not normalized: with a link in it, `a/../b` is where the kernel goes, not where the text says.
    folder = os.path.join(settings.folder, os.path.expanduser(settings.chdir)).rstrip("/") or "/"
    if not os.path.isdir(folder):
        raise FolderMissing(f"the application's folder {folder} is not there")
    environment = build_environment(settings, ambient)
    variables = environment.variables
    interpreter = None if settings.is_command else find_interpreter(settings, ambient, variables, earlier)
    fingerprint = take_fingerprint(settings, folder, interpreter, variables, known)
    version = version_name(settings, folder, fingerprint, interpreter, variables)
    return Survey(
        folder=folder,
        version=version,
        fingerprint=fingerprint,
        environment=of_generation(environment, version, generation),
        interpreter=interpreter,
        warnings=_warnings(environment, fingerprint),
    )


def _warnings(environment: Environment, fingerprint: Fingerprint) -> tuple[str, ...]:
    warnings = list(fingerprint.gaps)
    if environment.shadowed:
        names = ", ".join(environment.shadowed)
        warnings.append(f"the outer environment holds over midair.toml and env_files for: {names}")
    if environment.dropped:
        warnings.append(f"not passed on, the values are not UTF-8: {', '.join(environment.dropped)}")
    return tuple(warnings)
