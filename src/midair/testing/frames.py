"""WebSocket frames into bytes and out of them (RFC 6455), compressed messages included (RFC 7692).

Written for clients that test a server, so it shares no line with any server's library: what one of the two gets wrong
the other sees. The writer writes whatever it is told, nonsense too; the reader forgives nothing.

    CONTINUATION, TEXT, BINARY: a message's frames    CLOSE, PING, PONG: control frames, at most 125 bytes
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
MASK = b"\x37\xfa\x21\x3d"
"""The key of RFC 6455's own examples."""
NO_STATUS = 1005
"""What stands for the code of a close frame that has none."""
CONTROL_MAX_BYTES = 125
_ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FLUSH_END = b"\0\0\xff\xff"


class BrokenFrame(Exception):
    """The server sent what no server may send."""


def masked(payload: bytes, key: bytes = MASK) -> bytes:
    """Every byte XORed with the key's; done twice it is undone."""
    whole = key * (len(payload) // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(whole[: len(payload)], "big")
    return number.to_bytes(len(payload), "big")


def frame(
    opcode: int, payload: bytes = b"", *, flags: int = FIN, key: bytes | None = MASK, length_bytes: int = 0
) -> bytes:
    """A client's frame. key: None sends it unmasked. length_bytes: 2 or 8 writes the length longer than it needs."""
    mask_bit = 0x80 if key is not None else 0
    length = len(payload)
    if length_bytes == 8 or length > 0xFFFF:
        size = bytes([mask_bit | 127]) + length.to_bytes(8, "big")
    elif length_bytes == 2 or length > CONTROL_MAX_BYTES:
        size = bytes([mask_bit | 126]) + length.to_bytes(2, "big")
    else:
        size = bytes([mask_bit | length])
    return bytes([flags | opcode]) + size + (key + masked(payload, key) if key is not None else payload)


def close_frame(code: int = 1000, reason: str | bytes = "") -> bytes:
    """A client's close frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + (reason.encode() if isinstance(reason, str) else reason))


class Deflater:
    """Messages to compressed ones. The window goes on from message to message, unless ``is_forgetful``."""

    def __init__(self, window_bits: int = 15, *, is_forgetful: bool = False) -> None:
        self._window_bits, self._is_forgetful = window_bits, is_forgetful
        self._begin()

    def _begin(self) -> None:
        self._compressor = zlib.compressobj(wbits=-self._window_bits)

    def compress(self, data: bytes) -> bytes:
        """A message's payload, to be sent with RSV1 in its first frame."""
        compressed = self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        if self._is_forgetful:
            self._begin()
        return compressed.removesuffix(_FLUSH_END)


@dataclass(frozen=True, slots=True)
class Frame:
    opcode: int
    payload: bytes
    flags: int = FIN

    @property
    def is_last(self) -> bool:
        return bool(self.flags & FIN)

    @property
    def is_control(self) -> bool:
        return self.opcode >= CLOSE

    @property
    def code(self) -> int:
        """A close frame's code."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else NO_STATUS


class Reader:
    """A server's messages and control frames, in order: ``feed`` bytes, then ``next`` until there is no more.

    window_bits: of the compression that was agreed upon; 0: none was. Raises BrokenFrame for what no server may send.
    """

    def __init__(self, window_bits: int = 0, *, is_forgetful: bool = False) -> None:
        self._buffer = bytearray()
        self._window_bits, self._is_forgetful = window_bits, is_forgetful
        self._begun: Frame | None = None
        self._parts: list[bytes] = []
        if window_bits:
            self._begin()

    def _begin(self) -> None:
        self._decompressor = zlib.decompressobj(wbits=-self._window_bits)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def unread_bytes(self) -> int:
        """What came and is no whole frame."""
        return len(self._buffer)

    def next(self) -> Frame | None:
        """The next whole message (joined and inflated) or control frame."""
        while (found := self._next_frame()) is not None:
            if found.is_control:
                return found
            if (message := self._joined(found)) is not None:
                return message
        return None

    def _next_frame(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        if buffer[1] & 0x80:
            raise BrokenFrame("a server's frame is masked")
        length, begin = buffer[1], 2
        if length > CONTROL_MAX_BYTES:
            begin = 4 if length == 126 else 10
            if len(buffer) < begin:
                return None
            length = int.from_bytes(buffer[2:begin], "big")
            if length <= (CONTROL_MAX_BYTES if begin == 4 else 0xFFFF):
                raise BrokenFrame(f"a length of {length} in {begin - 2} bytes")
        if len(buffer) < begin + length:
            return None
        found = Frame(buffer[0] & 0x0F, bytes(buffer[begin : begin + length]), buffer[0] & 0xF0)
        del buffer[: begin + length]
        self._check(found)
        return found

    def _check(self, found: Frame) -> None:
        if found.opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise BrokenFrame(f"opcode {found.opcode}")
        may_be_compressed = self._window_bits and found.opcode in (TEXT, BINARY)
        if found.flags & (RSV2 | RSV3) or (found.flags & RSV1 and not may_be_compressed):
            raise BrokenFrame(f"reserved bits in {found.flags:08b}")
        if found.is_control and (not found.is_last or len(found.payload) > CONTROL_MAX_BYTES):
            raise BrokenFrame("a control frame in pieces, or too long")
        if found.opcode == CLOSE and len(found.payload) == 1:
            raise BrokenFrame("half a close code")
        if not found.is_control and (found.opcode == CONTINUATION) != (self._begun is not None):
            raise BrokenFrame(f"opcode {found.opcode} where the other kind was due")

    def _joined(self, found: Frame) -> Frame | None:
        first = self._begun or found
        self._parts.append(found.payload)
        self._begun = None if found.is_last else first
        if self._begun is not None:
            return None
        payload = b"".join(self._parts)
        self._parts.clear()
        if first.flags & RSV1:
            payload = self._inflated(payload)
        if first.opcode == TEXT:
            self._check_text(payload)
        return Frame(first.opcode, payload, first.flags | FIN)

    def _inflated(self, payload: bytes) -> bytes:
        try:
            data = self._decompressor.decompress(payload + _FLUSH_END)
        except zlib.error as error:
            raise BrokenFrame(f"cannot be inflated: {error}") from None
        if self._is_forgetful or self._decompressor.eof:
            self._begin()
        return data

    def _check_text(self, payload: bytes) -> None:
        try:
            payload.decode()
        except UnicodeDecodeError:
            raise BrokenFrame("a text that is no UTF-8") from None


def accept_key(key: str) -> str:
    """What ``Sec-WebSocket-Accept`` must be for this ``Sec-WebSocket-Key``."""
    return base64.b64encode(hashlib.sha1(key.encode() + _ACCEPT_SALT).digest()).decode()


def agreed_parameters(value: str) -> dict[str, str]:
    """The parameters of permessage-deflate in ``Sec-WebSocket-Extensions``; one without a value has an empty one.

    Raises BrokenFrame if anything else was agreed upon.
    """
    name, *parameters = [part.strip() for part in value.split(";")]
    if name != "permessage-deflate" or "," in value:
        raise BrokenFrame(f"extensions that were not offered: {value}")
    pairs = [parameter.partition("=") for parameter in parameters]
    return {key.strip(): text.strip().strip('"') for key, _, text in pairs}
