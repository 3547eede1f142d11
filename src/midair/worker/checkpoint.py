"""Checkpoints: an import that stops right before a file that is being edited, and goes on in each process forked there.

    zygote 8   import … import … | stops before shop/web.py: it is a checkpoint now
                                 `- zygote 8   goes on: executes shop/web.py as it is now, and all that follows
                                 `- zygote 9   the same after the next save

So the order of a fresh import is kept, and its side effects: no process has executed an earlier version of the file, nor anything
that came after it. A checkpoint is good for as long as a fresh import would have seen the same up to here (``reliance.py``), and is
made only where a fork is safe (``forksafety.py``).
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from midair.sockets import words
from midair.worker import forking, forksafety
from midair.worker.forking import Host
from midair.worker.project import Project
from midair.worker.recorder import Recorder

RELIED_BYTES = 32 * 1024
"""Of the names in one word, which holds 64 KiB."""


class Stops:
    """Where the import of this process is to stop. Called by the recorder with each file that is about to be executed."""

    def __init__(self, host: Host, project: Project) -> None:
        self._host = host
        self._project = project
        self.recorder = Recorder(project, self)
        self.wanted: set[str] = set()
        self.passed = ""
        """Why it did not stop where it was to."""
        self._place = _identity(project.folder)
        host.told = self._told

    def __call__(self, path: str) -> None:
        name = self._project.name(path)
        if name not in self.wanted:
            return
        self.wanted.discard(name)
        if obstacle := self._obstacle():
            self.passed = f"no checkpoint before {name}: {obstacle}"
            return
        with self.recorder.unseen():
            self.recorder.bodies.fix_begun()
            self._stop(name)

    def before_end(self) -> None:
        """The import is over. Where bodies were put off that nobody has needed, the next one may go on from here."""
        with self.recorder.unseen():
            self.recorder.bodies.fix_begun()
            if self.recorder.bodies.late and not self._obstacle():
                self._stop("")

    def _obstacle(self) -> str:
        if threading.current_thread() is not threading.main_thread():
            return "it is imported in a thread"
        reliance = self.recorder.reliance
        if reliance.is_full:
            return "the import looks at too many files"
        if reliance.torn:
            return f"{self._project.name(reliance.torn)} changed while it was imported"
        if self.recorder.deed:
            return self.recorder.deed
        return "; ".join(forksafety.findings(self._host.known_fds, forksafety.RESTARTED))

    def _stop(self, name: str) -> None:
        """Returns in the processes that go on."""
        host = self._host
        forking.flush()
        gc.freeze()
        opened = forksafety.open_descriptors() - host.known_fds
        for files in _portions(self._relied()):
            host.say(words.Relied(files=files))
        seconds, third_party_s = time.perf_counter() - host.began_s, self.recorder.order.seconds
        host.say(words.Stopped(at=name, seconds=seconds, third_party_s=third_party_s))
        host.stale = self.stale
        forking.name_process("midair before")
        self.go_on(forking.serve_forks(host), opened)

    def go_on(self, birth: forking.Birth, opened: frozenset[forksafety.Descriptor] = frozenset()) -> None:
        """In a process that was forked to import the rest. opened: what the import has opened so far."""
        host = self._host
        assert birth.word is not None
        assert host.launch is not None
        host.began_s = time.perf_counter()
        forking.lend_terminal(host)
        host.known_fds = forksafety.open_descriptors() - opened
        self.take(birth)
        self.recorder.order.seconds = 0.0
        _forget_listings(self._project)
        with self.recorder.unseen():
            renew(host.launch.environment)
        forking.name_process(f"midair z{host.launch.generation}")

    def take(self, birth: forking.Birth) -> None:
        """What this part of the import is to do."""
        if birth.word is not None:
            self.wanted, self.passed = set(birth.word.stops), ""
            self.recorder.late = frozenset(birth.word.late)
        self.recorder.bodies.go_on()

    def stale(self, launch: words.Launch) -> str:
        """What has changed since; empty: nothing may be different if the import goes on."""
        with self.recorder.unseen():
            if _identity(self._project.folder) != self._place:
                return self._project.folder  # A link that was swapped: we stand in the folder that it led to.
            recorder = self.recorder
            return self._project.name(recorder.reliance.changed(launch.environment) or recorder.bodies.changed())

    def _relied(self) -> Iterator[tuple[str, bytes]]:
        return ((self._project.name(path), digest) for path, digest in self.recorder.reliance.files())

    def _told(self, word: words.ToHost, fds: Sequence[int]) -> None:
        if isinstance(word, words.Compile):
            for name in word.files:
                path = os.path.join(self._project.folder, name)
                if path in self.recorder.codes.known:
                    self.recorder.codes.compile(path)
        elif isinstance(word, words.TellImports):
            modules, left_out = self.recorder.order.importable_first(self._project.owns)
            told = words.Imports(modules=tuple(modules), files=tuple(self.recorder.executed))
            os.pwrite(fds[0], msgspec.msgpack.encode(told), 0)
            self._host.say(words.ImportsTold(count=len(modules), left_out=words.shorten(left_out, words.MESSAGE_CHARS)))


def _identity(folder: str) -> tuple[int, int]:
    try:
        found = os.stat(folder)
    except OSError:
        return -1, -1
    return found.st_dev, found.st_ino


def renew(environment: Mapping[str, str]) -> None:
    """Take in what differs in each generation: its number and version."""
    for name in ("MIDAIR_VERSION", "MIDAIR_GENERATION"):
        if name in os.environ and name in environment:
            os.environ[name] = environment[name]


def _forget_listings(project: Project) -> None:
    """The import system believes a folder's listing while the folder's time is the same, which is up to 10 ms coarse."""
    for folder, finder in list(sys.path_importer_cache.items()):
        if not project.owns(os.path.abspath(folder)):
            continue
        if finder is None:
            sys.path_importer_cache.pop(folder, None)
        elif hasattr(finder, "invalidate_caches"):
            finder.invalidate_caches()


def _portions(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[tuple[str, bytes], ...]]:
    portion: list[tuple[str, bytes]] = []
    size = 0
    for file in files:
        portion.append(file)
        size += len(file[0].encode(errors="surrogateescape")) + 16
        if size > RELIED_BYTES:
            yield tuple(portion)
            portion, size = [], 0
    if portion:
        yield tuple(portion)
