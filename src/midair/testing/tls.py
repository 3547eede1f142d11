"""A wire behind TLS, read as strictly: an end without ``close_notify`` is a connection that was torn down."""

from __future__ import annotations

import socket
import ssl

from midair.testing.report import Answer
from midair.testing.response import READ_BYTES, BrokenAnswer, Wire


class TlsWire(Wire):
    """As ``Wire``. ``shake_hands`` comes first."""

    __slots__ = ("_incoming", "_outgoing", "session")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, host: str) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def shake_hands(self) -> None:
        """Raises OSError: ssl.SSLError if one side refuses the other."""
        while True:
            try:
                self.session.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._receive():
                    raise ConnectionResetError("closed within the handshake") from None
            else:
                await self._flush()
                return

    async def send(self, data: bytes) -> None:
        self.is_fresh = True
        self.session.write(data)  # a memory BIO takes everything
        await self._flush()

    async def fill(self) -> None:
        data: bytes | None = None
        while data is None:
            try:
                data = self.session.read(READ_BYTES)
            except ssl.SSLWantReadError:
                if not await self._receive():
                    raise self._ended("without close_notify") from None
        if not data:
            raise self._ended("by close_notify")
        self.is_fresh = False
        self.buffer += data

    def look(self) -> bytes | None:
        if self.buffer:
            return bytes(self.buffer[:200])
        try:
            # Not only peeked at: what has come may be a session ticket, which is nothing that was not asked for.
            while data := self.sock.recv(READ_BYTES):
                self._incoming.write(data)
        except BlockingIOError:
            is_ended = False
        else:
            is_ended = True
        try:
            return self.session.read(200)
        except ssl.SSLWantReadError:
            if is_ended:
                raise ConnectionResetError("closed without close_notify") from None
            return None

    def close(self) -> None:
        try:
            self.session.unwrap()
        except (ssl.SSLError, ValueError):
            pass  # It waits for the server's close_notify, which we do not; or there was no handshake.
        try:
            self.sock.send(self._outgoing.read())
        except OSError:
            pass  # The service has ended the connection already, or reads nothing more.
        super().close()

    def _ended(self, how: str) -> BrokenAnswer:
        answer = Answer.EOF_BEFORE if self.is_fresh else Answer.EOF_INSIDE
        return BrokenAnswer(answer, f"closed {how}, with {len(self.buffer)} bytes unread")

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._loop.sock_sendall(self.sock, self._outgoing.read())

    async def _receive(self) -> bytes:
        data = await self._loop.sock_recv(self.sock, READ_BYTES)
        self._incoming.write(data)
        return data
