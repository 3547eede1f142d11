"""Every setting of a service: its type, its default, what it means. One class a table of ``midair.toml``.

The classes are the resolved form: plain numbers with the unit in the name, ready for use. How they are written in a
file (``timeout = "30s"``, ``rate = "5%"``) and where a value came from is the reader's business (``load.py``). The
documentation of the configuration is made from the docstrings here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from midair.worker.settings import ServeSettings, TlsSettings


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all tables: immutable, crosses processes, compares by value."""


class Health(Table, frozen=True, kw_only=True):
    path: str = "auto"
    """``auto``: ``/health`` if the application has one; ``off``: start-up counts; else a path that must answer
    200."""
    host: str = ""
    """Host header of the probe; empty: the first TCP address of `bind`, else `localhost`."""
    warm: tuple[str, ...] = ()
    """Paths asked once on every new worker before it takes traffic."""
    interval_s: float = 1.0
    """Between two probes of a new version while it bakes."""
    timeout_s: float = 5.0
    """How long one probe waits for its answer."""
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
    """How long the canary serves beside the old version before the other slots follow."""


class Bake(Table, frozen=True, kw_only=True):
    for_s: float = 10.0
    """How long a new version is watched after the cut-over, before the update is committed; 0: not at all."""
    error_rate: float = 0.5
    """Share of answers that are 5xx or application exceptions, from 20 answers on, that rolls back; 0: off."""


class Drain(Table, frozen=True, kw_only=True):
    migrate: bool = True
    """Live connections go on with the new version. False: they are let come to an end on the old one."""
    rate_per_s: float = 0.05
    """Share of the old version's connections that may move to the new one per second."""
    halt_at_share: float = 0.2
    """Share of the new version's answers that are errors or much slower than the old version's, beyond the old version's own
    share, at which no more connections move to it for now; from half of it on fewer do. ``off``: they move whatever it answers."""
    timeout_s: float = 300.0
    """How long an old version may finish what it has; what is still busy then is ended, counted and named."""
    max_generations: int = 3
    """Old versions that may drain side by side. One more, and the oldest gets half a second."""
    idle_grace_s: float = 5.0
    """How long an idle keep-alive connection of an old version may still send a last request before it is closed."""


class Carry(Table, frozen=True, kw_only=True):
    max_size_bytes: int = 256 * 1024 * 1024
    """Largest state of one worker that goes on with the next (``midair.carry``); more refuses the update."""
    grace_s: float = 0.25
    """At the cut-over, how long requests in flight may take to end before the state is taken without what they change."""


class Rollback(Table, frozen=True, kw_only=True):
    rate_per_s: float = 1.0
    """As ``drain.rate``, on the way back."""
    warm_s: float = 600.0
    """How long the version before is kept for a rollback after a commit."""
    keep: Literal["zygote", "workers", "none"] = "zygote"
    """What is kept of it: the process that has imported it, its workers too, or nothing. Workers that import by
    themselves have no such process, and their files are mostly gone: keep the workers."""


class Receipts(Table, frozen=True, kw_only=True):
    keep: int = 1000
    """How many are kept in ``state_dir``; the oldest go first."""
    max_size_bytes: int = 50 * 1024 * 1024
    """How much room they may take together."""


class Stop(Table, frozen=True, kw_only=True):
    timeout_s: float = 25.0
    """How long requests may take to end when the service stops."""
    delay_s: float = 0.0
    """How long a stopping service still accepts, so that a load balancer can notice."""


class Exit(Table, frozen=True, kw_only=True):
    timeout_s: float = 10.0
    """How long lifespan shutdown and unfinished tasks may take once the connections are gone."""
    signal: Literal["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"] = "TERM"
    """Command children: what tells one to leave."""


class Worker(Table, frozen=True, kw_only=True):
    hang_warn_s: float = 5.0
    """An event loop that stands still this long is logged, with where it stands."""
    hang_timeout_s: float = 30.0
    """A worker whose event loop stands still this long is replaced, its successor first."""
    max_requests: int = 0
    """A worker is replaced after this many requests; 0: never."""
    max_requests_jitter: int = 0
    """Up to this many more, drawn for each worker, so that they do not all go at once."""
    max_memory_bytes: int = 0
    """A worker whose resident memory is larger is replaced; 0: never."""


class Hooks(Table, frozen=True, kw_only=True):
    before: tuple[str, ...] = ()
    """Run with the new version's environment before it starts (argument list); failure refuses the update. What it makes (a build)
    belongs to the version."""
    after: tuple[str, ...] = ()
    """Run after the commit; its failure is logged and changes nothing."""
    contract: tuple[str, ...] = ()
    """Run after the commit and the old version's last connection; from then on a rollback is refused."""
    timeout_s: float = 300.0
    """How long one hook may take."""


class Control(Table, frozen=True, kw_only=True):
    operators: tuple[str, ...] = ()
    """Groups that may act, besides root and the service's own user."""
    readers: tuple[str, ...] = ()
    """Groups that may only look."""


SignalAction = Literal["reload", "update", "upgrade", "stop", "quit", "worker+", "worker-", "ignore"]


class Signals(Table, frozen=True, kw_only=True):
    hup: SignalAction = "reload"
    """SIGHUP. If the terminal is gone, it is a stop whatever stands here."""
    usr1: SignalAction = "update"
    """SIGUSR1."""
    usr2: SignalAction = "upgrade"
    """SIGUSR2."""
    term: SignalAction = "stop"
    """SIGTERM."""
    int: SignalAction = "stop"
    """SIGINT (Ctrl-C). A second one stops at once."""
    quit: SignalAction = "quit"
    """SIGQUIT (Ctrl-backslash)."""
    ttin: SignalAction = "worker+"
    """SIGTTIN."""
    ttou: SignalAction = "worker-"
    """SIGTTOU."""


class Log(Table, frozen=True, kw_only=True):
    format: Literal["auto", "json", "console", "journal"] = "auto"
    """``auto``: words on a terminal, entries with fields where standard error is systemd's journal, JSON otherwise."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Events below this level are left out."""
    output: Literal["capture", "inherit"] = "capture"
    """What becomes of the workers' own output."""
    node: str = ""
    """Name of this machine in logs; empty: the host name."""


class Metrics(Table, frozen=True, kw_only=True):
    address: str = ""
    """Where Prometheus scrapes, such as ``127.0.0.1:9464``; empty: off."""


class Admin(Table, frozen=True, kw_only=True):
    address: str = ""
    """Where a page for people, ``/readyz`` and the metrics are served, such as ``127.0.0.1:9465``; empty: off. Whoever can
    connect may look: nothing can be changed there."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which it may be asked for, besides those of this machine and the address; ``.example.com`` stands for all below
    it."""
    remote: Literal["all", "probes"] = "all"
    """What others than this machine may ask for: ``probes``: ``/livez``, ``/readyz`` and ``/metrics``, and not the page and what is
    behind it."""


class Traces(Table, frozen=True, kw_only=True):
    """Updates, and if wanted requests, as traces of OpenTelemetry. Takes ``midair[traces]``."""

    endpoint: str = ""
    """Where a collector takes OTLP over HTTP, such as ``http://127.0.0.1:4318``; ``/v1/traces`` is added. Empty: what
    OTEL_EXPORTER_OTLP_ENDPOINT says, if midair was installed with ``midair[traces]``; else there are none."""
    requests: bool = False
    """Each request and WebSocket is a span of the worker that serves it. The application's environment needs ``midair[traces]``,
    too."""
    sample_share: float = 1.0
    """Share of the requests whose trace begins here that is recorded. Who calls with a trace of its own has decided already.
    Updates always are."""
    headers: dict[str, str] = {}
    """Sent with each export, such as the key of a hosted collector. Values may be ``file:PATH``, and are never shown."""


class Process(Table, frozen=True, kw_only=True):
    """A program of the same version beside the workers (``[[process]]``): a queue consumer, a scheduler."""

    name: str
    """How it is called in the log."""
    command: tuple[str, ...]
    """Its command line."""
    update: Literal["overlap", "exclusive"] = "overlap"
    """overlap: old and new run side by side while the update lasts; exclusive: the old stops, then the new starts."""
    stop_timeout_s: float = 10.0
    """From its SIGTERM to its SIGKILL."""


class WatchAction(Table, frozen=True, kw_only=True):
    """A program that runs when files change (``[[watch.action]]``). It gets their paths as arguments and the changes as JSON on
    standard input."""

    name: str = ""
    """How it is called in the log; empty: its program."""
    on: tuple[Literal["create", "write", "remove", "move", "chmod"], ...] = ("create", "write", "remove", "move")
    """Which changes it is for. ``chmod`` (permission bits) has to be asked for."""
    paths: tuple[str, ...] = ()
    """Which files it is for, as lines of a ``.gitignore``, such as ``*.proto`` or ``/docs/``; empty: all that are watched."""
    ignore_regex: tuple[str, ...] = ()
    """Regular expressions: it is not for a file in whose path one is found."""
    run: tuple[str, ...]
    """The program and its arguments; the changed paths follow them. No shell reads it."""
    update: bool = True
    """Such a change also leads to an update. False: it is for this action alone."""


class Watch(Table, frozen=True, kw_only=True):
    """Which changes on disk count while a service is developed (``midair dev``)."""

    paths: tuple[str, ...] = (".",)
    """Folders and files that are watched, relative to the service's folder. A file that is named here counts whatever its
    ending is."""
    extensions: tuple[str, ...] = ()
    """Only files with these endings count, such as ``py``; empty: all that are not ignored."""
    ignore: tuple[str, ...] = ()
    """What never counts, as lines of a ``.gitignore``. Ignored folders are not watched at all."""
    ignore_regex: tuple[str, ...] = ()
    """Regular expressions: a file in whose absolute path one is found never counts."""
    gitignore: bool = True
    """What ``.gitignore`` files name is ignored, too."""
    delay_s: float = 0.01
    """How long it must be quiet after a change before it counts: one save is several events."""
    delay_max_s: float = 2.0
    """Whoever writes without a pause is not waited for longer than this."""
    poll: Literal["auto", "always", "never"] = "auto"
    """``auto``: files are compared from time to time where the kernel tells nothing of changes (network and container mounts)."""
    poll_interval_s: float = 0.5
    """Between two looks where files are compared."""
    action: tuple[WatchAction, ...] = ()
    """What runs at which changes, each a ``[[watch.action]]`` table of its own."""


class Build(Table, frozen=True, kw_only=True):
    """Shell lines that run before a change is served (``midair dev``), in this order. One that fails keeps the old version."""

    pre: tuple[str, ...] = ()
    """Before everything else, such as a code generator."""
    build: tuple[str, ...] = ()
    """What makes the program."""
    check: tuple[str, ...] = ()
    """What may refuse it, such as a type checker."""
    post: tuple[str, ...] = ()
    """After the new version serves; its failure is shown and changes nothing."""


class DevProcess(Table, frozen=True, kw_only=True):
    """A program beside the service while it is developed (``[[dev.process]]``): a front-end's compiler, a worker. Updates do not
    touch it."""

    name: str
    """What stands before its lines."""
    command: tuple[str, ...]
    """Its command line."""
    cwd: str = ""
    """Where it runs, relative to the service's folder."""
    env: dict[str, str] = {}
    """Variables that it gets besides."""
    restart: Literal["always", "failure", "never"] = "always"
    """Whether it is started again when it ends: in any case, after an error, or not at all."""


class Dev(Table, frozen=True, kw_only=True):
    """What ``midair dev`` does besides updating at each save."""

    inject: bool = True
    """HTML pages get a script that shows errors and refreshes them."""
    allowed_hosts: tuple[str, ...] = ()
    """More names by which pages may reach us, such as a tunnel's; loopback names and addresses always may."""
    expose: bool = False
    """Pages of other machines may listen, too (a container's port): with the token, and without editor and source."""
    editor: str = ""
    """Opens a file from the error panel, such as ``code -g {file}:{line}``; empty: VISUAL, EDITOR, or none."""
    snapshot: Literal["auto", "never"] = "auto"
    """``auto``: what a save does not change is not imported again, where that is safe."""
    clear: bool = False
    """The terminal is cleared before each update."""
    rerun: bool = False
    """A command that ends by itself without an error is started again at once, not with the next save."""
    at_exit: tuple[str, ...] = ()
    """Shell lines that run when ``midair dev`` ends."""
    process: tuple[DevProcess, ...] = ()
    """Programs beside the service, each a ``[[dev.process]]`` table of its own."""


class Deploy(Table, frozen=True, kw_only=True):
    """What ``midair deploy`` does with a new release; it reads this table in the release itself."""

    root: str = ""
    """The folder that gets ``releases``, ``current`` and ``shared``; empty: where the command is typed, or ``--to``."""
    keep: int = 5
    """Releases that stay, the new one among them. What serves, drains or is kept for a rollback stays in any case."""
    venv: Literal["none", "pip", "uv"] = "none"
    """A virtual environment for each release, in its folder as ``.venv``, made with this."""
    python: str = ""
    """Interpreter that makes it; empty: the one that midair runs in."""
    requirements: str = ""
    """What is installed in it; empty: ``requirements.txt``, ``uv.lock`` (uv), or the project itself. If there are hashes, every
    package needs one."""
    shared: tuple[str, ...] = ()
    """What outlives releases: paths that become links into ``shared``. A folder that may begin empty ends with ``/``."""
    ignore: tuple[str, ...] = ()
    """What of a folder is not deployed, as lines of a ``.gitignore``. ``.git``, ``__pycache__`` and virtual environments never
    are."""
    prepare: tuple[str, ...] = ()
    """Shell lines that run in the new folder before it is checked, such as a front-end's build."""
    timeout_s: float = 600.0
    """How long one step of making the environment, and one line of ``prepare``, may take."""


class Settings(Table, frozen=True, kw_only=True):
    """One service, resolved."""

    name: str
    """What commands find it by; default: the folder's name."""
    folder: str
    """Where the configuration was found or the command was typed: absolute, as typed (links not resolved)."""
    app: str = ""
    """``module:attribute`` of an ASGI or WSGI application; empty for a command child."""
    factory: bool = False
    """``app`` is called without arguments to make the application."""
    command: tuple[str, ...] = ()
    """Any program that takes listening sockets as systemd passes them; empty for an application."""
    main: str = ""
    """A program that calls ``midair.serve()``: a Python file, or a module (``python -m``)."""
    arguments: tuple[str, ...] = ()
    """What ``main`` finds in ``sys.argv`` after its own name."""
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
    listener: Literal["shared", "own", "lent"] = "shared"
    """Command children: ``shared`` hands every version the same socket; ``own`` gives each worker one of its own
    on the same address (SO_REUSEPORT), inherited from version to version; ``lent`` is for a program that binds its port
    by itself: it gets the service's socket in place of its own."""
    workers: int = 1
    """A number, or ``auto``: the CPU quota of the container, else the CPUs."""
    version_from: str = "auto"
    """``auto`` (a hash of the code), ``file:PATH``, ``git``, ``package:NAME``, ``env:NAME`` or ``command:LINE``."""
    env: dict[str, str] = {}
    """Values may be ``file:PATH``: read anew for each generation, never shown."""
    env_files: tuple[str, ...] = ()
    """Files of ``KEY=VALUE`` lines, read anew for each generation; ``-FILE`` may be missing."""
    zygote: Literal["auto", "always", "never"] = "auto"
    """``auto``: workers are forked from a process that has imported the application, unless that is not safe;
    ``always``: an update that cannot is refused; ``never``: each worker imports by itself."""
    surge: Literal["auto", "all", "slot"] = "auto"
    """``auto``: all new workers beside the old if memory allows, else slot by slot, else refused; ``all``,
    ``slot``: without asking. Slot by slot takes up to ``drain.timeout`` a slot."""
    state_dir: str = ""
    """Where receipts are kept."""
    runtime_dir: str = ""
    """Where the control socket and the lock are."""
    serve: ServeSettings = ServeSettings()
    tls: TlsSettings = TlsSettings()
    health: Health = Health()
    ready: Ready = Ready()
    start: Start = Start()
    canary: Canary = Canary()
    bake: Bake = Bake()
    drain: Drain = Drain()
    carry: Carry = Carry()
    rollback: Rollback = Rollback()
    receipts: Receipts = Receipts()
    stop: Stop = Stop()
    exit: Exit = Exit()
    worker: Worker = Worker()
    hooks: Hooks = Hooks()
    control: Control = Control()
    signals: Signals = Signals()
    log: Log = Log()
    metrics: Metrics = Metrics()
    admin: Admin = Admin()
    traces: Traces = Traces()
    is_dev: bool = False
    """Run by ``midair dev``."""
    watch: Watch = Watch()
    build: Build = Build()
    dev: Dev = Dev()
    deploy: Deploy = Deploy()
    process: tuple[Process, ...] = ()
    """Programs of the same version beside the workers, each a ``[[process]]`` table of its own."""

    @property
    def is_command(self) -> bool:
        return bool(self.command)

    @property
    def target(self) -> str:
        """What runs, for people."""
        return self.app or " ".join((self.main, *self.arguments) if self.main else self.command)
