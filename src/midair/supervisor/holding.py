"""What keeps a generation: asked of its workers, and seen from outside of those that cannot answer (``midair why-alive``).

A worker that does not answer in time stands still: its threads' stacks are written by the C level all the same, as for
``midair stacks``. Nobody is waited for longer than that, and the supervisor goes on meanwhile.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

import msgspec

from midair.control import words as control
from midair.core.ids import GenerationId, WorkerId
from midair.core.state import Role
from midair.errors import Fault
from midair.observe.holding import Holding
from midair.sockets.listener import Listener
from midair.supervisor import members
from midair.supervisor.commands import Command
from midair.supervisor.estate import Estate
from midair.supervisor.outside import Seen, look
from midair.supervisor.reporting import Reporting, ends_in_s

ANSWER_WITHIN_S = 1.0
"""A loop that is busy answers within this; one that does not is called hung."""
LOOK_S = 3.0
WORKERS_MAX_BYTES = 3 * 1024 * 1024
"""As JSON, of an answer that may have 4 MiB."""
STACKS_SHORT = 1000

Done = Callable[[control.WhyAliveReport], None]


class Holders:
    """Answers what keeps a generation."""

    def __init__(self, estate: Estate, reporting: Reporting) -> None:
        self._estate = estate
        self._reporting = reporting

    def chosen(self, asked: int) -> GenerationId | None:
        """The generation that is meant: if none was named the oldest on its way out, else the one that serves, or is to."""
        service = self._estate.service
        if asked:
            return GenerationId(asked) if GenerationId(asked) in service.generations else None
        going = sorted(
            g.id
            for g in service.generations.values()
            if g.role in {Role.RETIRING, Role.PARKED} and self._estate.has_workers(g.id)
        )
        candidate = service.candidate.generation if service.candidate else None
        return going[0] if going else service.serving if service.serving is not None else candidate

    def ask(self, generation: GenerationId, done: Done) -> None:
        """What keeps this generation; ``done`` is called once, within some seconds."""
        _Inquiry(self._estate, self._reporting, generation, done).begin()


class _Inquiry:
    """One question: the workers' answers, then what is seen from outside, then the stacks of those that were silent."""

    def __init__(self, estate: Estate, reporting: Reporting, generation: GenerationId, done: Done) -> None:
        self._estate, self._reporting = estate, reporting
        self._generation, self._done = generation, done
        self._workers = [w for w in estate.everybody() if w.generation == generation and w.pid]
        self._said: dict[WorkerId, Holding] = {}
        self._seen: dict[int, Seen] = {}
        self._stacks: dict[WorkerId, str] = {}
        self._has_gone_on = False

    def begin(self) -> None:
        asked = [w for w in self._workers if isinstance(w, members.Worker) and w.link]
        for worker in asked:
            self._estate.fleet.ask_holding(worker, self._heard(worker.id, len(asked)))
        timer_s = ANSWER_WITHIN_S if asked else 0.0
        self._estate.loop.call_later(timer_s, self._look)

    def _heard(self, worker: WorkerId, of: int) -> Callable[[Holding], None]:
        def heard(holding: Holding) -> None:
            self._said[worker] = holding
            if len(self._said) == of:
                self._look()

        return heard

    def _look(self) -> None:
        if self._has_gone_on:
            return
        self._has_gone_on = True
        pids = [worker.pid for worker in self._workers]
        ports = frozenset(_ports(self._estate.listeners))

        def seen(outcome: dict[int, Seen] | Fault) -> None:
            self._seen = {} if isinstance(outcome, Fault) else outcome
            self._ask_the_silent()

        self._estate.offload.begin(
            "looking at processes", lambda: look(pids, ports), dict[int, Seen], seen, limit_s=LOOK_S
        )

    def _ask_the_silent(self) -> None:
        silent = {
            w.id for w in self._workers if isinstance(w, members.Worker) and w.link and w.id not in self._said
        } & self._estate.fleet.workers.keys()
        if not silent:
            self._end()
            return

        def collected(stacks: list[control.WorkerStacks]) -> None:
            texts = {each.pid: each.text for each in stacks}
            self._stacks = {w.id: texts.get(w.pid, "") for w in self._workers if w.id in silent}
            self._end()

        self._reporting.collect_stacks(self._generation, -1, collected, only=frozenset(silent))

    def _end(self) -> None:
        estate, service = self._estate, self._estate.service
        now_s = estate.loop.clock.now_s()
        known, release = service.generations.get(self._generation), estate.releases.get(self._generation)
        self._done(
            control.WhyAliveReport(
                generation=self._generation,
                version=known.version if known else "",
                role=known.role.value if known else "gone",
                age_s=now_s - release.born_s if release else 0.0,
                why=_why(estate, self._generation, now_s),
                workers=fitting(self._worker(each, now_s) for each in self._workers if estate.worker(each.id)),
                programs=tuple(sorted(known.companions)) if known else (),
            )
        )

    def _worker(self, worker: members.Worker | Command, now_s: float) -> control.WorkerHolding:
        seen = self._seen.get(worker.pid, Seen())
        said = self._said.get(worker.id)
        is_command = isinstance(worker, Command)
        if is_command:
            kinds = {"open": len(seen.connections) + seen.connections_more}
            said = Holding(kinds=kinds, connections=seen.connections)
        return control.WorkerHolding(
            id=worker.id,
            slot=worker.slot,
            pid=worker.pid,
            state=worker.state,
            age_s=now_s - worker.started_s,
            is_command=is_command,
            holding=said,
            stacks=self._stacks.get(worker.id, ""),
            processes=seen.processes,
            ends_in_s=ends_in_s(self._estate, worker.id, now_s),
        )


def fitting(workers: Iterable[control.WorkerHolding]) -> tuple[control.WorkerHolding, ...]:
    """All of them, in one answer: those for which there is no room left with their figures alone."""
    told: list[control.WorkerHolding] = []
    left = WORKERS_MAX_BYTES
    for worker in workers:
        size = len(msgspec.json.encode(worker))
        told.append(worker if size <= left else _shortened(worker))
        left -= size
    return tuple(told)


def _shortened(worker: control.WorkerHolding) -> control.WorkerHolding:
    figures = Holding(kinds=worker.holding.kinds) if worker.holding else None
    return msgspec.structs.replace(worker, holding=figures, stacks=worker.stacks[:STACKS_SHORT], processes=())


def _why(estate: Estate, generation: GenerationId, now_s: float) -> str:
    """Why the generation is there at all, in a sentence."""
    service = estate.service
    known = service.generations.get(generation)
    role = known.role if known else Role.GONE
    timers = service.timers
    if role is Role.SERVING:
        return "it serves"
    if role is Role.CANDIDATE:
        return "it is on its way to serve"
    if role is Role.PARKED and service.baking:
        left_s = max(0.0, timers.get("bake", now_s) - now_s)
        return f"it takes over again if update {service.baking.id} fails its bake, for {left_s:.1f} s yet"
    if role is Role.PARKED:
        left_s = max(0.0, timers.get("warm", now_s) - now_s)
        return f"it is kept for a rollback, for {left_s:.0f} s yet"
    if role is Role.RETIRING:
        return "it retires: its workers end when nothing keeps them any more, or at their deadline"
    return "nothing of it is left"


def _ports(listeners: Iterable[Listener]) -> list[int]:
    inet = (socket.AF_INET, socket.AF_INET6)
    return [each.socket.getsockname()[1] for each in listeners if each.socket.family in inet]
