"""A descriptor store as systemd has one, and a service whose next process is started with what is in it.

with Keeper() as keeper, KeptService(tmp_path, keeper) as service:
    service.kill()
    service.start()  # on the same listeners

For what needs no more of systemd than this; a real one is ``tests/support/systemd.py``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from tests.support.service import START_WITHIN_S, Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

PASS_ON = """
import fcntl, os, sys
given = [int(word) for word in sys.argv[1].split(",") if word]
fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in given]
for fd in given:
    os.close(fd)
for number, fd in enumerate(fds):
    os.dup2(fd, 3 + number, inheritable=True)
if fds:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Executes a program with descriptors passed as systemd does."""
MESSAGE_MAX_BYTES = 4096


class Keeper:
    """Reads NOTIFY_SOCKET in a thread of its own. ``kept``: name and descriptor, the newest first, as systemd hands them out."""

    def __init__(self, room: int = 16) -> None:
        self.room = room
        self.kept: list[tuple[str, int]] = []
        self.said: list[dict[str, str]] = []
        self._folder = tempfile.mkdtemp(prefix="midair-")
        self.address = os.path.join(self._folder, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._thread.join(10)
        self._socket.close()
        self.empty()
        shutil.rmtree(self._folder)

    @property
    def names(self) -> list[str]:
        return sorted(name for name, _ in self.kept)

    def empty(self) -> None:
        """As systemd does when a unit is stopped."""
        while self.kept:
            os.close(self.kept.pop()[1])

    def _read(self) -> None:
        while True:
            data, fds, _flags, _ = socket.recv_fds(self._socket, MESSAGE_MAX_BYTES, 16)
            if not data:
                return
            said = dict(line.split("=", 1) for line in data.decode().split("\n"))
            self.said.append(said)
            name = said.get("FDNAME", "stored")
            if said.get("FDSTOREREMOVE") == "1":
                gone = [each for each in self.kept if each[0] == name]
                self.kept = [each for each in self.kept if each[0] != name]
                fds += [fd for _, fd in gone]
            elif said.get("FDSTORE") == "1":
                fds = [fd for fd in fds if not self._keep(name, fd)]
            for fd in fds:  # A barrier's, too: that is its answer.
                os.close(fd)

    def _keep(self, name: str, fd: int) -> bool:
        is_known = any(os.path.samestat(os.fstat(fd), os.fstat(known)) for _, known in self.kept)
        if is_known or len(self.kept) >= self.room:
            return False
        self.kept.insert(0, (name, fd))
        return True


class KeptService(Service):
    """A service that binds for itself, and can be started again. ``more`` descriptors: as those of a ``.socket`` unit."""

    def __init__(
        self,
        tmp: Path,
        keeper: Keeper,
        app: str = "good",
        *,
        settings: Mapping[str, Setting] | None = None,
        command: tuple[str, ...] = (),
        workers: int = 2,
        more: tuple[tuple[str, int], ...] = (),
    ) -> None:
        bound: dict[str, Setting] = {"bind": ["127.0.0.1:0"], **(settings or {})}
        environment = {"NOTIFY_SOCKET": keeper.address}
        super().__init__(tmp, app, settings=bound, env=environment, command=command, workers=workers, ready_path="")
        self._sock.close()
        self._keeper, self._more = keeper, more

    def start(self) -> None:
        """Start it, with what is kept; return when a version serves."""
        readies = sum(each.get("READY") == "1" for each in self._keeper.said)
        self.begin()
        wait_for(
            lambda: sum(each.get("READY") == "1" for each in self._keeper.said) > readies or self.exit_code is not None,
            START_WITHIN_S,
            what="READY=1",
        )
        assert self.exit_code is None, self.log()
        self.url = f"http://{self.status()['binds'][0]}".replace("http://unix:", "unix:")

    def begin(self) -> None:
        """Start it, and do not wait for it."""
        passed = [*self._more, *self._keeper.kept]
        fds, names = [fd for _, fd in passed], [name for name, _ in passed]
        line = [sys.executable, "-c", PASS_ON, ",".join(map(str, fds)), ":".join(names)]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*line, sys.executable, "-m", "midair", "run"],
                cwd=self.folder,
                env=self._env,
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """kill -9 of the supervisor, seen to its end."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """SIGTERM, seen to its end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(20) == 0, self.log()

    def wait_recorded(self) -> None:
        """Until what has happened by now is on record: the record is written 0.1 s after a decision, and nothing tells when."""
        time.sleep(0.3)  # Only the next supervisor reads it.

    def events(self, name: str) -> list[str]:
        """The lines of the log about an event, by its words."""
        return [line for line in self.log_path.read_text().splitlines() if name in line]

    @contextlib.contextmanager
    def heard(self, name: str) -> Iterator[None]:
        """Left when the log says it once more than when it was entered."""
        before = len(self.events(name))
        yield
        wait_for(lambda: self.events(name), 20, until=lambda told: len(told) > before, what=f"{name!r} in the log")

    @property
    def stored(self) -> dict[str, Any]:
        """What status says of the store."""
        found = self.status()["store"]
        assert isinstance(found, dict)
        return found

    def wait_stored(self, *names: str) -> None:
        """Until these are kept, and nothing else."""
        wanted = sorted((*names, "midair-state"))
        wait_for(lambda: self._keeper.names, 20, until=lambda found: found == wanted, what=f"{wanted} in the store")
