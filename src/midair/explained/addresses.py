"""Addresses and sockets."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "Addresses and sockets"

EXPLANATIONS = (
    Explanation(
        code="port-in-use",
        exits=(1,),
        summary="Another process listens on that port.",
    ),
    Explanation(
        code="port-refused",
        exits=(1,),
        summary="This user may not bind that port.",
    ),
    Explanation(
        code="path-in-use",
        exits=(1,),
        summary="Something listens on that Unix socket, or the path is not a socket.",
    ),
    Explanation(
        code="address-missing",
        exits=(1,),
        summary="The machine does not have that address.",
        do=(
            Step(
                "`ip addr` shows the addresses that this machine has; :PORT is every IPv4 address",
            ),
        ),
    ),
    Explanation(
        code="bad-address",
        exits=(4, 2),
        summary="An address that cannot be read.",
        do=(
            Step(
                "write host:port, [v6]:port, :port, unix:PATH or fd://N",
            ),
        ),
    ),
    Explanation(
        code="no-ipv6",
        exits=(1,),
        summary="The kernel has no IPv6.",
        do=(
            Step(
                "use an IPv4 address, or turn IPv6 on in the kernel or the container",
            ),
        ),
    ),
    Explanation(
        code="bind-failed",
        exits=(1,),
        summary="The kernel refused a socket for another reason.",
    ),
    Explanation(
        code="socket-folder",
        exits=(1,),
        summary="The folder of a Unix socket is not there, or we may not write in it.",
    ),
    Explanation(
        code="socket-owner",
        exits=(1,),
        summary="The socket file cannot be given to that owner.",
        do=(
            Step(
                "only root gives files away; a user may give a file to a group that it is in",
            ),
        ),
    ),
    Explanation(
        code="unknown-owner",
        exits=(2,),
        summary="`socket_owner` names nobody.",
        do=(
            Step(
                "write user, user:group or :group, by name or number",
            ),
        ),
    ),
    Explanation(
        code="not-a-listener",
        exits=(1,),
        summary="A descriptor that was passed to us is not a listening stream socket.",
        do=(
            Step(
                "pass a TCP or Unix stream socket that is bound (systemd: ListenStream=, Accept=no)",
            ),
        ),
    ),
    Explanation(
        code="not-ownable",
        exits=(2,),
        summary='`listener = "own"` needs sockets that we bind ourselves.',
        do=(
            Step(
                'use listener = "shared", or a TCP address in bind',
            ),
        ),
    ),
    Explanation(
        code="bad-probe",
        exits=(4, 2),
        summary="`health.probe` cannot be read.",
        do=(
            Step(
                'write "notify", "http://HOST:PORT/PATH", "tcp://HOST:PORT", "listener:/PATH" or "delay:3s"',
            ),
        ),
    ),
    Explanation(
        code="probe-is-bind",
        exits=(4, 2),
        summary="The probe would ask an address of the service, where the older version answers as well.",
        do=(
            Step(
                (
                    'probe another address, or set health.probe to "listener:/PATH" (a private socket is passed) or '
                    '"notify"'
                ),
            ),
        ),
    ),
)
