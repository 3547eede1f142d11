"""A terminal in which a page's commands are typed: one bash session on a machine of its own (``place.py``), or on a booted one.

    with Terminal() as terminal:
        assert terminal.type("cd /srv && pwd") == Printed(["/srv"], 0)

Folders, variables and background jobs last from one command to the next. Whatever was started is gone when it is left.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.docs import place, second_terminal
from tests.support.installed import needs, needs_root
from tests.support.processes import Process
from tests.support.service import clean_environment
from tests.support.waiting import DidNotHappen, is_readable, wait_for

ROOT = Path(__file__).parent.parent.parent
TYPED_WITHIN_S = 45.0
ENDS_WITHIN_S = 5.0
OUTPUTS = "/tmp/outputs"
"""What programs print that go on, a file each."""
SESSION = rf"""
exec 9<&0 </dev/null 2>&1
mkdir -p {OUTPUTS}
sudo() {{ "$@"; }}  # for pages that are walked by root
ended_with() {{ return "$1"; }}
code=0
while IFS= read -r -d '' -u 9 line; do
    ended_with "$code"
    eval "$line" 9<&-
    code=$?
    printf '\0%d\0' "$code"
done
"""
QUICK = {"MIDAIR_BAKE_FOR": "300ms"}
"""Nobody waits ten seconds for nothing."""
ENDED = re.compile(rb"\0(\d+)\0")


@dataclass(frozen=True, slots=True)
class Printed:
    """What a command printed, errors too, and its exit code."""

    lines: list[str]
    code: int


class Terminal:
    """Entered: a prompt. Left: nothing of it is there."""

    def __init__(
        self,
        folder: str = "/srv/shop",
        *,
        user: str = "you",
        within: Sequence[str] = (),
        environment: Mapping[str, str] = QUICK,
        typed_within_s: float = TYPED_WITHIN_S,
    ) -> None:
        """folder: where one is; it is made. user: ``you`` or ``root``.

        within: a command line that runs another one on a machine that is there already. typed_within_s: how long a command may
        take.
        """
        if not within:
            needs("unshare")
            needs_root()
        self._folder = folder
        self._typed_within_s = typed_within_s
        self._machine = within or _machine_of_its_own(user)
        self._environment = {
            **clean_environment(),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": f"/home/{user}",
            "USER": user,
            "NO_COLOR": "1",
            "PAGER": "cat",
            "TERM": "dumb",
            **environment,
        }
        for name in ("VIRTUAL_ENV", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "NOTIFY_SOCKET"):
            self._environment.pop(name, None)
        if user == "you":
            self._environment["XDG_RUNTIME_DIR"] = f"/run/user/{place.UID}"
        self._said = b""
        self._going_on = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [*self._machine, "bash", "--norc", "--noprofile", "-c", SESSION],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self.prepare(f'mkdir -p "$HOME" {shlex.quote(self._folder)} && cd {shlex.quote(self._folder)}')
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._end()

    def _end(self) -> None:
        """At the end of its input the session ends; it is process 1 of its machine, so the kernel ends all others."""
        try:
            self._process.communicate(timeout=ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:  # something that was typed still runs
            for session in Process(self._process.pid).children:
                session.kill()
            self._process.communicate()

    # --- typing -----------------------------------------------------------------------------------------------------

    def type(self, command: str) -> Printed:
        """Type a command and wait until the prompt is back. Raises DidNotHappen if that takes too long."""
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\0")
        self._process.stdin.flush()
        output, code = self._until_prompt(command)
        return Printed(output.decode(errors="replace").splitlines(), code)

    def prepare(self, command: str) -> list[str]:
        """Do what the page takes for granted; it has to succeed. What it prints."""
        printed = self.type(command)
        assert printed.code == 0, f"{command}: {printed}"
        return printed.lines

    def write(self, name: str, text: str) -> None:
        """A file, where the terminal is or below."""
        quoted = shlex.quote(name)
        self.prepare(f'mkdir -p "$(dirname {quoted})" && printf %s {shlex.quote(text)} > {quoted}')

    def lend_environment(self) -> None:
        """A ``.venv`` with midair in it, and with what else the tests run with."""
        self.prepare(f"ln -s {shlex.quote(sys.prefix)} .venv")

    def _until_prompt(self, command: str) -> tuple[bytes, int]:
        assert self._process.stdout is not None
        deadline_s = time.monotonic() + self._typed_within_s
        while (ended := ENDED.search(self._said)) is None:
            left_s = deadline_s - time.monotonic()
            fd = self._process.stdout.fileno()
            read = os.read(fd, 65536) if left_s > 0 and is_readable(fd, left_s) else b""
            if not read:
                raise DidNotHappen(f"$ {command}\ndid not end in time; so far it printed:\n{self._said!r}")
            self._said += read
        output, self._said = self._said[: ended.start()], self._said[ended.end() :]
        return output, int(ended[1])

    # --- programs that go on ----------------------------------------------------------------------------------------

    def begin(self, command: str) -> GoesOn:
        """Type a command that goes on, such as a server, in another terminal in the same folder."""
        self._going_on += 1
        path = f"{OUTPUTS}/{self._going_on}"
        line = shlex.join(["python3", "-c", Path(second_terminal.__file__).read_text(), command])
        # In a subshell: it is no job of this terminal, which `wait` would wait for.
        (pid,) = self.prepare(f": > {path}; ({line} >> {path} 2>&1 & echo $!)")
        return GoesOn(self, command, path, int(pid))


def _machine_of_its_own(user: str) -> list[str]:
    return [
        *("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"),
        *(sys.executable, place.__file__, user, str(ROOT), sys.base_prefix, "--"),
    ]


@dataclass(frozen=True, slots=True)
class GoesOn:
    """A program that was started in a terminal of its own. pid: of who holds that terminal, as it is called there."""

    terminal: Terminal
    command: str
    path: str
    pid: int

    def printed(self) -> list[str]:
        return self.terminal.prepare(f"cat {self.path}")

    def is_running(self) -> bool:
        return self.terminal.type(f"kill -0 {self.pid} 2>/dev/null").code == 0

    def wait_said(self, text: str, within_s: float = TYPED_WITHIN_S) -> list[str]:
        """Until a line has ``text`` in it; all lines. Raises DidNotHappen if none comes, or if it has ended."""
        printed = wait_for(
            lambda: (self.is_running(), self.printed()),
            within_s,
            until=lambda seen: not seen[0] or any(text in line for line in seen[1]),
            what=f"{text!r} in what `{self.command}` prints",
            every_s=0.05,
        )[1]
        if not any(text in line for line in printed):
            raise DidNotHappen("\n".join([f"$ {self.command}", "ended without saying " + repr(text), *printed]))
        return printed

    def end(self) -> None:
        """Ctrl-C, and wait."""
        self.terminal.prepare(f"kill {self.pid}; tail --pid={self.pid} -s 0.05 -f /dev/null")
