"""What the supervisor owns, in one place: handed to each of its rooms, so that none needs to know another.

Whoever changes something here says so in its own docstring. All of it belongs to the one thread of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from midair.config.load import RunSources
from midair.config.schema import Settings
from midair.control.words import MovingStatus, StoreStatus
from midair.core import events
from midair.core.ids import GenerationId, WorkerId
from midair.core.state import Service
from midair.sockets.listener import Listener
from midair.supervisor.commands import Command, Commands
from midair.supervisor.fleet import Fleet
from midair.supervisor.ledger import Ledger, Receipt
from midair.supervisor.loop import Loop
from midair.supervisor.members import Worker
from midair.supervisor.offload import Offload
from midair.supervisor.outputs import Outputs
from midair.supervisor.processes import Processes
from midair.supervisor.recent import Recent
from midair.supervisor.release import Release
from midair.worker.settings import DevSettings, Traced

FieldValue = str | int | float | bool | None
Say = Callable[[str, Mapping[str, FieldValue]], None]


class Estate(Struct):
    """Everything that outlives an event."""

    loop: Loop
    settings: Settings
    """Those of the newest committed generation."""
    sources: RunSources
    ambient: dict[str, str]
    """The environment that midair was started with."""
    listeners: list[Listener]
    processes: Processes
    offload: Offload
    outputs: Outputs
    ledger: Ledger
    fleet: Fleet
    """The Python processes."""
    commands: Commands
    """The command children. A worker is in one of the two."""
    service: Service
    """The core's state: read here, changed by ``step`` alone."""
    tell: Callable[[events.Event], None]
    say: Say
    """Takes an event of the log and its fields."""
    started_s: float
    recent: Recent
    """What has happened lately."""
    releases: dict[GenerationId, Release] = field(default_factory=dict)
    on_disk: str = ""
    """Version found by the last look at the disk."""
    debugged: set[WorkerId] = field(default_factory=set)
    """Workers that stand still because somebody looks at them with a debugger (``midair dev``)."""
    served_at: dict[str, str] = field(default_factory=dict)
    """Where midair itself is served: address by what for (``endpoints.PURPOSES``)."""
    stored: Callable[[], StoreStatus | None] = lambda: None
    """Says what systemd keeps. Set by whoever puts it there."""
    moving: Callable[[], MovingStatus | None] = lambda: None
    """Says what is moving; None: nothing. Set by whoever counts it."""
    dev_settings: Callable[[Settings], DevSettings | None] = lambda settings: None
    """Says what workers of ``midair dev`` are told besides. Set by whoever knows their pages."""
    traced: Callable[[Settings, Mapping[str, str]], Traced | None] = lambda settings, variables: None
    """Says how processes with these settings and variables are named in telemetry. Set by whoever knows where it goes."""
    on_progress: Callable[[Receipt, str, str, Mapping[str, FieldValue]], None] = lambda r, e, p, f: None
    """Takes (receipt, event, phase, fields) of an update that goes on."""

    def version_of(self, generation: GenerationId | None) -> str:
        known = self.service.generations.get(generation) if generation is not None else None
        return known.version if known else ""

    def has_workers(self, generation: GenerationId) -> bool:
        return any(worker.generation == generation for worker in self.everybody())

    def everybody(self) -> list[Worker | Command]:
        """All workers, of either kind."""
        return [*self.fleet.workers.values(), *self.commands.workers.values()]

    def worker(self, worker: WorkerId) -> Worker | Command | None:
        return self.fleet.workers.get(worker) or self.commands.workers.get(worker)

    def fleet_of(self, worker: WorkerId) -> Fleet | Commands:
        """Who carries out orders for this worker."""
        return self.commands if worker in self.commands.workers else self.fleet

    def happened(self, generation: int, event: str, fields: Mapping[str, FieldValue]) -> None:
        """Put it into the receipt of the update that brings this generation, and tell who watches."""
        receipt = self.ledger.happened(generation, event, dict(fields))
        if receipt and not receipt.result:
            self.on_progress(receipt, event, "", fields)

    def moved_on(self, generation: int, event: str, fields: Mapping[str, FieldValue], *, is_kept: bool = True) -> None:
        """Something about connections on their way to this generation, which may last longer than its update: into the log, to
        whoever watches, and, if it is to be kept, into the receipt."""
        self.say(event, {"generation": generation, **fields})
        receipt = self.ledger.of_generation(GenerationId(generation))
        if receipt and is_kept:
            self.ledger.happened(generation, event, dict(fields))
            self.ledger.happened_after(generation, event, dict(fields))
        if receipt:
            self.on_progress(receipt, event, "", fields)

    def say_update(self, receipt: Receipt, event: str, **fields: FieldValue) -> None:
        """A line of the log about an update: with its number, generation and version."""
        base: dict[str, FieldValue] = {"update": receipt.number, "generation": receipt.generation}
        if receipt.version:
            base["version"] = receipt.version
        if receipt.trace.id:
            base["trace_id"] = receipt.trace.id
        self.say(event, base | {key: value for key, value in fields.items() if value is not None})
