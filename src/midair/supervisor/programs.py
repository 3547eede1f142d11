"""A program of a generation beside its workers: a hook, or one of ``[[process]]``. How it is started, and in what.

It gets what the generation's own processes get: folder, environment, and the interpreter's folder first on PATH, so that
``alembic upgrade head`` is the version's own alembic. Words between systemd and the supervisor never reach it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from midair.supervisor.estate import Estate
from midair.supervisor.processes import Program
from midair.supervisor.release import Release


def start_program(
    estate: Estate,
    release: Release,
    argv: Sequence[str],
    name: str,
    more: Mapping[str, str],
    on_exit: Callable[[str], None],
    *,
    is_kept: bool = False,
) -> int:
    """Start it in a process group of its own; return the PID. Raises OSError when no process can be made.

    name: whose output it is, in the log. more: variables besides the generation's. is_kept: its lines are wanted even if
    output is inherited. That the program is not there is seen as exit 127, with the reason in its output.
    """
    stdout, stderr = estate.outputs.open(release.generation, -1, name=name, is_kept=is_kept)
    fds = [stdout, stderr]
    try:
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        fds.append(null)
        environment = environment_of(release) | dict(more)
        program = Program(argv, environment, release.survey.folder, {0: null, 1: stdout, 2: stderr})
        return estate.processes.start(program, on_exit)
    finally:
        for fd in fds:
            os.close(fd)


def environment_of(release: Release) -> dict[str, str]:
    """The environment of a generation's program. A rollback has its code's survey, but a number of its own."""
    variables = dict(release.survey.environment.variables)
    variables["MIDAIR_GENERATION"] = str(release.generation)
    variables |= release.named()
    interpreter = release.survey.interpreter
    if interpreter:
        folder = os.path.dirname(interpreter.path)
        path = variables.get("PATH", os.defpath)
        variables["PATH"] = path if path.split(os.pathsep)[0] == folder else f"{folder}{os.pathsep}{path}"
    return variables
