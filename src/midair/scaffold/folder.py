"""Read of a folder what the detectors may want: small text files by their names, never what is installed, ignored or built."""

from __future__ import annotations

import os
import re

DEPTH_MAX = 6
FILES_MAX = 4_000
"""A project with more Python than this is told its application with --app."""
FILE_MAX_BYTES = 512 * 1024
"""No file that configures something is larger."""

SKIPPED = {
    "node_modules",
    "__pycache__",
    "site-packages",
    "dist",
    "build",
    "vendor",
    "target",
    "venv",
    "env",
    "bin",
    "testdata",
}
HIDDEN = {".config", ".air.toml", ".flaskenv", ".deploy"}
"""The names with a dot in front that are looked at."""
ENDINGS = (
    ".py",
    ".toml",
    ".service",
    ".conf",
    ".ini",
    ".sh",
    ".go",
    ".mod",
    ".ts",
    ".mjs",
    ".cjs",
    ".js",
    ".cron",
    ".logrotate",
)
NAMES = re.compile(
    r"Procfile|(Dockerfile|Containerfile)(\..+)?|.+\.[Dd]ockerfile|(docker-)?compose.*\.ya?ml|Makefile|justfile|.*logrotate.*|"
    r"package\.json|tsconfig\.json|nodemon\.json|requirements.*\.txt|crontab|\.flaskenv|manage\.py"
)


def read_folder(folder: str) -> dict[str, str]:
    """Path with slashes → text. Links to folders are not followed; what cannot be read is left out."""
    found: dict[str, str] = {}
    for place, names, files in os.walk(folder):
        inside = os.path.relpath(place, folder).replace(os.sep, "/")
        depth = 0 if inside == "." else inside.count("/") + 1
        names[:] = sorted(name for name in names if depth < DEPTH_MAX and _is_entered(place, name))
        below = "" if inside == "." else f"{inside}/"
        for name in sorted(files):
            if _is_wanted(name, inside) and (text := read_text(os.path.join(place, name))) is not None:
                found[below + name] = text
                if len(found) >= FILES_MAX:
                    return found
    return found


def read_text(path: str) -> str | None:
    """The text of a file; None if it is no small text file."""
    try:
        with open(path, "rb") as file:
            return file.read(FILE_MAX_BYTES).decode() if os.path.getsize(path) <= FILE_MAX_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None


def _is_entered(place: str, name: str) -> bool:
    if name in SKIPPED or (name.startswith(".") and name not in HIDDEN):
        return False
    return not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))


def _is_wanted(name: str, inside: str) -> bool:
    if name.startswith(".") and name not in HIDDEN:
        return False
    return name.endswith(ENDINGS) or bool(NAMES.fullmatch(name)) or "logrotate" in inside
