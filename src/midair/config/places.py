"""Where things are: the folder as typed, the service's runtime folder and its state folder.

A service is found by its name. What is asked to run a service chooses one runtime folder; what looks for a service
looks in all that could be meant, because a unit's RUNTIME_DIRECTORY is not in the shell of whoever types ``midair
status``.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

PLACE_VARIABLES = ("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "HOME")
DEV_SUFFIX = "-dev"
"""Of the name: the same folder's service may run beside."""
NAME_MAX_BYTES = 64
"""Names stand in paths, units, logs and metrics."""


def own_uid() -> int:
    """Ours; on a system that does not number its users we are nobody special."""
    return os.geteuid() if hasattr(os, "geteuid") else 1


def folder_as_typed(typed: str, environ: Mapping[str, str]) -> str:
    """``typed`` (empty: where we are) as an absolute path with its links unresolved.

    A deployment that swaps the link ``current`` must be seen to do so: the kernel's idea of where we are would name
    yesterday's release for ever.
    """
    here = environ.get("PWD", "")
    if not (os.path.isabs(here) and _is_same(here, ".")):
        here = os.getcwd()
    joined = os.path.join(here, typed) if typed else here
    plain = os.path.normpath(joined)
    # ``link/..`` is not where the link stands: tidied up only where that changes nothing.
    return plain if _is_same(plain, joined) or not os.path.exists(joined) else joined


def default_name(folder: str) -> str:
    """The folder's name; in release folders (``ROOT/current``, ``ROOT/releases/ID``) that of ``ROOT``."""
    above, name = os.path.split(folder.rstrip("/"))
    if name == "current" and os.path.isdir(os.path.join(above, "releases")):
        return os.path.basename(above)
    if os.path.basename(above) == "releases":
        return os.path.basename(os.path.dirname(above))
    return name


def name_problem(name: str) -> str:
    """Why ``name`` cannot be a service's name; empty if it can."""
    if not name:
        return "is empty"
    if len(os.fsencode(name)) > NAME_MAX_BYTES:
        return f"is longer than {NAME_MAX_BYTES} bytes"
    if "/" in name or not name.isprintable():
        return "cannot be a file's name"
    if name[0] in ".-":
        return f"begins with {name[0]!r}"
    return ""


def runtime_dir(name: str, environ: Mapping[str, str], uid: int) -> tuple[str, str]:
    """Where a service that starts now keeps its control socket and lock, and what said so. Makes nothing."""
    if given := _first(environ.get("RUNTIME_DIRECTORY", "")):
        return given, "$RUNTIME_DIRECTORY"
    if uid == 0:
        return f"/run/midair/{name}", ""
    if base := _absolute(environ.get("XDG_RUNTIME_DIR", "")):
        return os.path.join(base, "midair", name), "$XDG_RUNTIME_DIR"
    return os.path.join(private_base(uid), name), ""


def runtime_bases(environ: Mapping[str, str], uid: int) -> tuple[str, ...]:
    """The folders that hold one folder a service, for whoever looks for services: those that exist and can be trusted."""
    bases = ["/run/midair"]
    if base := _absolute(environ.get("XDG_RUNTIME_DIR", "")):
        bases.append(os.path.join(base, "midair"))
    if is_private(private_base(uid), uid):
        bases.append(private_base(uid))
    return tuple(base for base in bases if os.path.isdir(base))


def runtime_dirs(name: str, environ: Mapping[str, str], uid: int) -> tuple[str, ...]:
    """Where the service ``name`` may have its control socket, likeliest first."""
    own, _ = runtime_dir(name, environ, uid)
    if own.startswith(private_base(uid)) and not is_private(private_base(uid), uid):
        own = ""
    found = [os.path.join(base, name) for base in runtime_bases(environ, uid)]
    return tuple(dict.fromkeys([own, *found] if own else found))


def state_dir(name: str, environ: Mapping[str, str], uid: int) -> tuple[str, str]:
    """Where the service keeps its receipts, and what said so. Makes nothing."""
    if given := _first(environ.get("STATE_DIRECTORY", "")):
        return given, "$STATE_DIRECTORY"
    if uid == 0:
        return f"/var/lib/midair/{name}", ""
    if base := _absolute(environ.get("XDG_STATE_HOME", "")):
        return os.path.join(base, "midair", name), "$XDG_STATE_HOME"
    if home := _absolute(environ.get("HOME", "")):
        return os.path.join(home, ".local/state/midair", name), "$HOME"
    return os.path.join(private_base(uid), name, "state"), ""


def private_base(uid: int) -> str:
    """The last resort, in a folder that anybody may write to: see ``is_private``."""
    return f"/tmp/midair-{uid}"


def is_private(path: str, uid: int) -> bool:
    """Whether ``path`` is a folder (no link) of ``uid`` and nobody else may enter it.

    Whoever makes or uses the last resort has to ask: another user could have made it first, to be told our secrets.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and stat.S_IMODE(found.st_mode) & 0o077 == 0


def make_private_base(folder: str, uid: int) -> None:
    """Make the last resort, if ``folder`` is in it. Raises PermissionError if others could have left something there.

    On its own: ``os.makedirs`` gives the mode that it is told to the last folder alone, and commands trust no folder that others
    may enter.
    """
    base = private_base(uid)
    if not folder.startswith(f"{base}/"):
        return
    try:
        os.mkdir(base, 0o700)
    except FileExistsError:
        found = os.lstat(base)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) & 0o022:
            raise PermissionError(errno.EACCES, f"{base} is not only ours", base) from None
        os.chmod(base, 0o700)  # Others could enter it, and not leave anything there.


def _first(value: str) -> str:
    """systemd separates several folders by colons."""
    return _absolute(value.partition(":")[0])


def _absolute(path: str) -> str:
    """``path`` if it is absolute: the XDG rules say that others are ignored."""
    return path if os.path.isabs(path) else ""


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
