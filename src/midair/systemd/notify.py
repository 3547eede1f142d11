"""sd_notify, both ends: what the supervisor tells systemd, and what command children tell the supervisor.

A message is one datagram of ``KEY=VALUE`` lines. Telling never waits and never fails the service: systemd may be busy,
or not there at all. Hearing trusts the kernel's word for who sent a message, not the message's.

MAINPID is never sent: the supervisor's process id does not change.
"""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from midair.errors import WorldError

MESSAGE_MAX_BYTES = 4096
"""systemd's own bound (NOTIFY_BUFFER_MAX)."""

STATUS_MAX = 200
"""Characters of STATUS= that are kept: it is one line on a terminal."""

MESSAGES_A_TURN = 8
"""Messages that one ``receive`` takes (the kernel queues 10 as a rule): a child that talks on must not hold up the loop."""

_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid


# --- telling -------------------------------------------------------------------------------------------------------


class Notifier:
    """Tells whoever is behind NOTIFY_SOCKET. Without one, every call does nothing and returns False.

    Each call returns whether the message was taken. READY and STOPPING are worth a second try; the rest is not.
    """

    def __init__(self, address: str) -> None:
        """address: the value of NOTIFY_SOCKET; empty: nobody listens."""
        self._address = address_bytes(address)
        self._socket: socket.socket | None = None

    @property
    def is_heard(self) -> bool:
        return bool(self._address)

    def ready(self, status: str = "") -> bool:
        """Start-up, or the reload that ``reloading`` began, is over. Say it last: it is a promise."""
        return self.send("READY=1", *_status(status))

    def reloading(self, status: str = "") -> bool:
        """A reload begins. systemd wants the time, to tell this reload's READY from an older one."""
        return self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", *_status(status))

    def stopping(self, status: str = "") -> bool:
        return self.send("STOPPING=1", *_status(status))

    def status(self, status: str) -> bool:
        return self.send(*_status(status or " "))

    def watchdog(self) -> bool:
        """We are alive. To be said at half of the interval."""
        return self.send("WATCHDOG=1")

    def send(self, *lines: str, fds: Sequence[int] = ()) -> bool:
        """fds: descriptors that go along (FDSTORE, BARRIER)."""
        if not self._address:
            return False
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        message = "\n".join(lines).encode()[:MESSAGE_MAX_BYTES]
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self._socket.sendmsg([message], beside, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, self._address)
        except OSError:  # a full queue, or nobody there: the service goes on, the caller is told
            return False
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def address_bytes(address: str) -> bytes:
    """NOTIFY_SOCKET as the kernel takes it; empty for none, and for kinds that are not offered (``vsock:``)."""
    if address.startswith("@"):
        return b"\0" + os.fsencode(address[1:])
    return os.fsencode(address) if address.startswith("/") else b""


def watchdog_interval_s(environ: Mapping[str, str], pid: int) -> float:
    """How often ``watchdog`` is to be said to be in time: half of what systemd set; 0: it does not ask for it."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return 0.0
    usec = environ.get("WATCHDOG_USEC", "")
    return int(usec) / 2e6 if usec.isascii() and usec.isdigit() else 0.0


def _status(status: str) -> tuple[str, ...]:
    return (f"STATUS={' '.join(status.split())}",) if status else ()


# --- hearing -------------------------------------------------------------------------------------------------------


class Notification(Struct, frozen=True):
    """What a child said. ``pid`` and ``uid`` are the kernel's word, all else the child's."""

    pid: int = 0
    uid: int = -1
    is_ready: bool = False
    is_reloading: bool = False
    is_stopping: bool = False
    is_watchdog: bool = False
    status: str | None = None
    """None: not said; empty: taken back."""
    main_pid: int | None = None
    """Which process the child says is its main one; believe it only of the child itself."""
    error: str = ""
    """What ERRNO= names."""
    extend_timeout_s: float | None = None
    others: dict[str, str] = field(default_factory=dict)
    """Keys that have no field here."""
    fds: tuple[int, ...] = ()
    """What it wants kept (FDSTORE): the receiver's, to be closed by it."""


def parse_notification(data: bytes, pid: int = 0, uid: int = -1) -> Notification:
    """Read a message. Any bytes can be read: lines that make no sense are left out. Pure."""
    said: dict[str, str] = {}
    for line in data[:MESSAGE_MAX_BYTES].decode(errors="replace").split("\n"):
        key, equals, value = line.partition("=")
        if equals and key:
            said[key] = value
    main_pid = _number(said.pop("MAINPID", ""))
    code = _number(said.pop("ERRNO", ""))
    extend_us = _number(said.pop("EXTEND_TIMEOUT_USEC", ""))
    status = said.pop("STATUS", None)
    return Notification(
        pid=pid,
        uid=uid,
        is_ready=said.pop("READY", "") == "1",
        is_reloading=said.pop("RELOADING", "") == "1",
        is_stopping=said.pop("STOPPING", "") == "1",
        is_watchdog=said.pop("WATCHDOG", "") == "1",
        status=None if status is None else status.strip()[:STATUS_MAX],
        main_pid=main_pid or None,
        error=os.strerror(code) if code is not None and code in errno.errorcode else "",
        extend_timeout_s=None if extend_us is None else extend_us / 1e6,
        others=said,
    )


class InboxFailed(WorldError):
    """The socket that command children report to cannot be made."""

    code = "notify-socket"
    hint = "the runtime folder must be writable and its path short (runtime_dir)"


class Inbox:
    """A socket for what one command child (and its children) has to say. ``address`` is its NOTIFY_SOCKET."""

    def __init__(self, path: str) -> None:
        """path: of the socket file, which is replaced. Raises InboxFailed."""
        self.address = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            # Before the bind: a message that came first would have no sender.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            self.socket.bind(path)
            os.chmod(path, 0o600)
        except OSError as exc:
            self.socket.close()
            raise InboxFailed(f"{path} cannot be made: {exc.strerror or exc}") from exc

    @classmethod
    def adopt(cls, fd: int, path: str) -> Inbox:
        """The inbox that another image of the supervisor made: its socket, which stays bound to ``path``."""
        inbox = cls.__new__(cls)
        inbox.address, inbox.socket = path, socket.socket(fileno=fd)
        return inbox

    @property
    def fd(self) -> int:
        return self.socket.fileno()

    def receive(self, *, keeps: bool = False) -> list[Notification]:
        """What has come, MESSAGES_A_TURN at most; call again while ``fd`` is readable. Never waits.

        keeps: descriptors beside FDSTORE are handed out. All others that come along are closed: for BARRIER that is the answer
        it waits for.
        """
        heard = []
        for _ in range(MESSAGES_A_TURN):
            try:
                data, control, flags, _address = self.socket.recvmsg(
                    MESSAGE_MAX_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * 253)
                )
            except OSError:  # nothing more; or an error of one message, which is gone then
                break
            pid, uid, fds = _beside(control)
            # One that was cut could say something else than its sender meant.
            if not flags & socket.MSG_TRUNC:
                said = parse_notification(data, pid, uid)
                if keeps and said.others.get("FDSTORE") == "1":
                    said, fds = replace(said, fds=tuple(fds)), []
                heard.append(said)
            for fd in fds:
                os.close(fd)
        return heard

    def close(self) -> None:
        self.socket.close()
        try:
            os.unlink(self.address)
        except OSError:  # removed by somebody else
            pass


def _beside(control: list[tuple[int, int, bytes]]) -> tuple[int, int, list[int]]:
    """Process and user of the sender, and the descriptors that came along."""
    pid, uid, fds = 0, -1, array.array("i")
    for level, kind, payload in control:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_CREDENTIALS and len(payload) >= _CREDENTIALS.size:
            pid, uid, _ = _CREDENTIALS.unpack_from(payload)
        elif kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return pid, uid, list(fds)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
