"""What the core remembers: one service, its generations, its workers, the update under way.

Plain data: it is copied into the state document at a re-execution and read back by the next version of midair, so a new
field needs a default, and a field that goes away is simply ignored.

    generation   candidate -> serving -> parked -> retiring -> gone        (refused: candidate -> retiring -> gone)
                                                   parked -> candidate -> serving …                 (kept after the commit)
    worker       starting -> probing -> (trying) -> ready -> accepting -> stopping -> parked -> accepting …
                 -> leaving -> (killed) -> gone
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from midair.core.effects import How, Phase
from midair.core.events import Carries, UpdateAsked
from midair.core.ids import GenerationId, UpdateId, WorkerId, ZygoteId
from midair.core.policy import Policy
from midair.errors import Fault


class WorkerState(StrEnum):
    STARTING = "starting"
    PROBING = "probing"
    TRYING = "trying"
    """Healthy; whether it can take its slot's state is being tried."""
    READY = "ready"
    ACCEPTING = "accepting"
    STOPPING = "stopping"
    """Told to stop accepting, not yet acknowledged."""
    PARKED = "parked"
    """Accepts nobody, could again."""
    LEAVING = "leaving"
    KILLED = "killed"


ENDING = frozenset({WorkerState.LEAVING, WorkerState.KILLED})
COMING = frozenset({WorkerState.STARTING, WorkerState.PROBING, WorkerState.TRYING, WorkerState.READY})


class Role(StrEnum):
    CANDIDATE = "candidate"
    SERVING = "serving"
    PARKED = "parked"
    """Emptied and kept for a rollback, until the commit or longer (``rollback.keep``)."""
    RETIRING = "retiring"
    GONE = "gone"


class ZygoteState(StrEnum):
    STARTING = "starting"
    READY = "ready"


class Worker(Struct):
    id: WorkerId
    generation: GenerationId
    slot: int
    state: WorkerState
    since_s: float
    """When it was started (monotonic seconds)."""
    successor: WorkerId | None = None
    """The worker that is to take its slot (it is worn or hangs)."""
    hangs: bool = False
    has_drained: bool = False
    failed_probes: int = 0
    last_words: Fault | None = None
    """What it said before it failed."""
    carries: Carries = ""
    """What it keeps in memory for its slot."""
    state_in: int | None = None
    """The slot of the serving generation that has gone on with it since it was parked."""


class Generation(Struct):
    id: GenerationId
    role: Role
    policy: Policy
    version: str = ""
    fingerprint: str = ""
    zygote: ZygoteId | None = None
    """Where its workers are forked; shared with the generation that it is a rollback to."""
    spawns: bool = False
    """Its workers import by themselves (unsafe to fork, or told so)."""
    why_spawns: tuple[str, ...] = ()
    goes_by_slot: bool = False
    """It takes the slots of the one that serves one after the other, since both do not fit side by side."""
    is_committed: bool = False
    has_health_route: bool = True
    runs_short: str = ""
    """Why missing workers are not replaced: the files have changed since."""
    zygote_deaths_s: list[float] = field(default_factory=list)
    """When its zygote was lost lately (monotonic seconds)."""
    from_disk_s: list[float] = field(default_factory=list)
    """When, with no worker of it left, what is on disk was tried instead (monotonic seconds)."""
    deaths_s: list[float] = field(default_factory=list)
    """When serving workers of it died lately (monotonic seconds)."""
    drain_until_s: float = 0.0
    asked_rate_per_s: float = 0.0
    """Share of the connections that may move to it in a second, as whoever asked for it said; 0: as configured."""
    companions: set[str] = field(default_factory=set)
    """Once-only processes of it that run."""
    companions_ending: set[str] = field(default_factory=set)
    """Those of them that were told to end."""
    companion_deaths_s: list[float] = field(default_factory=list)
    last_fault: Fault | None = None
    """Why a worker or the zygote of it was lost last, while it served."""


class Update(Struct):
    """One transaction, from the request to its end."""

    id: UpdateId
    generation: GenerationId
    asked: UpdateAsked
    phase: Phase
    began_s: float
    previous: GenerationId | None
    """Who served when it began."""
    rollback_to: GenerationId | None = None
    """An ordinary update whose code comes from this generation's kept zygote."""
    pinned: str = ""
    """Nothing but this fingerprint will do (a rollback from files)."""
    is_first: bool = False
    from_kept: bool = False
    """A rollback to workers that were kept: nothing is started, and the generation is the one that it was."""
    slots: int = 0
    """The slots below this number are its own by now (a canary, or on the way from slot to slot)."""
    attempt: int = 1
    surveys: int = 1
    has_run_before: bool = False
    """The ``before`` hook, for what is on the disk now."""
    is_verified: bool = False
    is_verifying: bool = False
    baked_from_s: float = 0.0


class Switch(Struct):
    """Slots are changing hands: the old ones were told to stop accepting, the new ones have not been told to begin."""

    target: GenerationId
    waiting: set[WorkerId]
    """Who has not said yet that it stopped."""
    slots: int
    """Slots below this number switch (a canary); beyond all: everything."""
    is_back: bool = False
    fault: Fault | None = None
    """Why it goes back."""
    is_automatic: bool = False
    stopped: set[WorkerId] = field(default_factory=set)
    """Who was told to stop: they begin again if the switch is given up."""
    is_carrying: bool = False
    """The slots' state was asked for."""


class Exchange(Struct):
    """State on its way from some workers to another."""

    number: int
    target: WorkerId
    sources: tuple[WorkerId, ...]
    how: How
    is_of_switch: bool = False


ALL_SLOTS = 1 << 30


class Hold(Struct):
    by: str
    reason: str


class Before(Struct):
    """What was committed last when the supervisor before this one was killed. Nothing of it runs any more."""

    generation: GenerationId
    version: str
    fingerprint: str
    zygote_deaths_s: list[float] = field(default_factory=list)
    from_disk_s: list[float] = field(default_factory=list)
    deaths_s: list[float] = field(default_factory=list)


class Stopping(Struct):
    exit_code: int = 0
    fault: Fault | None = None


class Service(Struct):
    """Everything."""

    policy: Policy
    wanted: int
    """Workers."""
    generations: dict[GenerationId, Generation] = field(default_factory=dict)
    workers: dict[WorkerId, Worker] = field(default_factory=dict)
    zygotes: dict[ZygoteId, ZygoteState] = field(default_factory=dict)
    serving: GenerationId | None = None
    committed: GenerationId | None = None
    """The newest committed generation: where a rollback in the bake goes."""
    previous: GenerationId | None = None
    """The committed one before it: where a rollback after the commit goes."""
    candidate: Update | None = None
    """An update before its cut-over."""
    baking: Update | None = None
    """An update at or after its cut-over, before its commit. Beside it a newer candidate may already be on its way."""
    switch: Switch | None = None
    exchanges: dict[int, Exchange] = field(default_factory=dict)
    """State on its way, by number."""
    queued: UpdateAsked | None = None
    rollback_barred: str = ""
    """Why nobody may go back from the committed generation."""
    contracted: GenerationId | None = None
    """The generation whose contract hook was started last."""
    before: Before | None = None
    """Until an update that somebody asked for is committed."""
    hold: Hold | None = None
    quarantine: dict[str, str] = field(default_factory=dict)
    """Fingerprint → why it was rolled back."""
    stopping: Stopping | None = None
    has_ended: bool = False
    timers: dict[str, float] = field(default_factory=dict)
    """Name → monotonic seconds. Names are ``kind`` or ``kind:number`` or ``kind:number:number``."""
    last_generation: int = 0
    last_worker: int = 0
    last_zygote: int = 0
    last_update: int = 0
    last_exchange: int = 0


QUARANTINE_MAX = 50
"""Rolled-back fingerprints remembered; the oldest is forgotten first. More than anybody ships between two good ones."""
