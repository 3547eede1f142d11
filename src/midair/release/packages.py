"""The packages that an interpreter sees: names, versions and a digest of each, from the folders that installers leave.

importlib.metadata would import and parse far more; the name of a ``.dist-info`` folder says it all. The digest is that
of its RECORD, which holds the hash of every installed file: a package that was installed again with the same version
and other content (from a branch, from a wheel built anew) is seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from midair.release.digest import digest_of_rest, known_digest, remember
from midair.release.values import Digests

SEPARATORS = re.compile("[-_.]+")
RECORD_MAX_BYTES = 4 * 1024 * 1024
"""The largest known ones are around 2 MB; a larger one counts by its size."""


def read_packages(import_path: Iterable[str], known: Digests | None = None) -> dict[str, str]:
    """Normalized name → ``version`` or ``version+digest``; the first on the path counts, as for an import.

    known: digests of before, extended in place.
    """
    packages: dict[str, str] = {}
    for folder in import_path:
        for entry in _metadata(folder):
            name, version = split_name(entry)
            packages.setdefault(name, version + _record(os.path.join(folder, entry, "RECORD"), known))
    return packages


def package_version(import_path: Iterable[str], name: str) -> str | None:
    """The version of an installed package, or None. Reads folder names only."""
    wanted = normalize(name)
    for folder in import_path:
        for entry in _metadata(folder):
            found, version = split_name(entry)
            if found == wanted:
                return version
    return None


def split_name(entry: str) -> tuple[str, str]:
    """Name and version of ``Flask-3.1.3.dist-info`` or ``old-1.0-py3.11.egg-info``; the version may be empty."""
    stem = entry.removesuffix(".dist-info").removesuffix(".egg-info")
    name, _, version = stem.partition("-")
    return normalize(name), version.partition("-py")[0]


def normalize(name: str) -> str:
    return SEPARATORS.sub("-", name).lower()


def _metadata(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:  # a folder of the import path that is not there
        return []
    return sorted(name for name in names if name.endswith((".dist-info", ".egg-info")))


def _record(path: str, known: Digests | None) -> str:
    try:
        digest = known_digest(known, path)
        fd = -1 if digest else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # a distribution's own packages, an egg: the version has to do
        return ""
    if digest:
        return f"+{digest.hex()}"
    try:
        found = os.fstat(fd)
        if found.st_size > RECORD_MAX_BYTES:
            return f"+{found.st_size}"
        digest = digest_of_rest(fd, found.st_size)
    except OSError:
        return ""
    finally:
        os.close(fd)
    remember(known, path, found, digest)
    return f"+{digest.hex()}"
