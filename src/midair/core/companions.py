"""Once-only processes beside the workers (``[[process]]``): which of them should run now.

Compared after every event: what runs with what should run, one step at a time. ``overlap`` runs with each generation that
serves or is kept for a rollback; ``exclusive`` only with the serving one, and never starts before its old twin has ended.
"""

from __future__ import annotations

from midair.core import backoff, workers
from midair.core.effects import StartCompanion, StopCompanion
from midair.core.events import CompanionExited
from midair.core.ids import GenerationId
from midair.core.state import Role
from midair.core.turn import Turn


def reconcile(turn: Turn) -> None:
    wanted = _wanted(turn)
    for generation in list(turn.service.generations.values()):
        for name in sorted(generation.companions - generation.companions_ending):
            if (generation.id, name) not in wanted:
                generation.companions_ending.add(name)
                turn.do(StopCompanion(generation.id, name))
    for owner, name in sorted(wanted):
        generation = turn.generation(owner)
        if name in generation.companions or turn.has_timer(f"companion:{owner}:{name}"):
            continue
        if name in generation.policy.exclusive and _runs_elsewhere(turn, owner, name):
            continue
        generation.companions.add(name)
        turn.do(StartCompanion(owner, name))


def exited(turn: Turn, event: CompanionExited) -> None:
    generation = turn.service.generations.get(event.generation)
    if generation is None or event.name not in generation.companions:
        return
    generation.companions.discard(event.name)
    workers.settle(turn, generation)
    if event.name in generation.companions_ending:
        generation.companions_ending.discard(event.name)
        return
    generation.companion_deaths_s, wait_s = backoff.after_death(generation.companion_deaths_s, turn.now_s)
    turn.note("process_died", generation=generation.id, name=event.name, how=event.how, again_in_s=wait_s)
    if wait_s:
        turn.wake(f"companion:{generation.id}:{event.name}", wait_s)


def _wanted(turn: Turn) -> set[tuple[GenerationId, str]]:
    service = turn.service
    if service.stopping or service.serving is None:
        return set()
    serving = turn.generation(service.serving)
    wanted = {(serving.id, name) for name in serving.policy.companions}
    for parked in turn.with_role(Role.PARKED):
        if parked.id != service.committed:
            continue  # Its workers are kept longer than the update lasts, but nothing else of it runs.
        wanted |= {(parked.id, name) for name in parked.policy.companions if name not in parked.policy.exclusive}
    return wanted


def _runs_elsewhere(turn: Turn, owner: GenerationId, name: str) -> bool:
    return any(g.id != owner and name in g.companions for g in turn.service.generations.values())
