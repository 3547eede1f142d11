"""Addresses and sockets."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "Addresses and sockets"

EXPLANATIONS = (
    Explanation(
        code="port-in-use",
        summary="Another process listens on that port.",
        exits=(1,),
        happened=(
            "`midair run` was to bind an address, and the kernel said that somebody listens there. The message names "
            "who, as far as this user may see. A port that a killed supervisor's workers still hold is waited for, 6 "
            "s."
        ),
        serves="Whoever has the port. Nothing was started here.",
        causes=(
            "This very service runs already: then it is updated, not started.",
            "The program that served before midair (uvicorn, gunicorn, nginx) still runs.",
            "A program under midair binds the port itself: it has to take the socket that it is passed.",
        ),
        do=(
            Step(
                "See who it is.",
                ("sudo ss -ltnp",),
            ),
            Step(
                "If it is this service:",
                ("midair reload",),
            ),
            Step(
                "Else end the other one, or choose another address.",
                ("midair run --bind 127.0.0.1:8001",),
            ),
        ),
        prevent=(
            (
                "Let systemd hold the socket (`midair systemd --socket --write`): then nothing else can have it "
                "between a stop and a start."
            ),
        ),
        see=(
            "name-taken",
            "port-refused",
            "path-in-use",
            "commands.md",
        ),
        shown=(
            "$ midair run",
            "midair: 127.0.0.1:8000 is in use by python (pid 4321); trying for 6 s",
            "error: 127.0.0.1:8000 is in use by python (pid 4321)",
            "hint: stop it (kill 4321), or choose another --bind",
            "more: midair explain port-in-use",
        ),
    ),
    Explanation(
        code="port-refused",
        summary="This user may not bind that port.",
        exits=(1,),
        happened="The kernel refused the bind: ports below 1024 are root's, unless somebody says otherwise.",
        serves="Nothing was started.",
        causes=(
            "Port 80 or 443 as an ordinary user.",
            "A security module (SELinux) that allows the program certain ports alone.",
        ),
        do=(
            Step(
                "In a unit: let systemd give the right, or the socket itself.",
                ("midair systemd --socket --write",),
            ),
            Step(
                "By hand: allow it for all, or choose another port behind a proxy.",
                (
                    "sysctl -w net.ipv4.ip_unprivileged_port_start=80",
                    "midair run --bind 127.0.0.1:8000",
                ),
            ),
        ),
        prevent=("`midair doctor` says it before a start does (`low-port`).",),
        see=(
            "port-in-use",
            "address-missing",
            "systemd.md",
            "proxies.md",
        ),
    ),
    Explanation(
        code="path-in-use",
        summary="Something listens on that Unix socket, or the path is not a socket.",
        exits=(1,),
        happened=(
            "The file of the socket is there. A socket that nobody listens at is replaced; this one is listened at, "
            "is another kind of file, or may not be asked."
        ),
        serves="Whoever listens there. Nothing was started here.",
        causes=(
            "This service runs already.",
            "A file or a folder has that name.",
            "The socket belongs to another user, so that it cannot be told whether anybody listens.",
        ),
        do=(
            Step(
                "See who it is.",
                (
                    "ss -lxp",
                    "midair status --all",
                ),
            ),
            Step(
                "End that one, remove the file if nobody needs it, or choose another path.",
            ),
        ),
        see=(
            "port-in-use",
            "socket-folder",
            "name-taken",
        ),
        shown=(
            "$ midair run app:app --bind unix:web.sock",
            "error: unix:/srv/shop/web.sock is in use: something listens there",
            "hint: see who: ss -lxp | grep /srv/shop/web.sock; if it is this service: midair reload",
            "more: midair explain path-in-use",
        ),
    ),
    Explanation(
        code="address-missing",
        summary="The machine does not have that address.",
        exits=(1,),
        happened="The kernel refused to bind an address that no interface has.",
        serves="Nothing was started.",
        causes=(
            "The configuration is another machine's.",
            "The interface (a VPN, a floating address) is not up yet: at boot the service came first.",
        ),
        do=(
            Step(
                "See which there are.",
                ("ip addr",),
            ),
            Step(
                "Bind one of them, or every IPv4 address with `:8000`.",
                ("midair run --bind :8000",),
            ),
        ),
        prevent=("At boot: `midair systemd --after network-online.target`.",),
        see=(
            "bad-address",
            "no-ipv6",
            "port-refused",
        ),
        shown=(
            "$ midair run app:app --bind 192.0.2.1:8000",
            "error: 192.0.2.1:8000: this machine does not have that address",
            "hint: `ip addr` shows the addresses that this machine has; :PORT is every IPv4 address",
            "more: midair explain address-missing",
        ),
    ),
    Explanation(
        code="bad-address",
        summary="An address that cannot be read.",
        exits=(2, 4),
        happened=(
            "`bind`, `health.probe`, `metrics.address` or another address is not written as one; where the file or a flag says "
            "it, that is told as `bad-config`. Names are not looked "
            "up: a host is a number or `localhost`."
        ),
        serves="A service that runs is not touched; nothing was started.",
        causes=(
            "A scheme was written (`http://…`); a host name; an IPv6 address without brackets; no port.",
            "`:8000` is every IPv4 address, `[::]:8000` every IPv6 address: for both write both.",
        ),
        do=(
            Step(
                "Write it as the hint says.",
                ("midair check --no-import",),
            ),
        ),
        see=(
            "bad-config",
            "address-missing",
            "bad-probe",
            "configuration.md#the-service",
        ),
    ),
    Explanation(
        code="no-ipv6",
        summary="The kernel has no IPv6.",
        exits=(1,),
        happened="An IPv6 address was to be bound, and the kernel (or the container) has no IPv6.",
        serves="Nothing was started.",
        causes=("IPv6 is turned off in the kernel or in the container.",),
        do=(
            Step(
                "Bind an IPv4 address.",
                ("midair run --bind :8000",),
            ),
        ),
        see=(
            "address-missing",
            "containers.md",
        ),
    ),
    Explanation(
        code="bind-failed",
        summary="The kernel refused a socket for another reason.",
        exits=(1,),
        happened="An address could not be bound; the kernel's reason stands in the message.",
        serves="Nothing was started.",
        causes=(
            '"Too many open files": the limit of descriptors.',
            (
                '"Operation not supported", "Protocol not supported": a sandbox or a container that forbids it '
                "(`RestrictAddressFamilies=`)."
            ),
        ),
        do=(
            Step(
                "Look at limits and the unit.",
                ("midair doctor",),
            ),
        ),
        see=(
            "port-in-use",
            "port-refused",
            "descriptors-lost",
        ),
    ),
    Explanation(
        code="socket-folder",
        summary="The folder of a Unix socket is not there, or we may not write in it.",
        exits=(1,),
        happened="A Unix socket is a file, and it could not be made where `bind` says.",
        serves="Nothing was started.",
        causes=(
            "/run is empty after each boot: the folder has to be made by the unit (`RuntimeDirectory=`).",
            "It belongs to another user.",
        ),
        do=(
            Step(
                "Make it and give it to the service's user.",
                ("sudo install -d -o shop -g www-data /run/shop",),
            ),
        ),
        prevent=("`midair systemd` writes `RuntimeDirectory=` into the unit.",),
        see=(
            "path-in-use",
            "socket-owner",
            "systemd.md",
        ),
        shown=(
            "$ midair run app:app --bind unix:run/web.sock",
            "error: unix:/srv/shop/run/web.sock cannot be made: No such file or directory",
            "hint: make the folder and give it to this user (mkdir -p /srv/shop/run; systemd: RuntimeDirectory=)",
            "more: midair explain socket-folder",
        ),
    ),
    Explanation(
        code="socket-owner",
        summary="The socket file cannot be given to that owner.",
        exits=(1,),
        happened="The socket was made, and the kernel refused `socket_owner` or `socket_mode` for its file.",
        serves="Nothing was started.",
        causes=("Only root gives files to other users; a user may give one to a group that it is in.",),
        do=(
            Step(
                'Give the group alone (`socket_owner = ":www-data"`), and have the user be in it.',
                ("sudo usermod -aG www-data shop",),
            ),
        ),
        see=(
            "unknown-owner",
            "socket-folder",
            "proxies.md",
        ),
    ),
    Explanation(
        code="unknown-owner",
        summary="`socket_owner` names nobody.",
        exits=(2,),
        happened="There is no user or group of that name on this machine.",
        serves="Nothing was started.",
        causes=("The proxy's user has another name here: www-data, nginx, http.",),
        do=(
            Step(
                "See which there is.",
                ("getent passwd www-data nginx http",),
            ),
            Step(
                "Write it in midair.toml: `user`, `user:group`, `:group`, or numbers.",
            ),
        ),
        see=(
            "socket-owner",
            "proxies.md",
        ),
        shown=(
            "$ midair run app:app --bind unix:web.sock --set socket_owner=www-daata",
            "error: socket_owner 'www-daata': no such user or group",
            "hint: write user, user:group or :group, by name or number",
            "more: midair explain unknown-owner",
        ),
    ),
    Explanation(
        code="not-a-listener",
        summary="A descriptor that was passed to us is not a listening stream socket.",
        exits=(1,),
        happened="systemd (LISTEN_FDS) or `fd://N` gave a descriptor that cannot be accepted on.",
        serves="Nothing was started.",
        causes=(
            "`Accept=yes` in the `.socket` unit: it has to be `no`.",
            "A datagram socket (`ListenDatagram=`), or a number that names another file.",
        ),
        do=(
            Step(
                "See what the unit passes.",
                (
                    "systemctl cat shop.socket",
                    "midair systemd --socket --check",
                ),
            ),
        ),
        see=(
            "bad-address",
            "systemd.md",
        ),
        shown=(
            "$ midair run app:app --bind fd://999",
            "error: descriptor 999 cannot be listened on: Bad file descriptor",
            "hint: pass a TCP or Unix stream socket that is bound (systemd: ListenStream=, Accept=no)",
            "more: midair explain not-a-listener",
        ),
    ),
    Explanation(
        code="not-ownable",
        summary='`listener = "own"` needs sockets that we bind ourselves.',
        exits=(2,),
        happened=(
            'With `listener = "own"` each command gets a socket of its own at the same address, which is possible for '
            "TCP addresses that midair binds."
        ),
        serves="Nothing was started.",
        causes=("A Unix socket or `fd://N` in `bind`, or a socket unit of systemd.",),
        do=(
            Step(
                'Write `listener = "shared"`, or a TCP address in `bind`.',
                ("midair check --no-import",),
            ),
        ),
        see=(
            "bad-config",
            "commands.md",
        ),
        shown=(
            "$ midair run --bind unix:web.sock",
            "error: unix:web.sock cannot be bound once for each child",
            'hint: use listener = "shared", or a TCP address in bind',
            "more: midair explain not-ownable",
        ),
    ),
    Explanation(
        code="bad-probe",
        summary="`health.probe` cannot be read.",
        exits=(2, 4),
        happened=(
            "`health.probe` says how a command shows that it can serve, and is none of the ways that there are. Where the "
            "file says it, that is told as `bad-config`, with the line."
        ),
        serves="A service that runs is not touched.",
        causes=(
            "A path alone was written: that is `health.path` for applications; for a command it is `listener:/health`.",
        ),
        do=(
            Step(
                "Write `notify`, `http://HOST:PORT/PATH`, `tcp://HOST:PORT`, `listener:/PATH` or `delay:3s`.",
                ("midair check --no-import",),
            ),
        ),
        see=(
            "probe-is-bind",
            "not-ready",
            "commands.md",
        ),
    ),
    Explanation(
        code="probe-is-bind",
        summary="The probe would ask an address of the service, where the older version answers as well.",
        exits=(2, 4),
        happened=(
            "`health.probe` names an address that the service listens at. While an update goes on the old version "
            "answers there, so the answer says nothing of the new one. Where the file says it, that is told as "
            "`bad-config`, with the line."
        ),
        serves="A service that runs is not touched.",
        causes=("The address of `bind` was written into `health.probe`.",),
        do=(
            Step(
                (
                    "Write `listener:/health`: the program is passed a private socket (LISTEN_FDNAMES says `health`) "
                    "and is asked there; or `notify`."
                ),
                ("midair check --no-import",),
            ),
        ),
        see=(
            "bad-probe",
            "not-ready",
            "commands.md",
        ),
    ),
)
