"""The developer's loop: changes come in, updates are asked for, a line says what became of each save."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from midair.core import effects, events
from midair.dev.line import Saved, named, save_line
from midair.dev.plan import Plan, plan
from midair.dev.watching import Watching
from midair.observe.capture import Line
from midair.observe.events import EVENTS
from midair.supervisor.estate import FieldValue
from midair.supervisor.ledger import Receipt
from midair.supervisor.supervisor import Supervisor
from midair.watch import words

BY = "save"
SHOWN = frozenset({"update_refused", "update_rolled_back", "start_failed"})
"""Of the warnings and errors, those that the line of a save tells better."""


class DevLoop:
    """The attendant of a supervisor under ``midair dev``."""

    signals: tuple[int, ...] = ()

    def __init__(self, supervisor: Supervisor, write: Callable[[str], None]) -> None:
        self._supervisor, self._estate, self._write = supervisor, supervisor.estate, write
        self._watching = Watching(self._estate, self._watched, self._changed, self._trouble)
        self._unserved: dict[str, None] = {}
        """Paths that changed since the last version that serves, in their order."""
        supervisor.closed.append(self._closed)

    def begin(self) -> None:
        addresses = ", ".join(listener.actual for listener in self._estate.listeners)
        self._write(f"midair dev  {self._estate.settings.target}  {addresses}")
        self._watching.start()
        self._supervisor.tell(events.UpdateAsked(self._supervisor.next_request(), "start"))

    def signalled(self, number: int) -> None:
        pass

    def end(self) -> None:
        self._watching.close()

    def passes(self, event: str, fields: Mapping[str, FieldValue]) -> bool:
        known = EVENTS.get(event)
        return self._estate.settings.log.level == "debug" or (
            known is not None and known.level in ("warning", "error") and event not in SHOWN
        )

    def prefix(self, line: Line) -> str:
        return f"{line.name} | " if line.name else ""

    # --- changes --------------------------------------------------------------------------------------------------

    def _watched(self, word: words.Ready) -> None:
        pass

    def _trouble(self, what: str, hint: str) -> None:
        self._write(f"warning: {what}" + (f"; {hint}" if hint else ""))

    def _changed(self, batch: words.Changes) -> None:
        self._carry_out(plan(batch.changes, self._estate.settings))

    def _carry_out(self, chosen: Plan) -> None:
        if chosen.what == "nothing":
            return
        if chosen.what == "assets":
            self._write(save_line(Saved(chosen.paths, "asset")))
            return
        self._unserved |= dict.fromkeys(chosen.paths)
        request = self._supervisor.next_request()
        reason = named(tuple(self._unserved))
        self._supervisor.tell(events.UpdateAsked(request, BY, reason, reread=chosen.reread))

    # --- updates --------------------------------------------------------------------------------------------------

    def _closed(self, effect: effects.Closed, receipt: Receipt) -> None:
        if effect.result in ("superseded", "stopped"):
            return
        release = self._estate.releases.get(effect.generation)
        did = release.mode if release and effect.result == "committed" else "kept"
        paths = tuple(self._unserved) or (receipt.by,)
        self._unserved.clear()
        self._write(save_line(Saved(paths, did, times=_times(receipt))))
        if effect.fault:
            self._write(f"  {effect.fault.message}")


def _times(receipt: Receipt) -> tuple[tuple[str, float], ...]:
    found: dict[str, float] = {}
    for event in receipt.events:
        seconds = event.fields.get("seconds")
        if event.event in ("imported", "worker_started") and isinstance(seconds, float):
            found["import" if event.event == "imported" else "start"] = seconds
    ready = next((phase.at_s for phase in receipt.phases if phase.phase == "ready"), None)
    if ready is not None:
        found["ready"] = ready
    return tuple(found.items())
