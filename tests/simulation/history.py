"""One history of a service: requests, deployments and misfortunes as they come, then everything heals and must end well."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from midair.core.effects import Effect
from midair.core.events import (
    Carries,
    DrainAsked,
    Event,
    HoldAsked,
    ReleaseAsked,
    RollbackAsked,
    ScaleAsked,
    StopAsked,
    UpdateAsked,
)
from midair.core.ids import RequestId
from midair.core.machine import new_service, next_wake_s, step
from midair.core.policy import Policy
from midair.core.state import Service
from midair.testing.world import NO_FAULTS, Code, Defect, Faults, World
from tests.simulation.watch import Watch

TURNS_MAX = 20_000
"""More turns than this in one history is a loop that does not end."""
SETTLE_S = 150.0
"""Simulated time after which a healed service must be well: start and ready limits, bake, canary, and the longest hold-back."""
DEFECTS: tuple[Defect | None, ...] = (
    None,
    None,
    None,
    None,
    "import-fails",
    "import-exits",
    "import-hangs",
    "unsafe-to-fork",
    "start-fails",
    "start-exits",
    "start-hangs",
    "unhealthy",
    "no-route",
    "sick-later",
    "dies-later",
    "errors",
    "refuses-state",
    "spoils-state",
)
NEVER_WELL = frozenset({"dies-later"})
"""A version like this may have been committed before it showed, and does not get better by itself."""


@dataclass(slots=True)
class History:
    chance: random.Random
    policy: Policy
    faults: Faults
    first: Code
    world: World = field(init=False)
    watch: Watch = field(init=False)
    service: Service = field(init=False)
    turns: int = 0
    requests: int = 0
    versions: int = 1
    effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(self.chance, self.first, self.faults)
        self.watch = Watch(self.world)
        self.service = new_service(self.policy)

    # --- the shell ------------------------------------------------------------------------------------------------

    def run(self, for_s: float) -> None:
        until_s = self.world.now_s + for_s
        while self.one_turn(until_s):
            pass

    def one_turn(self, until_s: float) -> bool:
        event = self.world.next_event(next_wake_s(self.service), until_s)
        if event is not None:
            self.turn(event)
        return event is not None

    def turn(self, event: Event) -> list[Effect]:
        self.turns += 1
        assert self.turns <= TURNS_MAX, "it does not come to rest\n" + "\n".join(self.world.history[-60:])
        effects = step(self.service, event, self.world.now_s)
        self.effects.extend(effects)
        self.watch.after(event, effects, next_wake_s(self.service))
        for effect in effects:
            self.world.carry_out(effect)
        return effects

    # --- the people -----------------------------------------------------------------------------------------------

    def request(self) -> RequestId:
        self.requests += 1
        return RequestId(self.requests)

    def start(self, *, force: bool = False) -> None:
        """force: after a crash, when holds and quarantines came back."""
        self.world.report(UpdateAsked(self.request(), "start", force=force))

    def update(self, **options: bool | str) -> None:
        self.turn(UpdateAsked(self.request(), "ann", **options))  # type: ignore[arg-type]  # passed on as given

    def deploy(self, defect: Defect | None = None, **settings: int | float | bool) -> Code:
        self.versions += 1
        policy = msgspec.structs.replace(self.policy, **settings)
        code = replace(self.first, fingerprint=f"f{self.versions}", policy=policy, defect=defect)
        self.world.deploy(code)
        return code

    def anything(self) -> None:
        """Somebody does something."""
        chance, request = self.chance, self.request()
        match chance.choice("uuuuuuuuddddddddrrrrsshlnwkzz"):
            case "u":
                self.turn(
                    UpdateAsked(
                        request,
                        chance.choice(["ann", "bob"]),
                        force=chance.random() < 0.3,
                        now=chance.random() < 0.2,
                        expect=self.world.disk.version if chance.random() < 0.1 else "",
                        no_rollback=chance.random() < 0.1,
                    )
                )
            case "d":
                if chance.random() < 0.3:
                    self.deploy(chance.choice(DEFECTS), workers=chance.randrange(1, 4))
                else:
                    self.deploy(chance.choice(DEFECTS))
            case "r":
                self.turn(RollbackAsked(request, "ann"))
            case "s":
                self.turn(ScaleAsked(request, chance.randrange(0, 6)))
            case "h":
                self.turn(HoldAsked(request, "bob", "lunch", chance.random() * 5))
            case "l":
                self.turn(ReleaseAsked(request, "bob"))
            case "n":
                self.turn(DrainAsked(request, "ann", chance.random() * 2))
            case "k":
                for worker in self.world.living():
                    if chance.random() < 0.7:
                        self.world.kill_worker(worker.id)
            case "w":
                if accepting := self.world.accepting():
                    self.world.kill_worker(chance.choice(accepting).id)
            case "z":
                if self.world.zygotes:
                    self.world.kill_zygote(chance.choice(sorted(self.world.zygotes)))
            case _:
                raise AssertionError("unreachable")

    def trouble(self, happenings: int) -> None:
        for _ in range(happenings):
            pause_s = self.chance.choice([0.0, 0.01, 0.05, 0.3, 1.0, 3.0])
            self.run(pause_s * (0.5 + self.chance.random()))
            if self.watch.ends:
                return
            self.anything()

    # --- what must come out of it -----------------------------------------------------------------------------------

    def heal(self) -> None:
        """Nothing goes wrong any more. The service recovers by itself, then takes an update, then stops clean."""
        world, watch = self.world, self.watch
        world.heal()
        self.deploy(lacks_room=False)
        self.run(SETTLE_S)
        if watch.ends:
            assert watch.ends[0].exit_code == 1, "it ended and nobody asked"
            assert not self.policy.has_stand_in, "it ended and has a stand-in"
            return
        of_serving = [w for w in world.workers.values() if w.generation == watch.serving]
        is_half_way = len({w.generation for w in world.accepting()}) > 1
        # Somebody may have released it with --no-rollback: then it neither goes on nor back until the next update.
        is_barred = is_half_way and watch.notes["rollback_impossible"] > 0
        is_stuck = is_barred and any(w.code.defect == "refuses-state" for w in world.workers.values())
        if not is_stuck and not any(w.code.defect in NEVER_WELL for w in of_serving):
            self.check_serves(may_run_short=True)
        self.turn(ReleaseAsked(self.request(), "ann"))
        self.update(force=True)
        self.run(SETTLE_S)
        self.check_serves(may_run_short=False)
        last = list(watch.updates.values())[-1]
        assert last.result == "committed", f"a good update ended as {last.result}\n{self.past()}"
        self.stop()

    def check_serves(self, *, may_run_short: bool) -> None:
        watch = self.watch
        accepting = self.world.accepting()
        assert len({w.generation for w in accepting}) == 1, f"{accepting} accept\n{self.past()}"
        is_short = may_run_short and accepting[0].code.fingerprint != self.world.disk.fingerprint
        slots = sorted(w.slot for w in accepting)
        assert slots == list(range(watch.wanted)) or (is_short and len(slots) <= watch.wanted), (
            f"slots {slots} accept, {watch.wanted} are wanted\n{self.past()}"
        )
        assert accepting[0].generation == watch.serving
        had = set().union(*(worker.state for worker in self.world.workers.values())) - self.world.lost
        has = set().union(*(worker.state for worker in accepting))
        assert had <= has, f"state {had - has} is nowhere\n{self.past()}"
        open_updates = [u for u in watch.updates.values() if not u.result]
        assert not open_updates, f"{open_updates} never ended\n{self.past()}"
        assert not watch.open_requests, f"{watch.open_requests} never answered\n{self.past()}"

    def stop(self, *, at_once: bool = False) -> None:
        self.turn(StopAsked(self.request(), "ann", at_once))
        self.run(SETTLE_S)
        self.check_ended()

    def check_ended(self) -> None:
        assert len(self.watch.ends) == 1, f"it did not end\n{self.past()}"
        assert not self.world.living(), f"{self.world.living()} live after the end\n{self.past()}"
        assert not self.world.zygotes, f"{self.world.zygotes} live after the end\n{self.past()}"
        assert not self.world.companions, f"{self.world.companions} live after the end\n{self.past()}"

    def past(self) -> str:
        return "\n".join(self.world.history[-150:])


def draw(chance: random.Random, *, has_stand_in: bool = False) -> History:
    """A service, its settings, and how bad its world is, by chance."""
    forks = chance.random() < 0.7
    parks = forks or chance.random() < 0.6
    keep: Literal["zygote", "workers", "none"] = chance.choice(["zygote", "workers", "none"])
    names = ("celery", "beat")[: chance.randrange(3)]
    policy = Policy(
        workers=chance.randrange(1, 4),
        ready_s=4.0,
        start_s=chance.choice([4.0, 20.0]),
        bake_s=chance.choice([0.0, 1.0, 4.0]),
        by_slot=chance.choice(["", "", "no room"]),
        lacks_room=chance.random() < 0.5,
        canary_workers=chance.choice([0, 0, 1]),
        canary_s=2.0,
        drain_s=chance.choice([0.0, 1.0, 20.0]),
        max_generations=chance.choice([1, 3]),
        exit_s=1.0,
        stop_s=2.0,
        stop_delay_s=chance.choice([0.0, 1.0]),
        warm_s=chance.choice([0.5, 10.0, 600.0]),
        keep=keep,
        has_health=chance.random() < 0.7,
        forks=forks,
        must_fork=chance.random() < 0.1,
        parks=parks,
        has_before=chance.random() < 0.3,
        has_after=chance.random() < 0.3,
        has_contract=chance.random() < 0.2,
        companions=names,
        exclusive=frozenset(names[:1]) if chance.random() < 0.5 else frozenset(),
        has_stand_in=has_stand_in,
    )
    carries: tuple[Carries, ...] = ("", "moves", "moves", "merges")
    return History(chance, policy, _faults(chance), Code("f1", policy, carries=chance.choice(carries)))


def _faults(chance: random.Random) -> Faults:
    """A third of the worlds are kind: there everything comes from what people do."""
    if chance.random() < 0.33:
        return NO_FAULTS

    def share(most: float) -> float:
        return most * chance.random() if chance.random() < 0.4 else 0.0

    def interval_s() -> float:
        return chance.choice([0.0, 0.0, 0.2, 1.0, 5.0])

    return Faults(
        survey_fails=share(0.2),
        hook_fails=share(0.3),
        fork_fails=share(0.2),
        start_fails=share(0.3),
        start_hangs=share(0.2),
        probe_fails=share(0.3),
        ack_late=share(1.0),
        ack_lost=share(1.0),
        leave_ignored=share(0.5),
        carry_fails=share(0.3),
        carry_hangs=share(0.3),
        told_twice=share(0.3),
        worker_killed_every_s=interval_s(),
        zygote_killed_every_s=interval_s(),
        worn_every_s=interval_s(),
        companion_dies_every_s=interval_s(),
        delay_max_s=chance.choice([0.001, 0.02, 0.1]),
    )
