"""What is checked of a configuration beyond its file: the program is there, the application imports."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import msgspec

from midair.config.schema import Settings
from midair.errors import ApplicationError, ConfigError, Fault, WorldError
from midair.traces import destination
from midair.traces.destination import Destination
from midair.traces.errors import TracesMissing, TracesNowhere
from midair.worker.settings import Served

IMPORT_WITHIN_S = 60.0
"""An import that takes longer would miss ready.timeout too."""


class ProgramMissing(ConfigError):
    """The command's program is not there, or may not be executed."""

    code = "program-missing"


class ImportFailed(ApplicationError):
    """The application cannot be imported."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message, hint=fault.hint, detail=fault.detail)
        self.code = fault.code


class Imported(msgspec.Struct):
    """What ``python -m midair.worker.check`` says."""

    interface: str = ""
    seconds: float = 0.0
    unsafe: tuple[str, ...] = ()
    """Why its workers could not be forked."""
    served: Served = Served()
    """What a main file gives to ``midair.serve()``."""
    fault: Fault | None = None


def check_program(settings: Settings) -> str:
    """Path of the command's program, which may be one that a hook is still to make. Raises ProgramMissing."""
    import shutil

    folder = os.path.join(settings.folder, settings.chdir)
    program = settings.command[0]
    found = shutil.which(os.path.join(folder, program) if "/" in program else program)
    if found is None and "/" in program and settings.hooks.before:
        return f"{program}, which hooks.before makes"
    if found is None:
        raise ProgramMissing(
            f"there is no program {program}",
            hint=f"looked in {folder}" if "/" in program else "looked in PATH; write ./ for one in the folder",
        )
    return found


def check_certificate(settings: Settings) -> float:
    """When the certificate ends that workers would show, in seconds since the epoch; 0 without TLS. Raises CertificateUnusable."""
    if not settings.tls.certfile:
        return 0.0
    from midair.worker.certificates import load

    return load(settings.tls.within(settings.folder)).not_after.timestamp()


def check_traces(settings: Settings, ambient: Mapping[str, str]) -> Destination | None:
    """Where spans of this service go; None: nowhere. Raises TracesMissing and TracesNowhere."""
    if not destination.needs_looking(settings, ambient):
        return None
    has_extra = destination.is_installed()
    if settings.traces.endpoint and not has_extra:
        raise TracesMissing(sys.executable, "traces.endpoint is set")
    found = destination.destination(settings, ambient, has_extra=has_extra)
    if settings.traces.requests and found is None and not _is_disabled(ambient):
        raise TracesNowhere("traces.requests is set, and nobody is named who takes them")
    return found


def _is_disabled(ambient: Mapping[str, str]) -> bool:
    return ambient.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def import_application(settings: Settings, ambient: Mapping[str, str]) -> tuple[Imported, str]:
    """``check_application`` in the interpreter and the environment that a start would give it; and that interpreter."""
    from midair.release.environment import build_environment
    from midair.release.interpreter import find_interpreter

    environment = build_environment(settings, ambient)
    interpreter = find_interpreter(settings, ambient, environment.variables)
    return check_application(settings, interpreter.path, environment.variables), interpreter.path


def check_application(settings: Settings, python: str, environment: Mapping[str, str]) -> Imported:
    """Import the application in a process that is thrown away, in the interpreter ``python``.

    Raises ApplicationError with the application's own words, WorldError if the interpreter cannot be started.
    """
    import subprocess

    order = {
        "target": settings.app,
        "factory": settings.factory,
        "interface": settings.serve.interface,
        "main": settings.main,
        "arguments": settings.arguments,
        "is_traced": settings.traces.requests,
    }
    line = [python, "-P", "-m", "midair.worker.check", msgspec.json.encode(order).decode()]
    try:
        done = subprocess.run(
            line,
            cwd=os.path.join(settings.folder, settings.chdir),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=IMPORT_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise ApplicationError(f"{settings.target} was not imported after {IMPORT_WITHIN_S:g} s") from exc
    except OSError as exc:
        raise WorldError(f"{python} cannot be started: {exc.strerror}") from exc
    try:
        answer = msgspec.json.decode(done.stdout, type=Imported)
    except msgspec.MsgspecError as exc:
        raise ApplicationError(
            f"importing {settings.target} ended the process (exit {done.returncode})",
            hint="something at import calls exit, or crashes the interpreter",
        ) from exc
    if answer.fault:
        raise ImportFailed(answer.fault)
    return answer
