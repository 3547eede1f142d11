"""Once-only processes (``[[process]]``): started, ended and watched here; which of them should run is the core's to say.

Each is in a process group of its own. It gets SIGTERM and ``stop_timeout`` to end, then SIGKILL, and what it leaves in its
group goes with it: an exclusive one must not run on in a child while its successor starts. When the supervisor dies the
kernel kills it at once, because the next supervisor would start a second one.
"""

from __future__ import annotations

import signal

import msgspec
from msgspec import Struct

from midair.core import events
from midair.core.ids import GenerationId
from midair.supervisor.estate import Estate
from midair.supervisor.loop import Timer
from midair.supervisor.programs import start_program

Key = tuple[GenerationId, str]


class Kept(msgspec.Struct, kw_only=True):
    """One of them, as it gets over an upgrade."""

    generation: int
    name: str
    pid: int
    started_s: float
    stop_timeout_s: float
    kill_at_s: float = 0.0


class Companion(Struct):
    generation: GenerationId
    name: str
    pid: int
    started_s: float
    stop_timeout_s: float
    kill_at_s: float = 0.0
    """It was told to end and is killed then (monotonic seconds); 0: it was not told."""
    timer: Timer | None = None

    @property
    def state(self) -> str:
        """For people."""
        return "ending" if self.kill_at_s else "running"


class Companions:
    """Carries out StartCompanion and StopCompanion (→ CompanionExited)."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self.running: dict[Key, Companion] = {}
        self.starts: dict[str, int] = {}
        """How often a process of this name was started."""

    def start(self, generation: GenerationId, name: str) -> None:
        estate = self._estate
        release = estate.releases[generation]
        process = next(p for p in release.settings.process if p.name == name)
        key = (generation, name)
        more = {"MIDAIR_PROCESS": name}
        try:
            pid = start_program(estate, release, process.command, name, more, lambda how: self._exited(key, how))
        except OSError as exc:
            why = f"it could not be started: {exc.strerror or exc}"
            estate.loop.call_soon(lambda: estate.tell(events.CompanionExited(generation, name, why)))
            return
        self.running[key] = Companion(generation, name, pid, estate.loop.clock.now_s(), process.stop_timeout_s)
        self.starts[name] = self.starts.get(name, 0) + 1
        estate.say("process_started", {"generation": generation, "name": name, "pid": pid})

    def stop(self, generation: GenerationId, name: str) -> None:
        companion = self.running.get((generation, name))
        if companion and not companion.kill_at_s:
            self._estate.processes.signal(companion.pid, signal.SIGTERM)
            self._kill_at(companion, self._estate.loop.clock.now_s() + companion.stop_timeout_s)

    def kill_all(self) -> None:
        """Somebody wants the end now."""
        for companion in self.running.values():
            self._estate.processes.kill(companion.pid)

    def of_generation(self, generation: GenerationId) -> list[Companion]:
        return [c for c in self.running.values() if c.generation == generation]

    def _kill_at(self, companion: Companion, at_s: float) -> None:
        companion.kill_at_s = at_s
        companion.timer = self._estate.loop.call_at(at_s, lambda: self._estate.processes.kill(companion.pid))

    def _exited(self, key: Key, how: str) -> None:
        companion = self.running.pop(key)
        if companion.timer:
            companion.timer.cancel()
        self._estate.processes.kill_left(companion.pid)
        self._estate.tell(events.CompanionExited(companion.generation, companion.name, how))

    # --- over an upgrade ------------------------------------------------------------------------------------------

    def busy(self) -> str:
        return ""

    def freeze(self) -> tuple[bytes, list[int]]:
        kept = [
            Kept(
                generation=c.generation,
                name=c.name,
                pid=c.pid,
                started_s=c.started_s,
                stop_timeout_s=c.stop_timeout_s,
                kill_at_s=c.kill_at_s,
            )
            for c in self.running.values()
        ]
        return msgspec.msgpack.encode((kept, self.starts)), []

    def thaw(self, state: bytes, fds: list[int]) -> None:
        if self.running:
            return  # The execve failed: nothing was lost.
        kept, self.starts = msgspec.msgpack.decode(state, type=tuple[list[Kept], dict[str, int]])
        for each in kept:
            companion = Companion(
                GenerationId(each.generation), each.name, each.pid, each.started_s, each.stop_timeout_s
            )
            self.running[companion.generation, companion.name] = companion
            self._adopt(companion)
            if each.kill_at_s:
                self._kill_at(companion, each.kill_at_s)

    def _adopt(self, companion: Companion) -> None:
        key = (companion.generation, companion.name)
        self._estate.processes.adopt(companion.pid, lambda how: self._exited(key, how))
