"""Asking the machine, systemd and the service. Thin: nothing here judges, and what cannot be found out is left out."""

from __future__ import annotations

import ctypes
import grp
import os
import platform
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from midair import __version__
from midair.config.quota import usable_cpus
from midair.config.schema import Settings
from midair.control.ondisk import trouble_with_disk
from midair.control.words import ConfigReport, StatusReport
from midair.doctor.facts import Application, Facts, Kernel, Limits, Machine, Place, Releases, Running, Telemetry
from midair.errors import MidairError
from midair.lending.kernel import MACHINES, may_copy_descriptors
from midair.release.folders import current_release, layout_of, read_journal
from midair.sockets.address import BadAddress, UnixAddress, parse
from midair.sockets.bind import taken
from midair.supervisor.memory import lack_of_room
from midair.traces import destination
from midair.traces.answering import why_not
from midair.traces.errors import install_line

PROPERTIES = (
    *("Type", "KillMode", "OOMPolicy", "TimeoutStartUSec", "TimeoutStopUSec", "ExecReload", "Restart"),
    "FileDescriptorStoreMax",
)
SYSTEMCTL_WITHIN_S = 5.0
ENTRIES_MAX = 20_000
"""Of a tree that is looked through for stray bytecode."""
CAP_NET_BIND_SERVICE = 10
TIME_ERROR = 5
"""What adjtimex answers while nobody sets the clock."""
NO_LIMIT = 1 << 30


def gather(
    settings: Settings,
    application: Application,
    report: StatusReport | None,
    config: ConfigReport | None,
    *,
    environ: Mapping[str, str],
    unit: str = "",
    root: str = "/",
) -> Facts:
    """Everything. report, config: of the running service; None: it does not run.

    root: where ``proc`` and ``sys`` are, for tests.
    """
    pid = report.pid if report else 0
    unit = unit or (unit_of(pid, root) if pid else "")
    return Facts(
        settings=settings,
        ours=__version__,
        machine=_machine(settings, pid, report, environ, root),
        application=_application(settings, application, is_running=report is not None),
        running=_running(report, config, root) if report else None,
        unit=unit,
        properties=_properties(unit) if unit else {},
        releases=_releases(settings, report),
        telemetry=_telemetry(settings, environ),
    )


# --- the machine ---------------------------------------------------------------------------------------------------


def _machine(
    settings: Settings, pid: int, report: StatusReport | None, environ: Mapping[str, str], root: str
) -> Machine:
    is_kubernetes = "KUBERNETES_SERVICE_HOST" in environ
    groups = _text(f"{root}/proc/1/cgroup")
    marks = any(os.path.exists(f"{root}{path}") for path in (".dockerenv", "run/.containerenv"))
    return Machine(
        limits=_limits(pid, settings, report, root),
        kernel=_kernel(root),
        runtime=_place(settings.runtime_dir),
        state=_place(settings.state_dir),
        uid=os.stat(f"/proc/{pid}").st_uid if pid and os.path.exists(f"/proc/{pid}") else os.geteuid(),
        has_systemd=os.path.isdir(f"{root}/run/systemd/system"),
        is_container=is_kubernetes or marks or any(word in groups for word in ("docker", "kubepods", "lxc")),
        is_kubernetes=is_kubernetes,
        first_process=_text(f"{root}/proc/1/cmdline").replace("\0", " ").replace("\n", " ").strip(),
    )


def _limits(pid: int, settings: Settings, report: StatusReport | None, root: str) -> Limits:
    who = str(pid or "self")
    groups = list(_groups(who, root))
    pids = [left for group in groups if (left := _room(group, "pids.max", "pids.current")) is not None]
    workers = _serving_pids(report) if report else []
    lack = lack_of_room(workers, [], settings.workers, root) if workers else None
    return Limits(
        open_files=_open_files(who, root),
        pids_left=min(pids, default=None),
        lack=lack.why if lack else "",
        lack_fits_by_slot=lack.fits_by_slot if lack else True,
        kills_group=any(_number(f"{group}/memory.oom.group") == 1 for group in groups),
        somaxconn=_number(f"{root}/proc/sys/net/core/somaxconn") or Limits().somaxconn,
        usable_cpus=usable_cpus(root),
    )


def _serving_pids(report: StatusReport) -> list[int]:
    return [
        worker.pid
        for generation in report.generations
        if generation.number == report.serving
        for worker in generation.workers
        if worker.pid
    ]


def _open_files(who: str, root: str) -> int:
    """The soft limit: nobody raises it."""
    for line in _text(f"{root}/proc/{who}/limits").splitlines():
        if line.startswith("Max open files"):
            soft = line.split()[3]
            return int(soft) if soft.isdigit() else NO_LIMIT
    return NO_LIMIT


def _groups(who: str, root: str) -> Iterator[str]:
    """Folders of the control group (v2) of a process, and of each above it."""
    for line in _text(f"{root}/proc/{who}/cgroup").splitlines():
        number, _, path = line.partition("::")
        if number == "0":
            path = path.rstrip("/")
            while path:
                yield f"{root}/sys/fs/cgroup{path}"
                path = os.path.dirname(path).rstrip("/")
            yield f"{root}/sys/fs/cgroup"  # In a container its own group is the top.


def _room(group: str, most: str, now: str) -> int | None:
    limit, used = _number(f"{group}/{most}"), _number(f"{group}/{now}")
    return None if limit is None or used is None else max(0, limit - used)


def _kernel(root: str) -> Kernel:
    first, _, rest = platform.release().partition(".")
    second = rest.partition(".")[0]
    release = (int(first), int("".join(filter(str.isdigit, second)) or 0)) if first.isdigit() else (0, 0)
    effective = next(
        (line.split()[1] for line in _text(f"{root}/proc/self/status").splitlines() if line.startswith("CapEff:")), "0"
    )
    return Kernel(
        release=release,
        machine=platform.machine(),
        has_pidfd=_can(lambda: os.pidfd_open(os.getpid())),
        has_memfd=_can(lambda: os.memfd_create("midair:doctor")),
        can_lend=release >= (5, 9) and platform.machine() in MACHINES,
        may_copy_descriptors=may_copy_descriptors(),
        inotify_watches=_number(f"{root}/proc/sys/fs/inotify/max_user_watches"),
        inotify_instances=_number(f"{root}/proc/sys/fs/inotify/max_user_instances"),
        lowest_port=_number(f"{root}/proc/sys/net/ipv4/ip_unprivileged_port_start") or 0,
        may_bind_low=bool(int(effective, 16) >> CAP_NET_BIND_SERVICE & 1),
        is_clock_synchronized=_is_clock_synchronized(),
    )


def _can(make: object) -> bool:
    assert callable(make)
    try:
        os.close(make())
    except (OSError, AttributeError):
        return False
    return True


def _is_clock_synchronized() -> bool | None:
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # struct timex, modes 0: only looks
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR


def _place(path: str) -> Place:
    there = path
    while not os.path.isdir(there):
        there = os.path.dirname(there) or "/"
    try:
        found = os.statvfs(there)
    except OSError:
        return Place(path, is_writable=False)
    free_inodes = found.f_favail if found.f_files else None
    return Place(path, os.access(there, os.W_OK | os.X_OK), found.f_bavail * found.f_frsize, free_inodes)


# --- systemd -------------------------------------------------------------------------------------------------------


def unit_of(pid: int, root: str = "/") -> str:
    """The unit whose control group a process is in; empty: none."""
    for line in _text(f"{root}/proc/{pid}/cgroup").splitlines():
        for part in reversed(line.rpartition(":")[2].split("/")):
            if part.endswith(".service") and not part.startswith(("user@", "init")):
                return part
    return ""


def _properties(unit: str) -> dict[str, str]:
    line = ["systemctl", "show", unit, "--property", ",".join(PROPERTIES)]
    try:
        done = subprocess.run(
            line,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SYSTEMCTL_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return said if done.returncode == 0 else {}


# --- the application -----------------------------------------------------------------------------------------------


def _application(settings: Settings, found: Application, *, is_running: bool) -> Application:
    folder = os.path.join(settings.folder, settings.chdir)
    return replace(
        found,
        stray_bytecode=tuple(_stray_bytecode(folder)),
        open_secrets=tuple(path for path in _secret_files(settings) if _is_readable_by_all(path)),
        missing_folders=tuple(_missing_folders(settings)),
        taken=() if is_running else tuple((str(each), each.hint) for typed in settings.bind if (each := taken(typed))),
        unknown_groups=tuple(
            name for name in (*settings.control.operators, *settings.control.readers) if not _is_group(name)
        ),
        certificate_left_s=_certificate_left_s(settings),
    )


def _stray_bytecode(folder: str) -> Iterator[str]:
    left = ENTRIES_MAX
    for where, folders, names in os.walk(folder):
        left -= len(folders) + len(names)
        if left < 0:
            return
        is_environment = "pyvenv.cfg" in names
        folders[:] = (
            []
            if is_environment
            else [each for each in folders if each not in ("__pycache__", "node_modules") and not each.startswith(".")]
        )
        sources = set(names)
        if not is_environment:
            yield from (
                os.path.join(where, name) for name in names if name.endswith(".pyc") and name[:-1] not in sources
            )


def _secret_files(settings: Settings) -> Iterator[str]:
    for name in settings.env_files:
        yield os.path.join(settings.folder, name.removeprefix("-"))
    for value in settings.env.values():
        if value.startswith("file:"):
            yield os.path.join(settings.folder, value.removeprefix("file:"))


def _is_readable_by_all(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False


def _missing_folders(settings: Settings) -> Iterator[str]:
    for typed in settings.bind:
        try:
            address = parse(typed, settings.folder)
        except BadAddress:
            continue
        if isinstance(address, UnixAddress) and not os.path.isdir(os.path.dirname(address.path)):
            yield os.path.dirname(address.path)


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _certificate_left_s(settings: Settings) -> float | None:
    if not settings.tls.certfile:
        return None
    from midair.worker.certificates import load

    try:
        return load(settings.tls.within(settings.folder)).not_after.timestamp() - time.time()
    except MidairError:
        return None


# --- what runs -----------------------------------------------------------------------------------------------------


def _running(report: StatusReport, config: ConfigReport | None, root: str) -> Running:
    try:
        supervisor = os.fsdecode(_bytes(f"{root}/proc/{report.pid}/cmdline").split(b"\0")[0])
    except IndexError:
        supervisor = ""
    serving = [each for each in report.generations if each.number == report.serving]
    return Running(
        pid=report.pid,
        midair=report.midair,
        folder=report.folder,
        version=report.version,
        on_disk=report.on_disk,
        disk_trouble=trouble_with_disk(report),
        state=report.state,
        supervisor=supervisor,
        modes=tuple(each.mode for each in serving if each.mode),
        restart_keys=tuple(each.key for each in config.changes if each.effect == "restart") if config else (),
    )


def _releases(settings: Settings, report: StatusReport | None) -> Releases | None:
    layout = layout_of(report.folder if report else settings.folder)
    if layout is None:
        return None
    homes = {each.number: layout.name_of(each.folder) for each in report.generations} if report else {}
    return Releases(
        root=layout.root,
        current=current_release(layout),
        serves=homes.get(report.serving, "") if report else "",
        is_unfinished=read_journal(layout) is not None,
    )


def _telemetry(settings: Settings, environ: Mapping[str, str]) -> Telemetry | None:
    if not destination.needs_looking(settings, environ):
        return None
    has_extra = destination.is_installed()
    where = destination.destination(settings, environ, has_extra=has_extra)
    return Telemetry(
        url=where.url if where else "",
        has_extra=has_extra,
        install=install_line(sys.executable),
        why_not=why_not(where) if where else "",
    )


# --- files ---------------------------------------------------------------------------------------------------------


def _number(path: str) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: str) -> str:
    return _bytes(path).decode(errors="replace")


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
