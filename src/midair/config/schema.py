"""Every setting of a service: its type, its default, what it means. One class a table of ``midair.toml``.

The classes are the resolved form: plain numbers with the unit in the name, ready for use. How they are written in a
file (``timeout = "30s"``, ``rate = "5%"``) and where a value came from is the reader's business (``load.py``). The
documentation of the configuration is made from the docstrings here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from midair.worker.settings import ServeSettings


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all tables: immutable, crosses processes, compares by value."""


class Health(Table, frozen=True, kw_only=True):
    path: str = "auto"
    """``auto``: ``/health`` if the application has one; ``off``: start-up counts; else a path that must answer 200."""
    host: str = ""
    """Host header of the probe; empty: the first bind."""
    warm: tuple[str, ...] = ()
    """Paths asked once on every new worker before it takes traffic."""
    interval_s: float = 1.0
    timeout_s: float = 5.0
    probe: str = ""
    """Command children: ``notify``, ``http://ADDRESS/PATH``, ``tcp://ADDRESS``, ``listener:/PATH`` (a private socket is
    passed as LISTEN_FDNAMES ``health``) or ``delay:SECONDS``; empty: ``notify``."""


class Ready(Table, frozen=True, kw_only=True):
    timeout_s: float = 60.0
    """How long a candidate may take from its start to ready."""


class Start(Table, frozen=True, kw_only=True):
    timeout_s: float = 300.0
    """How long a first start (nothing serves yet) tries on."""


class Canary(Table, frozen=True, kw_only=True):
    workers: int = 0
    """Slots that switch first; 0: all at once."""
    for_s: float = 30.0


class Bake(Table, frozen=True, kw_only=True):
    for_s: float = 10.0
    error_rate: float = 0.5
    """Share of answers that are 5xx or application exceptions, from 20 answers on, that rolls back; 0: off."""


class Drain(Table, frozen=True, kw_only=True):
    rate_per_s: float = 0.05
    timeout_s: float = 300.0
    max_generations: int = 3
    idle_grace_s: float = 5.0


class Rollback(Table, frozen=True, kw_only=True):
    rate_per_s: float = 1.0
    warm_s: float = 600.0
    keep: Literal["zygote", "workers", "none"] = "zygote"


class Stop(Table, frozen=True, kw_only=True):
    timeout_s: float = 25.0
    delay_s: float = 0.0


class Exit(Table, frozen=True, kw_only=True):
    timeout_s: float = 10.0
    """How long lifespan shutdown and unfinished tasks may take once the connections are gone."""


class Worker(Table, frozen=True, kw_only=True):
    hang_warn_s: float = 5.0
    hang_timeout_s: float = 30.0
    max_requests: int = 0
    max_requests_jitter: int = 0
    max_memory_bytes: int = 0


class Hooks(Table, frozen=True, kw_only=True):
    before: tuple[str, ...] = ()
    """Run with the new version's environment before it starts (argument list); failure refuses the update."""
    after: tuple[str, ...] = ()
    contract: tuple[str, ...] = ()
    """Run after the commit and the old version's last connection; from then on a rollback is refused."""
    timeout_s: float = 300.0


class Control(Table, frozen=True, kw_only=True):
    operators: tuple[str, ...] = ()
    """Groups that may act, besides root and the service's own user."""
    readers: tuple[str, ...] = ()
    """Groups that may only look."""


SignalAction = Literal["reload", "update", "upgrade", "stop", "quit", "worker+", "worker-", "ignore"]


class Signals(Table, frozen=True, kw_only=True):
    hup: SignalAction = "reload"
    usr1: SignalAction = "update"
    usr2: SignalAction = "upgrade"
    term: SignalAction = "stop"
    int: SignalAction = "stop"
    quit: SignalAction = "quit"
    ttin: SignalAction = "worker+"
    ttou: SignalAction = "worker-"


class Log(Table, frozen=True, kw_only=True):
    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"
    output: Literal["capture", "inherit"] = "capture"
    """What becomes of the workers' own output."""
    node: str = ""
    """Name of this machine in logs; empty: the host name."""


class Metrics(Table, frozen=True, kw_only=True):
    address: str = ""
    """Where Prometheus scrapes, such as ``127.0.0.1:9464``; empty: off."""


class Process(Table, frozen=True, kw_only=True):
    """A program of the same version beside the workers (``[[process]]``): a queue consumer, a scheduler."""

    name: str
    command: tuple[str, ...]
    update: Literal["overlap", "exclusive"] = "overlap"
    """overlap: old and new run side by side while the update lasts; exclusive: the old stops, then the new starts."""
    stop_timeout_s: float = 10.0


class Settings(Table, frozen=True, kw_only=True):
    """One service, resolved."""

    name: str
    """What commands find it by; default: the folder's name."""
    folder: str
    """Where the configuration was found or the command was typed: absolute, as typed (links not resolved)."""
    app: str = ""
    """``module:attribute`` of an ASGI or WSGI application; empty for a command child."""
    factory: bool = False
    command: tuple[str, ...] = ()
    """Any program that takes listening sockets as systemd passes them; empty for an application."""
    chdir: str = ""
    """The application's folder, relative to ``folder``; empty: ``folder``."""
    python: str = ""
    """Interpreter of the application; empty: ``.venv`` beside midair.toml, else VIRTUAL_ENV, else midair's own."""
    bind: tuple[str, ...] = ("127.0.0.1:8000",)
    """``host:port``, ``[v6]:port``, ``unix:PATH``, ``fd://N``; several are allowed."""
    socket_mode: int = 0o660
    """Unix sockets: permission bits."""
    socket_owner: str = ""
    """Unix sockets: ``user``, ``user:group`` or ``:group``; empty: ours."""
    listener: Literal["shared", "own"] = "shared"
    workers: int = 1
    version_from: str = "auto"
    """``auto`` (a hash of the code), ``file:PATH``, ``git``, ``package:NAME``, ``env:NAME`` or ``command:LINE``."""
    env: dict[str, str] = {}
    """Values may be ``file:PATH``: read anew for each generation, never shown."""
    env_files: tuple[str, ...] = ()
    zygote: Literal["auto", "always", "never"] = "auto"
    surge: Literal["auto", "all", "slot"] = "auto"
    state_dir: str = ""
    runtime_dir: str = ""
    serve: ServeSettings = ServeSettings()
    health: Health = Health()
    ready: Ready = Ready()
    start: Start = Start()
    canary: Canary = Canary()
    bake: Bake = Bake()
    drain: Drain = Drain()
    rollback: Rollback = Rollback()
    stop: Stop = Stop()
    exit: Exit = Exit()
    worker: Worker = Worker()
    hooks: Hooks = Hooks()
    control: Control = Control()
    signals: Signals = Signals()
    log: Log = Log()
    metrics: Metrics = Metrics()
    process: tuple[Process, ...] = ()

    @property
    def is_command(self) -> bool:
        return bool(self.command)
