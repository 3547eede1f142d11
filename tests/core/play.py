"""A service in a kind simulated world, played by hand: ask, wait for a phase, look at who accepts.

The same watch as in the histories by seed looks on, so every example also checks every promise.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec.structs import replace

from midair.core.effects import Answer, Closed, Effect, Opened
from midair.core.events import (
    Carries,
    DrainAsked,
    HoldAsked,
    RollbackAsked,
    ScaleAsked,
    StopAsked,
    UpdateAsked,
    WorkerWorn,
)
from midair.core.ids import RequestId, UpdateId, WorkerId
from midair.core.policy import Policy
from midair.errors import Fault
from midair.testing.world import Code, Defect, Faults, World
from tests.simulation.history import History
from tests.simulation.watch import Watch

E = TypeVar("E")
ORDERS_ARRIVE_S = 0.01
"""Workers hear an order a little after it was given."""


class Play:
    def __init__(
        self,
        *,
        faults: Faults | None = None,
        defect: Defect | None = None,
        carries: Carries = "",
        **settings: Any,
    ) -> None:
        self.policy = replace(Policy(workers=2), **settings)
        faults = faults or Faults(delay_max_s=0.001)
        self.history = History(random.Random(0), self.policy, faults, Code("f1", self.policy, defect, carries))

    @property
    def world(self) -> World:
        return self.history.world

    @property
    def watch(self) -> Watch:
        return self.history.watch

    @property
    def effects(self) -> list[Effect]:
        return self.history.effects

    # --- what people do -------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """The first start, up to its commit."""
        self.history.start()
        self.until(lambda: self.watch.results["committed"] == 1)
        self.wait(ORDERS_ARRIVE_S)

    def deploy(self, defect: Defect | None = None, **settings: Any) -> str:
        """Other files on disk; returns their fingerprint."""
        return self.history.deploy(defect, **settings).fingerprint

    def ask(self, by: str = "ann", **options: Any) -> RequestId:
        """``midair reload``"""
        request = self.history.request()
        self.history.turn(UpdateAsked(request, by, **options))
        return request

    def update(self, defect: Defect | None = None, **settings: Any) -> UpdateId:
        """Deploy and reload; returns the update."""
        self.deploy(defect, **settings)
        return self.opened(self.ask())

    def rollback(self, *, now: bool = False) -> RequestId:
        request = self.history.request()
        self.history.turn(RollbackAsked(request, "ann", now=now))
        return request

    def scale(self, workers: int) -> RequestId:
        request = self.history.request()
        self.history.turn(ScaleAsked(request, workers))
        return request

    def hold(self, by: str = "bob", for_s: float = 60.0) -> None:
        self.history.turn(HoldAsked(self.history.request(), by, "lunch", for_s))

    def drain(self, within_s: float) -> RequestId:
        """``midair drain``"""
        request = self.history.request()
        self.history.turn(DrainAsked(request, "ann", within_s))
        return request

    def wear(self, worker: WorkerId) -> None:
        """It reached a limit."""
        self.history.turn(WorkerWorn(worker, "served enough"))

    def stop(self, *, at_once: bool = False) -> RequestId:
        request = self.history.request()
        self.history.turn(StopAsked(request, "ann", at_once))
        return request

    # --- time -----------------------------------------------------------------------------------------------------

    def until(self, holds: Callable[[], bool], within_s: float = 400.0) -> None:
        """Turn by turn until it holds. In small steps of time, too: a worker that obeys tells nobody."""
        until_s = self.world.now_s + within_s
        while not holds():
            assert self.world.now_s < until_s, f"not within {within_s} s\n{self.history.past()}"
            self.history.one_turn(self.world.now_s + ORDERS_ARRIVE_S)

    def wait(self, for_s: float) -> None:
        self.history.run(for_s)

    def until_phase(self, update: UpdateId, phase: str) -> None:
        self.until(lambda: self.watch.updates[update].phase == phase)
        if phase in {"canary", "bake"}:
            self.wait(ORDERS_ARRIVE_S)

    def until_end(self, update: UpdateId) -> Closed:
        self.until(lambda: bool(self.watch.updates[update].result))
        self.wait(ORDERS_ARRIVE_S)
        return self.closed(update)

    # --- what came of it --------------------------------------------------------------------------------------------

    def said(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def opened(self, request: RequestId) -> UpdateId:
        return next(effect.update for effect in self.said(Opened) if effect.request == request)

    def is_open(self, request: RequestId) -> bool:
        return request in self.watch.open_requests

    def refused(self, request: RequestId) -> Fault | None:
        """Why a request was not carried out."""
        return next(effect.fault for effect in self.said(Answer) if effect.request == request)

    def closed(self, update: UpdateId) -> Closed:
        return next(effect for effect in self.said(Closed) if effect.update == update)

    def fault(self, update: UpdateId) -> str:
        """The code of why it ended early."""
        fault = self.closed(update).fault
        return fault.code if fault else ""

    @property
    def serving(self) -> list[str]:
        """The fingerprints that really accept, one a worker."""
        return sorted(worker.code.fingerprint for worker in self.world.accepting())

    def worker(self, slot: int = 0) -> WorkerId:
        """The one that accepts in this slot."""
        return next(worker.id for worker in self.world.accepting() if worker.slot == slot)

    def notes(self, event: str) -> int:
        return self.watch.notes[event]
