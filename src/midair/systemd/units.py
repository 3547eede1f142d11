"""The units of a service, made from its configuration: ``midair systemd``. Pure; each line says why it is there.

    NAME.service        the service; systemd's time-outs are sums of its own limits (``timeouts.py``)
    NAME.socket         systemd listens: connections wait in its queue even while nothing runs; one unit a listener
    midair@.service     one unit for all services of this machine, each in a folder of its own

Hardening: only what neither midair nor an ordinary application does. Left out on purpose: SystemCallFilter (a lent socket needs
seccomp and pidfd_getfd), MemoryDenyWriteExecute (ctypes, cffi, compilers at run time), PrivateDevices and ProtectClock
(graphics cards go), RestrictNamespaces (browsers in a sandbox), ProtectSystem=strict (only the application knows where it writes).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from midair.config.schema import Settings
from midair.errors import ConfigError, UsageError
from midair.sockets.address import Address, DescriptorAddress, TcpAddress, UnixAddress, parse
from midair.systemd.timeouts import WATCHDOG_S, start_timeout, stop_timeout
from midair.systemd.unit_text import Line, Unit, command_line, escaped_name, literal, word

STORED_MAX = 64
"""Listeners, lent ports and one memfd with the state; far more than a service has, and no more than a mistake may cost."""
OPEN_FILES_MAX = 65536
PRIVILEGED_PORTS = 1024
HOMES = ("/home", "/root", "/run/user")
TEMPLATE = "midair@.service"
OWN_SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2")


class NoSocketUnit(UsageError):
    """systemd cannot open the listeners of this configuration."""

    code = "no-socket-unit"


class NoStopSignal(ConfigError):
    """systemd, or a container's engine, stops a service with a signal, and here every signal means something else."""

    code = "no-stop-signal"
    hint = 'whoever runs it can only stop a service that has a signal for it: term = "stop" under [signals]'


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the units are to be, beside the configuration. Facts of the machine come along as data."""

    command: tuple[str, ...]
    """midair, as it is to be executed: a path and what follows it."""
    target: tuple[str, ...] = ()
    """What ``midair run`` is given: an application, a main file; empty: the configuration says it."""
    options: tuple[str, ...] = ()
    """What finds the service, for ``run`` and ``reload`` alike: ``-c FILE``, ``--name NAME``."""
    user: str = ""
    """Whose service it is; empty: root's, or in a user unit whoever's manager it is."""
    environment: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    """Other units that come first."""
    is_user_unit: bool = False
    has_socket: bool = False
    is_link: bool = False
    """Links stand in the folder's path: it must be given as typed, for the kernel's idea of it is a certain release."""
    paths: tuple[str, ...] = ()
    """What has to be reachable besides the folder: interpreters, the command."""


# --- the service ---------------------------------------------------------------------------------------------------


def units(settings: Settings, wanted: Wanted) -> tuple[Unit, ...]:
    """The units of one service, its own first. Raises NoSocketUnit, NoStopSignal.

    settings: ``runtime_dir`` and ``state_dir`` are empty unless somebody chose them: systemd makes the usual ones.
    """
    sockets = socket_units(settings) if wanted.has_socket else ()
    return (service_unit(settings, wanted, [unit.name for unit in sockets]), *sockets)


def service_unit(settings: Settings, wanted: Wanted, sockets: Iterable[str] = ()) -> Unit:
    """``NAME.service``. sockets: names of the socket units that pass it its listeners."""
    name = f"{escaped_name(settings.name)}.service"
    sockets = tuple(sockets)
    return Unit(
        name,
        f"{settings.name} under midair, made by `midair systemd`. What is to be different goes into"
        f" `{_systemctl(wanted)} edit {name}`: this file may be written anew.",
        (
            ("Unit", _unit_section(f"{settings.name}: {settings.target} under midair", wanted, sockets)),
            (
                "Service",
                (
                    *_process(settings.folder, wanted),
                    *_environment(settings, wanted),
                    *_places(settings, wanted),
                    *_ends(settings),
                    *_timeouts(settings),
                    *_limits(),
                    *([] if wanted.has_socket else _ports(settings, wanted)),
                    *_hardening(settings, wanted),
                ),
            ),
            ("Install", _install(wanted, sockets)),
        ),
    )


def template_unit(base: str, wanted: Wanted) -> Unit:
    """``midair@.service``: ``midair@shop`` is the service in ``base/shop``, run by the user ``shop`` unless one is named."""
    defaults = Settings(name="%i", folder=f"{literal(base)}/%i")
    by_default = (
        "Of the defaults: a service whose configuration says other limits gets its own numbers by `midair systemd`."
    )
    return Unit(
        TEMPLATE,
        f"Any service under {base}: `{_systemctl(wanted)} enable --now midair@shop` runs the one in {base}/shop. Made by"
        " `midair systemd --template`.",
        (
            ("Unit", _unit_section("%i under midair", wanted, (), is_escaped=True)),
            (
                "Service",
                (
                    *_process(f"{base}/%i", wanted, is_template=True),
                    *(Line("Environment", word(f"{key}={value}"), "") for key, value in wanted.environment.items()),
                    *_template_places(wanted),
                    *_ends(defaults),
                    *(Line(line.key, line.value, f"{line.why} {by_default}") for line in _timeouts(defaults)),
                    *_limits(),
                    *_hardening(Settings(name="shop", folder=base), wanted),
                ),
            ),
            ("Install", _install(wanted, ())),
        ),
    )


def _unit_section(
    description: str, wanted: Wanted, sockets: tuple[str, ...], *, is_escaped: bool = False
) -> tuple[Line, ...]:
    lines = [Line("Description", description if is_escaped else literal(description), "What systemctl calls it.")]
    if not wanted.is_user_unit:
        network = "Addresses are there before they are bound."
        lines += [Line("After", "network-online.target", network), Line("Wants", "network-online.target", network)]
    if wanted.after:
        others = "What this service uses is started first, and goes on if this one ends."
        lines += [Line("After", " ".join(wanted.after), others), Line("Wants", " ".join(wanted.after), others)]
    if sockets:
        passed = "systemd opens the listeners and passes them: their queues outlive this service."
        lines += [Line("Requires", " ".join(sockets), passed), Line("After", " ".join(sockets), passed)]
    often = "After a crash it is started again, however often: a service that is down for good helps nobody."
    return (*lines, Line("StartLimitIntervalSec", "0", often))


def _process(folder: str, wanted: Wanted, *, is_template: bool = False) -> list[Line]:
    place = literal(folder).replace("%%i", "%i") if is_template else literal(folder)
    finds = (*(("-C", folder) if wanted.is_link else ()), *wanted.options)

    def line(*arguments: str) -> str:
        typed = command_line((*wanted.command, *arguments, *finds))
        return typed.replace("%%i", "%i") if is_template else typed

    lines = [
        Line("Type", "notify", "It is active once the first version serves, and not when a process exists."),
        Line("ExecStart", line("run", *wanted.target), "The process id never changes, over updates and upgrades."),
        Line(
            "ExecReload",
            line("reload"),
            "An update. It returns when the new version is committed, and fails if that was refused or rolled back; the"
            " version before then serves on.",
        ),
        Line("WorkingDirectory", place, "Where the code and midair.toml are."),
    ]
    if wanted.user and not wanted.is_user_unit:
        lines.append(
            Line("User", wanted.user, "Whoever this is may read the code and act upon the service; so may root.")
        )
    return lines


def _environment(settings: Settings, wanted: Wanted) -> list[Line]:
    given = (
        "Read once, at the start. What is to change with a version goes into env_files or [env] of the configuration."
    )
    lines = [Line("Environment", word(f"{key}={value}"), given) for key, value in wanted.environment.items()]
    if len(_runtime_folders(settings, wanted)) > 1:
        which = "Which of the folders below has the control socket."
        lines.append(Line("Environment", word(f"MIDAIR_RUNTIME_DIR=/run/midair/{settings.name}"), which))
    return lines


def _places(settings: Settings, wanted: Wanted) -> list[Line]:
    lines = []
    folders = _runtime_folders(settings, wanted)
    if folders:
        base = "$XDG_RUNTIME_DIR" if wanted.is_user_unit else "/run"
        what = (
            "The control socket and the lock, where commands look" if folders[0] == _own(settings) else "Unix sockets"
        )
        lines = [
            Line("RuntimeDirectory", " ".join(map(word, folders)), f"{what}: {base}/{folders[0]}."),
            Line(
                "RuntimeDirectoryPreserve",
                "restart",
                "Unix sockets that are bound there keep their names over a restart.",
            ),
        ]
    if not wanted.is_user_unit and not settings.state_dir:
        kept = f"/var/lib/midair/{settings.name}: the receipts of updates."
        lines.append(Line("StateDirectory", word(_own(settings)), kept))
    return lines


def _template_places(wanted: Wanted) -> list[Line]:
    runtime = "The control socket and the lock, where commands look."
    lines = [
        Line("RuntimeDirectory", "midair/%i", runtime),
        Line(
            "RuntimeDirectoryPreserve", "restart", "Unix sockets that are bound there keep their names over a restart."
        ),
    ]
    if not wanted.is_user_unit:
        lines.append(Line("StateDirectory", "midair/%i", "The receipts of updates."))
    return lines


def _runtime_folders(settings: Settings, wanted: Wanted) -> list[str]:
    """Folders under /run that systemd has to make: ours, and those of Unix sockets that midair binds."""
    folders = [] if settings.runtime_dir else [_own(settings)]
    for address in _addresses(settings):
        if isinstance(address, UnixAddress) and not (wanted.has_socket or wanted.is_user_unit):
            parent = os.path.relpath(os.path.dirname(address.path), "/run")
            if parent != "." and not parent.startswith(".."):
                folders.append(parent)
    return list(dict.fromkeys(folders))


def _own(settings: Settings) -> str:
    return f"midair/{settings.name}"


def _ends(settings: Settings) -> list[Line]:
    signal = stop_signal(settings)
    odd = f"With `[signals]` as it is, SIG{signal} is what stops it."
    again = "A supervisor that dies, hangs or is killed is started again; one that was stopped is not."
    return [
        *([] if signal == "TERM" else [Line("KillSignal", f"SIG{signal}", odd)]),
        Line(
            "KillMode",
            "process",
            "A stop is told to the supervisor alone, which ends all others. If it is killed, its workers end their requests.",
        ),
        Line(
            "OOMPolicy", "continue", "A worker that the kernel kills for its memory is replaced: the service goes on."
        ),
        Line("Restart", "on-failure", again),
        Line("RestartSec", "1s", again),
        Line(
            "RestartPreventExitStatus",
            "2",
            "A configuration that means nothing is not tried again each second: mend it and start the service.",
        ),
    ]


def stop_signal(settings: Settings) -> str:
    """The signal that stops the service, without ``SIG``; SIGTERM if that does. Raises NoStopSignal."""
    for action in ("stop", "quit"):
        for name in OWN_SIGNALS:
            if getattr(settings.signals, name.lower()) == action:
                return name
    raise NoStopSignal("no signal stops this service")


def _timeouts(settings: Settings) -> list[Line]:
    start, stop = start_timeout(settings), stop_timeout(settings)
    return [
        Line(
            "TimeoutStartSec",
            f"{start.total_s}s",
            f"A start or an update that says nothing for so long has failed; midair asks for more while it works. {start}.",
        ),
        Line(
            "TimeoutStopSec",
            f"{stop.total_s}s",
            f"How long a stop may take before the supervisor is killed; its workers leave with it. {stop}.",
        ),
        Line(
            "WatchdogSec",
            f"{WATCHDOG_S:g}s",
            "The supervisor says twice in this time that it is alive; one that does not is killed and started again.",
        ),
    ]


def _limits() -> list[Line]:
    return [
        Line(
            "FileDescriptorStoreMax",
            str(STORED_MAX),
            "Listeners and state may be left with systemd, so that who comes after a killed supervisor has them.",
        ),
        Line("LimitNOFILE", str(OPEN_FILES_MAX), "Each connection is a descriptor; the usual 1024 are soon used up."),
    ]


def _ports(settings: Settings, wanted: Wanted) -> list[Line]:
    """A port below 1024 is root's."""
    ports = [address.port for address in _addresses(settings) if isinstance(address, TcpAddress)]
    low = [port for port in ports if 0 < port < PRIVILEGED_PORTS]
    if not low or not wanted.user or wanted.user == "root" or wanted.is_user_unit:
        return []
    named = ", ".join(map(str, low))
    return [Line("AmbientCapabilities", "CAP_NET_BIND_SERVICE", f"Who is not root may bind {named}.")]


def _hardening(settings: Settings, wanted: Wanted) -> list[Line]:
    no_more = "Nobody in here gains rights: sudo and setuid programs do not work, in hooks neither."
    lines = [Line("NoNewPrivileges", "yes", no_more)]
    if wanted.is_user_unit:
        return lines
    paths = (settings.folder, *wanted.command[:1], *wanted.paths, settings.runtime_dir, settings.state_dir)
    paths += tuple(each.path for each in _addresses(settings) if isinstance(each, UnixAddress))
    if not _any_under((settings.folder, settings.state_dir), ("/usr", "/etc", "/boot")):
        lines.append(Line("ProtectSystem", "full", "/usr, /boot and /etc can be read and not be written."))
    if not _any_under(paths, HOMES):
        lines.append(Line("ProtectHome", "yes", "Homes are empty: nothing of this service lies in one."))
    if not _any_under(paths, ("/tmp", "/var/tmp")):
        lines.append(Line("PrivateTmp", "yes", "/tmp is its own, and emptied when it stops."))
    kernel = "The kernel's settings, modules, log and control groups can be read and not be changed; nor the host name."
    own = "What neither midair nor an ordinary application does."
    lines += [
        Line(key, "yes", kernel)
        for key in (
            "ProtectKernelTunables",
            "ProtectKernelModules",
            "ProtectKernelLogs",
            "ProtectControlGroups",
            "ProtectHostname",
        )
    ]
    lines += [Line(key, "yes", own) for key in ("RestrictRealtime", "RestrictSUIDSGID", "LockPersonality")]
    lines.append(Line("SystemCallArchitectures", "native", own))
    families = "Sockets of these kinds only; netlink is how addresses are looked up."
    lines.append(Line("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK", families))
    return lines


def _any_under(paths: Iterable[str], folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for path in paths for folder in folders)


def _install(wanted: Wanted, sockets: tuple[str, ...]) -> tuple[Line, ...]:
    target = "default.target" if wanted.is_user_unit else "multi-user.target"
    lines = [Line("WantedBy", target, f"`{_systemctl(wanted)} enable` starts it at boot.")]
    if sockets:
        lines.append(Line("Also", " ".join(sockets), "Its sockets come along."))
    return tuple(lines)


def _systemctl(wanted: Wanted) -> str:
    return "systemctl --user" if wanted.is_user_unit else "systemctl"


# --- sockets -------------------------------------------------------------------------------------------------------


def socket_units(settings: Settings) -> tuple[Unit, ...]:
    """One unit a listener, so that each has its own name. Raises NoSocketUnit."""
    if settings.is_command and settings.listener != "shared":
        raise NoSocketUnit(
            f'listener = "{settings.listener}" opens sockets as programs ask for them',
            hint='systemd can open those of listener = "shared"; without --socket midair opens them',
        )
    if not settings.bind:
        raise NoSocketUnit("bind is empty: there is no address that systemd could open")
    name = escaped_name(settings.name)
    return tuple(
        _socket_unit(
            settings, address, name if number == 1 else f"{name}-web{number}", f"web{number}" if number > 1 else "web"
        )
        for number, address in enumerate(_addresses(settings), 1)
    )


def _socket_unit(settings: Settings, address: Address, name: str, listener: str) -> Unit:
    return Unit(
        f"{name}.socket",
        f"A listener of {settings.name}, opened by systemd. Made by `midair systemd --socket`.",
        (
            ("Unit", (Line("Description", literal(f"{address}, for {settings.name}"), "What systemctl calls it."),)),
            (
                "Socket",
                (
                    Line("ListenStream", _stream(address), "As `bind` says it, which midair then leaves alone."),
                    *_socket_file(settings, address),
                    *_only_v6(address),
                    Line("Backlog", str(settings.serve.backlog), "Connections that may wait, also while nothing runs."),
                    Line("FileDescriptorName", listener, "What the listener is called in logs and to programs."),
                    Line(
                        "Service",
                        f"{escaped_name(settings.name)}.service",
                        "Who gets it. The first connection starts it.",
                    ),
                ),
            ),
            ("Install", (Line("WantedBy", "sockets.target", "`systemctl enable` opens it at boot."),)),
        ),
    )


def _stream(address: Address) -> str:
    match address:
        case UnixAddress():
            return literal(address.path)
        case DescriptorAddress():
            raise NoSocketUnit(f"{address} is a socket that somebody else has opened")
        case TcpAddress():
            if not address.port:
                raise NoSocketUnit(
                    f"{address}: systemd opens no port that the kernel chooses", hint="name the port in bind"
                )
            zone = f"%%{address.zone}" if address.zone else ""
            return f"[{address.host}]:{address.port}{zone}" if address.is_v6 else str(address)


def _only_v6(address: Address) -> list[Line]:
    if not (isinstance(address, TcpAddress) and address.is_v6):
        return []
    return [Line("BindIPv6Only", "ipv6-only", "As midair binds it: IPv4 has an address of its own.")]


def _socket_file(settings: Settings, address: Address) -> list[Line]:
    if not isinstance(address, UnixAddress):
        return []
    user, _, group = settings.socket_owner.partition(":")
    why = "Who may connect: socket_mode and socket_owner."
    lines = [Line("SocketMode", f"{settings.socket_mode:04o}", why)]
    lines += [Line("SocketUser", user, why)] if user else []
    lines += [Line("SocketGroup", group, why)] if group else []
    return [*lines, Line("RemoveOnStop", "yes", "No file is left that nobody listens at.")]


def _addresses(settings: Settings) -> list[Address]:
    return [parse(typed, settings.folder) for typed in settings.bind]
