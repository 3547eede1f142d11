"""Frames of the control socket: four bytes of length, most significant first, then that many bytes of JSON.

No input or output here: bytes in, frames out, so that the same code serves the supervisor's loop and the client.
Bounds stand on both sides: a request has at most ``REQUEST_MAX_BYTES``, an answer ``ANSWER_MAX_BYTES``. Whoever breaks
them is told once and hung up on; a decoder that has raised raises for ever, since the boundary of the next frame is
not known.
"""

from __future__ import annotations

import msgspec

from midair.control.words import AnyAnswer, Request
from midair.errors import MidairError

REQUEST_MAX_BYTES = 64 * 1024
"""A request is a handful of flags and a reason."""
ANSWER_MAX_BYTES = 4 * 1024 * 1024
"""The longest answers are stacks and logs; they are split or cut before this."""
LENGTH_BYTES = 4


class FramingError(MidairError):
    """What came over the control socket is not a frame, or not a word. The connection is of no use any more."""

    code = "control-garbage"


class FrameDecoder:
    """Cuts a byte stream into frames. Holds at most one unfinished frame, so memory is bounded by ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._error: str = ""

    @property
    def is_midway(self) -> bool:
        """Whether a frame has begun and not ended: end of file now means that something was lost."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that ``data`` completes, in order. Raises FramingError, and then at every later call."""
        if self._error:
            raise FramingError(self._error)
        self._buffer += data
        frames: list[bytes] = []
        start = 0
        while len(self._buffer) - start >= LENGTH_BYTES:
            length = int.from_bytes(self._buffer[start : start + LENGTH_BYTES], "big")
            if not 0 < length <= self._max_bytes:
                self._error = f"a frame of {length} bytes; allowed are 1 to {self._max_bytes}"
                self._buffer.clear()
                raise FramingError(self._error)
            end = start + LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[start + LENGTH_BYTES : end]))
            start = end
        del self._buffer[:start]
        return frames


def _frame(payload: bytes, max_bytes: int) -> bytes:
    if len(payload) > max_bytes:
        raise FramingError(f"a frame of {len(payload)} bytes; allowed are 1 to {max_bytes}")
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


def encode_request(request: Request) -> bytes:
    """A request as a frame. Raises FramingError if it is too long (a reason of 64 KiB)."""
    return _frame(msgspec.json.encode(request), REQUEST_MAX_BYTES)


def encode_answer(answer: AnyAnswer) -> bytes:
    """An answer as a frame. Raises FramingError if it is too long: the caller cuts or splits it."""
    return _frame(msgspec.json.encode(answer), ANSWER_MAX_BYTES)


_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[AnyAnswer] = msgspec.json.Decoder(AnyAnswer)


def decode_request(payload: bytes) -> Request:
    """The request in a frame's payload. Raises FramingError saying what is wrong with it."""
    try:
        return _requests.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise FramingError(f"not a request: {exc}") from exc


def decode_answer(payload: bytes) -> AnyAnswer:
    """The answer in a frame's payload. Raises FramingError saying what is wrong with it."""
    try:
        return _answers.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise FramingError(f"not an answer: {exc}") from exc
