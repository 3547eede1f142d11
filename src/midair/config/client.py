"""Where a running service is found: for commands. Reads no more than two names, and imports no more than that needs."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from midair.config import file, places
from midair.config.places import DEV_SUFFIX
from midair.config.problems import BadConfig, Problem


class ServiceAddress(msgspec.Struct, frozen=True, kw_only=True):
    """What a command needs to find its service."""

    name: str
    folder: str
    runtime_dirs: tuple[str, ...]
    """Where its control socket may be, likeliest first."""
    bases: tuple[str, ...] = ()
    """Folders that hold one folder a service: where others are listed from."""
    is_by_folder: bool = False
    """The name is only the folder's: another folder of that name is another service."""


def load_client(*, folder: str = "", config: str = "", name: str = "", environ: Mapping[str, str]) -> ServiceAddress:
    """Where to look for the service of this folder (or the one called ``name``).

    Only ``name`` and ``runtime_dir`` are read, and the rest of the file may be wrong. With ``name`` no file is read at
    all. Raises Unreadable if ``config`` is not there, BadConfig if the name cannot be one.
    """
    base, config = file.typed_place(folder, config, environ)
    found: dict[str, str] = {}
    if not name:
        path = file.find(base, config)
        found = file.read_names(path) if path else {}
    is_typed = bool(name or environ.get("MIDAIR_NAME", ""))
    name = name or environ.get("MIDAIR_NAME", "") or found.get("name", "")
    is_by_folder = not name
    name = name or places.default_name(base)
    if reason := places.name_problem(name):
        raise BadConfig([_name_problem(name, reason)])
    uid = places.own_uid()
    given = environ.get("MIDAIR_RUNTIME_DIR", "") or found.get("runtime_dir", "")
    dirs = (os.path.join(base, given),) if given else places.runtime_dirs(name, environ, uid)
    if not is_typed:
        # Where the service itself does not run, who develops it here is meant.
        dirs = tuple(dict.fromkeys((*dirs, *places.runtime_dirs(name + DEV_SUFFIX, environ, uid))))
    bases = places.runtime_bases(environ, uid)
    return ServiceAddress(
        name=name, folder=base, runtime_dirs=dirs, bases=bases, is_by_folder=is_by_folder and not given
    )


def _name_problem(name: str, reason: str) -> Problem:
    return Problem("", f"the name {name!r} {reason}", "give another with --name")
