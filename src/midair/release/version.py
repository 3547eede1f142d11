"""The name of a version: what people say, and what logs, metrics and ``MIDAIR_VERSION`` carry.

It is a name, not a proof: two versions may be given the same one by mistake. What decides is the fingerprint.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from midair.config.schema import Settings
from midair.errors import ConfigError
from midair.release.git import NotARepository, head_commit, revision_in
from midair.release.packages import package_version
from midair.release.values import Fingerprint, Interpreter

if TYPE_CHECKING:
    import subprocess

NAME_MAX = 128
"""It stands in log lines and metric labels."""

COMMAND_TIMEOUT_S = 10.0
OUTPUT_MAX_BYTES = 64 * 1024
AUTO_DIGITS = 8
COMMIT_DIGITS = 10


class VersionUnknown(ConfigError):
    """``version_from`` gives no name."""

    code = "version-unknown"

    def __init__(self, source: str, reason: str, *, hint: str | None = None, detail: str = "") -> None:
        super().__init__(f"version_from = {source!r}: {reason}", hint=hint, detail=detail)
        self.source = source


def version_name(
    settings: Settings,
    folder: str,
    fingerprint: Fingerprint,
    interpreter: Interpreter | None,
    variables: Mapping[str, str],
) -> str:
    """The name of what stands in ``folder`` now: one line, printable, NAME_MAX characters at most.

    Files and commands are taken from ``settings.folder`` (where midair.toml is), git and packages from the
    application's. May run a command for COMMAND_TIMEOUT_S. Raises VersionUnknown.
    """
    source = settings.version_from
    kind, _, rest = source.partition(":")
    match kind:
        case "auto":
            return fingerprint.code[:AUTO_DIGITS]
        case "file":
            name = _from_file(source, os.path.join(settings.folder, rest))
        case "git":
            name = _from_git(source, folder, settings.folder)
        case "package":
            name = _from_package(source, rest, interpreter)
        case "env":
            name = variables.get(rest, "")
            if not name:
                raise VersionUnknown(source, f"the variable {rest} is not set", hint="set it, or use `auto`")
        case "command":
            name = _from_command(source, rest, settings.folder, variables)
        case _:
            raise VersionUnknown(
                source, "no such way", hint="write auto, file:PATH, git, package:NAME, env:NAME or command:LINE"
            )
    return _checked(source, name)


def _checked(source: str, text: str) -> str:
    name = text.strip().partition("\n")[0].strip()
    if not name:
        raise VersionUnknown(source, "the name is empty")
    if len(name) > NAME_MAX or not name.isprintable():
        raise VersionUnknown(source, f"{name[:NAME_MAX]!r} is no name: {NAME_MAX} printable characters at most")
    return name


def _from_file(source: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(OUTPUT_MAX_BYTES)
    except OSError as exc:
        raise VersionUnknown(source, f"{path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise VersionUnknown(source, f"{path} is not UTF-8") from exc


def _from_git(source: str, folder: str, home: str) -> str:
    # A release has no .git: its commit stands in a file, where Capistrano puts it, too. A checkout above it is another's.
    if deployed := revision_in(home):
        return deployed[:COMMIT_DIGITS]
    try:
        return head_commit(folder)[:COMMIT_DIGITS]
    except NotARepository as exc:
        raise VersionUnknown(source, str(exc), hint="deploy a git checkout, or use `auto`") from exc


def _from_package(source: str, name: str, interpreter: Interpreter | None) -> str:
    if interpreter is None:
        raise VersionUnknown(source, "a command has no interpreter of ours", hint="use file:, env: or command:")
    version = package_version(interpreter.import_path, name)
    if version is None:
        raise VersionUnknown(
            source, f"{name} is not installed for {interpreter.path}", hint=f"{interpreter.path} -m pip install {name}"
        )
    return version


def _from_command(source: str, line: str, folder: str, variables: Mapping[str, str]) -> str:
    import shlex
    import signal
    import subprocess

    try:
        words = shlex.split(line)
    except ValueError as exc:
        raise VersionUnknown(source, f"the command cannot be split into words: {exc}") from exc
    if not words:
        raise VersionUnknown(source, "the command is missing")
    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,  # its children go with it at the time limit
        )
    except OSError as exc:
        raise VersionUnknown(source, f"{words[0]} cannot be started: {exc.strerror}") from exc
    with process:
        output, complaint, is_done = _read_within(process, COMMAND_TIMEOUT_S)
        if not is_done:
            os.killpg(process.pid, signal.SIGKILL)
    if not is_done:
        raise VersionUnknown(
            source,
            f"the command took longer than {COMMAND_TIMEOUT_S:.0f} s or wrote more than {OUTPUT_MAX_BYTES} bytes",
        )
    if process.returncode:
        raise VersionUnknown(
            source,
            f"the command ended with status {process.returncode}",
            detail=complaint[-4000:].decode(errors="replace"),
        )
    return output.decode(errors="replace")


def _read_within(process: subprocess.Popen[bytes], timeout_s: float) -> tuple[bytes, bytes, bool]:
    """What it wrote to its output and its error output, and whether it ended both in time and within the bound.

    communicate() has no bound: a command that never stops writing would fill the memory first.
    """
    import select

    assert process.stdout is not None
    assert process.stderr is not None
    deadline_s = time.monotonic() + timeout_s
    written = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}
    open_ends = set(written)
    while open_ends:
        left_s = deadline_s - time.monotonic()
        readable = select.select(list(open_ends), [], [], max(left_s, 0))[0]
        if not readable:
            break
        for fd in readable:
            data = os.read(fd, OUTPUT_MAX_BYTES)
            written[fd] += data
            if not data:
                open_ends.remove(fd)
        if any(len(data) > OUTPUT_MAX_BYTES for data in written.values()):
            break
    return written[process.stdout.fileno()], written[process.stderr.fileno()], not open_ends
