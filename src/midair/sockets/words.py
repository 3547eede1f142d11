"""The handshake: the words between the supervisor and the Python processes it started.

Each word is one message (``passing``): msgpack, a tagged map, unknown fields ignored and missing ones defaulted, so that
protocol N speaks N-1. Never pickle: the other side may be another Python or another midair. Descriptors travel beside the
word; which ones and in which order stands with the word.

    supervisor → host      Become, Fork, GoOn, WorkerGone, TellImports, Compile
    supervisor → worker    Accept, StopAccepting, ExportState, ImportState, NotReady, Drain, HandOver, TakeOver, Grant,
                           Probe, Leave, TellStacks, TellHolding, TellPages
    supervisor → hub       BeHub, TellPages
    host → supervisor      Hello, Forked, ForkFailed, Relied, Stopped, Stale, Preloaded, ImportsTold, Imported, Started,
                           Failed, Said
    worker → supervisor    Accepting, StoppedAccepting, StateExported, StateImported, Drained, Moved, Stays, HandOverEnded, Worn,
                           Stacks, Holds, PagesOpen, Left
    any of them → supervisor    AskTerminal, ReturnTerminal
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from midair.errors import Fault
from midair.observe.holding import Holding
from midair.sockets.passing import MESSAGE_MAX_BYTES
from midair.worker.settings import DevSettings, Served, ServeSettings, TlsSettings, Traced

PROTOCOL = 1
DETAIL_MAX = 16 * 1024
"""Characters of a traceback that cross; the rest stands in the application's own output."""

NAMES_MAX = 100
"""States that an answer names; more are carried and not named."""
MESSAGE_CHARS = 1000
"""Of a sentence with an application's own words in it."""


class Word(msgspec.Struct, frozen=True, tag_field="word", tag=True, kw_only=True):
    """Base of all words."""


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What a generation is to the process that imports it. Travels in a memfd: an environment can be large."""

    generation: int
    version: str
    target: str
    factory: bool
    chdir: str
    environment: dict[str, str]
    serve: ServeSettings
    exit_s: float
    tls: TlsSettings = TlsSettings()
    """Its paths are absolute."""
    plain: tuple[int, ...] = ()
    """Places of the listeners that speak without TLS."""
    main: str = ""
    """Instead of a target: the file or module that calls ``midair.serve()``."""
    arguments: tuple[str, ...] = ()
    max_requests: int = 0
    max_requests_jitter: int = 0
    max_memory_bytes: int = 0
    hang_warn_s: float = 5.0
    exclusive_dir: str = ""
    """Where the files are that ``midair.exclusive`` locks."""
    borrows_listeners: bool = False
    """They are a command's, and stay in the mode that they have: it may rely on it."""
    dev: DevSettings | None = None
    """Run by ``midair dev``."""
    traced: Traced | None = None
    """How its processes are named in telemetry, and where spans of its requests go."""
    snapshot: bool = False
    """Its import is recorded, so that a later one may go on from within it."""


class Imports(msgspec.Struct, frozen=True, kw_only=True):
    """What an import was made of, for a third-party zygote. Travels in a memfd."""

    modules: tuple[str, ...]
    """Installed modules that the project's imported, in the order of their execution."""
    files: tuple[str, ...] = ()
    """The project's files that were executed: to be compiled in advance."""


Role = Literal["third-party", "spare", "zygote", "worker"]


class Become(Word, frozen=True, kw_only=True):
    """To a fresh process: be this. Descriptors: launch, then for a worker its page, its file for
    stacks, and the listeners."""

    role: Role
    id: int
    slot: int = 0


class Fork(Word, frozen=True, kw_only=True):
    """To a zygote: fork this (→ Forked, ForkFailed or Stale). Descriptors: the child's link, stdout, stderr, launch, then for a
    worker its page and the listeners, for a third-party zygote its ``Imports``."""

    role: Role
    id: int
    slot: int = 0
    child_generation: int = 0
    """A rollback after the commit runs the same code under a new number; 0: as imported."""
    stops: tuple[str, ...] = ()
    """Files, as a fingerprint names them, before which an import is to stop (→ Stopped)."""
    late: tuple[str, ...] = ()
    """Files whose function bodies are to be put in as late as possible."""
    until: int = -1
    """A third-party zygote imports so many of its modules; -1: all."""


class GoOn(Word, frozen=True, kw_only=True):
    """To the spare of a checkpoint: go on with the import, as a fork of the checkpoint would (→ Hello or Stale).
    Descriptors: stdout, stderr, launch."""

    id: int
    stops: tuple[str, ...] = ()
    """As in Fork."""
    late: tuple[str, ...] = ()


class TellImports(Word, frozen=True, kw_only=True):
    """To a zygote: write what the import was made of into the memfd beside this word (→ ImportsTold)."""


class Compile(Word, frozen=True, kw_only=True):
    """To a third-party zygote or a checkpoint: these files of the project were executed; have their code ready."""

    files: tuple[str, ...]


class WorkerGone(Word, frozen=True, kw_only=True):
    """To a zygote: a worker forked from it has ended (the ``worker_exited`` hook)."""

    worker: int
    pid: int


class Accept(Word, frozen=True, kw_only=True):
    pass


class StopAccepting(Word, frozen=True, kw_only=True):
    """(→ StoppedAccepting, later Drained) ``is_moving``: the connections stay as they are, they will be handed over;
    else they are let come to an end."""

    is_moving: bool = False
    is_holding: bool = False
    """Begin no request either: the slot's state is about to be asked for. Undone by Accept and by Drain."""


class ExportState(Word, frozen=True, kw_only=True):
    """Write the slot's state into the memfd beside this word (→ StateExported). With a second memfd, write there what it has
    become when the last connection is gone (→ StateExported, ``is_last``)."""

    exchange: int
    grace_s: float = 0.0
    """How long requests in flight may take to end first."""
    max_bytes: int = 0
    is_trial: bool = False


class ImportState(Word, frozen=True, kw_only=True):
    """Take in the state in the memfds beside this word, the slot's own first (→ StateImported).

    ``trial``: only see whether it can be done. ``take``: begin with it. ``join``: add it to what is here. ``back``: begin
    with it, and if it cannot be, go on with what is here. ``merge``: add what has changed in it since the one before."""

    exchange: int
    how: Literal["trial", "take", "join", "back", "merge"]
    has_before: bool = False
    """The last descriptor is what the two copies began with."""


class NotReady(Word, frozen=True, kw_only=True):
    """The service is about to stop: answer readiness probes with 503, and serve everything else."""


class Drain(Word, frozen=True, kw_only=True):
    """Nobody takes the connections over: let them come to an end, without a race."""


class HandOver(Word, frozen=True, kw_only=True):
    """Give the connections to another worker, whose end of the channel is beside this word, as far as ``Grant`` allows."""

    target: int


class TakeOver(Word, frozen=True, kw_only=True):
    """Take connections over from another worker, over the channel beside this word."""

    source: int


class Grant(Word, frozen=True, kw_only=True):
    """So many connections may move now (→ Moved). ``is_all``: all of them, from now on (no answer)."""

    count: int = 0
    is_all: bool = False


class Probe(Word, frozen=True, kw_only=True):
    """Take the socket beside this word as a connection; it is a health probe and stands in no book."""


class Leave(Word, frozen=True, kw_only=True):
    """End when empty, at the latest after ``within_s`` (→ Left). Said again with less time, it hurries."""

    within_s: float
    is_moving: bool = False
    """As with ``StopAccepting``."""
    spread_s: float = 0.0
    """WebSockets that are left are closed one after the other over this time before the deadline, not all at once."""


class TellStacks(Word, frozen=True, kw_only=True):
    """(→ Stacks)"""


class TellHolding(Word, frozen=True, kw_only=True):
    """What keeps you? (→ Holds)"""


class BeHub(Word, frozen=True, kw_only=True):
    """To a fresh hub, for the pages of a command: serve those that come from these ports of this machine."""

    dev: DevSettings
    ports: tuple[int, ...] = ()


class TellPages(Word, frozen=True, kw_only=True):
    """To the worker's open pages, while a service is developed: a message of ``browser/messages``, as JSON."""

    message: bytes


class Hello(Word, frozen=True, kw_only=True):
    """The first word of every process."""

    pid: int
    role: Literal["base", "third-party", "spare", "zygote", "worker"]
    id: int
    python: str
    midair: str
    protocol: int = PROTOCOL


class Forked(Word, frozen=True, kw_only=True):
    id: int
    pid: int


class ForkFailed(Word, frozen=True, kw_only=True):
    id: int
    message: str


class Relied(Word, frozen=True, kw_only=True):
    """Before Stopped, as often as it takes: files of the project that were executed or read, with their digests."""

    files: tuple[tuple[str, bytes], ...]


class Stopped(Word, frozen=True, kw_only=True):
    """Not a zygote but a checkpoint: its import stands before this file (empty: at its end), and goes on in whatever is forked
    from it."""

    at: str
    seconds: float
    """Of this part of the import; whoever goes on says its own."""
    third_party_s: float = 0.0


class Stale(Word, frozen=True, kw_only=True):
    """Instead of Forked: the import would go on from what is not so any more."""

    id: int
    changed: str


class Preloaded(Word, frozen=True, kw_only=True):
    """A third-party zygote is ready. ``failed``: it is not, and which of its modules is to blame; it ends."""

    seconds: float = 0.0
    failed: int = -1
    why: str = ""


class ImportsTold(Word, frozen=True, kw_only=True):
    """They are in the memfd. ``left_out``: from which installed module on they are not, and why."""

    count: int
    left_out: str = ""


class Imported(Word, frozen=True, kw_only=True):
    """The application is there. ``unsafe``: why a fork of this process would share what must not be shared."""

    interface: str
    seconds: float
    unsafe: tuple[str, ...] = ()
    served: Served = Served()
    """Settings that its main file gave to ``midair.serve()``."""
    third_party_s: float = 0.0
    """Of the seconds, those that went into installed modules."""
    passed: str = ""
    """Why the import did not stop where it was to."""


class Started(Word, frozen=True, kw_only=True):
    """Start-up is complete. ``carries``: what the application keeps in memory for its slot (core/events)."""

    seconds: float
    carries: Literal["", "moves", "merges"] = ""


class Failed(Word, frozen=True, kw_only=True):
    """It will not serve, and why; it ends now."""

    code: str
    message: str
    hint: str = ""
    detail: str = ""

    def fault(self) -> Fault:
        return Fault(self.code, self.message, self.hint, self.detail)


class Said(Word, frozen=True, kw_only=True):
    """Something worth a line in midair's log (``observe/events``)."""

    event: str
    fields: dict[str, str | int | float | None] = {}


class Accepting(Word, frozen=True, kw_only=True):
    pass


class StoppedAccepting(Word, frozen=True, kw_only=True):
    pass


class StateExported(Word, frozen=True, kw_only=True):
    """The state is in the memfd, or (``fault``) it is not."""

    exchange: int
    is_last: bool = False
    names: tuple[str, ...] = ()
    size_bytes: int = 0
    running: int = 0
    """Requests that had not ended: what they still change is not in it."""
    waited_s: float = 0.0
    seconds: float = 0.0
    """What the application's own functions took."""
    fault: Fault | None = None


class StateImported(Word, frozen=True, kw_only=True):
    """It was taken in, or (``fault``) it was not. ``dropped``: states that nobody here carries or could merge."""

    exchange: int
    seconds: float = 0.0
    dropped: tuple[str, ...] = ()
    fault: Fault | None = None


class Drained(Word, frozen=True, kw_only=True):
    pass


class Worn(Word, frozen=True, kw_only=True):
    """A limit of the worker is reached: it asks to be replaced."""

    why: str


class Stacks(Word, frozen=True, kw_only=True):
    text: str


class Holds(Word, frozen=True, kw_only=True):
    """What keeps the worker at this moment."""

    holding: Holding


class PagesOpen(Word, frozen=True, kw_only=True):
    """So many pages listen to this worker now."""

    count: int


class Moved(Word, frozen=True, kw_only=True):
    """So much of a grant was used."""

    count: int


class Stays(Word, frozen=True, kw_only=True):
    """The application of the target does not go on with a WebSocket or a stream: it stays ours. Each reason is said once."""

    target: int
    why: str


class HandOverEnded(Word, frozen=True, kw_only=True):
    """The target takes nothing more. What it has not acknowledged is still ours. ``is_declined``: it lives and will not."""

    target: int
    why: str
    is_declined: bool = False


class AskTerminal(Word, frozen=True, kw_only=True):
    """A debugger is about to ask its developer something: make this process group the terminal's. It sees for itself when it is."""

    group: int


class ReturnTerminal(Word, frozen=True, kw_only=True):
    """It has its answer."""


class Left(Word, frozen=True, kw_only=True):
    """Last word. ``cut``: what was still running at the deadline, a line each."""

    cut: tuple[str, ...] = ()


ToHost = (
    Become
    | Fork
    | GoOn
    | TellImports
    | Compile
    | WorkerGone
    | Accept
    | StopAccepting
    | ExportState
    | ImportState
    | NotReady
    | Drain
    | HandOver
    | TakeOver
    | Grant
    | Probe
    | Leave
    | TellStacks
    | TellHolding
    | BeHub
    | TellPages
)
FromHost = (
    Hello
    | Forked
    | ForkFailed
    | Relied
    | Stopped
    | Stale
    | Preloaded
    | ImportsTold
    | Imported
    | Started
    | Failed
    | Said
    | Accepting
    | StoppedAccepting
    | StateExported
    | StateImported
    | Drained
    | Moved
    | Stays
    | HandOverEnded
    | Worn
    | Stacks
    | Holds
    | PagesOpen
    | AskTerminal
    | ReturnTerminal
    | Left
)

_encoder = msgspec.msgpack.Encoder()
_to_host: msgspec.msgpack.Decoder[ToHost] = msgspec.msgpack.Decoder(ToHost)
_from_host: msgspec.msgpack.Decoder[FromHost] = msgspec.msgpack.Decoder(FromHost)


def encode(word: ToHost | FromHost) -> bytes:
    """A word as the bytes of one message. Whoever makes long words shortens them first (``shorten``)."""
    data = _encoder.encode(word)
    assert len(data) <= MESSAGE_MAX_BYTES, f"{type(word).__name__} of {len(data)} bytes"
    return data


def decode_to_host(data: bytes) -> ToHost:
    """Raises msgspec.MsgspecError for what is no word."""
    return _to_host.decode(data)


def decode_from_host(data: bytes) -> FromHost:
    """Raises msgspec.MsgspecError for what is no word."""
    return _from_host.decode(data)


def shorten(text: str, limit: int = DETAIL_MAX) -> str:
    """The end of a long text: of a traceback the last lines matter."""
    return text if len(text) <= limit else "… " + text[-limit:]


def shorten_lines(lines: Sequence[str], most: int = 50) -> tuple[str, ...]:
    """At most so many lines, each short, with a last one that counts the rest."""
    kept = tuple(line[:300] for line in lines[:most])
    return kept if len(lines) <= most else (*kept, f"… and {len(lines) - most} more")
