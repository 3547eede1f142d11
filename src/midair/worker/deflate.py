"""permessage-deflate (RFC 7692) that can go on in another process: websockets' own, and the window that a decoder needs.

A compressed message may refer to the last bytes of the ones before it, as far back as the client's window is wide. The
inflater of ``zlib`` gives its window to nobody, so what it has put out is remembered. Nothing is needed for the other
direction: a fresh compressor refers to nothing, which is always allowed.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionParameter

# uvicorn's figures: 4 KiB windows are most of the gain for a tenth of the memory.
WINDOW_BITS = 12
COMPRESS_SETTINGS = {"memLevel": 5}


class DeflateState(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed with the client, and what its next message may refer to."""

    client_keeps_window: bool
    server_keeps_window: bool
    client_window_bits: int
    server_window_bits: int
    window: bytes = b""


class Deflate(PerMessageDeflate):
    """The agreed extension of one WebSocket."""

    _window = b""

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        decoded = super().decode(frame, max_size=max_size)
        if decoded is not frame and not self.remote_no_context_takeover:
            width = 1 << self.remote_max_window_bits
            data = bytes(decoded.data[-width:])
            self._window = data if len(data) == width else (self._window + data)[-width:]
        return decoded

    def inflate(self, payload: bytes, limit: int) -> bytes:
        """A whole message's data. Raises ProtocolError, PayloadTooBig (more than ``limit`` bytes; 0: no limit)."""
        return bytes(self.decode(Frame(Opcode.BINARY, payload, rsv1=True), max_size=limit or None).data)

    def deflate(self, data: bytes) -> bytes:
        """The payload for a whole message."""
        return bytes(self.encode(Frame(Opcode.BINARY, data)).data)

    def freeze(self) -> DeflateState:
        """Between two messages."""
        return DeflateState(
            client_keeps_window=not self.remote_no_context_takeover,
            server_keeps_window=not self.local_no_context_takeover,
            client_window_bits=self.remote_max_window_bits,
            server_window_bits=self.local_max_window_bits,
            window=self._window,
        )

    @classmethod
    def thaw(cls, state: DeflateState) -> Deflate:
        """Go on where another process stopped."""
        deflate = cls(
            remote_no_context_takeover=not state.client_keeps_window,
            local_no_context_takeover=not state.server_keeps_window,
            remote_max_window_bits=state.client_window_bits,
            local_max_window_bits=state.server_window_bits,
            compress_settings=COMPRESS_SETTINGS,
        )
        if state.client_keeps_window and state.window:
            deflate.decoder = zlib.decompressobj(wbits=-state.client_window_bits, zdict=state.window)
            deflate._window = state.window
        return deflate


class DeflateFactory(ServerPerMessageDeflateFactory):
    """Agrees with a client on permessage-deflate."""

    def __init__(self) -> None:
        super().__init__(
            server_max_window_bits=WINDOW_BITS,
            client_max_window_bits=WINDOW_BITS,
            compress_settings=COMPRESS_SETTINGS,
        )

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        answer, agreed = super().process_request_params(params, accepted_extensions)
        deflate = Deflate(
            agreed.remote_no_context_takeover,
            agreed.local_no_context_takeover,
            agreed.remote_max_window_bits,
            agreed.local_max_window_bits,
            COMPRESS_SETTINGS,
        )
        return list(answer), deflate
