"""A real systemd to try units under: this machine's own, booted in a container over an overlay of ``/``.

    with Machine() as machine:
        machine.install("shop.service", text)
        assert machine.systemctl("start", "shop").returncode == 0

It sees all files of this machine and changes none of them; its network is its own, so that any port is free. A module's tests
share one machine, which boots in less than a second: they install units of different names. What ends the tests, be it
SIGKILL, ends the machine (``booting.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from midair.testing.background import Background
from midair.testing.client import Client, Load, Target
from midair.testing.report import Report
from tests.support import booting
from tests.support.installed import needs, needs_root
from tests.support.processes import Process
from tests.support.service import APPS, clean_environment
from tests.support.waiting import DidNotHappen, is_readable, wait_for

ROOT = Path(__file__).parent.parent.parent
MIDAIR = Path(sys.executable).parent / "midair"
"""The command that is under test."""
BOOT_WITHIN_S = 60.0
END_WITHIN_S = 20.0
COMMAND_WITHIN_S = 40.0
NAME = "midair-tested-{pid}-{number}"
CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)


class Machine:
    """One booted systemd. Entered: it is up. Left: nothing of it is there."""

    def __init__(self) -> None:
        for program in ("systemd-nspawn", "unshare", "nsenter"):
            needs(program)
        needs_root()
        self._name = NAME.format(pid=os.getpid(), number=next(_numbers))
        self._leader = 0
        self._console = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is left
        """What systemd prints while it boots."""

    def __enter__(self) -> Self:
        _remove_groups_of_the_dead()
        self._process = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *(sys.executable, booting.__file__, self._name, str(ROOT), sys.base_prefix),
            ],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._console,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.read(1) if is_readable(self._process.stdout.fileno(), BOOT_WITHIN_S) else b""
        if not said:
            self._end()
            self._console.seek(0)
            raise DidNotHappen(f"systemd did not boot: {self._console.read().decode(errors='replace')}")
        family = Process(self._process.pid).descendants
        (nspawn,) = [process for process in family if process.name == "systemd-nspawn"]
        (leader,) = [process for process in nspawn.children if process.name == "systemd"]
        self._leader = leader.pid
        return self

    def __exit__(self, *exc: object) -> None:
        self._end()
        self._console.close()

    def _end(self) -> None:
        try:
            self._process.communicate(timeout=END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        if self._process.returncode != 0:
            booting.remove_groups(self._name)
            self._console.seek(0)
            print(self._console.read().decode(errors="replace")[-4000:])

    # --- files and units --------------------------------------------------------------------------------------------

    def path(self, inside: str | Path) -> Path:
        """Where a file of the machine is to be found from here."""
        return Path(f"/proc/{self._leader}/root") / str(inside).lstrip("/")

    def install(self, unit: str, text: str) -> None:
        """Write a unit (its name: ``shop.service``) and have systemd read it. Start it with ``systemctl``."""
        self.path(f"/etc/systemd/system/{unit}").write_text(text)
        self.run("systemctl", "daemon-reload")

    def write(self, folder: str, app: str, version: str, *, owner: str = "root") -> None:
        """Put a version of an application of ``tests/apps`` into a folder of the machine, as ``app.py``."""
        for name, source in (("good.py", APPS / "good.py"), ("app.py", APPS / f"{app}.py")):
            text = re.sub(r'^VERSION = ".*"$', f'VERSION = "{version}"', source.read_text(), flags=re.MULTILINE)
            self.place(f"{folder}/{name}", text, owner=owner)

    def place(self, path: str, text: str, *, owner: str = "root") -> None:
        """A file, renamed into place: nobody sees half of it."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f"{target.name}.new")
        new.write_text(text)
        new.replace(target)
        if owner != "root":
            self.must("chown", "-R", f"{owner}:", str(Path(path).parent))

    # --- commands ---------------------------------------------------------------------------------------------------

    def inside(self, *words: str, folder: str = "/") -> list[str]:
        """The command line that runs ``words`` in the machine, as root."""
        into = ("nsenter", "--target", str(self._leader), "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
        return [*into, "--", "env", "-C", folder, *words]

    def run(self, *words: str, folder: str = "/") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.inside(*words, folder=folder),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
            check=False,
        )

    def must(self, *words: str, folder: str = "/") -> str:
        """What the command prints. It has to succeed."""
        done = self.run(*words, folder=folder)
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """A command under way. The caller waits for it."""
        return subprocess.Popen(
            self.inside(*words),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("systemctl", "--no-pager", *words)

    def start(self, unit: str) -> None:
        """It has to start; if it does not, its log says why."""
        done = self.systemctl("start", unit)
        assert done.returncode == 0, f"{done.stderr}\n{self.log(unit)}"

    # --- looking ----------------------------------------------------------------------------------------------------

    def show(self, unit: str) -> dict[str, str]:
        """All properties of a unit, as systemd has them."""
        lines = self.must("systemctl", "show", unit).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def wait_state(self, unit: str, state: str, within_s: float = 20.0) -> dict[str, str]:
        """Until ActiveState is this; the properties then."""
        return wait_for(
            lambda: self.show(unit),
            within_s,
            until=lambda seen: seen["ActiveState"] == state,
            what=f"{unit} {state}",
            every_s=0.05,
        )

    def main_process(self, unit: str) -> Process:
        """The main process of a unit, as it is seen from here."""
        inside = int(self.show(unit)["MainPID"])
        assert inside, f"{unit} has no main process\n{self.log(unit)}"
        for process in Process(self._leader).descendants:
            if _pid_inside(process) == inside:
                return process
        raise AssertionError(f"process {inside} of {unit} is not seen from here")

    def journal(self, unit: str, *more: str) -> list[dict[str, Any]]:
        """The entries of a unit with all their fields."""
        self.must("journalctl", "--sync")
        lines = self.must("journalctl", "--no-pager", "--output=json", "--all", f"--unit={unit}", *more).splitlines()
        return [json.loads(line) for line in lines]

    def log(self, unit: str) -> str:
        """For a failure: the state of a unit and its last lines."""
        status = self.systemctl("status", "--full", unit).stdout
        return status + self.run("journalctl", "--no-pager", f"--unit={unit}", "--lines=60").stdout

    # --- asking -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile are in the machine's network."""
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self._leader}/ns/net") as theirs:
            _enter(theirs.fileno())
            try:
                yield
            finally:
                _enter(ours.fileno())

    def get(self, address: str, path: str = "/", timeout_s: float = 20.0) -> tuple[int, bytes]:
        """One request to ``HOST:PORT`` in the machine. Raises OSError."""
        connection = http.client.HTTPConnection(address, timeout=timeout_s)
        with contextlib.closing(connection):
            with self.network():
                connection.connect()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except http.client.HTTPException as error:
                raise OSError(repr(error)) from error

    def about(self, address: str) -> dict[str, Any]:
        """Who answers ``/``."""
        status, body = self.get(address)
        assert status == 200, (status, body)
        told = json.loads(body)
        assert isinstance(told, dict)
        return told

    @contextlib.contextmanager
    def asked(self, address: str, *loads: Load) -> Iterator[Background[Report]]:
        """A strict client in the machine's network that asks all the while; entered once it has had an answer."""
        target = Target.parse(f"http://{address}")
        with Background(lambda: Client(target, *loads), loop_factory=self._loop_inside) as client:
            wait_for(lambda: client.report.ok or client.report.failed, 20.0, what="a first answer")
            yield client

    def _loop_inside(self) -> asyncio.AbstractEventLoop:
        """For a thread that lives no longer than its loop."""
        with open(f"/proc/{self._leader}/ns/net") as theirs:
            _enter(theirs.fileno())
        return asyncio.new_event_loop()


def _enter(namespace_fd: int) -> None:
    """Put this thread into a network (``os.setns`` came with Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace_fd, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _pid_inside(process: Process) -> int:
    """The number of a process in the innermost namespace of processes that it is in."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:  # gone
        return 0
    return next((int(line.split()[-1]) for line in status.splitlines() if line.startswith("NSpid:")), 0)


def _remove_groups_of_the_dead() -> None:
    """Control groups are all that a machine leaves whose every process was killed at once; the next one removes them."""
    name = NAME.format(pid="*", number="*")
    for group in (*booting.CGROUPS.glob(name), *booting.CGROUPS.glob(f"*/{name}")):
        pid = int(group.name.split("-")[2])
        if not Process(pid).is_alive:
            booting.remove_groups(group.name)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A booted systemd for the tests of one module."""
    with Machine() as booted:
        yield booted
