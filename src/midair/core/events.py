"""Facts: what the outside tells the core. Each names its worker, zygote or generation, so late news is told from new.

Nothing here is a wish except the ``…Asked`` events, which are somebody's request and carry who waits for the answer.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from midair.core.ids import GenerationId, RequestId, WorkerId, ZygoteId
from midair.core.policy import Policy
from midair.errors import Fault

Carries = Literal["", "moves", "merges"]
"""What a worker keeps in memory for its slot: nothing; state that one worker at a time may change; or state of which two
copies may go on side by side for a while, as the application can merge them."""

# --- requests -----------------------------------------------------------------------------------------------------


class UpdateAsked(Struct, frozen=True):
    """Somebody wants the code on disk to serve."""

    request: RequestId
    by: str
    """Who, for the receipt: ``uid 1000``, ``SIGHUP``, ``start``."""
    reason: str = ""
    reread: bool = True
    """Read the configuration again, too."""
    force: bool = False
    """Also a quarantined version, also against somebody's hold."""
    now: bool = False
    """Do not wait for slots that are being switched, and move all connections at once."""
    drain_rate_per_s: float = 0.0
    """Share of the connections that may move in a second; 0: as configured."""
    expect: str = ""
    """Refuse any other version than this one."""
    no_rollback: bool = False
    """The old code cannot follow this version: never go back from it by itself or on request."""
    traceparent: str = ""
    """The trace within which it is asked for, as W3C has it; not read here."""
    tracestate: str = ""


class RollbackAsked(Struct, frozen=True):
    request: RequestId
    by: str
    reason: str = ""
    now: bool = False
    """Connections come back all at once, whatever ``rollback.rate`` says."""
    traceparent: str = ""
    tracestate: str = ""


class ScaleAsked(Struct, frozen=True):
    request: RequestId
    workers: int
    by: str = ""


class HoldAsked(Struct, frozen=True):
    request: RequestId
    by: str
    reason: str
    for_s: float
    """0: until released."""


class ReleaseAsked(Struct, frozen=True):
    request: RequestId
    by: str


class DrainAsked(Struct, frozen=True):
    """What is left of earlier versions is to leave now: it has taken long enough."""

    request: RequestId
    by: str
    within_s: float


class StopAsked(Struct, frozen=True):
    request: RequestId
    by: str
    at_once: bool = False


# --- the making of a generation -----------------------------------------------------------------------------------


class Prepared(Struct, frozen=True):
    """The files were surveyed: this is what a start would import, in which environment, under which settings."""

    generation: GenerationId
    version: str
    fingerprint: str
    policy: Policy


class PrepareFailed(Struct, frozen=True):
    generation: GenerationId
    fault: Fault


class Verified(Struct, frozen=True):
    """The files were looked at once more, after the import: ``fingerprint`` is what they are now."""

    generation: GenerationId
    fingerprint: str


class HookEnded(Struct, frozen=True):
    generation: GenerationId
    hook: Literal["before", "after", "contract"]
    fault: Fault | None


class ZygoteReady(Struct, frozen=True):
    """It has imported the application. ``unsafe`` says why its workers must not be forked; empty: they may. ``policy``: what
    the application itself set at import; None: as the disk said."""

    zygote: ZygoteId
    unsafe: tuple[str, ...] = ()
    policy: Policy | None = None


class ZygoteFailed(Struct, frozen=True):
    """The import failed, or a restart found other files than the generation is pinned to. The process ends."""

    zygote: ZygoteId
    fault: Fault


class ZygoteExited(Struct, frozen=True):
    zygote: ZygoteId
    how: str


# --- workers ------------------------------------------------------------------------------------------------------


class WorkerReady(Struct, frozen=True):
    """Its application has started (lifespan start-up complete; a command child said READY)."""

    worker: WorkerId
    carries: Carries = ""
    """State of its slot that goes on with the next worker."""


class WorkerFailed(Struct, frozen=True):
    """It says why it will not get ready; its exit follows. Also: the process could not be made at all (no exit follows
    then, and ``exists`` is false)."""

    worker: WorkerId
    fault: Fault
    exists: bool = True


class ProbeAnswered(Struct, frozen=True):
    worker: WorkerId
    verdict: Literal["healthy", "unhealthy", "no-route"]
    detail: str = ""


class StoppedAccepting(Struct, frozen=True):
    worker: WorkerId


class StateCarried(Struct, frozen=True):
    """An exchange of state has ended: the target has it, or (``fault``) nothing was changed there that counts."""

    exchange: int
    fault: Fault | None = None


class WorkerDrained(Struct, frozen=True):
    """Its connections are gone and every application call has returned."""

    worker: WorkerId


class WorkerExited(Struct, frozen=True):
    worker: WorkerId
    how: str
    """``exit 0``, ``exit 1``, ``SIGKILL``: for people."""


class WorkerWorn(Struct, frozen=True):
    """It should be replaced, successor first: too many requests served, too much memory, or its loop hangs."""

    worker: WorkerId
    why: str
    hangs: bool = False


class AnswersCounted(Struct, frozen=True):
    """What a generation has answered since it accepts, and the share of errors its predecessor had in its last minute."""

    generation: GenerationId
    responses: int
    errors: int
    before_rate: float


class CompanionExited(Struct, frozen=True):
    generation: GenerationId
    name: str
    how: str


class Tick(Struct, frozen=True):
    """The time that the core asked to be woken at has come."""


Event = (
    UpdateAsked
    | RollbackAsked
    | ScaleAsked
    | HoldAsked
    | DrainAsked
    | ReleaseAsked
    | StopAsked
    | Prepared
    | PrepareFailed
    | Verified
    | HookEnded
    | ZygoteReady
    | ZygoteFailed
    | ZygoteExited
    | WorkerReady
    | WorkerFailed
    | ProbeAnswered
    | StoppedAccepting
    | StateCarried
    | WorkerDrained
    | WorkerExited
    | WorkerWorn
    | AnswersCounted
    | CompanionExited
    | Tick
)
