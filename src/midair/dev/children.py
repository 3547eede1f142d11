"""Programs that the developer's loop starts: build steps, actions, programs beside. How they are started, and in what.

They get the environment that ``midair dev`` was started with, what the project has installed first on PATH, and the name of the
running service, so that ``midair reload`` in a build script finds it. Their output is read as the workers' is.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from midair.observe.capture import Line
from midair.release.environment import NEVER_PASSED
from midair.supervisor.estate import Estate
from midair.supervisor.loop import Timer
from midair.supervisor.processes import Program

GENERATION = 0
"""Whose output it is: of none that serves."""
INSTALLED = (".venv/bin", "node_modules/.bin")
"""Where a project has its own tools."""
LINES_KEPT = 200
"""Of a child's output: what a compiler says about a hundred mistakes. The first ones matter, and are shown as they come."""
TERM_GRACE_S = 1.0
"""Between SIGTERM and SIGKILL: somebody waits for the next build."""
FINISH_WITHIN_S = 1.0
"""For all of them to end, once the service has."""


class Children:
    """All that run, of whatever kind."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self._count = 0
        self._running: set[Child] = set()
        self._on_finished: Callable[[], None] | None = None

    def make(self, name: str, on_exit: Callable[[Child, str], None], *, leaves_nothing: bool = False) -> Child:
        """name: before its lines. on_exit: takes how it ended (``exit 2``). leaves_nothing: what it has started ends with it."""
        self._count += 1
        return Child(self, name, -1 - self._count, on_exit, leaves_nothing)

    def started(self, child: Child) -> None:
        self._running.add(child)

    def ended(self, child: Child) -> None:
        self._running.discard(child)
        if not self._running:
            self._finished()

    def finish(self, then: Callable[[], None]) -> None:
        """End all, and call ``then`` when they are gone, or have had their time."""
        self._on_finished = then
        for child in list(self._running):
            child.end()
        if self._running:
            self.estate.loop.call_later(FINISH_WITHIN_S, self._finished)
        else:
            self._finished()

    def kill(self) -> None:
        """Somebody wants the end now."""
        for child in self._running:
            child.kill()

    def _finished(self) -> None:
        then, self._on_finished = self._on_finished, None
        if then:
            then()


class Child:
    """One run of a program in a process group of its own. Its end is told once."""

    def __init__(
        self, children: Children, name: str, slot: int, on_exit: Callable[[Child, str], None], leaves_nothing: bool
    ) -> None:
        """slot: tells its lines from those of another child of the same name."""
        self._children, self._estate, self.name, self._on_exit = children, children.estate, name, on_exit
        self._slot, self._leaves_nothing = slot, leaves_nothing
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._killing: Timer | None = None
        self._began_s = 0.0
        self.pid = 0
        self.seconds = 0.0
        """How long it ran, once it has ended."""
        self.was_ended = False
        """By us, before it had done its work."""

    def start(
        self,
        argv: Sequence[str],
        *,
        folder: str = "",
        more: Mapping[str, str] | None = None,
        given: bytes | None = None,
        fds: Mapping[int, int] | None = None,
    ) -> None:
        """folder: relative to the service's. more: variables. given: its standard input. fds: besides its standard streams.

        That it could not be started is an end, too; that the program is not there is exit 127, with the reason in its output.
        """
        self._began_s = self._estate.loop.clock.now_s()
        self._estate.outputs.followers.append(self._heard)
        self._children.started(self)
        try:
            self.pid = self._execute(argv, folder, more or {}, given, fds or {})
        except OSError as exc:
            how = f"it could not be started: {exc.strerror or exc}"
            self._estate.loop.call_soon(lambda: self._exited(how))

    def _execute(
        self,
        argv: Sequence[str],
        folder: str,
        more: Mapping[str, str],
        given: bytes | None,
        fds: Mapping[int, int],
    ) -> int:
        estate = self._estate
        mine = list(estate.outputs.open(GENERATION, self._slot, name=self.name, is_kept=True))
        try:
            mine.append(_standard_input(given))
            places = {0: mine[2], 1: mine[0], 2: mine[1], **fds}
            environment = environment_of(estate) | dict(more)
            program = Program(argv, environment, os.path.join(estate.settings.folder, folder), places)
            return estate.processes.start(program, self._exited)
        finally:
            for fd in mine:
                os.close(fd)

    def _heard(self, line: Line, stream: str) -> None:
        if line.slot == self._slot and line.generation == GENERATION:
            self._lines.append(line.text)

    @property
    def output(self) -> str:
        """The last lines of what it has printed."""
        return "\n".join(self._lines)

    def end(self) -> None:
        """Tell it to end, and all that it started; what is left a moment later is killed. Its end is told as any other."""
        if self.was_ended or not self.pid:
            return
        self.was_ended = True
        self._estate.processes.signal_group(self.pid, signal.SIGTERM)
        self._killing = self._estate.loop.call_later(TERM_GRACE_S, self.kill)

    def kill(self) -> None:
        self.was_ended = True
        self._estate.processes.kill(self.pid)

    def _exited(self, how: str) -> None:
        estate = self._estate
        self.seconds = estate.loop.clock.now_s() - self._began_s
        if self._killing:
            self._killing.cancel()
        if self.was_ended or self._leaves_nothing:
            estate.processes.kill_left(self.pid)
        estate.outputs.drain()
        estate.outputs.followers.remove(self._heard)
        self._on_exit(self, how)
        self._children.ended(self)


def _standard_input(given: bytes | None) -> int:
    """A file, so that nobody waits for a child that does not read."""
    if given is None:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    fd = os.memfd_create("midair:stdin", os.MFD_CLOEXEC)
    view = memoryview(given)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def shell(line: str) -> list[str]:
    """A line as a user typed it, to be executed. Nothing that others chose, such as a file's name, may ever be in it."""
    return ["/bin/sh", "-c", line]


def environment_of(estate: Estate) -> dict[str, str]:
    settings = estate.settings
    variables = {key: value for key, value in estate.ambient.items() if key not in NEVER_PASSED}
    own = [os.path.join(settings.folder, place) for place in INSTALLED]
    path = variables.get("PATH", os.defpath)
    variables["PATH"] = os.pathsep.join([*(place for place in own if os.path.isdir(place)), path])
    return variables | {"MIDAIR_NAME": settings.name, "MIDAIR_RUNTIME_DIR": settings.runtime_dir}
