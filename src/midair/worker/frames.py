"""Where WebSocket frames end: bytes are cut before the protocol object sees them, as ``http1.py`` does with requests.

So at any moment it is known which bytes were read and belong to a frame that is not whole yet; they are all that another
process needs, besides the message's state, to read on. What a frame means is not judged here, but one that the protocol
would refuse by its head is passed on at once: nothing is waited for, or kept, that will be refused anyway.
"""

from __future__ import annotations

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
