"""The Python processes of a service: bases, zygotes, workers, and those that are kept for the next import. Orders in, facts out; no
decision.

A worker is reached over its link and known by its number. Its end is what the kernel says of its process; the end of its link
alone means nothing yet, except for a process whose PID was never told. A fork that failed is no end either: the process in the
middle may have been killed after it made the child. Nobody holds the link of a child that is not there, so its end decides.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence

import msgspec

from midair.core.events import (
    Event,
    StoppedAccepting,
    WorkerDrained,
    WorkerExited,
    WorkerFailed,
    WorkerReady,
    WorkerWorn,
    ZygoteExited,
    ZygoteFailed,
)
from midair.core.ids import STAND_IN, GenerationId, WorkerId, ZygoteId
from midair.errors import Fault
from midair.observe.counters import Page
from midair.observe.holding import Holding
from midair.sockets import passing, words
from midair.supervisor import document
from midair.supervisor.link import Link
from midair.supervisor.loop import Loop
from midair.supervisor.members import Base, Keeper, Outputs, Worker, Zygote
from midair.supervisor.processes import Processes, Program
from midair.supervisor.release import Release

HOST_LINK_FD = 3
"""Where an executed host finds its link."""
IN_DEV = ("midair.worker.debugging", "midair.worker.pages")
"""What it imports besides while a service is developed: each worker would, after its fork."""

BASE_VARIABLES = ("PYTHON", "LD_", "MALLOC_", "GLIBC_")
"""Variables that a process reads at its start: a base is shared only between generations in which they are equal."""


class Fleet:
    """All Python processes."""

    def __init__(
        self,
        loop: Loop,
        processes: Processes,
        outputs: Outputs,
        listeners: Sequence[socket.socket],
        tell: Callable[[Event], None],
        say: Callable[[int, int, str, Mapping[str, str | int | float | None]], None],
    ) -> None:
        """tell: takes facts. say: takes (generation, slot, event, fields) that a process wants in the log."""
        self._loop = loop
        self._processes = processes
        self._outputs = outputs
        self._listeners = listeners
        self._tell = tell
        self._say = say
        self.workers: dict[WorkerId, Worker] = {}
        self.zygotes: dict[ZygoteId, Zygote] = {}
        self.base: Base | None = None
        self.kept: dict[int, Base] = {}
        """Third-party zygotes and spares, by the number under which they are made, until they end."""
        self.keeper: Keeper | None = None
        self._last_kept = 0
        self._imports_told: dict[ZygoteId, Callable[[words.ImportsTold | None], None]] = {}
        self.on_imported: Callable[[GenerationId, words.Imported], None] = lambda generation, word: None
        self.on_zygote: Callable[[Zygote, words.Imported], None] = lambda zygote, word: None
        """A zygote has imported: whoever takes this tells ZygoteReady, or ZygoteFailed."""
        self.on_started: Callable[[Worker, words.Started], None] = lambda worker, word: None
        self.on_left: Callable[[Worker, words.Left], None] = lambda worker, word: None
        self.on_moving: Callable[[Worker, words.Moved | words.Stays | words.HandOverEnded], None] = (
            lambda worker, word: None
        )
        self.on_state: Callable[[Worker, words.StateExported | words.StateImported], None] = lambda worker, word: None
        self.on_terminal: Callable[[Worker | Zygote, words.AskTerminal | words.ReturnTerminal | None], None] = (
            lambda process, word: None
        )
        """A debugger in this process wants the terminal, or needs it no more, or (None) the process has ended (``midair dev``)."""
        self.on_pages: Callable[[Worker, int], None] = lambda worker, count: None
        """So many pages listen to this worker (``midair dev``)."""
        self.borrowed: Callable[[], Sequence[socket.socket]] = lambda: ()
        """Listeners that programs have opened by themselves: the stand-in accepts there, too."""
        self.on_ended: Callable[[Worker, str], None] = lambda worker, how: None
        """Its process is gone, its page can be read for the last time."""

    def bases(self) -> list[Base]:
        """All that zygotes are or can be forked from."""
        kept = self.keeper.all_kept() if self.keeper else []
        found = [*([self.base] if self.base else []), *self.kept.values(), *kept]
        return list({each.pid: each for each in found}.values())

    # --- bases ----------------------------------------------------------------------------------------------------

    def ensure_base(self, release: Release) -> Base:
        """A process in which midair's runtime is imported, of this release's interpreter. Raises OSError."""
        key = _base_key(release)
        if self.base and self.base.key == key and self.base.link.is_open:
            return self.base
        if self.base:
            self.base.link.close()  # It ends at the end of its link; its children do not depend on it.
        self.base = self._start_base(release, key)
        return self.base

    def _start_base(self, release: Release, key: bytes) -> Base:
        ours, theirs = passing.pair()
        with theirs:
            pid = self._execute_host(release, theirs, slot=-1, on_exit=lambda how: self._base_ended(base, how))
        base = self._make_base(key, ours, pid)
        return base

    def _make_base(self, key: bytes, channel: socket.socket, pid: int) -> Base:
        link = Link(self._loop, channel, lambda word: self._on_base_word(base, word), lambda: self._base_lost(base))
        base = Base(key, link, pid)
        return base

    def _execute_host(self, release: Release, link: socket.socket, *, slot: int, on_exit: Callable[[str], None]) -> int:
        interpreter = release.survey.interpreter
        assert interpreter is not None
        stdout, stderr = self._outputs.open(release.generation, slot)
        also = IN_DEV if release.settings.is_dev else ()
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return self._processes.start(
                Program(
                    [interpreter.path, "-P", "-m", "midair.worker.host", str(HOST_LINK_FD), *also],
                    release.survey.environment.variables,
                    "/",
                    {0: null, 1: stdout, 2: stderr, HOST_LINK_FD: link.fileno()},
                ),
                on_exit,
            )
        finally:
            for fd in (null, stdout, stderr):
                os.close(fd)

    def _on_base_word(self, base: Base, word: words.FromHost) -> None:
        match word:
            case words.Forked(id=number, pid=pid):
                self._paid(base.owes, number)
                zygote, kept = self.zygotes.get(ZygoteId(number)), self.kept.get(number)
                if zygote:
                    self._zygote_has_pid(zygote, pid)
                elif kept:
                    self._kept_has_pid(kept, pid)
                else:
                    self._end_unwanted(pid)
                self._processes.reap()
            case words.ForkFailed(id=number, message=message):
                self._paid(base.owes, number)
                zygote = self.zygotes.get(ZygoteId(number))
                if zygote:
                    zygote.fork_fault = Fault("no-process", f"no process could be made: {message}")
                    if zygote.link is None or not zygote.link.is_open:
                        self._zygote_never_started(zygote)
            case words.Stale(id=number, changed=changed):
                self._paid(base.owes, number)
                self._cannot_fork(base, ZygoteId(number), f"{changed} has changed")
            case words.Hello(pid=pid, role="third-party" | "spare"):
                self._kept_has_pid(base, pid)
            case words.Preloaded():
                _loaded(base, word)
            case _:
                pass

    def _base_ended(self, base: Base, how: str) -> None:
        base.link.read()
        base.link.close()
        self.drop_spare(base)
        if self.base is base:
            self.base = None
        for number in list(base.owes):
            self._paid(base.owes, number)
            self._cannot_fork(base, ZygoteId(number), f"the process that it was to be forked from ended: {how}")
        self.kept = {number: each for number, each in self.kept.items() if each is not base}
        _loaded(base, words.Preloaded(failed=0, why=f"it ended: {how}"))
        if self.keeper:
            self.keeper.ended(base)

    def _base_lost(self, base: Base) -> None:
        """Its link is at its end. One that has a process ends with it; one that was never made is known by nobody else."""
        if base.pid == 0:
            self._base_ended(base, "it never started")

    def _cannot_fork(self, base: Base, zygote_id: ZygoteId, why: str) -> None:
        """Something else to fork from may be known; the base is the last."""
        zygote = self.zygotes.get(zygote_id)
        if zygote and zygote.pid == 0 and self.keeper and self.keeper.refused(zygote, base, why):
            return
        self._zygote_failed(zygote_id, Fault("zygote-exited", why))

    # --- kept for the next import ---------------------------------------------------------------------------------

    def start_third_party(self, release: Release, imports_fd: int, until: int) -> Base | None:
        """A process that imports the installed modules that stand in ``imports_fd`` (→ ``on_loaded``). None: it could not be."""
        try:
            base = self.ensure_base(release)
            ours, theirs = passing.pair()
            stdout, stderr = self._outputs.open(release.generation, -1)
        except OSError:
            return None
        self._last_kept -= 1
        kept = self.kept[self._last_kept] = self._make_base(base.key, ours, 0)
        word = words.Fork(role="third-party", id=self._last_kept, until=until)
        self._send_fork(base, word, theirs, stdout, stderr, release.launch_fd, imports_fd)
        return kept

    def ask_imports(self, zygote_id: ZygoteId, fd: int, told: Callable[[words.ImportsTold | None], None]) -> bool:
        """Have a zygote write what its import was made of into ``fd``. told: gets the answer, or None if it ends before."""
        zygote = self.zygotes.get(zygote_id)
        if zygote is None or zygote.link is None or zygote_id in self._imports_told:
            return False
        self._imports_told[zygote_id] = told
        zygote.link.send(words.TellImports(), [fd])
        return True

    def start_spare(self, base: Base, release: Release) -> None:
        """Have a fork of it ready for the next import. If none can be made, that import waits for its own."""
        if base.spare is not None and base.spare.link.is_open:
            return
        try:
            ours, theirs = passing.pair()
            stdout, stderr = self._outputs.open(release.generation, -1)
        except OSError:
            return
        self._last_kept -= 1
        base.spare = self.kept[self._last_kept] = self._make_base(base.key, ours, 0)
        word = words.Fork(role="spare", id=self._last_kept)
        self._send_fork(base, word, theirs, stdout, stderr, release.launch_fd)

    def drop_spare(self, base: Base) -> None:
        if base.spare is not None:
            self.drop_kept(base.spare)
            base.spare = None

    def drop_kept(self, base: Base) -> None:
        """Nobody is forked from it any more. What it owes comes from elsewhere."""
        self.drop_spare(base)
        base.link.close()
        self._processes.kill(base.pid)

    def _kept_has_pid(self, kept: Base, pid: int) -> None:
        if kept.pid == 0:
            kept.pid = pid
            self._processes.adopt(pid, lambda how: self._base_ended(kept, how))
            if not kept.link.is_open:
                self._processes.kill(pid)

    def _becomes_checkpoint(self, zygote: Zygote, word: words.Stopped) -> None:
        """What was on its way to be a zygote stands within its import. The zygote is whoever goes on from there."""
        assert zygote.link is not None
        link, pid = zygote.link, zygote.pid
        checkpoint = Base(b"", link, pid)
        link.hand_to(lambda word: self._on_base_word(checkpoint, word), lambda: self._base_lost(checkpoint))
        self._processes.adopt(pid, lambda how: self._base_ended(checkpoint, how))
        zygote.link, zygote.pid = None, 0
        if self.keeper:
            self.keeper.stopped(zygote, word, checkpoint)
        else:
            self.drop_kept(checkpoint)

    def _end_unwanted(self, pid: int) -> None:
        """It was given up before it was named. It may hang in an import and never look at its link."""
        self._processes.adopt(pid, lambda how: None)
        self._processes.kill(pid)

    def _paid(self, owes: set[int], number: int) -> None:
        if number in owes:
            owes.discard(number)
            self._processes.owed -= 1

    # --- zygotes --------------------------------------------------------------------------------------------------

    def start_zygote(
        self, zygote_id: ZygoteId, release: Release, origin: Base | None = None, word: words.Fork | None = None
    ) -> None:
        """Import the release's application in a process forked from the base, or from what was kept (→ ZygoteReady, ZygoteFailed).

        word: says how the import is to go, in all but whose it is.
        """
        zygote = self.zygotes.setdefault(zygote_id, Zygote(zygote_id, release.generation))
        if zygote.link:
            zygote.link.close()  # Of something else that it was to be forked from: its end says nothing of this one.
        zygote.origin, zygote.fork_fault = origin, None
        word = msgspec.structs.replace(word, id=zygote_id) if word else words.Fork(role="zygote", id=zygote_id)
        spare = origin.take_spare() if origin else None
        try:
            if spare:
                self._spare_goes_on(zygote, release, spare, word)
                return
            base = origin or self.ensure_base(release)
            ours, theirs = passing.pair()
            stdout, stderr = self._outputs.open(release.generation, -1)
        except OSError as exc:
            self._zygote_failed(zygote_id, _cannot(exc))
            return
        zygote.link = self._zygote_link(zygote, ours)
        self._send_fork(base, word, theirs, stdout, stderr, release.launch_fd)

    def _spare_goes_on(self, zygote: Zygote, release: Release, spare: Base, word: words.Fork) -> None:
        """It is the zygote from now on. Raises OSError."""
        zygote.link, zygote.pid, zygote.has_answered = spare.link, spare.pid, False
        spare.link.hand_to(
            lambda word: self._on_zygote_word(zygote, word),
            lambda: self._link_ended(zygote.pid, lambda: self._zygote_never_started(zygote)),
        )
        self.kept = {number: each for number, each in self.kept.items() if each is not spare}
        self._processes.adopt(zygote.pid, lambda how: self._spare_ended(zygote, how))
        stdout, stderr = self._outputs.open(release.generation, -1)
        go_on = words.GoOn(id=zygote.id, stops=word.stops, late=word.late)
        zygote.link.send(go_on, [stdout, stderr, release.launch_fd])
        os.close(stdout)
        os.close(stderr)

    def _spare_ended(self, zygote: Zygote, how: str) -> None:
        link = zygote.link
        if link:
            link.read()
        if zygote.link is not link:
            return  # Its last word was that it is stale: the import has begun elsewhere.
        if zygote.has_answered:
            self._zygote_ended(zygote, how)
        else:
            self._spare_is_no_use(zygote, f"its spare ended: {how}")

    def _spare_is_no_use(self, zygote: Zygote, why: str) -> None:
        """Nor is what it was forked from: the import begins elsewhere."""
        assert zygote.origin is not None
        if zygote.link:
            zygote.link.close()
        if zygote.pid in self._processes.pids:  # It has not been reaped yet.
            self._processes.adopt(zygote.pid, lambda how: None)
        zygote.link, zygote.pid, zygote.has_answered = None, 0, True
        self._cannot_fork(zygote.origin, zygote.id, why)

    def _send_fork(
        self, base: Base, word: words.Fork, theirs: socket.socket, stdout: int, stderr: int, *fds: int
    ) -> None:
        base.owes.add(word.id)
        self._processes.owed += 1
        base.link.send(word, [theirs.fileno(), stdout, stderr, *fds])
        theirs.close()
        os.close(stdout)
        os.close(stderr)

    def _zygote_link(self, zygote: Zygote, channel: socket.socket) -> Link:
        return Link(
            self._loop,
            channel,
            lambda word: self._on_zygote_word(zygote, word),
            lambda: self._link_ended(zygote.pid, lambda: self._zygote_never_started(zygote)),
        )

    def _zygote_has_pid(self, zygote: Zygote, pid: int) -> None:
        if zygote.pid == 0:
            zygote.pid = pid
            self._processes.adopt(pid, lambda how: self._zygote_ended(zygote, how))

    def _on_zygote_word(self, zygote: Zygote, word: words.FromHost) -> None:
        match word:
            case words.Hello(pid=pid, role=role):
                # What a spare said when it was born is no answer yet.
                zygote.has_answered = zygote.has_answered or role == "zygote"
                self._zygote_has_pid(zygote, pid)
            case words.Imported():
                word = self.keeper.imported(zygote, word) if self.keeper else word
                self.on_imported(zygote.generation, word)
                self.on_zygote(zygote, word)
            case words.Failed():
                self._tell(ZygoteFailed(zygote.id, word.fault()))
            case words.Relied():
                if self.keeper:
                    self.keeper.relied(zygote, word)
            case words.Stopped():
                self._becomes_checkpoint(zygote, word)
            case words.Stale(changed=changed):
                self._spare_is_no_use(zygote, f"{changed} has changed")
            case words.ImportsTold():
                if told := self._imports_told.pop(zygote.id, None):
                    told(word)
            case words.Forked(id=number, pid=pid):
                self._paid(zygote.owes, number)
                worker = self.workers.get(WorkerId(number))
                if worker:
                    self._worker_has_pid(worker, pid)
                else:
                    self._end_unwanted(pid)
                self._processes.reap()
            case words.ForkFailed(id=number, message=message):
                self._paid(zygote.owes, number)
                worker = self.workers.get(WorkerId(number))
                if worker:
                    worker.fork_fault = Fault("fork-failed", f"no worker could be forked: {message}")
            case words.Said(event=event, fields=fields):
                self._say(zygote.generation, -1, event, fields)
            case words.AskTerminal() | words.ReturnTerminal():
                self.on_terminal(zygote, word)
            case _:
                pass

    def _zygote_ended(self, zygote: Zygote, how: str) -> None:
        if self.zygotes.pop(zygote.id, None) is None:
            return
        if told := self._imports_told.pop(zygote.id, None):
            told(None)
        if zygote.link:
            zygote.link.read()
            zygote.link.close()
        for number in list(zygote.owes):
            self._paid(zygote.owes, number)
            worker = self.workers.get(WorkerId(number))
            if worker and worker.pid == 0 and not (worker.link and worker.link.is_open):
                self._worker_never_was(worker.id, Fault("fork-failed", f"the zygote ended: {how}"))
        self.on_terminal(zygote, None)
        self._tell(ZygoteExited(zygote.id, how))
        self._processes.reap()

    def _zygote_never_started(self, zygote: Zygote) -> None:
        if zygote.origin and zygote.id in zygote.origin.owes:
            return  # What it is to be forked from has yet to say what became of it.
        keeper, fault = self.keeper, zygote.fork_fault
        if zygote.origin and fault and keeper and keeper.refused(zygote, zygote.origin, fault.message):
            return
        if zygote.fork_fault:
            self._zygote_failed(zygote.id, zygote.fork_fault)
        else:
            self._zygote_ended(zygote, "it never started")

    def _zygote_failed(self, zygote_id: ZygoteId, fault: Fault) -> None:
        zygote = self.zygotes.pop(zygote_id, None)
        if zygote:
            if zygote.link:
                zygote.link.close()
            self._loop.call_soon(lambda: self._tell(ZygoteFailed(zygote_id, fault)))

    def drop_zygote(self, zygote_id: ZygoteId) -> None:
        """Let it go: it ends at the end of its link, or, if it hangs in an import, by a signal."""
        zygote = self.zygotes.get(zygote_id)
        if zygote is None:
            return
        zygote.has_answered = True  # Nobody waits for that any more.
        if zygote.link:
            zygote.link.close()
        if zygote.pid:
            self._processes.kill(zygote.pid)
        elif not zygote.owes:
            del self.zygotes[zygote_id]

    # --- workers --------------------------------------------------------------------------------------------------

    def start_worker(self, worker_id: WorkerId, release: Release, slot: int, zygote_id: ZygoteId | None) -> None:
        """Make a worker, from its zygote or by execution (→ WorkerReady or WorkerFailed, in the end WorkerExited)."""
        now_s = self._loop.clock.now_s()
        try:
            page = Page.create(f"{release.generation}.{slot}")
            stacks_fd = os.memfd_create(f"midair:stacks:{worker_id}", os.MFD_CLOEXEC)
        except OSError as exc:
            fault = _cannot(exc)
            self._loop.call_soon(lambda: self._tell(WorkerFailed(worker_id, fault, exists=False)))
            return
        worker = Worker(worker_id, release.generation, slot, page, stacks_fd, now_s, zygote=zygote_id)
        self.workers[worker_id] = worker
        zygote = self.zygotes.get(zygote_id) if zygote_id is not None else None
        if zygote and zygote.link and self.keeper and self.keeper.may_serve_itself(zygote, release):
            self._zygote_becomes(worker, release, zygote, zygote.link)
            return
        try:
            ours, theirs = passing.pair()
        except OSError as exc:
            self._worker_never_was(worker_id, _cannot(exc))
            return
        worker.link = self._worker_link(worker, ours)
        with theirs:
            try:
                if zygote_id is None:
                    self._execute_worker(worker, release, theirs)
                else:
                    self._fork_worker(worker, release, zygote, theirs)
            except OSError as exc:
                self._worker_never_was(worker_id, _cannot(exc))

    def _fork_worker(self, worker: Worker, release: Release, zygote: Zygote | None, theirs: socket.socket) -> None:
        if zygote is None or zygote.link is None:
            if worker.zygote is not None:
                # It may serve itself, which nobody was told: whoever wants another worker needs another zygote.
                gone = ZygoteExited(worker.zygote, "it serves itself")
                self._loop.call_soon(lambda: self._tell(gone))
            self._worker_never_was(worker.id, Fault("fork-failed", "the zygote is gone"))
            return
        stdout, stderr = self._outputs.open(release.generation, worker.slot)
        zygote.owes.add(worker.id)
        self._processes.owed += 1
        word = words.Fork(role="worker", id=worker.id, slot=worker.slot, child_generation=release.generation)
        zygote.link.send(word, [theirs.fileno(), stdout, stderr, release.launch_fd, *self._worker_fds(worker)])
        os.close(stdout)
        os.close(stderr)

    def _zygote_becomes(self, worker: Worker, release: Release, zygote: Zygote, link: Link) -> None:
        """No fork: what has imported the application serves it. A zygote for the next worker is made when one is needed."""
        del self.zygotes[zygote.id]
        worker.link, worker.pid = link, zygote.pid
        link.hand_to(
            lambda word: self._on_worker_word(worker, word),
            lambda: self._link_ended(worker.pid, lambda: self._worker_never_started(worker)),
        )
        self._processes.adopt(worker.pid, lambda how: self._worker_ended(worker, how))
        word = words.Become(role="worker", id=worker.id, slot=worker.slot)
        link.send(word, [release.launch_fd, *self._worker_fds(worker)])

    def _execute_worker(self, worker: Worker, release: Release, theirs: socket.socket) -> None:
        pid = self._execute_host(release, theirs, slot=worker.slot, on_exit=lambda how: self._worker_ended(worker, how))
        worker.pid = pid
        assert worker.link is not None
        word = words.Become(role="worker", id=worker.id, slot=worker.slot)
        more = [each.fileno() for each in self.borrowed()] if worker.generation == STAND_IN else []
        worker.link.send(word, [release.launch_fd, *self._worker_fds(worker), *more])

    def _worker_link(self, worker: Worker, channel: socket.socket) -> Link:
        return Link(
            self._loop,
            channel,
            lambda word: self._on_worker_word(worker, word),
            lambda: self._link_ended(worker.pid, lambda: self._worker_never_started(worker)),
        )

    def _worker_fds(self, worker: Worker) -> list[int]:
        return [worker.page.fd, worker.stacks_fd, *(listener.fileno() for listener in self._listeners)]

    def _worker_has_pid(self, worker: Worker, pid: int) -> None:
        if worker.pid == 0:
            worker.pid = pid
            self._processes.adopt(pid, lambda how: self._worker_ended(worker, how))

    def _on_worker_word(self, worker: Worker, word: words.FromHost) -> None:
        match word:
            case words.Hello(pid=pid, role=role):
                if role == "worker":
                    self._worker_has_pid(worker, pid)
            case words.Imported():
                self.on_imported(worker.generation, word)
            case words.Started():
                worker.state = "ready"
                self.on_started(worker, word)
                self._tell(WorkerReady(worker.id, word.carries))
            case words.Failed():
                worker.last = word.fault()
                self._tell(WorkerFailed(worker.id, worker.last))
            case words.Accepting():
                worker.state = "serving"
            case words.StoppedAccepting():
                worker.state = "parked"
                self._tell(StoppedAccepting(worker.id))
            case words.Drained():
                self._tell(WorkerDrained(worker.id))
            case words.Moved() | words.Stays() | words.HandOverEnded():
                self.on_moving(worker, word)
            case words.StateExported() | words.StateImported():
                self.on_state(worker, word)
            case words.PagesOpen(count=count):
                self.on_pages(worker, count)
            case words.Worn(why=why):
                self._tell(WorkerWorn(worker.id, why))
            case words.Stacks(text=text):
                if worker.on_stacks:
                    worker.on_stacks(text)
            case words.Holds(holding=holding):
                told, worker.on_holding = worker.on_holding, []
                for tell in told:
                    tell(holding)
            case words.Left():
                self.on_left(worker, word)
            case words.Said(event=event, fields=fields):
                self._say(worker.generation, worker.slot, event, fields)
            case words.AskTerminal() | words.ReturnTerminal():
                self.on_terminal(worker, word)
            case _:
                pass

    def _worker_ended(self, worker: Worker, how: str) -> None:
        if self.workers.pop(worker.id, None) is None:
            return
        if worker.link:
            worker.link.read()  # Its last words come before its end.
            worker.link.close()
        zygote = self.zygotes.get(worker.zygote) if worker.zygote is not None else None
        if zygote and zygote.link:
            zygote.link.send(words.WorkerGone(worker=worker.id, pid=worker.pid))
        self.on_ended(worker, how)
        self.on_terminal(worker, None)
        _close_files(worker)
        self._tell(WorkerExited(worker.id, how))

    def _worker_never_started(self, worker: Worker) -> None:
        if worker.fork_fault:
            self._worker_never_was(worker.id, worker.fork_fault)
        else:
            self._worker_ended(worker, "it never started")

    def _worker_never_was(self, worker_id: WorkerId, fault: Fault) -> None:
        worker = self.workers.pop(worker_id, None)
        if worker is None:
            return
        if worker.link:
            worker.link.close()
        _close_files(worker)
        self._loop.call_soon(lambda: self._tell(WorkerFailed(worker_id, fault, exists=False)))

    def _link_ended(self, pid: int, ended: Callable[[], None]) -> None:
        """The link of a process is at its end. With a PID its exit follows; without one it never came to life."""
        if pid == 0:
            ended()
        else:
            self._loop.call_later(5.0, lambda: self._processes.kill(pid))

    # --- orders ---------------------------------------------------------------------------------------------------

    def accept(self, worker_id: WorkerId) -> None:
        self._stopped(worker_id, 0.0)
        self._order(worker_id, words.Accept(), "serving")

    def stop_accepting(self, worker_id: WorkerId, *, is_moving: bool, is_holding: bool) -> None:
        """is_moving: its connections will be handed over, so it does not let them end. is_holding: it begins no request."""
        self._stopped(worker_id, self._loop.clock.now_s())
        self._order(worker_id, words.StopAccepting(is_moving=is_moving, is_holding=is_holding), "draining")

    def say_not_ready(self, worker_id: WorkerId) -> None:
        worker = self.workers.get(worker_id)
        if worker and worker.link:
            worker.link.send(words.NotReady())

    def leave(self, worker_id: WorkerId, within_s: float, *, is_moving: bool, spread_s: float) -> None:
        """spread_s: over so long before the deadline it closes the WebSockets that are left."""
        self._stopped(worker_id, self._loop.clock.now_s())
        word = words.Leave(within_s=within_s, is_moving=is_moving, spread_s=spread_s)
        self._order(worker_id, word, "leaving")

    def probe(self, worker_id: WorkerId, connection: socket.socket) -> None:
        """Hand the worker its end of a probe's connection."""
        worker = self.workers.get(worker_id)
        if worker and worker.link:
            worker.link.send(words.Probe(), [connection.fileno()])

    def _stopped(self, worker_id: WorkerId, at_s: float) -> None:
        """It accepts no more from now on; at_s 0: it accepts. Told to leave after it had stopped, it has stopped all the while."""
        worker = self.workers.get(worker_id)
        if worker and not (at_s and worker.stopped_s):
            worker.stopped_s = at_s

    def _order(self, worker_id: WorkerId, word: words.ToHost, state: str) -> None:
        worker = self.workers.get(worker_id)
        if worker and worker.link:
            worker.state = state
            worker.link.send(word)

    def kill(self, worker_id: WorkerId) -> None:
        """SIGKILL. A worker that no PID is known of yet is cut off its link and killed as soon as it is named."""
        worker = self.workers.get(worker_id)
        if worker is None:
            return
        if worker.pid:
            self._processes.kill(worker.pid)
        elif worker.link:
            worker.link.close()
            self._loop.call_later(0.05, lambda: self._kill_late(worker))

    def _kill_late(self, worker: Worker) -> None:
        if worker.id not in self.workers:
            return
        if worker.pid:
            self._processes.kill(worker.pid)
        elif worker.zygote in self.zygotes and worker.id in self.zygotes[worker.zygote].owes:
            self._loop.call_later(0.05, lambda: self._kill_late(worker))
        else:
            self._worker_ended(worker, "it never started")

    def ask_stacks(self, worker_id: WorkerId) -> None:
        worker = self.workers.get(worker_id)
        if worker and worker.link:
            worker.link.send(words.TellStacks())

    def ask_holding(self, worker: Worker, told: Callable[[Holding], None]) -> None:
        """Ask what keeps it. One that stands still answers when it goes on, if ever."""
        worker.on_holding.append(told)
        if worker.link and len(worker.on_holding) == 1:
            worker.link.send(words.TellHolding())

    def signal(self, worker_id: WorkerId, number: int) -> None:
        worker = self.workers.get(worker_id)
        if worker and worker.pid:
            self._processes.signal(worker.pid, number)

    # --- over a re-execution --------------------------------------------------------------------------------------

    def busy(self) -> str:
        """Why the processes cannot change hands now; empty: they can."""
        everybody: list[Worker | Zygote] = [*self.workers.values(), *self.zygotes.values()]
        if any(each.pid == 0 or each.link is None or not each.link.is_open for each in everybody):
            return "a process is starting or ending"
        links = [each.link for each in everybody] + ([self.base.link] if self.base else [])
        return "" if all(link is None or link.is_quiet for link in links) else "a process does not read its words"

    def export(self) -> document.FleetState:
        """Who they are, for the next image. Only while ``busy`` says nothing."""
        base = self.base
        return document.FleetState(
            workers=[
                document.WorkerState(
                    id=w.id,
                    generation=w.generation,
                    slot=w.slot,
                    pid=w.pid,
                    link_fd=w.link.channel.fileno() if w.link else -1,
                    page_fd=w.page.fd,
                    stacks_fd=w.stacks_fd,
                    started_s=w.started_s,
                    stopped_s=w.stopped_s,
                    zygote=w.zygote,
                    state=w.state,
                    interface=w.interface,
                )
                for w in self.workers.values()
            ],
            zygotes=[
                document.ZygoteState(
                    id=z.id, generation=z.generation, pid=z.pid, link_fd=z.link.channel.fileno() if z.link else -1
                )
                for z in self.zygotes.values()
            ],
            base=document.BaseState(pid=base.pid, link_fd=base.link.channel.fileno(), key=base.key) if base else None,
        )

    def adopt(self, state: document.FleetState) -> None:
        """Take over what ``export`` gave in the image before this one."""
        for w in state.workers:
            worker = Worker(
                WorkerId(w.id),
                GenerationId(w.generation),
                w.slot,
                Page(w.page_fd),
                w.stacks_fd,
                w.started_s,
                w.stopped_s,
                zygote=ZygoteId(w.zygote) if w.zygote is not None else None,
                state=w.state,
                interface=w.interface,
            )
            self.workers[worker.id] = worker
            self._worker_has_pid(worker, w.pid)
            worker.link = self._worker_link(worker, socket.socket(fileno=w.link_fd))
        for z in state.zygotes:
            zygote = Zygote(ZygoteId(z.id), GenerationId(z.generation))
            self.zygotes[zygote.id] = zygote
            self._zygote_has_pid(zygote, z.pid)
            zygote.link = self._zygote_link(zygote, socket.socket(fileno=z.link_fd))
        if state.base:
            base = self._make_base(state.base.key, socket.socket(fileno=state.base.link_fd), state.base.pid)
            self.base = base
            self._processes.adopt(base.pid, lambda how: self._base_ended(base, how))

    def close(self) -> None:
        """At the end of the service: nobody of them is needed any more."""
        for zygote in list(self.zygotes.values()):
            self.drop_zygote(zygote.id)
        if self.keeper:
            self.keeper.close()
        for kept in self.kept.values():
            self.drop_kept(kept)
        if self.base:
            self._processes.signal(self.base.pid, signal.SIGKILL)
            self.base.link.close()


def _close_files(worker: Worker) -> None:
    os.close(worker.stacks_fd)
    worker.stacks_fd = -1
    worker.page.close()
    os.close(worker.page.fd)


def _loaded(base: Base, word: words.Preloaded) -> None:
    """Told once."""
    told, base.on_loaded = base.on_loaded, None
    if told:
        told(word)


def _base_key(release: Release) -> bytes:
    interpreter = release.survey.interpreter
    assert interpreter is not None
    variables = release.survey.environment.variables
    early = tuple(sorted((k, v) for k, v in variables.items() if k.startswith(BASE_VARIABLES)))
    packages = next((part.digest for part in release.survey.fingerprint.parts if part.kind == "packages"), "")
    return msgspec.msgpack.encode((interpreter.path, interpreter.stamp, packages, early))


def _cannot(exc: OSError) -> Fault:
    hint = "look at the limits on processes, open files and memory (ulimit -u, ulimit -n, memory.max)"
    return Fault("no-process", f"no process could be made: {exc.strerror or exc}", hint)
