"""Which Python a generation runs in, and whether midair can run there.

``python =`` in the settings, else ``.venv`` beside midair.toml, else VIRTUAL_ENV, else midair's own. The supervisor
shares no interpreter with a generation: each one may bring another. Only that interpreter can say what it sees, so it
is asked, once for each state of its files.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

import msgspec

from midair import __version__
from midair.config.schema import Settings
from midair.errors import ApplicationError, ConfigError
from midair.release.values import Interpreter

CHECK_TIMEOUT_S = 20.0
"""An interpreter on a cold disk needs a second; one that needs longer than this would not start workers either."""

OLDEST = (3, 11)

# Runs in whatever interpreter it is, so in any Python 3. Prints once, at its end: a site file may print, too.
_ASK = """
import json, sys
said = {"version": ".".join(map(str, sys.version_info[:3])), "implementation": sys.implementation.name,
        "prefix": sys.prefix, "base_prefix": sys.base_prefix, "path": sys.path, "midair": "", "error": "", "pip": False}
try:
    import midair
    said["midair"] = midair.__version__
except Exception as exc:
    said["error"] = "%s: %s" % (type(exc).__name__, exc)
    import importlib.util
    said["pip"] = importlib.util.find_spec("pip") is not None
sys.stdout.write("\\n" + json.dumps(said) + "\\n")
"""


class InterpreterMissing(ConfigError):
    """The interpreter that was asked for is not there."""

    code = "interpreter-missing"


class InterpreterUnusable(ApplicationError):
    """The interpreter cannot run a worker: broken, too old, or without midair."""

    code = "interpreter-unusable"


class _Answer(msgspec.Struct):
    version: str
    implementation: str
    prefix: str
    base_prefix: str
    path: list[str]
    midair: str
    error: str
    pip: bool


def choose(settings: Settings, ambient: Mapping[str, str]) -> tuple[str, str]:
    """Path of the interpreter and what chose it. A folder stands for the virtual environment in it. Asks the disk."""
    if settings.python:
        typed = os.path.join(settings.folder, os.path.expanduser(settings.python))
        return (os.path.join(typed, "bin", "python") if os.path.isdir(typed) else typed), "python"
    beside = os.path.join(settings.folder, ".venv", "bin", "python")
    if os.path.exists(beside):
        return beside, ".venv"
    if active := ambient.get("VIRTUAL_ENV"):
        return os.path.join(active, "bin", "python"), "VIRTUAL_ENV"
    return sys.executable, "midair"


def find_interpreter(
    settings: Settings,
    ambient: Mapping[str, str],
    environment: Mapping[str, str],
    earlier: Interpreter | None = None,
) -> Interpreter:
    """The interpreter of the next generation, proved to import midair.

    ambient: the outer environment. environment: the generation's, PYTHONPATH and all; the question is asked in it.
    earlier: an answer of before, good as long as its files are as they were. Blocks for an interpreter's start
    (about 50 ms; CHECK_TIMEOUT_S at most). Raises InterpreterMissing, InterpreterUnusable.
    """
    path, chosen_by = choose(settings, ambient)
    if not os.access(path, os.X_OK):
        raise InterpreterMissing(
            f"the interpreter {path} (from {chosen_by}) is not there or cannot be executed",
            hint="make the virtual environment (python3 -m venv .venv), or set `python` to another one",
        )
    python_path = environment.get("PYTHONPATH", "")
    if earlier and earlier.path == path and earlier.stamp == _stamp(path, earlier.import_path, python_path):
        return earlier
    answer = _ask(path, environment)
    if tuple(map(int, answer.version.split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InterpreterUnusable(
            f"{path} is Python {answer.version}; midair needs {oldest} or newer",
            hint="set `python` to a newer interpreter",
        )
    if not answer.midair:
        raise InterpreterUnusable(
            f"midair cannot be imported by {path} (Python {answer.version}): {answer.error}",
            hint=f"install it there: {install_line(path, answer.pip)}",
        )
    import_path = tuple(folder for folder in answer.path if _is_beside_the_library(folder, answer))
    return Interpreter(
        path=path,
        real=os.path.realpath(path),
        chosen_by=chosen_by,
        version=answer.version,
        implementation=answer.implementation,
        midair=answer.midair,
        import_path=import_path,
        prefix=answer.prefix,
        stamp=_stamp(path, import_path, python_path),
    )


def install_line(path: str, has_pip: bool) -> str:
    """What to type so that midair is installed for the interpreter at ``path``."""
    wanted = f"midair=={__version__}"
    # uv makes environments without pip.
    return f"{path} -m pip install {wanted}" if has_pip else f"uv pip install --python {path} {wanted}"


def _ask(path: str, environment: Mapping[str, str]) -> _Answer:
    import subprocess

    try:
        done = subprocess.run(
            [path, "-c", _ASK],
            env=dict(environment),
            cwd="/",  # "-c" puts the current folder first on sys.path: a project's own midair/ must not answer
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHECK_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise InterpreterUnusable(f"{path} did not answer within {CHECK_TIMEOUT_S:.0f} s") from exc
    except OSError as exc:
        raise InterpreterUnusable(f"{path} cannot be executed: {exc.strerror}") from exc
    lines = done.stdout.splitlines()
    try:
        return msgspec.json.decode(lines[-1] if lines else b"", type=_Answer)
    except msgspec.DecodeError as exc:
        raise InterpreterUnusable(
            f"{path} does not answer as a Python 3 does (exit status {done.returncode})",
            hint="run it yourself: it must start without an error",
            detail=done.stderr[-4000:].decode(errors="replace"),
        ) from exc


def _is_beside_the_library(folder: str, answer: _Answer) -> bool:
    """Is this a place of installed or own code, not of the standard library?"""
    # "" and "/" are what "-c" adds for the folder that we chose.
    if folder in ("", "/") or not os.path.isdir(folder):
        return False
    if os.path.basename(folder) in ("site-packages", "dist-packages"):
        return True
    libraries = "|".join(re.escape(prefix) for prefix in (answer.prefix, answer.base_prefix))
    return not re.match(rf"(?:{libraries})/lib[^/]*/(?:python|pypy)", folder)


def _stamp(path: str, import_path: tuple[str, ...], python_path: str) -> str:
    # A package that is installed or removed changes the folder's time; so does a new .pth file.
    files = (path, os.path.join(os.path.dirname(os.path.dirname(path)), "pyvenv.cfg"), *import_path)
    return ";".join((python_path, os.path.realpath(path), *(_state(file) for file in files)))


def _state(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return "-"
    return f"{found.st_ino}.{found.st_size}.{found.st_mtime_ns}"
