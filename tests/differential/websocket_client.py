"""Plays a case against a server, on a raw socket, and says what it saw."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from midair.testing.frames import CLOSE, PONG, BrokenFrame, Frame, Reader, accept_key, agreed_parameters, close_frame
from tests.differential.websocket_cases import Await, Case, HalfClose, Seen, shown

ANSWER_WITHIN_S = 4.0
"""How long nothing may come before the client goes on without it."""
SINGLE_BYTES, PIECES = 32, 24
"""In a split delivery so many bytes of each step go one by one, and the rest in so many pieces."""
HEAD_END = b"\r\n\r\n"
REFUSAL_HEADER = "sec-websocket-version"
"""Of a refusal nothing but this and the status is compared."""


class Delivery(StrEnum):
    """How what the client says is cut into segments. It must make no difference."""

    WHOLE = "whole"
    """The handshake; then, after its answer, each step in one piece."""
    SPLIT = "split"
    """The same byte by byte."""
    EARLY = "early"
    """The first step right behind the handshake, before there is an answer."""


Address = tuple[str, int]
UNKNOWN = Seen(0, end="open")


@dataclass(slots=True)
class _Talk:
    """One connection: what came, and a bell that rings whenever something does."""

    sock: socket.socket
    reader: Reader = field(default_factory=Reader)
    seen: Seen = UNKNOWN
    is_over: bool = False
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answers(self) -> int:
        return len(self.seen.messages) + len(self.seen.pongs)

    async def until(self, answers: float) -> None:
        """Wait for so many messages and pongs, or the server's close frame, or the end."""
        await self._until(lambda: self.is_over or bool(self.seen.close) or self.answers >= answers)

    async def until_over(self) -> None:
        """Wait for the end of the connection."""
        await self._until(lambda: self.is_over)

    async def _until(self, holds: Callable[[], bool]) -> None:
        """At most ANSWER_WITHIN_S longer than anything comes."""
        while not holds():
            self.bell.clear()
            try:
                await asyncio.wait_for(self.bell.wait(), ANSWER_WITHIN_S)
            except TimeoutError:
                return

    async def listen(self) -> None:
        """Note all that comes, up to the end."""
        loop = asyncio.get_running_loop()
        try:
            while (found := self.reader.next()) or (data := await loop.sock_recv(self.sock, 1 << 18)):
                if found:
                    self._note(found)
                else:
                    self.reader.feed(data)
                self.bell.set()
            self._ended("closed" if not self.reader.unread_bytes else "cut off within a frame")
        except BrokenFrame as broken:
            self._ended(f"broken: {broken}")
        except OSError:
            # Whoever has read the close frame need not care how the connection under it went.
            self._ended("closed" if self.seen.close else "reset")

    def _note(self, found: Frame) -> None:
        seen = self.seen
        if seen.close and found.opcode != PONG:  # RFC 6455 5.5.2 wants pongs until a close frame has been received
            raise BrokenFrame("a frame behind the close frame")
        if found.opcode == CLOSE:
            self.seen = replace(seen, close=found.code)
        elif found.opcode == PONG:
            self.seen = replace(seen, pongs=(*seen.pongs, found.payload.hex()))
        elif not found.is_control:
            self.seen = replace(seen, messages=(*seen.messages, shown(found.opcode, found.payload)))

    def _ended(self, how: str) -> None:
        self.seen, self.is_over = replace(self.seen, end=how), True
        self.bell.set()


async def play(address: Address, case: Case, delivery: Delivery = Delivery.WHOLE) -> Seen:
    """What a client sees that says what the case says."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
        return await _play(_Talk(sock), case, delivery)
    finally:
        sock.close()


async def _play(talk: _Talk, case: Case, delivery: Delivery) -> Seen:
    steps, request = list(case.steps), case.request
    if delivery is Delivery.EARLY and steps and isinstance(steps[0], bytes):
        request += steps.pop(0)  # type: ignore[operator]  # is bytes, as the line above has seen
    await _ask(talk, request, delivery)
    refusal = await _read_answer(talk, case)
    if refusal is not None:
        return refusal
    listening = asyncio.create_task(talk.listen())
    try:
        await _take(talk, steps, delivery)
        await talk.until(case.answers)
        if talk.seen.close or not (case.is_over or talk.is_over):
            await _send(talk, close_frame(1000))
        await talk.until_over()
    finally:
        listening.cancel()
        await asyncio.wait((listening,))
    return talk.seen


async def _ask(talk: _Talk, request: bytes, delivery: Delivery) -> None:
    # What stands behind the head always comes with its end: that is what such a case is about.
    end = request.index(HEAD_END)
    if delivery is Delivery.SPLIT:
        await _say(talk, request[:end], delivery)
        request = request[end:]
    await _send(talk, request)  # there may be an answer although not all of it was taken


async def _take(talk: _Talk, steps: list[bytes | Await | HalfClose], delivery: Delivery) -> None:
    for step in steps:
        if isinstance(step, Await):
            await talk.until(step.answers)
        elif isinstance(step, HalfClose):
            try:
                talk.sock.shutdown(socket.SHUT_WR)
            except OSError:
                return  # the server was quicker
        elif not await _say(talk, step, delivery):
            return


async def _say(talk: _Talk, data: bytes, delivery: Delivery) -> bool:
    """Send it all. False: the server does not listen any more."""
    if delivery is not Delivery.SPLIT:
        return await _send(talk, data)
    for piece in _cut(data):
        if talk.seen.close or talk.is_over or not await _send(talk, piece):
            return False
        await asyncio.sleep(0)
    return True


async def _send(talk: _Talk, data: bytes) -> bool:
    try:
        sent = talk.sock.send(data)  # nearly always there is room, and nothing to wait for
    except BlockingIOError:
        sent = 0
    except OSError:
        return False
    try:
        if sent < len(data):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await asyncio.get_running_loop().sock_sendall(talk.sock, data[sent:])
    except OSError:
        return False
    return True


def _cut(data: bytes) -> list[bytes]:
    singles, rest = data[:SINGLE_BYTES], data[SINGLE_BYTES:]
    size = max(3, len(rest) // PIECES)
    return [*(bytes([byte]) for byte in singles), *(rest[at : at + size] for at in range(0, len(rest), size))]


async def _read_answer(talk: _Talk, case: Case) -> Seen | None:
    """Read the answer to the handshake; what came behind it goes to the reader. Not None: no WebSocket came of it."""
    loop, data = asyncio.get_running_loop(), b""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while HEAD_END not in data:
                if not (more := await loop.sock_recv(talk.sock, 1 << 16)):
                    return Seen(0)
                data += more
    except OSError:
        return Seen(0)
    head, _, rest = data.partition(HEAD_END)
    status, headers = _parsed(head.decode("latin-1"))
    said = "; ".join(_said(name, headers) for name in case.reads if status == 101 or name == REFUSAL_HEADER)
    talk.seen = Seen(status, said, end="open")
    if status != 101:
        return Seen(status, said)
    try:
        _check(headers, case.request)
        talk.reader = _reader(headers)
    except BrokenFrame as broken:
        return replace(talk.seen, end=f"broken: {broken}")
    talk.reader.feed(rest)
    return None


def _parsed(head: str) -> tuple[int, dict[str, list[str]]]:
    status_line, *lines = head.split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    return int(status_line.split()[1]), headers


def _said(name: str, headers: dict[str, list[str]]) -> str:
    value = ", ".join(headers.get(name, []))
    if name != "sec-websocket-extensions":
        return value or "none"
    first, *parameters = [part.strip() for part in value.split(";")]
    return "; ".join([first, *sorted(parameters)]) or "no extension"


def _check(headers: dict[str, list[str]], request: bytes) -> None:
    """What RFC 6455 4.1 has a client look at. Raises BrokenFrame."""
    for name, wanted in (("upgrade", "websocket"), ("connection", "upgrade")):
        if [value.lower() for value in headers.get(name, [])] != [wanted]:
            raise BrokenFrame(f"{name}: {headers.get(name)}")
    keys = re.findall(rb"(?m)^Sec-WebSocket-Key: ?(.*)\r$", request)
    if headers.get("sec-websocket-accept") not in [[accept_key(key.decode())] for key in keys]:
        raise BrokenFrame(f"sec-websocket-accept: {headers.get('sec-websocket-accept')}")


def _reader(headers: dict[str, list[str]]) -> Reader:
    """For what was agreed upon: a server that uses a larger window than that is found out."""
    value = ", ".join(headers.get("sec-websocket-extensions", []))
    if not value:
        return Reader()
    parameters = agreed_parameters(value)
    bits = int(parameters.get("server_max_window_bits") or 15)
    return Reader(bits, is_forgetful="server_no_context_takeover" in parameters)
