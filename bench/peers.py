"""The servers that are compared, each started as its own documentation says, on the same application.

No server writes an access log. All run from the same interpreter with the same uvloop and httptools.
"""

from __future__ import annotations

import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import Process

APPS = Path(__file__).parent / "apps"
START_WITHIN_S = 30.0
STOP_WITHIN_S = 15.0
SETTLES_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: its name, its command line, and how it is told to take in new code."""

    name: str
    package: str
    command: str
    """Words after the interpreter; ``{port}`` and ``{workers}`` are filled in."""
    reload: str | signal.Signals | None
    """Words after the interpreter in the service's folder, or a signal to the process that was started; None: it watches."""
    program: str = ""
    """Instead of this interpreter."""

    def line(self, port: int, workers: int) -> list[str]:
        """Its command line."""
        words = self.command.format(port=port, workers=workers, python=sys.executable)
        return [self.program or sys.executable, *shlex.split(words)]


MIDAIR = Peer(
    "midair run",
    "midair",
    "-m midair run app:app --bind 127.0.0.1:{port} --workers {workers} --no-access-log",
    "-m midair reload",
)
UVICORN = Peer(
    "uvicorn --workers, HUP",
    "uvicorn",
    "-m uvicorn app:app --port {port} --workers {workers} --no-access-log --log-level warning",
    signal.SIGHUP,
)
GUNICORN = Peer(
    "gunicorn -k asgi, HUP",
    "gunicorn",
    "-m gunicorn app:app -k asgi -b 127.0.0.1:{port} -w {workers} --log-level warning",
    signal.SIGHUP,
)
GRANIAN = Peer(
    "granian, HUP",
    "granian",
    "-m granian app:app --interface asgi --port {port} --workers {workers} --no-access-log --log-level warning",
    signal.SIGHUP,
)
ALL = (MIDAIR, UVICORN, GUNICORN, GRANIAN)


@dataclass(frozen=True, slots=True)
class Running:
    """A server under way, in a folder of its own."""

    peer: Peer
    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    app: str
    home: Path
    """Where it keeps what is its own: its log, its receipts."""

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, version: str) -> None:
        """Put this version of the application into the folder."""
        write_app(self.folder, self.app, version)

    def reload(self) -> None:
        """Ask for the update; a server that is told by a signal has not done it when this returns."""
        if isinstance(self.peer.reload, signal.Signals):
            self.process.send_signal(self.peer.reload)
        elif self.peer.reload:
            subprocess.run(
                [sys.executable, *self.peer.reload.split()],
                cwd=self.folder,
                env=_environment(),
                check=True,
                timeout=60,
                capture_output=True,
            )

    def reload_soon(self) -> None:
        """Have the update asked for, by signal, and do not wait for it."""
        self.process.send_signal(self.peer.reload if isinstance(self.peer.reload, signal.Signals) else signal.SIGUSR1)

    def ask(self, path: str = "/", timeout_s: float = 10.0) -> bytes:
        """One right answer on a new connection. Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise ConnectionError(f"status {response.status}")
            return response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(repr(error)) from error
        finally:
            connection.close()

    def settle(self) -> None:
        """Wait until the last update is over: no process came or went for a second. At most SETTLES_WITHIN_S.

        Without it a peer that is still exchanging workers would take in the next version's files by chance, and be
        called fast for it, or would miss the next signal, and be called deaf.
        """
        deadline_s = time.monotonic() + SETTLES_WITHIN_S
        seen, since_s = self._children(), time.monotonic()
        while time.monotonic() - since_s < 1.0 and time.monotonic() < deadline_s:
            time.sleep(0.1)
            if (now := self._children()) != seen:
                seen, since_s = now, time.monotonic()

    def _children(self) -> list[int]:
        return [process.pid for process in Process(self.process.pid).descendants if process.is_alive]

    def pss_bytes(self) -> int:
        """Proportional set size of all its processes."""
        return sum(process.pss_bytes for process in self.processes())

    def cpu_s(self) -> float:
        """Processor seconds that it has used, all its processes together."""
        return sum(process.cpu_s for process in self.processes())

    def processes(self) -> list[Process]:
        server = Process(self.process.pid)
        return [server, *server.descendants]


def write_app(folder: Path, app: str, version: str) -> None:
    """Write a version of ``bench/apps/APP.py`` as ``app.py``, by renaming: nobody reads half a file."""
    text = (APPS / f"{app}.py").read_text()
    new = folder / "app.new"
    new.write_text(re.sub(r'^VERSION = ".*"$', f'VERSION = "{version}"', text, flags=re.MULTILINE))
    new.replace(folder / "app.py")


def _environment() -> dict[str, str]:
    hidden = ("PYTHONDONTWRITEBYTECODE", "WEB_CONCURRENCY")
    return {name: value for name, value in os.environ.items() if name not in hidden and not name.startswith("MIDAIR_")}


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def serve(peer: Peer, app: str = "raw", *, workers: int = 2, settings: str = "") -> Iterator[Running]:
    """Start a server and wait for its first answer; stop it at the end. ``settings`` are lines for midair.toml."""
    with tempfile.TemporaryDirectory(prefix="midair-bench-", ignore_cleanup_errors=True) as path:
        folder = Path(path)
        write_app(folder, app, "1")
        with serve_folder(peer, folder, app=app, workers=workers, settings=settings) as running:
            yield running


@contextmanager
def serve_folder(
    peer: Peer,
    folder: Path,
    *,
    home: Path | None = None,
    app: str = "",
    workers: int = 1,
    settings: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """As ``serve``, with what is in the folder already.

    home: for what it writes itself, if that must not look like a save. environment: variables besides ours.
    """
    port, home = _free_port(), home or folder
    (folder / "midair.toml").write_text(
        f'name = "bench-{port}"\nruntime_dir = "{home}/run"\nstate_dir = "{home}/state"\n{settings}\n'
    )
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            peer.line(port, workers),
            cwd=folder,
            env={**_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    running = Running(peer, folder, port, process, app, home)
    try:
        _wait_for_first_answer(running)
        yield running
    finally:
        _stop(process)


def _wait_for_first_answer(running: Running) -> None:
    deadline_s = time.monotonic() + START_WITHIN_S
    while True:
        try:
            running.ask(timeout_s=START_WITHIN_S)
            return
        except OSError as error:
            if time.monotonic() > deadline_s or running.process.poll() is not None:
                log = running.log.read_text(errors="replace")
                raise RuntimeError(f"{running.peer.name} did not start ({error!r})\n{log[-4000:]}") from error
            time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    children = Process(process.pid).descendants
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        if child.is_alive:
            child.kill()
