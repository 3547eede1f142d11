"""A real service under ``midair run``: in a folder of its own, on a socket of the test's, gone without a trace at the end.

with Service(tmp_path, "good") as service, service.asked(Load(connections=20)) as client:
    service.write("good", "2")
    assert service.reload().code == 0
assert client.report.failed == 0
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from midair.cli import app
from midair.config.load import ServiceAddress
from midair.control.client import ask_one
from midair.control.words import FiguresReport, Metrics
from midair.observe.metrics import MetricsSnapshot
from midair.testing.client import BackgroundClient, Load, Target
from tests.support.authority import Authority
from tests.support.processes import Process, marked
from tests.support.toml import Setting, toml
from tests.support.waiting import DidNotHappen, wait_for

APPS = Path(__file__).parent.parent / "apps"
MARK = "TESTED_SERVICE"
START_WITHIN_S = 40.0
STOP_WITHIN_S = 20.0
COMMAND_WITHIN_S = 45.0
ASKING = frozenset(
    {
        "explain",
        "history",
        "hold",
        "logs",
        "receipt",
        "reload",
        "rollback",
        "scale",
        "stacks",
        "status",
        "stop",
        "upgrade",
    }
)
"""Commands that do nothing but talk with a service that runs."""

# Tests say what they need longer; nobody waits ten seconds of bake for nothing.
QUICK: Mapping[str, Setting] = {
    "bake": {"for": "0.3s"},
    "drain": {"rate": "100%"},
    "stop": {"timeout": "5s"},
    "exit": {"timeout": "3s"},
    "serve": {"access_log": False},
    "log": {"format": "console"},
}


def clean_environment(**more: str) -> dict[str, str]:
    """The environment for children: ours, without what would hide stale bytecode or configure midair."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("MIDAIR_") and name != "WEB_CONCURRENCY"
    }
    return {**kept, **more}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The last JSON object on standard output: what ``--json`` says at the end."""
        try:
            whole = json.loads(self.out)
        except ValueError:
            whole = json.loads(self.out.strip().splitlines()[-1])
        assert isinstance(whole, dict), self
        return whole

    def __str__(self) -> str:
        return f"midair {' '.join(self.words)}: exit {self.code}\n{self.out}{self.err}"


class Service:
    """One service. Entered: started and answering (unless ``ready_path`` is empty). Left: stopped, and nothing left.

    ``settings`` go to midair.toml; ``env`` to the supervisor's environment. With ``command`` the service is that
    program, in which ``{python}`` stands for this interpreter.
    """

    def __init__(
        self,
        tmp: Path,
        app: str = "good",
        version: str = "1",
        *,
        target: str = "app:app",
        workers: int = 2,
        settings: Mapping[str, Setting] | None = None,
        flags: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
        command: tuple[str, ...] = (),
        ready_path: str = "/",
        unix: bool = False,
        prefix: tuple[str, ...] = (),
        terminal: int = -1,
        authority: Authority | None = None,
        types: bool = False,
    ) -> None:
        """authority: the service speaks TLS, with a certificate of theirs in ``cert.pem`` and ``key.pem``.

        prefix: a command that executes ``midair run``. terminal: a descriptor that is its standard streams. types: each command is
        a process, as if somebody had typed it.
        """
        self.folder = tmp / "service"
        self.folder.mkdir()
        # Not under tmp: the path of a Unix socket has 107 bytes, and pytest's folders are long.
        self.runtime = Path(tempfile.mkdtemp(prefix="midair-"))
        self.mark = uuid.uuid4().hex
        self.log_path = tmp / "service.log"
        self.app, self.version = app, version
        self._flags = flags
        self._prefix, self._terminal, self._types = prefix, terminal, types
        self._env = clean_environment(**{MARK: self.mark}, **(env or {}))
        self._ready_path = ready_path
        self._tls = authority.client() if authority else None
        self._sock = self._bind(unix)
        self._process: subprocess.Popen[bytes] | None = None
        program: dict[str, Setting] = (
            {"command": [word.replace("{python}", sys.executable) for word in command]} if command else {"app": target}
        )
        self.settings: dict[str, Setting] = {
            "name": f"test-{self.mark[:8]}",
            "workers": workers,
            "runtime_dir": str(self.runtime),
            "state_dir": str(tmp / "state"),
            **program,
            **QUICK,
            **(settings or {}),
        }
        if authority:
            authority.issue().install(self.folder)
            chosen = self.settings.get("tls", {})
            assert isinstance(chosen, Mapping)
            self.settings["tls"] = {"certfile": "cert.pem", "keyfile": "key.pem", **chosen}
        self.configure()
        self.write(app, version)

    def _bind(self, unix: bool) -> socket.socket:
        """The listening socket: made here, so that the test knows the address and no port is guessed."""
        if unix:
            path = str(self.runtime / "web.sock")
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(path)
            self.url = f"unix:{path}"
        else:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", 0))
            self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{sock.getsockname()[1]}"
        sock.listen(2048)
        return sock

    # --- the folder -------------------------------------------------------------------------------------------------

    def configure(self, **changes: Setting) -> None:
        """Write midair.toml, with these settings changed."""
        self.settings.update(changes)
        (self.folder / "midair.toml").write_text(toml(self.settings))

    def write(self, app: str, version: str) -> None:
        """Put a version of an application into the folder: really other code, even if of the same length."""
        self.app, self.version = app, version
        source = APPS / app
        if source.is_dir():
            for path in source.rglob("*.py"):
                self._place(path, self.folder / path.relative_to(source), version)
        else:
            self._place(APPS / "good.py", self.folder / "good.py", version)
            self._place(APPS / f"{app}.py", self.folder / "app.py", version)

    def _place(self, source: Path, target: Path, version: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        text = re.sub(r'^VERSION = ".*"$', f'VERSION = "{version}"', source.read_text(), flags=re.MULTILINE)
        # Renamed into place: a worker that starts meanwhile reads one version or the other, never half a file.
        new = target.with_suffix(".new")
        new.write_text(text)
        new.replace(target)

    # --- start and stop ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def line(self, fd: int) -> list[str]:
        """What is executed. fd: the listening socket."""
        return [*self._prefix, sys.executable, "-m", "midair", "run", "--bind", f"fd://{fd}", *self._flags]

    def start(self) -> None:
        """Start ``midair run`` and wait for its first answer. Raises DidNotHappen, with the log."""
        fd = self._sock.fileno()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.line(fd),
                cwd=self.folder,
                env=self._env,
                pass_fds=(fd,),
                stdin=self._terminal if self._terminal >= 0 else subprocess.DEVNULL,
                stdout=self._terminal if self._terminal >= 0 else log,
                stderr=self._terminal if self._terminal >= 0 else log,
            )
        # Only the service holds the socket now: when it is gone, so is the address.
        self._sock.close()
        if self._ready_path:
            try:
                # The kernel keeps this connection until a worker accepts: nothing is polled.
                self.get(self._ready_path, timeout_s=START_WITHIN_S)
            except OSError as error:
                self._end()
                raise DidNotHappen(f"the service did not answer ({error!r})\n{self.log()}") from error

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        try:
            problems = self._end()
        finally:
            shutil.rmtree(self.runtime, ignore_errors=True)
        if kind is not None:
            print(self.log())  # pytest shows it beside the failure
        elif problems:
            raise AssertionError("\n".join(problems) + "\n" + self.log())

    def _end(self) -> list[str]:
        """Stop everything; what did not go as it should."""
        problems = []
        process = self._process
        self._sock.close()
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                problems.append(f"the supervisor did not stop within {STOP_WITHIN_S} s of SIGTERM")
                process.kill()
                process.wait()
        try:
            wait_for(self.processes, until=lambda left: not left, what="the end of all children")
        except DidNotHappen:
            problems += [f"left behind: {left}" for left in self.processes()]
            for left in self.processes():
                left.kill()
        if self.log_path.exists() and re.search("books.unbalanced", self.log_path.read_text(errors="replace")):
            problems.append("the books of a generation did not balance")
        return problems

    # --- asking -----------------------------------------------------------------------------------------------------

    def midair(self, *words: str, within_s: float = COMMAND_WITHIN_S) -> Done:
        """Run the command line in the service's folder. What only asks the service runs in this process, which saves the start of
        an interpreter, unless the command line itself is what is tested."""
        if words[0] in ASKING and not self._types and threading.current_thread() is threading.main_thread():
            return self._ask_here(*words)
        return self._run_command(*words, within_s=within_s)

    def _ask_here(self, *words: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = app.run([words[0], "-C", str(self.folder), *words[1:]])
        return Done(words, code, out.getvalue(), err.getvalue())

    def _run_command(self, *words: str, within_s: float) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "midair", *words],
            cwd=self.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        return Done(words, done.returncode, done.stdout, done.stderr)

    def reload(self, *flags: str, within_s: float = COMMAND_WITHIN_S) -> Done:
        return self.midair("reload", "--json", *flags, within_s=within_s)

    def reload_in_background(self, *flags: str) -> subprocess.Popen[str]:
        """``midair reload`` under way: for what has to happen meanwhile. The caller waits for it."""
        return self.midair_in_background("reload", "--json", *flags)

    def midair_in_background(self, *words: str) -> subprocess.Popen[str]:
        """A command under way. The caller waits for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "midair", *words],
            cwd=self.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def update(self, version: str, app: str | None = None, *flags: str) -> Done:
        """Write a new version and reload; it must be taken up."""
        self.write(app or self.app, version)
        done = self.reload(*flags)
        assert done.code == 0, f"{done}\n{self.log()}"
        return done

    def status(self) -> dict[str, Any]:
        done = self.midair("status", "--json")
        assert done.code == 0, f"{done}\n{self.log()}"
        return done.data

    def receipt(self, number: int = 0) -> dict[str, Any]:
        """A receipt's document; 0: the latest."""
        done = self.midair("receipt", *([str(number)] if number else []), "--json")
        assert done.code == 0, f"{done}\n{self.log()}"
        data = done.data
        document = data.get("document", data)
        assert isinstance(document, dict)
        return document

    def figures(self) -> MetricsSnapshot:
        """What is counted, as the supervisor tells whoever serves it."""
        address = ServiceAddress(name="it", folder=str(self.folder), runtime_dirs=(str(self.runtime),))
        return ask_one(address, Metrics(form="figures"), FiguresReport).snapshot

    def get(self, path: str = "/", *, timeout_s: float = 20.0) -> tuple[int, bytes]:
        """One request on a connection of its own. Raises OSError, also for what is no HTTP."""
        return self._ask("GET", path, timeout_s)

    def post(self, path: str, *, timeout_s: float = 20.0) -> tuple[int, bytes]:
        """As ``get``, without a body."""
        return self._ask("POST", path, timeout_s)

    def _ask(self, method: str, path: str, timeout_s: float) -> tuple[int, bytes]:
        with contextlib.closing(self._connection(timeout_s)) as connection:
            try:
                connection.request(method, path)
                response = connection.getresponse()
                return response.status, response.read()
            except http.client.HTTPException as error:
                raise OSError(repr(error)) from error

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._tls:
            address = self.url.removeprefix("https://")
            return http.client.HTTPSConnection(address, timeout=timeout_s, context=self._tls)
        if self.url.startswith("http://"):
            return http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=timeout_s)
        connection = http.client.HTTPConnection("localhost", timeout=timeout_s)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout_s)
        connection.sock.connect(self.url.removeprefix("unix:"))
        return connection

    def about(self) -> dict[str, Any]:
        """Who answers ``/``."""
        status, body = self.get("/")
        assert status == 200, (status, body)
        told = json.loads(body)
        assert isinstance(told, dict)
        return told

    def serving_version(self) -> str:
        return str(self.about()["version"])

    @contextlib.contextmanager
    def asked(self, *loads: Load) -> Iterator[BackgroundClient]:
        """A strict client that asks all the while; entered once every load has had an answer."""
        with BackgroundClient(Target.parse(self.url, self._tls), *loads) as client:
            wait_for(lambda: client.report.ok or client.report.failed, what="a first answer")
            yield client

    # --- looking in -------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def supervisor(self) -> Process:
        return Process(self.pid)

    @property
    def exit_code(self) -> int | None:
        """The supervisor's, once it has ended."""
        assert self._process is not None, "not started"
        return self._process.poll()

    def wait_ended(self, within_s: float = STOP_WITHIN_S) -> int:
        assert self._process is not None, "not started"
        return self._process.wait(within_s)

    def processes(self) -> list[Process]:
        """All living processes of this service, orphans included."""
        return marked(MARK, self.mark)

    def worker_pids(self, generation: int = 0) -> list[int]:
        """The workers of a generation; 0: the serving one."""
        status = self.status()
        wanted = generation or status["serving"]
        return [
            worker["pid"]
            for found in status["generations"]
            if found["number"] == wanted
            for worker in found["workers"]
            if worker["pid"] and worker["state"] != "gone"
        ]

    def log(self) -> str:
        """All that the supervisor printed, at most the last 200 lines."""
        try:
            lines = self.log_path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        return "\n".join(["--- the service's log", *lines[-200:]])
