"""Python processes of a service, without a supervisor: a test says the words, and is their parent."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from midair.release import starting
from midair.release.tree import PYTHON_FILES, read_tree
from midair.sockets import passing, words
from midair.worker.settings import ServeSettings
from tests.support.waiting import is_readable

PR_SET_CHILD_SUBREAPER = 36
LIMIT_S = 20.0
W = TypeVar("W", bound=words.FromHost)


TELLS = """
import json, os, midair
def _tell():
    with open(os.environ["REPORT"], "w") as file:
        json.dump(said(), file)
    raise RuntimeError("told")
midair.before_fork(_tell)
async def app(scope, receive, send): pass
"""
"""The end of an application that has a function ``said``."""


FRESH = """
import sys, types, json
midair = sys.modules["midair"] = types.ModuleType("midair")
midair.before_fork = lambda function: function
sys.path.insert(0, sys.argv[1])
import app
print()
print(json.dumps(app.said()))
"""


@dataclass(slots=True)
class Process:
    """One of them, and our end of its link."""

    link: socket.socket
    id: int
    heard: list[words.FromHost] = field(default_factory=list)
    pid: int = 0

    def word(self) -> words.FromHost:
        assert is_readable(self.link, LIMIT_S), f"nothing was said for {LIMIT_S} s after {self.heard}"
        try:
            message = passing.receive(self.link)
        except ConnectionResetError:
            message = None
        assert message is not None, f"it ended after {self.heard}"
        word = words.decode_from_host(message.data)
        self.heard.append(word)
        if isinstance(word, words.Hello):
            self.pid = word.pid
        return word

    def expect(self, *kinds: type[W]) -> W:
        """The next word of one of these kinds; others are heard on the way."""
        while True:
            word = self.word()
            if isinstance(word, kinds):
                return word


@dataclass(slots=True)
class Outcome:
    """Of one import."""

    word: words.Imported | words.Failed
    start: str
    """Where it started: ``base``, ``third-party``, or the file that the checkpoint stood before."""
    stopped: tuple[str, ...]
    zygote: Process
    stale: tuple[str, ...] = ()
    """What checkpoints said that had changed."""


class Base:
    """An executed host, from which the processes of any project are forked."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        ours, theirs = passing.pair()
        with theirs:
            os.set_inheritable(theirs.fileno(), True)
            self._program = subprocess.Popen(
                [sys.executable, "-P", "-m", "midair.worker.host", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
            )
        self.process = Process(ours, 0)
        self.process.expect(words.Hello)

    def close(self) -> None:
        self.process.link.close()
        self._program.wait(LIMIT_S)


class Nest:
    """The processes of one project, which is at ``folder``. ``launch``: fields of ``words.Launch``."""

    def __init__(self, base: Base, folder: Path, **launch: object) -> None:
        self.folder = folder
        self._launch: dict[str, object] = {"target": "app:app", "factory": False, "chdir": str(folder), **launch}
        self.report = folder.parent / "report"
        self.environment = {**os.environ, "PYTHONPATH": "", "REPORT": str(self.report)}
        self._last = 0
        self.generation = 0
        self.output = os.open(folder.parent / "output", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self.checkpoints: dict[int, tuple[Process, starting.Kept]] = {}
        self.spares: dict[int, Process] = {}
        """By the number of the checkpoint that they were forked from: after each second update, so that there are both ways."""
        self.third_party: Process | None = None
        self.told = words.ImportsTold(count=0)
        self.imports = words.Imports(modules=())
        self.hot: tuple[str, ...] = ()
        self.files: dict[str, bytes] = {}
        self.zygote: Process | None = None
        self.base = base.process
        self.all: list[Process] = []

    # --- what a supervisor does -------------------------------------------------------------------------------------

    def launch(self) -> int:
        launch = msgspec.convert(
            {
                "generation": self.generation,
                "version": f"v{self.generation}",
                "environment": {
                    **self.environment,
                    "MIDAIR_VERSION": f"v{self.generation}",
                    "MIDAIR_GENERATION": str(self.generation),
                },
                "serve": ServeSettings(),
                "exit_s": 1.0,
                "snapshot": True,
                **self._launch,
            },
            words.Launch,
        )
        fd = os.memfd_create("launch", os.MFD_CLOEXEC)
        os.write(fd, msgspec.msgpack.encode(launch))
        return fd

    def fork(self, parent: Process, word: words.Fork, *fds: int) -> Process | words.Stale:
        """A child, or what its parent says instead."""
        ours, theirs = passing.pair()
        launch = self.launch()
        passing.send(parent.link, words.encode(word), [theirs.fileno(), self.output, self.output, launch, *fds])
        os.close(launch)
        theirs.close()
        said = parent.expect(words.Forked, words.ForkFailed, words.Stale)
        assert not isinstance(said, words.ForkFailed), said
        if isinstance(said, words.Stale):
            ours.close()
            return said
        child = Process(ours, word.id)
        self.all.append(child)
        return child

    def spare(self) -> None:
        """A fork of the checkpoint that the next import is likely to start from waits beside it."""
        likely = starting.likely([kept for _, kept in self.checkpoints.values()], self.files, self.hot)
        if likely is None or likely in self.spares:
            return
        child = self.fork(self.checkpoints[likely][0], words.Fork(role="spare", id=self.next_id()))
        assert isinstance(child, Process)
        child.expect(words.Hello)
        self.spares[likely] = child

    def go_on(self, spare: Process, word: words.Fork) -> Process | words.Stale:
        """The spare is the zygote, or says why not."""
        launch = self.launch()
        told = words.GoOn(id=word.id, stops=word.stops, late=word.late)
        passing.send(spare.link, words.encode(told), [self.output, self.output, launch])
        os.close(launch)
        said = spare.expect(words.Hello, words.Stale)
        if isinstance(said, words.Stale):
            self.end(spare)
            return said
        spare.id = word.id
        return spare

    def drop(self, number: int) -> None:
        self.end(self.checkpoints.pop(number)[0])
        self.end(self.spares.pop(number, None))

    def next_id(self) -> int:
        self._last += 1
        return self._last

    def preload(self, until: int = -1) -> words.Preloaded:
        """A third-party zygote of what the present zygote has imported."""
        assert self.zygote is not None
        fd = os.memfd_create("imports", os.MFD_CLOEXEC)
        passing.send(self.zygote.link, words.encode(words.TellImports()), [fd])
        self.told = self.zygote.expect(words.ImportsTold)
        self.imports = msgspec.msgpack.decode(os.pread(fd, os.fstat(fd).st_size, 0), type=words.Imports)
        child = self.fork(self.base, words.Fork(role="third-party", id=self.next_id(), until=until), fd)
        os.close(fd)
        assert isinstance(child, Process)
        loaded = child.expect(words.Preloaded)
        if loaded.failed < 0:
            self.end(self.third_party)
            self.third_party = child
        return loaded

    def update(self) -> Outcome:
        """What a save leads to: the import of what is on the disk."""
        self.generation += 1
        now = read_tree(str(self.folder), PYTHON_FILES).files
        changed = starting.changes(self.files, now) if self.files else []
        self.files, self.hot = now, starting.heat(self.hot, changed)
        said: list[str] = []
        while True:
            kept = [each for _, each in self.checkpoints.values()]
            start = starting.choose(kept, now, self.hot, changed)
            for number in start.stale:
                self.drop(number)
            number = self.next_id()
            word = words.Fork(role="zygote", id=number, stops=start.stops, late=self.hot)
            if start.origin is not None:
                origin, name = self.checkpoints[start.origin][0], self.checkpoints[start.origin][1].before
            else:
                origin, name = (self.third_party, "third-party") if self.third_party else (self.base, "base")
            spare = self.spares.pop(start.origin, None) if start.origin is not None else None
            child = self.go_on(spare, word) if spare else self.fork(origin, word)
            if isinstance(child, Process):
                return self._import(child, word, name, tuple(said))
            said.append(child.changed)
            if start.origin is not None:
                self.drop(start.origin)
            else:
                self.end(self.third_party)
                self.third_party = None

    def _import(self, child: Process, word: words.Fork, start: str, stale: tuple[str, ...]) -> Outcome:
        stopped: list[str] = []
        relied: dict[str, bytes] = {}
        while True:
            said = child.expect(words.Relied, words.Stopped, words.Imported, words.Failed)
            if isinstance(said, words.Relied):
                relied.update(said.files)
            elif isinstance(said, words.Stopped):
                known = {name: digest for name, digest in relied.items() if name in self.files}
                self.checkpoints[child.id] = child, starting.Kept(child.id, said.at, known)
                for number in starting.surplus([each for _, each in self.checkpoints.values()]):
                    if number != child.id:
                        self.drop(number)
                stopped.append(said.at)
                word = msgspec.structs.replace(
                    word, id=self.next_id(), stops=tuple(each for each in word.stops if each not in stopped)
                )
                further = self.fork(child, word)
                assert isinstance(further, Process), further
                child, relied = further, {}
            else:
                assert isinstance(said, words.Imported | words.Failed)
                if isinstance(said, words.Imported):
                    self.end(self.zygote)
                    self.zygote = child
                    if self.generation % 2:
                        self.spare()
                return Outcome(said, start, tuple(stopped), child, stale)

    def served(self) -> object:
        """What the application tells of itself after its import (``TELLS``), in the zygote that workers would be forked from."""
        assert self.zygote is not None
        with contextlib.suppress(FileNotFoundError):
            self.report.unlink()
        ours, theirs = passing.pair()
        word = words.Fork(role="worker", id=self.next_id())
        with ours, theirs:
            fds = [theirs.fileno(), self.output, self.output, self.output]
            passing.send(self.zygote.link, words.encode(word), fds)
        failed = self.zygote.expect(words.ForkFailed)
        assert "told" in failed.message, failed
        return json.loads(self.report.read_text())

    def fresh(self) -> object:
        """What an interpreter that starts now would tell."""
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "MIDAIR_VERSION": f"v{self.generation}"}
        told = subprocess.run(
            [sys.executable, "-S", "-P", "-c", FRESH, str(self.folder)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        return json.loads(told.stdout.splitlines()[-1])

    def end(self, process: Process | None) -> None:
        if process is not None:
            process.link.close()
            self.all.remove(process)
            self._reap(process.pid)

    def _reap(self, pid: int) -> None:
        if pid:
            os.kill(pid, signal.SIGKILL)  # It may hang in what it imports.
            os.waitpid(pid, 0)

    def close(self) -> None:
        for process in list(self.all):
            with contextlib.suppress(AssertionError):
                while not process.pid:
                    process.word()
            self.end(process)
        os.close(self.output)

    def printed(self) -> str:
        return (self.folder.parent / "output").read_text(errors="replace")
