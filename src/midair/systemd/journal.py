"""The journal's native protocol: an entry is one datagram of fields: ``journalctl MIDAIR_UPDATE=7`` finds the lines of an update.

    MESSAGE=update refused  update=7 …      what is read
    PRIORITY=3                              from the event's level
    SYSLOG_IDENTIFIER=shop                  the service, and once more as MIDAIR_SERVICE
    MIDAIR_EVENT=update_refused             MIDAIR_ and the field's name in capitals, for all fields of the event

A value with line breaks is written with its length. An entry that no datagram can hold goes as a sealed memfd. Nothing waits.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Mapping

from midair.errors import WorldError

ADDRESS = "/run/systemd/journal/socket"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}
NAMES = {"message": "MESSAGE"}
"""Fields that are not MIDAIR_ and their name."""
LEFT_OUT = frozenset({"time", "level"})
"""The journal stamps an entry itself; the level is its priority."""
_LENGTH = struct.Struct("<Q")
_SEALS = fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class NoJournal(WorldError):
    """There is no journal on this machine."""

    code = "no-journal"
    hint = 'systemd-journald must run; or write format = "json" under [log]'


def is_journal(environ: Mapping[str, str], fd: int) -> bool:
    """Whether ``fd`` goes to the journal: systemd says in JOURNAL_STREAM which device and inode that is."""
    device, colon, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return bool(colon) and (device, inode) == (str(found.st_dev), str(found.st_ino))


def encoder(service: str) -> Callable[[Mapping[str, object]], bytes]:
    """What makes an entry of a record of the log, for the service of this name."""
    ours = _field("SYSLOG_IDENTIFIER", service) + _field("MIDAIR_SERVICE", service)

    def entry(record: Mapping[str, object]) -> bytes:
        fields = [_field("PRIORITY", str(PRIORITIES.get(str(record.get("level")), PRIORITIES["info"]))), ours]
        fields += [
            _field(NAMES.get(key) or f"MIDAIR_{key.upper()}", _text(value))
            for key, value in record.items()
            if key not in LEFT_OUT and value is not None
        ]
        return b"".join(fields)

    return entry


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="backslashreplace")
    if b"\n" in data:
        return name.encode() + b"\n" + _LENGTH.pack(len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


class Journal:
    """A connection to the journal: a channel of a ``Sink``, which watches ``fd`` and closes it."""

    def __init__(self, address: str = ADDRESS) -> None:
        """Raises NoJournal."""
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            # Connected, so that it is writable when the journal has room, and not always.
            self._socket.connect(address)
        except OSError as exc:
            self._socket.close()
            raise NoJournal(f"{address} does not answer: {exc.strerror}") from exc
        self.fd = self._socket.detach()

    def send(self, entry: bytes) -> int:
        """Send an entry whole; its length. Raises BlockingIOError while there is no room, another OSError if it is lost."""
        channel = socket.socket(fileno=self.fd)
        try:
            return self._send(channel, entry)
        except OSError as exc:
            if exc.errno not in (errno.ECONNREFUSED, errno.ENOTCONN):
                raise
            # The journal's socket was opened anew.
            channel.connect(self._address)
            return self._send(channel, entry)
        finally:
            channel.detach()

    def _send(self, channel: socket.socket, entry: bytes) -> int:
        try:
            return channel.send(entry, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError as exc:
            if exc.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
        with os.fdopen(os.memfd_create("midair-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb") as large:
            large.write(entry)
            large.flush()
            fcntl.fcntl(large, *_SEALS)  # The journal believes no file that could change while it reads.
            socket.send_fds(channel, [], [large.fileno()], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return len(entry)
