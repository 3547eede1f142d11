"""What a supervisor that was killed leaves to the next one: numbers that are used up, decisions of people, what served.

It is no copy of the state: processes, timers and connections ended with the one who knew them. Written by one version of midair
and read by another: new fields need a default, fields that went away are ignored, and the format number changes only if neither
is enough. It holds no environment and no secret.
"""

from __future__ import annotations

import msgspec

import midair
from midair.core.ids import GenerationId, UpdateId, WorkerId, ZygoteId
from midair.core.state import Before, Generation, Hold, Service
from midair.errors import WorldError
from midair.supervisor.ledger import Receipt

FORMAT = 1
RECEIPTS_MAX = 8
"""Those that are not on disk yet. More is a disk that takes none, and then the oldest are lost with the process, as ever."""


class StateUnreadable(WorldError):
    """What the supervisor before this one has left makes no sense to this version of midair."""

    code = "stored-state-unreadable"
    hint = "the service started without it: numbers go on from the receipts; holds and quarantines are forgotten"


class Numbers(msgspec.Struct, kw_only=True):
    """The highest that were given."""

    generation: int = 0
    worker: int = 0
    zygote: int = 0
    update: int = 0
    exchange: int = 0


class StoredListener(msgspec.Struct, kw_only=True):
    """A socket in the store. ``use``: bind, own (of another slot than the first), lent, or what midair itself serves there
    (``endpoints.PURPOSES``)."""

    use: str
    name: str
    typed: str
    inode: int
    file: tuple[int, int] | None = None
    slot: int = 0


class Left(msgspec.Struct, kw_only=True):
    """A process of the supervisor's. ``began`` tells it from another that gets its number: ticks since the machine booted."""

    pid: int
    began: int


class Remembered(msgspec.Struct, kw_only=True):
    format: int = FORMAT
    midair: str = ""
    is_stopping: bool = False
    """Somebody has asked for the end. Who starts next follows a stop, not a crash."""
    numbers: Numbers = msgspec.field(default_factory=Numbers)
    hold: Hold | None = None
    hold_until_s: float = 0.0
    """Monotonic seconds; 0: until it is released. The clock is the machine's, so the next process reads the same one."""
    quarantine: dict[str, str] = {}
    served: Before | None = None
    listeners: dict[str, StoredListener] = {}
    """By their names in the store."""
    receipts: list[Receipt] = []
    """Of updates that go on, and those that are not on disk yet."""
    processes: list[Left] = []


def encode(state: Remembered) -> bytes:
    return msgspec.msgpack.encode(state)


def decode(data: bytes) -> Remembered:
    """Raises StateUnreadable."""
    try:
        state = msgspec.msgpack.decode(data, type=Remembered)
    except msgspec.MsgspecError as exc:
        raise StateUnreadable(f"the stored state cannot be read: {exc}") from exc
    if state.format != FORMAT:
        raise StateUnreadable(f"the stored state has format {state.format}, this midair reads {FORMAT}")
    return state


def numbers_of(service: Service) -> Numbers:
    return Numbers(
        generation=service.last_generation,
        worker=service.last_worker,
        zygote=service.last_zygote,
        update=service.last_update,
        exchange=service.last_exchange,
    )


def remember(
    service: Service,
    listeners: dict[str, StoredListener],
    receipts: list[Receipt],
    processes: list[Left],
) -> Remembered:
    """What is to be left behind if the process were killed now. Pure."""
    # A first start that failed is no stop: what served before it is still what served last.
    is_stopping = service.stopping is not None and service.stopping.fault is None
    return Remembered(
        midair=midair.__version__,
        is_stopping=is_stopping,
        numbers=numbers_of(service),
        hold=service.hold,
        hold_until_s=service.timers.get("hold", 0.0),
        quarantine=dict(service.quarantine),
        served=None if is_stopping else _served(service),
        listeners=listeners,
        receipts=receipts[-RECEIPTS_MAX:],
        processes=processes,
    )


def recall(state: Remembered, service: Service) -> None:
    """Let a service that begins go on from there."""
    numbers = state.numbers
    # Receipts may be of a time without systemd in between. They number updates: for generations theirs is a bound only.
    if service.last_update <= numbers.update:
        service.last_generation, service.last_update = GenerationId(numbers.generation), UpdateId(numbers.update)
    service.last_worker, service.last_zygote = WorkerId(numbers.worker), ZygoteId(numbers.zygote)
    service.last_exchange = numbers.exchange
    service.hold, service.quarantine, service.before = state.hold, dict(state.quarantine), state.served
    if state.hold and state.hold_until_s:
        service.timers["hold"] = state.hold_until_s


def _served(service: Service) -> Before | None:
    committed = service.generations.get(service.committed) if service.committed is not None else None
    return _before(committed) if committed and committed.fingerprint else service.before


def _before(generation: Generation) -> Before:
    return Before(
        GenerationId(generation.id),
        generation.version,
        generation.fingerprint,
        list(generation.zygote_deaths_s),
        list(generation.from_disk_s),
        list(generation.deaths_s),
    )
