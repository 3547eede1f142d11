"""The words of the control socket: what a command asks and what the supervisor answers.

One request a connection, then a stream of answers; the last answer ends the stream, after it the supervisor closes:

    Status, Config, History, Receipt, Stacks, WhyAlive, Metrics   -> their report, or Refused
    Scale, Hold, Release, Drain                             -> Done, or Refused
    Reload, Rollback, Upgrade, Stop                         -> Accepted, Progress …, Outcome; or Refused at once
    Watch                                                   -> Progress …, Outcome; or Refused (nothing is going on)
    Logs                                                    -> LogLines …, Done (never, while following)

Answers that do not end a stream are listed in ``GOING_ON``. A word may gain fields that have a default: both sides
ignore fields that they do not know, so protocol N talks to N-1. A word that is not known is refused by name.
Times called ``time_s`` are seconds since the epoch; lengths and ages are seconds.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

import msgspec

from midair.config.values import Change, Value
from midair.errors import Fault
from midair.observe.holding import Holding, Process
from midair.observe.metrics import MetricsSnapshot

PROTOCOL = 1

FieldValue: TypeAlias = str | int | float | bool | None


def _tag(name: str) -> str:
    """``StatusReport`` -> ``status-report``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Something inside an answer."""


class Word(msgspec.Struct, frozen=True, kw_only=True, tag_field="word", tag=_tag):
    """Base of all that is said: its kind stands in the field ``word``."""


# --- requests ------------------------------------------------------------------------------------------------------


class Ask(Word, frozen=True, kw_only=True):
    """Base of requests. ``protocol`` says what the asking side speaks."""

    protocol: int = PROTOCOL
    folder: str = ""
    """Where it was typed, if only that says which service is meant: two folders may have the same name."""


class Status(Ask, frozen=True, kw_only=True):
    """How the service is."""

    look: bool = True
    """Look at the disk first, too; else ``on_disk`` is what the last look found. For whoever asks each second: false."""
    events: int = 0
    """So many of the latest events of the log are wanted, too."""


Wait = Literal["commit", "drained", "none"]


class StepTaken(Part, frozen=True, kw_only=True):
    """What whoever asks for an update had done before: a step of a deployment."""

    step: Annotated[str, msgspec.Meta(max_length=40)]
    time_s: float
    """When it began."""
    took_s: float


STEPS_MAX = 40
"""Of one deployment; there are ten kinds, and only a line of ``prepare`` may come more than once."""


class Reload(Ask, frozen=True, kw_only=True):
    """Update to what is on disk."""

    update: Literal["config", "code"] = "config"
    """config: read the configuration again too (as HUP does); code: the same settings (as USR1 does)."""
    wait: Wait = "commit"
    now: bool = False
    """All at once and without queueing: rate 100 %, an update under way is superseded."""
    force: bool = False
    """Also a fingerprint that was rolled back before, and one that already serves."""
    expect: str = ""
    """Refuse unless the version on disk has this name; empty: any."""
    no_rollback: bool = False
    drain_rate_per_s: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """Share of the connections that may move in a second, in this update; 0: as configured."""
    reason: str = ""
    traceparent: str = ""
    """The trace within which it is asked for, as W3C has it; the update is a span of it."""
    tracestate: str = ""
    steps: Annotated[tuple[StepTaken, ...], msgspec.Meta(max_length=STEPS_MAX)] = ()
    """Of the deployment that this update is a part of, those that are over."""


class Rollback(Ask, frozen=True, kw_only=True):
    """Back to the newest committed generation before the serving one."""

    now: bool = False
    wait: Wait = "commit"
    reason: str = ""
    traceparent: str = ""
    """The trace within which it is asked for, as W3C has it; the update is a span of it."""
    tracestate: str = ""


class Scale(Ask, frozen=True, kw_only=True):
    workers: int
    reason: str = ""


class Hold(Ask, frozen=True, kw_only=True):
    """Refuse updates that others ask for."""

    reason: str
    for_s: float = 0.0
    """0: until released."""


class Release(Ask, frozen=True, kw_only=True):
    """End a hold."""


class Drain(Ask, frozen=True, kw_only=True):
    """What is left of earlier versions is to leave now: its connections move all at once, and what cannot is ended in time."""

    within_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 5.0
    """How long what is under way may take yet."""
    reason: str = ""


class Upgrade(Ask, frozen=True, kw_only=True):
    """Re-execute the supervisor in place. Its end of this connection is handed on, so the outcome still arrives."""

    reason: str = ""
    traceparent: str = ""
    """The trace within which it is asked for, as W3C has it; the update is a span of it."""
    tracestate: str = ""


class Stop(Ask, frozen=True, kw_only=True):
    force: bool = False
    """Do not wait for connections."""
    reason: str = ""


class Config(Ask, frozen=True, kw_only=True):
    """The running settings; with ``diff`` also how the file on disk, read as the service would, differs."""

    diff: bool = False


class History(Ask, frozen=True, kw_only=True):
    limit: int = 20
    """Newest first."""


class Receipt(Ask, frozen=True, kw_only=True):
    number: int = 0
    """0: the latest."""


class Logs(Ask, frozen=True, kw_only=True):
    generation: int = 0
    """0: all that have processes; while following, all."""
    follow: bool = False
    limit: int = 200
    after: int = 0
    """Lines and events up to this number are known already; numbers are microseconds since the epoch, roughly."""
    update: int = 0
    """Those of this update's generation, and the events of the update; 0: all."""
    events: bool = False
    """What midair itself says, too."""


class Stacks(Ask, frozen=True, kw_only=True):
    """What the workers' threads and tasks stand in."""

    generation: int = 0
    """0: the serving one."""
    slot: int = -1
    """-1: all."""


class WhyAlive(Ask, frozen=True, kw_only=True):
    """What keeps a generation."""

    generation: int = 0
    """0: the oldest that is on its way out; if none is, the serving one."""


class Metrics(Ask, frozen=True, kw_only=True):
    """All figures at this moment (→ MetricsReport or FiguresReport)."""

    form: Literal["text", "figures"] = "text"
    """text: as a scrape would get it, but for the memory of processes; figures: typed, for the process that serves the scrapes."""


class Watch(Ask, frozen=True, kw_only=True):
    """Look on at an update, from its start or from where a watcher lost its connection."""

    update: int = 0
    """0: the one going on."""
    after: int = 0
    """Progress up to this number is known already."""
    wait: Wait = "commit"


Request: TypeAlias = (
    Status
    | Reload
    | Rollback
    | Scale
    | Hold
    | Release
    | Drain
    | Upgrade
    | Stop
    | Config
    | History
    | Receipt
    | Logs
    | Stacks
    | WhyAlive
    | Metrics
    | Watch
)


# --- answers -------------------------------------------------------------------------------------------------------


class Answer(Word, frozen=True, kw_only=True):
    """Base of answers."""


class Accepted(Answer, frozen=True, kw_only=True):
    """The update has begun (or waits its turn) and has a number, which its receipt will have too."""

    update: int
    note: str = ""
    """``joined: …``, ``queued: …``, ``already serves 1.8.2``; empty: nothing to say."""


class Progress(Answer, frozen=True, kw_only=True):
    """Something happened in the update that is watched."""

    update: int
    number: int
    """Counted 1, 2, 3 within the update: where ``Watch`` resumes."""
    event: str
    """Name from observe/events, such as ``candidate_ready``."""
    phase: str = ""
    """The phase that begins with this: build, start, ready, canary, cut-over, bake, commit, drain; empty: as before."""
    since_s: float = 0.0
    """Since the update began."""
    time_s: float = 0.0
    fields: dict[str, FieldValue] = {}
    """What belongs to the event; never secrets, few, short."""


Result = Literal["committed", "refused", "rolled-back", "superseded", "stopped", "failed", "unknown", "held"]


class Outcome(Answer, frozen=True, kw_only=True):
    """How an update ended, and what serves now."""

    update: int
    result: Result
    exit_code: int
    fault: Fault | None = None
    receipt: int = 0
    """0: none could be written."""
    generation: int = 0
    """Serving now; 0: none."""
    version: str = ""
    previous: str = ""
    """Version that served when the update began."""
    duration_s: float = 0.0


class Refused(Answer, frozen=True, kw_only=True):
    """The request itself was not taken up; nothing changed."""

    fault: Fault
    exit_code: int = 1


class Done(Answer, frozen=True, kw_only=True):
    """Done at once; ``note`` is a sentence for people."""

    note: str = ""


class WorkerStatus(Part, frozen=True, kw_only=True):
    id: int
    slot: int
    pid: int
    state: str
    """starting, ready, serving, draining, parked, hung, gone."""
    connections: int = 0
    active: int = 0
    """Of these: with a request in flight."""
    streams: int = 0
    """Of those in flight: a part of the response was sent, and more is to come."""
    websockets: int = 0
    """Of the connections: WebSockets."""
    requests: int = 0
    rss_bytes: int = 0
    processor_s: float = 0.0
    """Processor time that it has used."""
    age_s: float = 0.0
    ends_in_s: float | None = None
    """When what it still has is cut; null: no limit is set."""
    said: str = ""
    """A command child's STATUS."""


class GenerationStatus(Part, frozen=True, kw_only=True):
    number: int
    version: str
    role: str
    """serving, candidate, canary, retiring, parked (kept for a rollback), stand-in (serves while no version can)."""
    folder: str = ""
    """Where its configuration and code are, links resolved: with release folders, which release it is."""
    mode: str = ""
    """fork, spawn, exec."""
    why: str = ""
    """Why it could not be forked; empty when it was."""
    workers: tuple[WorkerStatus, ...] = ()
    age_s: float = 0.0
    note: str = ""
    requests: int = 0
    """Responses begun, by workers that have ended, too."""
    errors: int = 0
    """Of these, those of status 500 and above."""
    latency_buckets: tuple[int, ...] = ()
    """Responses by how long they took, a number for each of ``latency_bounds_s`` and one for everything above."""
    kept_s: float = 0.0
    """For how long it is kept yet for a rollback."""
    deaths: int = 0
    """Of its workers while they served, without being told to, within the last minute."""
    last_death: str = ""
    """How the last of these ended."""
    is_crash_loop: bool = False
    """So many that the next ones wait longer and longer."""
    next_start_s: float | None = None
    """In how long the next worker is started in the place of one that died; null: none is waited for."""


class HoldStatus(Part, frozen=True, kw_only=True):
    reason: str
    by: str = ""
    left_s: float = 0.0
    """0: until released."""


class UpdateStatus(Part, frozen=True, kw_only=True):
    """The update that is going on."""

    update: int
    phase: str
    generation: int = 0
    version: str = ""
    age_s: float = 0.0
    by: str = ""
    reason: str = ""
    left_s: float = 0.0
    """Of its bake, if it is in one."""


class MovingStatus(Part, frozen=True, kw_only=True):
    """Live connections that are on their way to the serving version."""

    left: int
    of: int
    """Connections that were not on the serving version when it began to serve."""
    moved: int = 0
    for_s: float = 0.0
    """How long it will take yet, if nothing slows it."""
    rate_per_s: float = 1.0
    """Share of ``of`` that may move in a second; 1: all at once."""
    per_s: float = 0.0
    """Connections that may move in a second, if nothing slows it."""
    share: float = 1.0
    """How much of that rate is used: less while the new version fails or is slow, 0 while it is halted."""
    errors: float = 0.0
    """Share of the new version's answers that are errors, beyond what the old one's were."""
    slow: float = 0.0
    """Share of them that are much slower than the old one's, beyond what the old one's were."""


class ReceiptLine(Part, frozen=True, kw_only=True):
    """An update in one line."""

    number: int
    time_s: float
    """When it began."""
    result: str
    source: str = ""
    """Version that served before."""
    target: str = ""
    """Version that was asked for."""
    generation: int = 0
    duration_s: float = 0.0
    by: str = ""
    """What asked: ``reload uid 1000``, ``SIGHUP``, ``bake``."""
    reason: str = ""
    fault: str = ""
    """Message of the fault, if it failed."""


class EventLine(Part, frozen=True, kw_only=True):
    """An event of the log (docs/events.md)."""

    number: int
    """Grows from event to event and from line to line of output, over restarts, too."""
    time_s: float
    level: str
    event: str
    fields: dict[str, FieldValue] = {}


class StoreStatus(Part, frozen=True, kw_only=True):
    """What systemd's descriptor store keeps for the next supervisor, should this one be killed."""

    state: Literal["none", "used", "full"]
    """none: the unit keeps nothing (no FileDescriptorStoreMax); full: there is no room for all."""
    names: tuple[str, ...] = ()


class StatusReport(Answer, frozen=True, kw_only=True):
    name: str
    folder: str
    target: str
    """The application or the command, as configured."""
    pid: int
    midair: str
    """Version of midair that the supervisor runs."""
    uptime_s: float
    state: str = "serving"
    """starting, serving, updating, stopping, failing (nothing serves), waiting (a stand-in serves)."""
    serving: int = 0
    """Generation; 0: none."""
    version: str = ""
    """Of the serving generation."""
    on_disk: str = ""
    """What a restart would start; empty: not known."""
    back: str = ""
    """The version that a rollback would go back to now; empty: there is none, or no way back."""
    workers: int = 0
    """Wanted."""
    generations: tuple[GenerationStatus, ...] = ()
    hold: HoldStatus | None = None
    update: UpdateStatus | None = None
    moving: MovingStatus | None = None
    last: tuple[ReceiptLine, ...] = ()
    binds: tuple[str, ...] = ()
    metrics: str = ""
    admin: str = ""
    store: StoreStatus | None = None
    """None: it does not run under systemd."""
    warnings: tuple[str, ...] = ()
    events: tuple[EventLine, ...] = ()
    """The latest ones, oldest first."""
    rss_bytes: int = 0
    """The supervisor's own."""
    processor_s: float = 0.0
    latency_bounds_s: tuple[float, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether a version accepts, and shall go on doing so."""
        return self.state in ("serving", "updating")


class ConfigReport(Answer, frozen=True, kw_only=True):
    """The running settings, redacted, and (if asked) what the file would change."""

    values: tuple[Value, ...]
    changes: tuple[Change, ...] = ()
    fault: Fault | None = None
    """The file could not be read: ``changes`` is empty then."""
    warnings: tuple[str, ...] = ()


class HistoryReport(Answer, frozen=True, kw_only=True):
    receipts: tuple[ReceiptLine, ...]


class ReceiptReport(Answer, frozen=True, kw_only=True):
    number: int
    document: msgspec.Raw
    """The receipt as it is kept: a JSON object."""


class LogLine(Part, frozen=True, kw_only=True):
    time_s: float
    generation: int
    slot: int
    """-1: not a worker (the supervisor, a hook, a zygote)."""
    text: str
    stream: str = ""
    """stdout, stderr, or empty: it is an event of midair's own."""
    number: int = 0
    """Grows from line to line, over restarts, too."""
    event: str = ""
    level: str = ""
    fields: dict[str, FieldValue] = {}


class LogLines(Answer, frozen=True, kw_only=True):
    lines: tuple[LogLine, ...]
    dropped: int = 0
    """Lines before these that were not kept."""


class WorkerStacks(Part, frozen=True, kw_only=True):
    generation: int
    slot: int
    pid: int
    text: str


class StacksReport(Answer, frozen=True, kw_only=True):
    workers: tuple[WorkerStacks, ...]


class WorkerHolding(Part, frozen=True, kw_only=True):
    """What keeps one worker."""

    id: int
    slot: int
    pid: int
    state: str
    age_s: float = 0.0
    is_command: bool = False
    """A program of its own: what is known of it is what can be seen from outside."""
    holding: Holding | None = None
    """What it says; null: it does not answer, since its event loop stands still."""
    stacks: str = ""
    """Of one that does not answer: where its threads stand."""
    processes: tuple[Process, ...] = ()
    """Below it."""
    ends_in_s: float | None = None
    """When what it still has is cut; null: no limit is set."""


class WhyAliveReport(Answer, frozen=True, kw_only=True):
    generation: int
    version: str = ""
    role: str = ""
    """serving, candidate, parked, retiring, gone."""
    age_s: float = 0.0
    why: str = ""
    """Why it is there at all, in a sentence."""
    workers: tuple[WorkerHolding, ...] = ()
    programs: tuple[str, ...] = ()
    """Once-only programs of it that run."""


class MetricsReport(Answer, frozen=True, kw_only=True):
    text: str


class FiguresReport(Answer, frozen=True, kw_only=True):
    snapshot: MetricsSnapshot


AnyAnswer: TypeAlias = (
    Accepted
    | Progress
    | Outcome
    | Refused
    | Done
    | StatusReport
    | ConfigReport
    | HistoryReport
    | ReceiptReport
    | LogLines
    | StacksReport
    | WhyAliveReport
    | MetricsReport
    | FiguresReport
)

GOING_ON = (Accepted, Progress, LogLines)
"""Answers after which more come."""
