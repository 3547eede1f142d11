"""TLS in a worker: the handshake, a connection behind it, and a certificate that is renewed while it serves.

The event loop's own TLS does the work, so the keys of a connection are OpenSSL's and cannot be taken out: such a connection
moves to no other worker. It is sent off instead, at the pace at which others move: its next response says ``Connection: close``,
and its client opens the next one where the new version is. One that stays idle ends at the keep-alive time-out as it always
would.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import struct
import termios
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from midair.observe.counters import Cell
from midair.worker import certificates
from midair.worker.certificates import Certificate, CertificateUnusable
from midair.worker.connection import GONE, LINGER, UPGRADED, Connection
from midair.worker.settings import TlsSettings

if TYPE_CHECKING:
    from midair.observe.counters import Page
    from midair.worker.asgi import Address
    from midair.worker.server import Server

Say = Callable[[str, dict[str, str | int | float | None]], None]

EXPIRES_SOON_S = 14 * 86400.0
"""Whoever renews by a timer has done so by then: certbot does 30 days before, or when a third of the time is left."""
REMIND_EVERY_S = 86400.0
SHUTDOWN_S = 600.0
"""Until the loop cuts what has not been read after ``close``. The sweep ends it far sooner, unless the client still reads."""
_ACKED_AT = 120  # of tcpi_bytes_acked in struct tcp_info


class Tls:
    """The certificate that a worker shows now, and which listeners it is for."""

    def __init__(self, settings: TlsSettings, certificate: Certificate, plain: Collection[socket.socket] = ()) -> None:
        """plain: listeners that speak without TLS, besides Unix sockets."""
        self.settings = settings
        self.certificate = certificate
        self._plain = frozenset(each.fileno() for each in plain)
        self._refused = certificate.stamp

    def covers(self, listener: socket.socket) -> bool:
        """A Unix socket is the way in of a proxy on this machine, which has ended TLS already."""
        return listener.family != socket.AF_UNIX and listener.fileno() not in self._plain

    def renew(self) -> bool:
        """Take what is on the disk now, if that has changed: for connections to come. False: nothing new.

        Raises CertificateUnusable, once for what is there; the certificate before is kept.
        """
        seen = certificates.stamp(self.settings)
        if seen in (self.certificate.stamp, self._refused):
            return False
        self._refused = seen
        self.certificate = certificates.load(self.settings)
        return True

    async def shake_hands(self, server: Server, connection: TlsConnection, sock: socket.socket) -> None:
        """Open ``connection`` on an accepted socket. It has been counted: whatever comes of it, the books are kept."""
        why = Cell.CLOSED_HANDSHAKE
        try:
            await server.loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=self.certificate.context,
                ssl_handshake_timeout=self.settings.handshake_timeout_s,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except OSError:
            pass  # No TLS, none that we speak, none in time, or gone: counted, and not worth a line for each scanner.
        except asyncio.CancelledError:
            why = Cell.CLOSED_CUT
        if not connection.is_open:
            # The loop says nothing to a connection that was never made.
            sock.close()
            connection.phase, connection.reason = GONE, why
            server.connection_lost(connection)


class TlsConnection(Connection):
    """A connection behind a handshake. The loop's transport encrypts; what differs is how it ends."""

    __slots__ = ("_certificate", "_is_closing", "_taken_bytes", "_taken_s", "is_open", "is_sent_off")

    def __init__(
        self,
        server: Server,
        page: Page,
        client: Address | None,
        server_address: Address | None,
        certificate: Certificate,
    ) -> None:
        super().__init__(server, page, client, server_address)
        self.scheme = "https"
        self._certificate = certificate
        self.is_open = False
        """The handshake is over."""
        self.is_sent_off = False
        """Its client was told, or will be by the next response, to ask elsewhere."""
        self._is_closing = False
        self._taken_bytes, self._taken_s = 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.is_open = True
        self.deadline_s = monotonic() + self.server.idle_s
        self.extension = _described(transport.get_extra_info("ssl_object"), self._certificate)
        super().connection_made(transport)

    def eof_received(self) -> bool:
        """The loops' TLS has no half-closed connection: the end of what the client sends is the end of it."""
        super().eof_received()
        return False

    can_move = False

    def is_resting(self) -> bool:
        return False  # nowhere that another worker could go on

    def send_off(self) -> bool:
        if self.is_sent_off or self.phase in (UPGRADED, LINGER, GONE):
            return False
        self.is_sent_off = self.server.is_ending_any = True
        return True

    def is_to_close(self) -> bool:
        return (self.is_sent_off or self.server.is_draining) and not self.reader.unread_bytes

    def is_draining(self) -> bool:
        return self.is_sent_off or self.server.is_draining

    def idle_deadline(self, now_s: float) -> None:
        super().idle_deadline(now_s)
        if not self.server.is_draining:
            self.is_sent_off = False  # This worker serves again.

    # ------------------------------------------------------------------------------------------------------- the end

    def close(self, reason: Cell) -> None:
        """Say the last word. A client that may still be sending is read away first: after our ``close_notify`` the loop takes
        whatever else comes for an error, and would throw away what is unsent of the answer."""
        reader = self.reader
        may_send = self.phase != UPGRADED and (not reader.is_body_complete or reader.has_unread())
        self.reason = self.reason or reason
        self._left = self.server.settings.linger_max_bytes
        self._linger()
        self.resume_reading()
        if not may_send or self._is_eof:
            self.hang_up()

    def hang_up(self) -> None:
        """Say ``close_notify`` behind what is still to be written. The client's own is waited for, but not for long."""
        if self.phase != GONE:
            self._is_closing = True
            self._linger()
            self.transport.close()

    def _close_when_read(self) -> None:
        self.hang_up()

    def _linger(self) -> None:
        self.phase = LINGER
        self._taken_bytes, _ = self._taken()
        self._taken_s = monotonic()
        self.deadline_s = self._taken_s + self.server.settings.linger_s

    def on_deadline(self, now_s: float) -> None:
        if self.phase != LINGER:
            super().on_deadline(now_s)
            return
        # A slow reader's last response is not cut short. An empty queue alone says little: the loop may have more for it, and
        # would have filled it by the next look.
        taken_bytes, is_more_waiting = self._taken()
        if taken_bytes != self._taken_bytes:
            self._taken_bytes, self._taken_s = taken_bytes, now_s
        settings = self.server.settings
        if now_s - self._taken_s < (settings.timeout_keep_alive_s if is_more_waiting else settings.linger_s):
            self.deadline_s = now_s + settings.linger_s
        elif not self._is_closing:
            self.hang_up()
        else:
            self.transport.abort()

    def _taken(self) -> tuple[int, bool]:
        """How many bytes the client's machine has acknowledged so far, and whether more wait in the kernel's queue.

        The transport's own figure will not do: it is that of the encrypting side, which has passed everything on long before.
        """
        sock = self.transport.get_extra_info("socket")
        waiting = bytearray(4)
        if sock is None:
            return self._taken_bytes, False  # lost, and we have not been told yet
        try:
            fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, waiting)
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED_AT + 8)
        except (OSError, ValueError):
            return self._taken_bytes, False  # closed under us
        return struct.unpack_from("Q", info, _ACKED_AT)[0], any(waiting)


def _described(session: ssl.SSLObject, certificate: Certificate) -> dict[str, Any]:
    """The ASGI extension ``tls``. Of the client's chain its own certificate: no more is known before Python 3.13."""
    cipher, der = session.cipher(), session.getpeercert(True)
    version = session.version()
    return {
        "server_cert": certificate.pem,
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(der)] if der else [],
        "client_cert_name": _name(session.getpeercert()) if der else None,
        "client_cert_error": None,
        "tls_version": {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}.get(version or ""),
        "cipher_suite": certificate.ciphers.get(cipher[0]) if cipher else None,
    }


_SHORT = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}


def _name(certificate: Any) -> str:
    """The subject as RFC 4514 writes it: the last part first."""
    parts = certificate.get("subject", ())
    return ",".join(
        "+".join(f"{_SHORT.get(key, key)}={_escaped(value)}" for key, value in part) for part in parts[::-1]
    )


def _escaped(value: str) -> str:
    escaped = "".join(f"\\{each}" if each in ',+"\\<>;=' else each for each in value)
    if escaped.startswith(("#", " ")):
        escaped = "\\" + escaped
    return escaped[:-1] + "\\ " if value.endswith(" ") and len(value) > 1 else escaped


class Renewal:
    """Looks at the files from time to time, takes in what is new, and says what an operator should know."""

    def __init__(self, tls: Tls, server: Server, say: Say) -> None:
        """say: takes an event of the log. Of several workers one says it: the others' is not to be called."""
        self._tls, self._server, self._say = tls, server, say
        self._reminded_s = -REMIND_EVERY_S

    def begin(self) -> None:
        if self._tls.settings.reload_interval_s:
            self._is_renewed()  # A zygote may have read it weeks ago.
        self._took()
        self._look_again()

    def _look_again(self) -> None:
        interval_s = self._tls.settings.reload_interval_s
        if interval_s:
            self._server.loop.call_later(interval_s, self._look)

    def _look(self) -> None:
        self._look_again()
        if self._is_renewed():
            self._took()
        else:
            self._remind()

    def _is_renewed(self) -> bool:
        try:
            return self._tls.renew()
        except CertificateUnusable as error:
            self._say("certificate_refused", {"error": str(error), "hint": error.hint})
            return False

    def _took(self) -> None:
        not_after = self._tls.certificate.not_after
        self._server.page.cells[Cell.TLS_NOT_AFTER_S] = max(0, int(not_after.timestamp()))
        self._say("certificate_loaded", {"file": self._tls.settings.certfile, "not_after": _shown(not_after)})
        self._reminded_s = -REMIND_EVERY_S
        self._remind()

    def _remind(self) -> None:
        not_after, now_s = self._tls.certificate.not_after, monotonic()
        left_s = not_after.timestamp() - time.time()
        if left_s > EXPIRES_SOON_S or now_s - self._reminded_s < REMIND_EVERY_S:
            return
        self._reminded_s = now_s
        fields: dict[str, str | int | float | None] = {"not_after": _shown(not_after)}
        if left_s > 0:
            self._say("certificate_expires", fields | {"days": int(left_s // 86400)})
        else:
            self._say("certificate_expired", fields)


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
