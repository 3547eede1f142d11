"""Listening sockets for a service: bound here, or inherited from whoever started us.

``open_listeners`` is what the supervisor calls, once, before its loop runs. Its rule about sockets that systemd passed
(LISTEN_FDS): they are the listeners of this service, and ``bind`` is not opened besides, because the port is usually
the same and the unit is where the operator wrote it; which of ``bind`` was left out is told. If ``bind`` itself names
``fd://N``, then it says it all, and nothing else is taken.

A listener that an earlier process of this service had opened, and that was kept since (``kept``), is taken for its address
before a new one is opened: clients wait in its queue.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from midair.errors import ConfigError, WorldError
from midair.sockets.address import Address, BadAddress, DescriptorAddress, TcpAddress, UnixAddress, parse
from midair.sockets.holder import Holder, port_holder
from midair.sockets.listener import Listener, NotAListener, actual_address, adopt, set_no_delay
from midair.sockets.unix_file import give_file, listen_on_path

BACKLOG = 2048
"""Connections that may wait for an accept; the kernel cuts it to net.core.somaxconn."""

FIRST_PASSED_FD = 3
"""SD_LISTEN_FDS_START."""

PASSED_MAX = 256
"""More descriptors than that are a mistake in LISTEN_FDS, not listeners."""


class PortInUse(WorldError):
    """Another process listens on that port."""

    code = "port-in-use"

    def __init__(self, address: TcpAddress, holder: Holder | None) -> None:
        super().__init__(f"{address} is in use" + (f" by {holder}" if holder else ""))
        self.address, self.holder = address, holder
        self.hint = _port_in_use_hint(address.port, holder)


class PortRefused(WorldError):
    """This user may not bind that port."""

    code = "port-refused"

    def __init__(self, address: TcpAddress) -> None:
        super().__init__(
            f"{address}: this user may not bind it",
            hint="ports below 1024 need AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, a systemd socket, "
            f"or sysctl net.ipv4.ip_unprivileged_port_start={address.port}; else choose a port above 1023",
        )
        self.address = address


class AddressMissing(WorldError):
    """The machine does not have that address."""

    code = "address-missing"
    hint = "`ip addr` shows the addresses that this machine has; :PORT is every IPv4 address"

    def __init__(self, address: TcpAddress) -> None:
        super().__init__(f"{address}: this machine does not have that address")
        self.address = address


class NoIPv6(WorldError):
    """The kernel has no IPv6."""

    code = "no-ipv6"
    hint = "use an IPv4 address, or turn IPv6 on in the kernel or the container"


class BindFailed(WorldError):
    """The kernel refused a socket for another reason."""

    code = "bind-failed"


class NotOwnable(ConfigError):
    """``listener = "own"`` needs sockets that we bind ourselves."""

    code = "not-ownable"
    hint = 'use listener = "shared", or a TCP address in bind'


class Passed(Struct, frozen=True):
    """A descriptor that systemd (or somebody who speaks as it does) passed to us."""

    fd: int
    name: str


class Opened(Struct, frozen=True):
    """``listeners`` in the order of their addresses; ``ignored``: addresses of ``bind`` not opened, because sockets
    were passed in their place."""

    listeners: tuple[Listener, ...]
    ignored: tuple[str, ...] = ()


def open_listeners(
    bind: Sequence[str],
    *,
    folder: str = "",
    environ: Mapping[str, str] | None = None,
    backlog: int = BACKLOG,
    socket_mode: int = 0o660,
    socket_owner: str = "",
    is_blocking: bool = False,
    kept: Sequence[Listener] = (),
    taken: Collection[int] = (),
) -> Opened:
    """Every listener of a service. All or none: on an error what was opened is closed again.

    folder: what relative Unix paths start from. environ: where LISTEN_FDS stands (default: the process's). is_blocking:
    the mode for accepts, which all processes share: False for workers, True for a command child as systemd passes it.
    kept: listeners of an earlier process; those that are not taken, and on an error all, stay the caller's. taken: passed
    descriptors that are none of the service's sockets. Raises BadAddress, PortInUse, PathInUse and the other errors of this
    folder.
    """
    addresses = [parse(typed, folder) for typed in bind]
    found = passed_by_systemd(os.environ if environ is None else environ, os.getpid())
    passed = [each for each in found if each.fd not in taken]
    opened: list[Listener] = []
    try:
        if passed and not any(isinstance(address, DescriptorAddress) for address in addresses):
            opened += [adopt(each.fd, each.name, is_blocking=is_blocking, is_passed=True) for each in passed]
            return Opened(tuple(opened), _left_out(addresses, opened))
        names = {each.fd: each.name for each in passed}
        options = _Options(backlog, socket_mode, socket_owner, is_blocking)
        for number, address in enumerate(addresses):
            name = _name(address, number, names)
            listener = find_kept(address, kept)
            opened.append(_go_on(listener, name, options) if listener else _open(address, name, options, names))
    except BaseException:
        for listener in opened:
            if all(listener.socket is not each.socket for each in kept):
                listener.close()
        raise
    return Opened(tuple(opened))


def taken(typed: str) -> PortInUse | None:
    """The error that a start would end with because somebody listens at a TCP address; found out without listening there."""
    try:
        address = parse(typed)
    except BadAddress:
        return None
    if not isinstance(address, TcpAddress) or not address.port:
        return None
    with socket.socket(socket.AF_INET6 if address.is_v6 else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.is_v6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind(_sockaddr(address))
        except OSError as exc:
            error = _reason(address, exc)
        except AddressMissing:
            return None
        else:
            return None
    return error if isinstance(error, PortInUse) else None


def find_kept(address: Address, kept: Sequence[Listener]) -> Listener | None:
    """The kept listener that an address asks for, if clients still reach it there. With port 0 it is the one that was asked for
    in the same words."""
    for listener in kept:
        is_of = listener.typed == address.typed or listener.actual == str(address)
        if isinstance(address, UnixAddress):
            is_of = listener.actual == str(address)
        if is_of and listener.is_reachable:
            return listener
    return None


def _go_on(listener: Listener, name: str, options: _Options) -> Listener:
    """A kept listener, as it is configured now."""
    if listener.is_unix and listener.file:
        give_file(listener.actual.removeprefix("unix:"), options.socket_mode, options.socket_owner)
    listener.socket.listen(options.backlog)  # The queue stays; only its length is set.
    return replace(listener, name=name)


def open_own(
    typed: str, count: int, *, name: str = "web", backlog: int = BACKLOG, joins: bool = False
) -> tuple[Listener, ...]:
    """``count`` reuse-port listeners on one TCP address, blocking as systemd passes them (``listener = "own"``).

    Each child gets one to itself, and what it does to it (O_NONBLOCK, shutdown) hits no other. They are kept and
    inherited for ever: closing one would lose the connections in its queue. joins: others of this service listen there
    already; else nobody may, though with SO_REUSEPORT the kernel would let a second service take a share of the clients
    without a word. Raises NotOwnable and what binding raises.
    """
    address = parse(typed)
    if not isinstance(address, TcpAddress):
        raise NotOwnable(f"{typed} cannot be bound once for each child")
    if address.port and not joins:
        _bind_tcp(address, backlog, is_reuse_port=False, is_blocking=True).close()
    listeners: list[Listener] = []
    try:
        for _ in range(count):
            bound = _bind_tcp(address, backlog, is_reuse_port=True, is_blocking=True)
            listeners.append(Listener(name, typed, actual_address(bound), bound))
            # Port 0 was chosen by the first; the others join it.
            address = TcpAddress(typed, address.host, bound.getsockname()[1], address.zone)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return tuple(listeners)


def passed_by_systemd(environ: Mapping[str, str], pid: int) -> tuple[Passed, ...]:
    """The descriptors that LISTEN_FDS passes to the process ``pid``; none when LISTEN_PID names another.

    Raises NotAListener when LISTEN_FDS makes no sense. The variables must not reach any child of ours.
    """
    if environ.get("LISTEN_PID") != str(pid):
        return ()
    count = environ.get("LISTEN_FDS", "0")
    if not (count.isascii() and count.isdigit()) or int(count) > PASSED_MAX:
        raise NotAListener(FIRST_PASSED_FD, f"LISTEN_FDS={count!r} is not a number from 0 to {PASSED_MAX}")
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * int(count)
    return tuple(Passed(FIRST_PASSED_FD + i, names[i] or _web(i)) for i in range(int(count)))


class _Options(Struct, frozen=True):
    backlog: int
    socket_mode: int
    socket_owner: str
    is_blocking: bool


def _open(address: Address, name: str, options: _Options, passed: Collection[int]) -> Listener:
    match address:
        case TcpAddress():
            bound = _bind_tcp(address, options.backlog, is_reuse_port=False, is_blocking=options.is_blocking)
            return Listener(name, address.typed, actual_address(bound), bound)
        case UnixAddress():
            bound, file = listen_on_path(address.path, options.socket_mode, options.socket_owner, options.backlog)
            bound.setblocking(options.is_blocking)
            return Listener(name, address.typed, str(address), bound, file)
        case DescriptorAddress():
            is_passed = address.fd in passed
            return adopt(address.fd, name, address.typed, is_blocking=options.is_blocking, is_passed=is_passed)


def _bind_tcp(address: TcpAddress, backlog: int, *, is_reuse_port: bool, is_blocking: bool) -> socket.socket:
    family = socket.AF_INET6 if address.is_v6 else socket.AF_INET
    where = _sockaddr(address)
    try:
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as exc:
        raise _reason(address, exc) from exc
    try:
        # A port whose old connections are still in TIME_WAIT can be bound; one where somebody listens cannot.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if address.is_v6:
            # Always: else it depends on a sysctl whether [::]:80 leaves room for 0.0.0.0:80.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        set_no_delay(bound)
        bound.bind(where)
        bound.listen(backlog)
        bound.setblocking(is_blocking)
    except OSError as exc:
        bound.close()
        raise _reason(address, exc) from exc
    return bound


def _sockaddr(address: TcpAddress) -> tuple[str, int] | tuple[str, int, int, int]:
    if not address.is_v6:
        return address.host, address.port
    try:
        scope = socket.if_nametoindex(address.zone) if address.zone else 0
    except OSError as exc:
        raise AddressMissing(address) from exc
    return address.host, address.port, 0, scope


def _reason(address: TcpAddress, exc: OSError) -> WorldError:
    match exc.errno:
        case errno.EADDRINUSE:
            return PortInUse(address, port_holder(address.port, address.is_v6))
        case errno.EACCES | errno.EPERM:
            return PortRefused(address)
        case errno.EADDRNOTAVAIL | errno.ENODEV | errno.ENXIO:
            return AddressMissing(address)
        case errno.EAFNOSUPPORT:
            return NoIPv6(f"{address}: this kernel has no IPv6")
        case _:
            return BindFailed(f"{address} cannot be bound: {exc.strerror or exc}")


def _port_in_use_hint(port: int, holder: Holder | None) -> str:
    if holder is None:
        return f"see who with `sudo ss -ltnp 'sport = :{port}'`, or choose another --bind"
    if "midair" in holder.command:
        return "if that is this service: `midair reload` updates it, `midair stop` ends it"
    return f"stop it (kill {holder.pid}), or choose another --bind"


def _left_out(addresses: Sequence[Address], opened: Sequence[Listener]) -> tuple[str, ...]:
    actual = {listener.actual for listener in opened}
    return tuple(address.typed for address in addresses if str(address) not in actual)


def _name(address: Address, number: int, passed: Mapping[int, str]) -> str:
    if isinstance(address, DescriptorAddress) and address.fd in passed:
        return passed[address.fd]
    return _web(number)


def _web(number: int) -> str:
    return f"web{number + 1}" if number else "web"
