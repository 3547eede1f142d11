"""Folders, ports, users."""

from __future__ import annotations

from midair.doctor.facts import Facts
from midair.doctor.finding import Finding, check
from midair.sockets.address import BadAddress, TcpAddress, parse

FREE_BYTES = 200 << 20
FREE_INODES = 1000


def _port(address: str) -> int:
    """Of a TCP address; 0: it has none."""
    try:
        found = parse(address)
    except BadAddress:
        return 0
    return found.port if isinstance(found, TcpAddress) else 0


@check("runtime-folder", "permissions")
def runtime_folder(facts: Facts) -> Finding | None:
    """whether the control socket and the lock can be made"""
    place = facts.machine.runtime
    if place.is_writable:
        return None
    return Finding(
        "problem",
        f"{place.path} cannot be written to",
        "without the control socket the service does not start, and no command finds it",
        f"RuntimeDirectory=midair/{facts.settings.name} in the unit, or runtime_dir in midair.toml",
    )


@check("state-folder", "permissions")
def state_folder(facts: Facts) -> Finding | None:
    """whether receipts can be kept"""
    place = facts.machine.state
    if place.is_writable:
        return None
    return Finding(
        "warning",
        f"{place.path} cannot be written to",
        "receipts stay in memory: after a restart nobody knows what the updates were",
        f"a volume that user {facts.machine.uid} may write to at {place.path}, as midair container writes it"
        if facts.machine.is_container
        else f"StateDirectory=midair/{facts.settings.name} in the unit, or state_dir in midair.toml",
    )


@check("disk-space", "permissions")
def disk_space(facts: Facts) -> Finding | None:
    """room for receipts and releases"""
    place = facts.machine.state
    has_inodes = place.free_inodes is None or place.free_inodes >= FREE_INODES
    if place.free_bytes >= FREE_BYTES and has_inodes:
        return None
    left = f"{place.free_bytes >> 20} MiB" if has_inodes else f"{place.free_inodes} inodes"
    return Finding(
        "warning",
        f"{left} are left on the disk of {place.path}",
        "the next deployment may not fit, and receipts stay in memory",
        f"make room; df -h {place.path} and df -i {place.path} show what is left",
    )


@check("low-port", "permissions")
def low_port(facts: Facts) -> Finding | None:
    """whether this user may bind the ports"""
    kernel = facts.machine.kernel
    low = [bind for bind in facts.settings.bind if 0 < _port(bind) < kernel.lowest_port]
    if not low or facts.machine.uid == 0 or kernel.may_bind_low or facts.running:
        return None
    return Finding(
        "problem",
        f"{low[0]}: this user may not bind a port below {kernel.lowest_port}",
        "the service does not start",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, a systemd socket, or"
        f" sysctl -w net.ipv4.ip_unprivileged_port_start={_port(low[0])}",
    )


@check("port-taken", "permissions")
def port_taken(facts: Facts) -> Finding | None:
    """whether the ports are free that a start would bind"""
    if not facts.application.taken:
        return None
    what, fix = facts.application.taken[0]
    return Finding("problem", what, "the service does not start: it tries for a few seconds and gives up", fix)


@check("socket-folder", "permissions")
def socket_folder(facts: Facts) -> Finding | None:
    """whether the folders of Unix sockets are there"""
    missing = facts.application.missing_folders
    if not missing:
        return None
    return Finding(
        "problem",
        f"there is no folder {missing[0]} for the socket",
        "it cannot be bound",
        f"mkdir -p {missing[0]} (in a unit: RuntimeDirectory=)",
    )


@check("socket-mode", "permissions")
def socket_mode(facts: Facts) -> Finding | None:
    """who may connect to Unix sockets"""
    settings = facts.settings
    if not any(bind.startswith("unix:") for bind in settings.bind) or not settings.socket_mode & 0o002:
        return None
    return Finding(
        "note",
        f'everybody on this machine may connect to the socket (socket_mode = "{settings.socket_mode:04o}")',
        "who connects by a Unix socket is believed about where requests come from",
        'write socket_mode = "0660" and socket_owner = ":www-data" (the proxy\'s group) in midair.toml, then restart',
    )


@check("control-groups", "permissions")
def control_groups(facts: Facts) -> Finding | None:
    """whether the groups are there that may look and act"""
    unknown = facts.application.unknown_groups
    if not unknown:
        return None
    return Finding(
        "problem",
        f"there is no group {', '.join(unknown)} here, which [control] names",
        "the service does not start with it, or nobody in it may act",
        f"groupadd {unknown[0]}, or take it out of [control] in midair.toml",
    )


@check("root", "permissions")
def root(facts: Facts) -> Finding | None:
    """as whom the service runs"""
    if facts.machine.uid != 0 or facts.machine.is_container or (facts.unit == "" and facts.running is None):
        return None
    return Finding(
        "note",
        "the service runs as root",
        "whoever finds a way into the application has the machine",
        f"User={facts.settings.name} in the unit (useradd --system {facts.settings.name}); "
        "a low port takes AmbientCapabilities=CAP_NET_BIND_SERVICE",
    )
