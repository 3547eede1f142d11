"""Once a second: is every worker's loop turning, and how does the serving version answer? Carries out CountAnswers.

A loop that stands still for ``worker.hang_warn`` is logged once, with all stacks (they come from the C level, so a worker in
an endless loop tells them as well); after ``worker.hang_timeout`` the core is told, which starts the successor first.
"""

from __future__ import annotations

from midair.control import words as control
from midair.core import events
from midair.core.ids import GenerationId, WorkerId
from midair.core.strain import BEFORE_S, Record
from midair.observe.counters import Cell
from midair.supervisor.accounts import Accounts
from midair.supervisor.estate import Estate
from midair.supervisor.members import Worker
from midair.supervisor.reporting import Reporting
from midair.supervisor.stillness import Stillness

EVERY_S = 1.0
AGAIN_S = 10.0
"""A hanging worker is told of again after this long: its successor may have failed."""
DETAIL_MAX = 6 * 1024
"""Characters of stacks in the log. The hanging thread's is told first."""


class Pulse:
    """One timer. What it knows is known again a second after an upgrade."""

    def __init__(self, estate: Estate, accounts: Accounts) -> None:
        self._estate = estate
        self._accounts = accounts
        self._reporting = Reporting(estate, accounts)
        self._stillness: dict[WorkerId, Stillness] = {}
        self._records: dict[GenerationId, Record] = {}
        estate.loop.call_later(EVERY_S, self._beat)

    def _beat(self) -> None:
        self._estate.loop.call_later(EVERY_S, self._beat)
        self.sample()
        workers = self._estate.fleet.workers
        for gone in self._stillness.keys() - workers.keys():
            del self._stillness[gone]
        for worker in list(workers.values()):
            self._look(worker)

    # --- hanging workers ------------------------------------------------------------------------------------------

    def standing_still_s(self, worker: WorkerId) -> float:
        """For how long its loop has stood still."""
        known = self._stillness.get(worker)
        return known.for_s if known else 0.0

    def _look(self, worker: Worker) -> None:
        release = self._estate.releases.get(worker.generation)
        if release is None or worker.id in self._estate.debugged:
            self._stillness.pop(worker.id, None)
            return
        limits, now_s = release.settings.worker, self._estate.loop.clock.now_s()
        stillness = self._stillness.setdefault(worker.id, Stillness())
        for_s = stillness.look(worker.page.cells[Cell.BEAT_NS], now_s)
        if limits.hang_warn_s and for_s >= limits.hang_warn_s and not stillness.is_told:
            stillness.is_told = True
            self._say_hung(worker, for_s)
        is_due = stillness.told_s is None or now_s - stillness.told_s >= AGAIN_S
        if limits.hang_timeout_s and for_s >= limits.hang_timeout_s and is_due:
            stillness.told_s = now_s
            why = f"its event loop has stood still for {for_s:.0f} s"
            self._estate.tell(events.WorkerWorn(worker.id, why, hangs=True))

    def _say_hung(self, worker: Worker, for_s: float) -> None:
        def say(stacks: list[control.WorkerStacks]) -> None:
            text = "\n".join(each.text for each in stacks if each.pid == worker.pid)
            fields = {
                "generation": worker.generation,
                "worker": worker.id,
                "slot": worker.slot,
                "for_s": round(for_s, 1),
            }
            self._estate.say("worker_hung", {**fields, "detail": text[:DETAIL_MAX] or None})

        self._reporting.collect_stacks(worker.generation, worker.slot, say)

    # --- answers --------------------------------------------------------------------------------------------------

    def sample(self) -> None:
        """Note how the serving generation answers. Also called at a cut-over, so that its last second counts."""
        service = self._estate.service
        for gone in self._records.keys() - service.generations.keys():
            del self._records[gone]
        if service.serving is not None:
            self._records.setdefault(service.serving, Record()).add(self._accounts.figures(service.serving))

    def record_of(self, generation: GenerationId) -> Record:
        """How it answered while it served."""
        return self._records.get(generation) or Record()

    def count_answers(self, generation: GenerationId) -> None:
        """(→ AnswersCounted) Beside its own figures: how its predecessor did in its last minute of serving."""
        update = self._estate.service.baking
        previous = update.previous if update and update.generation == generation else None
        before = self.record_of(previous).over(BEFORE_S).error_share if previous is not None else 0.0
        figures = self._accounts.figures(generation)
        self._estate.tell(events.AnswersCounted(generation, figures.answers, figures.errors, before))
