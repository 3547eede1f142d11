"""What a generation is made of, as one number: same fingerprint, same next import.

Its parts, so that a difference can be said in words: ``files`` (below the application's folder, and folders of own code
on the import path), ``packages``, ``interpreter``, ``environment``, and ``program`` (what is started: the target, or a
command's own file and arguments). A worker may join a generation from files only while the fingerprint is the
one that the generation became ready with.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import msgspec

from midair.config.schema import Settings
from midair.release.digest import digest_of_rest, fingerprint_of
from midair.release.environment import NEVER_PASSED
from midair.release.packages import read_packages
from midair.release.tree import COMMAND_FILES, PYTHON_FILES, read_tree
from midair.release.values import Digests, Fingerprint, Interpreter, Part

ITEMS_MAX = 5_000
"""Items of a part that are kept to be named; a larger part is compared as a whole."""

ARGUMENT_MAX_BYTES = 64 * 1024 * 1024
"""An argument or a program larger than this counts by size and time."""

ENVIRONMENT_DIGEST_BYTES = 4
"""Fingerprints are shown; a short digest gives little to try guesses at a secret on."""

PASSING_VARIABLES = NEVER_PASSED | {
    *("_", "PWD", "OLDPWD", "SHLVL", "TERM", "COLORTERM", "COLUMNS", "LINES", "LS_COLORS", "WINDOWID", "DISPLAY"),
    *("INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE"),
    *("SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "SSH_AUTH_SOCK", "XDG_SESSION_ID", "DBUS_SESSION_BUS_ADDRESS"),
}
"""Variables of a login or of one start: passed on, but a service is not another one because of them."""


def take_fingerprint(
    settings: Settings,
    folder: str,
    interpreter: Interpreter | None,
    variables: Mapping[str, str],
    known: Digests | None = None,
) -> Fingerprint:
    """Look at everything that the next start would see. Reads files; blocks for as long as that takes.

    folder: the application's, as typed. interpreter: None for a command child. variables: the generation's environment.
    known: digests of before, extended in place.
    """
    folders = [folder, *_main_folder(settings, folder), *_own_folders(interpreter, folder)]
    files: dict[str, bytes] = {}
    gaps: list[str] = []
    for number, each in enumerate(folders):
        tree = read_tree(each, COMMAND_FILES if settings.is_command else PYTHON_FILES, known)
        gaps += tree.gaps
        # Own folders on the import path: their place in the order counts, their names do not (a release folder's do change).
        files.update({(f"{number}:{name}" if number else name): digest for name, digest in tree.files.items()})
    program = _program(settings, folder, variables)
    parts = (
        _part("files", files),
        _part("packages", _text(read_packages(_package_folders(settings, interpreter, program), known))),
        _part("interpreter", _text(_about(interpreter))),
        _environment_part(variables),
        _part("program", {name: digest for name, digest, _ in program}),
    )
    return Fingerprint(
        value=_over(part.digest for part in parts),
        code=_over(part.digest for part in parts if part.kind in ("files", "program")),
        parts=parts,
        gaps=tuple(gaps),
    )


def _part(kind: str, items: Mapping[str, bytes]) -> Part:
    packed = msgspec.msgpack.encode(sorted(items.items()))
    return Part(
        kind=kind, digest=fingerprint_of(packed), count=len(items), items=packed if len(items) <= ITEMS_MAX else b""
    )


def _environment_part(variables: Mapping[str, str]) -> Part:
    counting = {key: value for key, value in variables.items() if key not in PASSING_VARIABLES}
    packed = msgspec.msgpack.encode(sorted(counting.items()))
    digest = fingerprint_of(packed, ENVIRONMENT_DIGEST_BYTES)
    # Names only: digests of single values would let secrets be guessed one by one.
    items = msgspec.msgpack.encode([(name, b"") for name in sorted(counting)])
    return Part(kind="environment", digest=digest, count=len(counting), items=items)


def _own_folders(interpreter: Interpreter | None, folder: str) -> list[str]:
    """Folders on the import path that hold own code: PYTHONPATH, packages installed to be edited."""
    if interpreter is None:
        return []
    here = os.path.realpath(folder)
    others = (
        each for each in interpreter.import_path if os.path.basename(each) not in ("site-packages", "dist-packages")
    )
    return [each for each in others if not os.path.realpath(each).startswith(f"{here}/") and os.path.isdir(each)]


def _main_folder(settings: Settings, folder: str) -> list[str]:
    """Where a main file imports from, if that is elsewhere."""
    there = os.path.dirname(os.path.realpath(os.path.join(folder, settings.main)))
    here = os.path.realpath(folder)
    return [] if not settings.main or f"{there}/".startswith(f"{here}/") or not os.path.isdir(there) else [there]


def _about(interpreter: Interpreter | None) -> dict[str, str]:
    if interpreter is None:
        return {}
    return {"path": interpreter.real, "version": f"{interpreter.implementation} {interpreter.version}"}


def _program(settings: Settings, folder: str, variables: Mapping[str, str]) -> list[tuple[str, bytes, str]]:
    """Name, digest and path of each thing that is started. Arguments that name a file count with its content."""
    if settings.main:
        path = os.path.join(folder, settings.main)
        return [("main", " ".join((settings.main, *settings.arguments)).encode(), ""), ("main file", _file(path), "")]
    if not settings.is_command:
        target = f"{settings.app}{'()' if settings.factory else ''}"
        return [("target", target.encode(), "")]
    path = _program_path(settings.command[0], folder, variables)
    things = [("program", _file(path), path)]
    for number, argument in enumerate(settings.command[1:], 1):
        file = os.path.join(folder, argument)
        is_file = os.path.isfile(file)
        things.append((f"argument {number}", argument.encode() + (_file(file) if is_file else b""), ""))
    return things


def _program_path(program: str, folder: str, variables: Mapping[str, str]) -> str:
    if "/" in program:
        return os.path.join(folder, program)
    # As execvp searches. shutil would do it, and import every compression library on the way.
    places = (os.path.join(place, program) for place in variables.get("PATH", os.defpath).split(os.pathsep))
    return next((place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)), "")


def _file(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        return (exc.strerror or "?").encode()
    try:
        found = os.fstat(fd)
        if found.st_size > ARGUMENT_MAX_BYTES:
            return f"{found.st_size} {found.st_mtime_ns}".encode()
        return digest_of_rest(fd, found.st_size)
    except OSError as exc:
        return (exc.strerror or "?").encode()
    finally:
        os.close(fd)


def _package_folders(
    settings: Settings, interpreter: Interpreter | None, program: list[tuple[str, bytes, str]]
) -> tuple[str, ...]:
    if interpreter is not None:
        return interpreter.import_path
    # A command such as .venv/bin/uvicorn: the packages beside it are what it imports.
    library = os.path.join(os.path.dirname(os.path.dirname(program[0][2])), "lib")
    if not os.path.exists(os.path.join(os.path.dirname(library), "pyvenv.cfg")):
        return ()
    try:
        versions = sorted(name for name in os.listdir(library) if name.startswith("python"))
    except OSError:
        return ()
    return tuple(os.path.join(library, name, "site-packages") for name in versions)


def _text(items: Mapping[str, str]) -> dict[str, bytes]:
    return {name: value.encode() for name, value in items.items()}


def _over(digests: Iterable[str]) -> str:
    return fingerprint_of("".join(digests).encode())
