"""Where WebSocket frames end: bytes are cut before the protocol object sees them, as ``http1.py`` does with requests.

So at any moment it is known which bytes were read and belong to a frame that is not whole yet; they are all that another
process needs, besides the message's state, to read on. What a frame means is not judged here, but one that the protocol
would refuse by its head is passed on at once: nothing is waited for, or kept, that will be refused anyway.
"""

from __future__ import annotations

import struct

try:
    from websockets.speedups import apply_mask
except ImportError:  # no C extension on this platform
    from websockets.utils import apply_mask

TEXT, BINARY = 0x81, 0x82
"""First bytes of frames that hold a whole message."""
COMPRESSED = 0x40
"""Added to them: RSV1, by which permessage-deflate marks its messages."""
_WHOLE = frozenset((TEXT, BINARY, TEXT | COMPRESSED, BINARY | COMPRESSED))
_OPCODES = frozenset((0x0, 0x1, 0x2, 0x8, 0x9, 0xA))
_MASKED = 0x80
_MASK_BYTES = 4


class FrameCutter:
    """The bytes of one WebSocket, let through in whole frames."""

    __slots__ = ("_needed", "_unread", "max_bytes")

    def __init__(self, max_bytes: int, unread: bytes = b"") -> None:
        """max_bytes: a frame that says to be longer is not waited for; 0 is no limit. unread: as another cutter left it."""
        self.max_bytes = max_bytes
        self._unread = bytearray(unread)
        self._needed = 0
        """Bytes in hand below this number hold no whole frame."""

    @property
    def unread(self) -> bytes:
        """The start of a frame whose end has not come."""
        return bytes(self._unread)

    @property
    def unread_bytes(self) -> int:
        return len(self._unread)

    def cut(self, data: bytes) -> bytes:
        """All whole frames that are there with ``data``, perhaps none."""
        if not self._unread:
            end = self._end_of_frames(data)
            if end == len(data):
                return data
            self._unread += data[end:]
            return data[:end]
        self._unread += data
        if len(self._unread) < self._needed:
            return b""
        end = self._end_of_frames(self._unread)
        whole = bytes(self._unread[:end])
        del self._unread[:end]
        return whole

    def _end_of_frames(self, data: bytes | bytearray) -> int:
        """Where the last whole frame ends, or the end of all if what follows will be refused (RFC 6455, 5.2)."""
        size, end = len(data), 0
        while size - end >= 2:
            second = data[end + 1]
            if not second & _MASKED or data[end] & 0x0F not in _OPCODES:
                return size
            length = second & 0x7F
            head = 2 + _MASK_BYTES
            if length >= 126:
                width = 2 if length == 126 else 8
                head += width
                if size - end < 2 + width:
                    self._needed = 2 + width
                    return end
                length = int.from_bytes(data[end + 2 : end + 2 + width], "big")
                if self.max_bytes and length > self.max_bytes:
                    return size
            if size - end < head + length:
                self._needed = head + length
                return end
            end += head + length
        self._needed = 2
        return end


def whole_message(frames: bytes, at: int, limit: int) -> tuple[int, bytes, int] | None:
    """The message that stands whole in one frame at ``at``: the frame's first byte, its payload, where it ends.

    None: what stands there is something else (a fragment, a control frame, one longer than 64 KiB or than ``limit``), which is
    the protocol object's to read. Most messages are of this kind, and cost a third this way. The first byte is the opcode,
    FIN and, of a compressed one, COMPRESSED.
    """
    if len(frames) - at < 6:
        return None
    first, length = frames[at], frames[at + 1] & 0x7F
    if first not in _WHOLE or length == 127 or not frames[at + 1] & _MASKED:
        return None
    begin = at + 2
    if length == 126:
        length = int.from_bytes(frames[begin : begin + 2], "big")
        begin += 2
    if limit and length > limit:
        return None
    payload = begin + _MASK_BYTES
    end = payload + length
    return first, apply_mask(frames[payload:end], frames[begin:payload]), end


def message_frame(first: int, data: bytes) -> bytes:
    """A whole message as a server sends it: in one frame, not masked (RFC 6455, 5.2)."""
    size = len(data)
    if size < 126:
        return bytes((first, size)) + data
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + data
    return struct.pack("!BBQ", first, 127, size) + data
