"""Orders: what the core wants done. The shell begins each and never waits; every outcome comes back as an event."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from midair.core.ids import GenerationId, RequestId, UpdateId, WorkerId, ZygoteId
from midair.errors import Fault

Phase = Literal["build", "start", "ready", "canary", "cut-over", "bake", "commit"]
How = Literal["trial", "take", "join", "back"]
Result = Literal["committed", "refused", "rolled-back", "superseded", "stopped"]


class Prepare(Struct, frozen=True):
    """Survey what a start would import (→ Prepared, PrepareFailed). ``pinned``: only if it is still this."""

    generation: GenerationId
    reread: bool
    pinned: str = ""


class Verify(Struct, frozen=True):
    """Look at the files once more (→ Verified)."""

    generation: GenerationId


class RunHook(Struct, frozen=True):
    generation: GenerationId
    hook: Literal["before", "after", "contract"]


class StartZygote(Struct, frozen=True):
    """Import the generation's code in a process of its own (→ ZygoteReady, ZygoteFailed, ZygoteExited). ``pinned``: only
    if the files are still this (a restart); empty: the survey has just been made."""

    zygote: ZygoteId
    generation: GenerationId
    pinned: str = ""


class DropZygote(Struct, frozen=True):
    zygote: ZygoteId


class StartWorker(Struct, frozen=True):
    """Make a worker (→ WorkerReady or WorkerFailed, in the end WorkerExited). ``zygote`` None: a process that imports by
    itself, allowed only while the files match ``pinned``."""

    worker: WorkerId
    generation: GenerationId
    slot: int
    zygote: ZygoteId | None
    pinned: str


class ProbeWorker(Struct, frozen=True):
    """Ask its health (→ ProbeAnswered). ``warm``: ask the warm-up paths first."""

    worker: WorkerId
    warm: bool = False


class Accept(Struct, frozen=True):
    worker: WorkerId


class StopAccepting(Struct, frozen=True):
    """Accept no more and let connections end without a race (→ StoppedAccepting). ``holds``: begin no request either,
    until told to accept again or the connections move: the slot's state is about to be taken."""

    worker: WorkerId
    holds: bool = False


class Carry(Struct, frozen=True):
    """Take the state of ``sources`` to ``target`` (→ StateCarried). A source that is gone brings nothing.

    ``trial``: only see whether it could be done. ``take``: the target begins with it. ``join``: the target serves already.
    ``back``: the target had its own before, and keeps it if this fails.
    """

    exchange: int
    target: WorkerId
    sources: tuple[WorkerId, ...]
    how: How


class DropCarry(Struct, frozen=True):
    """Nobody waits for this exchange any more: what has not reached its target must not."""

    exchange: int


class SayNotReady(Struct, frozen=True):
    """Answer the load balancer's readiness probes with 503 from now on, and serve everything else."""

    worker: WorkerId


class Leave(Struct, frozen=True):
    """End when the connections are gone, at the latest after ``within_s``; what is left then is cut (→ WorkerExited)."""

    worker: WorkerId
    within_s: float


class Kill(Struct, frozen=True):
    """SIGKILL, to the worker and what it started (→ WorkerExited)."""

    worker: WorkerId


class CountAnswers(Struct, frozen=True):
    """(→ AnswersCounted)"""

    generation: GenerationId


class StartCompanion(Struct, frozen=True):
    generation: GenerationId
    name: str


class StopCompanion(Struct, frozen=True):
    generation: GenerationId
    name: str


class Opened(Struct, frozen=True):
    """A request has become an update."""

    update: UpdateId
    generation: GenerationId
    request: RequestId
    by: str
    reason: str
    previous: GenerationId | None
    traceparent: str = ""
    """The trace within which it was asked for, as W3C has it."""
    tracestate: str = ""


class Entered(Struct, frozen=True):
    """An update entered a phase."""

    update: UpdateId
    generation: GenerationId
    phase: Phase
    version: str = ""


class Closed(Struct, frozen=True):
    """An update ended."""

    update: UpdateId
    generation: GenerationId
    result: Result
    version: str
    serving: GenerationId | None
    fault: Fault | None = None
    note: str = ""


class Answer(Struct, frozen=True):
    """A request that is no update was carried out (``fault`` None) or refused."""

    request: RequestId
    fault: Fault | None = None
    text: str = ""
    update: UpdateId | None = None
    """The update whose end is what the request asked for (a rollback of it)."""


class StoodIn(Struct, frozen=True):
    """From now on the stand-in serves: no version has come up yet (``fault`` None), or nothing of ``generation`` is left."""

    generation: GenerationId | None = None
    version: str = ""
    fault: Fault | None = None


class GenerationGone(Struct, frozen=True):
    """Its last worker has left: its books can be closed."""

    generation: GenerationId


class Note(Struct, frozen=True):
    """A change of state worth a line in the log (``observe/events.py`` names them all)."""

    event: str
    fields: dict[str, str | int | float | None] = field(default_factory=dict)


class End(Struct, frozen=True):
    """Nothing is left to supervise: leave with this exit code."""

    exit_code: int
    fault: Fault | None = None


Effect = (
    Prepare
    | Verify
    | RunHook
    | StartZygote
    | DropZygote
    | StartWorker
    | ProbeWorker
    | Accept
    | StopAccepting
    | Carry
    | DropCarry
    | SayNotReady
    | Leave
    | Kill
    | CountAnswers
    | StartCompanion
    | StopCompanion
    | Opened
    | Entered
    | Closed
    | Answer
    | StoodIn
    | GenerationGone
    | Note
    | End
)
