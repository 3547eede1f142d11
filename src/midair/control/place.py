"""The control socket's file: its name, and how to reach it when its path is longer than the kernel takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

CONTROL_SOCKET = "control.sock"
SUN_PATH_MAX_BYTES = 107
"""sun_path holds 108 bytes, the closing NUL included."""


def control_socket(runtime_dir: str) -> str:
    return os.path.join(runtime_dir, CONTROL_SOCKET)


@contextmanager
def short_path(path: str) -> Iterator[str]:
    """A path to the same file, short enough to bind or connect to while the block lasts. Raises OSError.

    A service may live in a deep folder (a test's, a build's); the way through /proc to its folder is always short.
    """
    if len(os.fsencode(path)) <= SUN_PATH_MAX_BYTES:
        yield path
        return
    folder, name = os.path.split(path)
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def services_in(bases: Iterable[str]) -> dict[str, str]:
    """The services that have a control socket under ``bases``: runtime folder by name. They need not be alive."""
    found: dict[str, str] = {}
    for base in bases:
        try:
            names = sorted(os.listdir(base))
        except OSError:
            continue  # not ours to read: whatever is there is not ours to command either
        for name in names:
            if os.path.exists(control_socket(os.path.join(base, name))):
                found.setdefault(name, os.path.join(base, name))
    return found
