"""One turn of the core: the state, the time, and the effects decided so far. Lookups and timers live here, no policy."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field

from midair.core.effects import Closed, Effect, Entered, Note, Phase, Result
from midair.core.ids import STAND_IN, GenerationId, WorkerId, ZygoteId
from midair.core.state import ALL_SLOTS, ENDING, Generation, Role, Service, Update, Worker, WorkerState
from midair.core.succession import taking_slots
from midair.errors import Fault


class Turn(Struct):
    service: Service
    now_s: float
    effects: list[Effect] = field(default_factory=list)

    def do(self, *effects: Effect) -> None:
        self.effects.extend(effects)

    def note(self, event: str, **fields: str | int | float | None) -> None:
        self.effects.append(Note(event, fields))

    # --- what an update goes through ------------------------------------------------------------------------------

    def enter(self, update: Update, phase: Phase) -> None:
        update.phase = phase
        self.do(Entered(update.id, update.generation, phase, self.generation(update.generation).version))

    def close(self, update: Update, result: Result, fault: Fault | None = None, note: str = "") -> None:
        version = self.generation(update.generation).version
        self.do(Closed(update.id, update.generation, result, version, self.service.serving, fault, note))

    # --- timers ---------------------------------------------------------------------------------------------------

    def wake(self, name: str, after_s: float) -> None:
        self.service.timers[name] = self.now_s + after_s

    def forget(self, name: str) -> None:
        self.service.timers.pop(name, None)

    def has_timer(self, name: str) -> bool:
        return name in self.service.timers

    # --- lookups --------------------------------------------------------------------------------------------------

    def worker(self, worker: WorkerId) -> Worker | None:
        return self.service.workers.get(worker)

    def generation(self, generation: GenerationId) -> Generation:
        return self.service.generations[generation]

    def candidate(self, generation: GenerationId) -> Update | None:
        """The update before its cut-over, if it is this generation's."""
        update = self.service.candidate
        return update if update and update.generation == generation else None

    def workers_of(self, generation: GenerationId | None) -> list[Worker]:
        return [w for w in self.service.workers.values() if w.generation == generation]

    def staying(self, generation: GenerationId | None) -> list[Worker]:
        """Its workers that were not told to go."""
        return [w for w in self.workers_of(generation) if w.state not in ENDING]

    def wanted(self, generation: Generation) -> int:
        """How many workers it should have: what was asked for if it serves, what it came with while it is a canary or stands in."""
        is_counted = generation.id == self.service.serving and generation.id != STAND_IN
        return self.service.wanted if is_counted else generation.policy.workers

    def in_part(self) -> Update | None:
        """The update that has some of the slots and not yet all: a canary, or one that goes from slot to slot."""
        update = self.service.baking
        return update if update and 0 < update.slots < ALL_SLOTS else None

    def from_slot_to_slot(self) -> Update | None:
        """The update whose generation takes one slot after the other now."""
        return taking_slots(self.service)

    def slots(self, generation: Generation) -> range:
        """The slots that it should have a worker for: one that gives up its slots one after the other has the rest."""
        taking = self.from_slot_to_slot()
        first = taking.slots if taking and generation.id == self.service.serving else 0
        return range(first, max(first, self.wanted(generation)))

    def accepting(self) -> list[Worker]:
        return [w for w in self.service.workers.values() if w.state is WorkerState.ACCEPTING]

    def with_role(self, *roles: Role) -> Iterator[Generation]:
        return (g for g in list(self.service.generations.values()) if g.role in roles)

    def of_zygote(self, zygote: ZygoteId) -> Iterator[Generation]:
        return (g for g in list(self.service.generations.values()) if g.zygote == zygote and g.role is not Role.GONE)
