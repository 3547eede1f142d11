"""Programs that the developer's loop starts: build steps, actions, programs beside. How they are started, and in what.

They get the environment that ``midair dev`` was started with, what the project has installed first on PATH, and the name of the
running service, so that ``midair reload`` in a build script finds it. Their output is read as the workers' is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from midair.release.environment import NEVER_PASSED
from midair.supervisor.estate import Estate
from midair.supervisor.processes import Program

GENERATION = 0
"""Whose output it is: of none that serves."""
INSTALLED = (".venv/bin", "node_modules/.bin")
"""Where a project has its own tools."""


def start_child(
    estate: Estate,
    argv: Sequence[str],
    name: str,
    on_exit: Callable[[str], None],
    *,
    folder: str = "",
    more: Mapping[str, str] | None = None,
    fds: Mapping[int, int] | None = None,
) -> int:
    """Start it in a process group of its own; return the PID. Raises OSError when no process can be made.

    name: before its lines. folder: relative to the service's. fds: besides or in place of its standard streams. That the program is
    not there is seen as exit 127, with the reason in its output.
    """
    settings = estate.settings
    stdout, stderr = estate.outputs.open(GENERATION, -1, name=name, is_kept=True)
    mine = [stdout, stderr]
    try:
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        mine.append(null)
        environment = environment_of(estate) | dict(more or {})
        places = {0: null, 1: stdout, 2: stderr} | dict(fds or {})
        program = Program(argv, environment, os.path.join(settings.folder, folder), places)
        return estate.processes.start(program, on_exit)
    finally:
        for fd in mine:
            os.close(fd)


def shell(line: str) -> list[str]:
    """A line as a user typed it, to be executed. Nothing that others chose, such as a file's name, may ever be in it."""
    return ["/bin/sh", "-c", line]


def environment_of(estate: Estate) -> dict[str, str]:
    settings = estate.settings
    variables = {key: value for key, value in estate.ambient.items() if key not in NEVER_PASSED}
    own = [os.path.join(settings.folder, place) for place in INSTALLED]
    path = variables.get("PATH", os.defpath)
    variables["PATH"] = os.pathsep.join([*(place for place in own if os.path.isdir(place)), path])
    return variables | {"MIDAIR_NAME": settings.name, "MIDAIR_RUNTIME_DIR": settings.runtime_dir}
