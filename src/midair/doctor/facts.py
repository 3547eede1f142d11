"""What the doctor knows. Values only; what could not be found out is None or empty, and is not judged."""

from __future__ import annotations

from dataclasses import dataclass, field

from midair.config.schema import Settings

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the running service, else of a start from here."""

    open_files: int = 65536
    pids_left: int | None = None
    """Processes that the control group still allows."""
    lack: str = ""
    """Why a second set of workers does not fit beside the first, with the figures; only of a running service."""
    lack_fits_by_slot: bool = True
    kills_group: bool = False
    """memory.oom.group of our control group: out of memory, all of it is killed and not one process."""
    somaxconn: int = 4096
    usable_cpus: int = 4
    """What the quota of the control groups and the affinity leave."""


@dataclass(frozen=True, slots=True)
class Kernel:
    release: tuple[int, int] = (6, 1)
    machine: str = "x86_64"
    has_pidfd: bool = True
    has_memfd: bool = True
    can_lend: bool = True
    """seccomp notifications with descriptors (5.9), on a processor whose numbers we know."""
    may_copy_descriptors: bool = True
    """No filter around us refuses pidfd_getfd."""
    inotify_watches: int | None = None
    inotify_instances: int | None = None
    lowest_port: int = 1024
    """Below it, binding takes a right."""
    may_bind_low: bool = False
    is_clock_synchronized: bool | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that is written to."""

    path: str
    is_writable: bool = True
    """Or could be made."""
    free_bytes: int = 100 * GIB
    free_inodes: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    limits: Limits = Limits()
    kernel: Kernel = Kernel()
    runtime: Place = Place("/run/midair/shop")
    state: Place = Place("/var/lib/midair/shop")
    uid: int = 1000
    has_systemd: bool = False
    """It is process 1 of this machine."""
    is_container: bool = False
    is_kubernetes: bool = False
    first_process: str = ""
    """Command line of process 1."""


@dataclass(frozen=True, slots=True)
class Application:
    """What the configuration names, as far as it can be seen without running the service."""

    interpreter: str = ""
    midair: str = ""
    """Version of midair in its interpreter."""
    fault: str = ""
    """Why it could not be imported, or its interpreter cannot be used."""
    fault_hint: str = ""
    unsafe_to_fork: tuple[str, ...] = ()
    has_health_route: bool | None = None
    """None: not known; there is no serving version to ask."""
    stray_bytecode: tuple[str, ...] = ()
    """``.pyc`` files outside of ``__pycache__`` without a source: they are imported although their source is gone."""
    open_secrets: tuple[str, ...] = ()
    """Files of ``env_files`` and ``file:`` values that everybody may read."""
    missing_folders: tuple[str, ...] = ()
    """Of Unix sockets that are to be bound."""
    taken: tuple[tuple[str, str], ...] = ()
    """Ports to be bound that somebody has, and who; with what to do about each. Only where nothing of ours runs."""
    unknown_groups: tuple[str, ...] = ()
    certificate_left_s: float | None = None


@dataclass(frozen=True, slots=True)
class Releases:
    """Release folders, if the service is in some."""

    root: str
    current: str
    """What a restart would start."""
    serves: str = ""
    is_unfinished: bool = False
    """A deployment was killed, and nobody has put right yet what it left."""


@dataclass(frozen=True, slots=True)
class Running:
    """The service that runs."""

    pid: int
    midair: str
    folder: str
    version: str = ""
    on_disk: str = ""
    disk_trouble: str = ""
    """Why that is not to be tried as it is: see ``control.ondisk``."""
    state: str = "serving"
    supervisor: str = ""
    """The executable that it runs in."""
    modes: tuple[str, ...] = ()
    """How the serving generation's workers are made: fork, spawn, exec."""
    restart_keys: tuple[str, ...] = ()
    """Keys that the file has otherwise, and that count only after a restart."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where traces go that somebody wants."""

    url: str = ""
    """Empty: nowhere, since what would send them is missing."""
    has_extra: bool = True
    install: str = ""
    """What would install it."""
    why_not: str = ""
    """Why the collector takes nothing; empty: it does."""


@dataclass(frozen=True, slots=True)
class Facts:
    settings: Settings
    ours: str
    """Version of the midair that asks."""
    machine: Machine = Machine()
    application: Application = Application()
    running: Running | None = None
    unit: str = ""
    """The systemd unit that the service runs under; empty: none, or not known."""
    properties: dict[str, str] = field(default_factory=dict)
    """Of the unit, as ``systemctl show`` has them."""
    releases: Releases | None = None
    telemetry: Telemetry | None = None
    """None: nobody wants traces."""
