"""A release's own virtual environment: which commands make it, and running them.

It is made in the release's folder, at the path where it stays: an environment does not survive being moved.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from midair import __version__
from midair.config.schema import Deploy
from midair.deploy.errors import BuildFailed

FOLDER = ".venv"
INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OUTPUT_KEPT = 8000
"""Characters of a failed command's last words."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is in a release's folder that says what to install."""

    requirements: str = ""
    """The file, relative to the release; empty: there is none."""
    is_hashed: bool = False
    """Its lines have hashes: then every one must."""
    has_uv_lock: bool = False
    is_project: bool = False
    """There is a pyproject.toml that can be installed."""


def look(folder: str, deploy: Deploy) -> Wanted:
    """Asks the disk. Raises BuildFailed if the file that ``requirements`` names is not there."""
    name = deploy.requirements or "requirements.txt"
    text = _text(os.path.join(folder, name))
    if text is None and deploy.requirements:
        raise BuildFailed(f"there is no {name} in the release", hint="`requirements` under [deploy] names it")
    project = _text(os.path.join(folder, "pyproject.toml")) or ""
    return Wanted(
        requirements=name if text is not None else "",
        is_hashed="--hash=" in (text or ""),
        has_uv_lock=os.path.isfile(os.path.join(folder, "uv.lock")),
        is_project=re.search(r"^\[(project|build-system)\]", project, re.MULTILINE) is not None,
    )


def commands(deploy: Deploy, wanted: Wanted, ours: str) -> list[list[str]]:
    """The commands that make the environment, in this order, each run in the release's folder. Pure.

    ours: the Python that midair runs in, for when none is named.
    """
    python = deploy.python or ours
    if deploy.venv == "uv":
        return _with_uv(wanted, python)
    inside = [f"{FOLDER}/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    lines = [[python, "-m", "venv", FOLDER]]
    if wanted.requirements:
        lines.append([*inside, *_hashes(wanted), "-r", wanted.requirements])
    elif wanted.is_project:
        lines.append([*inside, "."])
    return lines


def _with_uv(wanted: Wanted, python: str) -> list[list[str]]:
    lines = [["uv", "venv", "--python", python, FOLDER]]
    inside = ["uv", "pip", "install", "--python", f"{FOLDER}/bin/python"]
    if wanted.requirements:
        lines.append([*inside, *_hashes(wanted), "-r", wanted.requirements])
    elif wanted.has_uv_lock:
        lines.append(["uv", "sync", "--frozen", "--no-dev"])
    elif wanted.is_project:
        lines.append([*inside, "."])
    return lines


def _hashes(wanted: Wanted) -> list[str]:
    return ["--require-hashes"] if wanted.is_hashed else []


def midair_command(deploy: Deploy) -> list[str]:
    """What installs midair itself, for an environment in which it is not among the requirements."""
    wanted = f"midair=={__version__}"
    if deploy.venv == "uv":
        return ["uv", "pip", "install", "--python", f"{FOLDER}/bin/python", wanted]
    return [f"{FOLDER}/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", wanted]


def build(folder: str, deploy: Deploy, environ: Mapping[str, str]) -> None:
    """Make the environment of the release in ``folder``. Raises BuildFailed."""
    ours = getattr(sys, "_base_executable", "") or sys.executable
    variables = variables_in(folder, environ)
    for line in commands(deploy, look(folder, deploy), ours):
        run(line, folder, variables, deploy.timeout_s)
    if not _has_midair(folder, variables):
        run(midair_command(deploy), folder, variables, deploy.timeout_s)


def _has_midair(folder: str, variables: Mapping[str, str]) -> bool:
    python = os.path.join(folder, FOLDER, "bin", "python")
    line = [python, "-c", "import midair"]
    return subprocess.run(line, cwd="/", env=dict(variables), capture_output=True, check=False).returncode == 0


def variables_in(folder: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of what runs in a release: its own programs come first, nobody else's virtual environment is meant."""
    kept = {name: value for name, value in environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")}
    kept["UV_PROJECT_ENVIRONMENT"] = os.path.join(folder, FOLDER)
    kept["MIDAIR_RELEASE"] = os.path.basename(folder)
    programs = os.path.join(folder, FOLDER, "bin")
    if os.path.isdir(programs):
        kept["VIRTUAL_ENV"] = os.path.join(folder, FOLDER)
        kept["PATH"] = f"{programs}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return kept


def run(line: list[str], folder: str, variables: Mapping[str, str], timeout_s: float) -> None:
    """Run a command in a release's folder to its end. Raises BuildFailed with its last words.

    It has a process group of its own, which is killed when time is up or we are interrupted: no half-made environment goes on
    being made behind our back.
    """
    shown = line[2] if line[:2] == ["/bin/sh", "-c"] else " ".join(line)
    process: subprocess.Popen[bytes] | None = None
    # What interrupts us comes when we know whom to end, and not while the process is being made.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTING)
    try:
        process = _start(line, folder, variables, mask)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as exc:
        hint = "mend it, or allow it more: `timeout` under [deploy]"
        raise BuildFailed(f"{shown} did not end within {timeout_s:g} s", hint=hint) from exc
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if process is not None and process.returncode is None:
            _end(process)
    if process.returncode:
        detail = output.decode(errors="replace")[-OUTPUT_KEPT:]
        raise BuildFailed(f"{shown} failed (exit {process.returncode})", detail=detail)


def _start(line: list[str], folder: str, variables: Mapping[str, str], mask: Iterable[int]) -> subprocess.Popen[bytes]:
    def before_it_executes() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        return subprocess.Popen(
            line,
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=before_it_executes,  # noqa: PLW1509 - the command line has one thread
        )
    except OSError as exc:
        hint = 'pip install uv, or write venv = "pip" under [deploy]' if line[0] == "uv" else ""
        raise BuildFailed(f"{line[0]} cannot be started: {exc.strerror}", hint=hint) from exc


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and all that it started, and wait for it: after an interruption nobody else does."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate()


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None
