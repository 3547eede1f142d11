"""One exchange: bytes go out in pieces, and what comes of them is seen from both ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.differential.http_app import TOLD

PROBE = "/differential/probe"
_PROBE = f"GET {PROBE} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
Address = tuple[str, int]


@dataclass
class Outcome:
    """What a connection came to."""

    answers: list[int] = field(default_factory=list)
    """Status codes in order, interim ones too; -1 for what is no answer."""
    is_closed: bool = False
    """The server closed it."""
    port: int = 0
    seen: list[dict[str, Any]] = field(default_factory=list)
    """What the application got, the probe left out."""
    is_kept: bool = False
    """A request behind it all was served."""
    forget: Callable[[], None] = lambda: None
    """Closes the client's side: after ``look_up``, because the port must not be another's before."""

    @property
    def end(self) -> str:
        return "closed" if self.is_closed else "kept" if self.is_kept else "waits"

    def __str__(self) -> str:
        """``GET /, POST / 5 B → 200, 200, kept``."""
        asked = ", ".join(_request(seen) for seen in self.seen) or "nothing"
        return f"{_shortened(asked)} → {_shortened(', '.join([*map(str, self.answers), self.end]))}"


def difference(ours: Outcome, theirs: Outcome) -> str:
    """What comes of it there, if it is not what comes of it here; empty if it is."""
    headers = ""
    if [_request(seen) for seen in ours.seen] == [_request(seen) for seen in theirs.seen]:
        for here, there in zip(ours.seen, theirs.seen, strict=True):
            headers += "".join(
                f" +{name}: {value!r}" for name, value in there["headers"] if [name, value] not in here["headers"]
            )
            headers += "".join(
                f" -{name}: {value!r}" for name, value in here["headers"] if [name, value] not in there["headers"]
            )
    return f"{theirs}{headers and ';'}{headers}" if headers or str(theirs) != str(ours) else ""


def _request(seen: dict[str, Any]) -> str:
    query = f"?{seen['query']}" if seen["query"] else ""
    path = seen["path"] if len(seen["path"]) < 40 else seen["path"][:20] + "…"
    body = f" {seen['body']!r}" if seen["body"] else ""
    return f"{seen['method']} {path}{query}{body}" + ("" if seen["is_whole"] else " …")


def _shortened(text: str) -> str:
    return text if len(text) < 120 else text[:50] + " … " + text[-40:]


def statuses(data: bytes, methods: Iterable[str]) -> list[int]:
    """The status codes of a stream of responses, to requests with these methods in order."""
    found: list[int] = []
    asked = iter(methods)
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.") or not end:
            return [*found, -1]
        status = int(head[9:12])
        found.append(status)
        if status < 200:
            data = rest
            continue
        data = rest[_body_bytes(head.lower(), rest, status, next(asked, "GET")) :]
    return found


def _body_bytes(head: bytes, rest: bytes, status: int, method: str) -> int:
    if method == "HEAD" or status in (204, 304):
        return 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return rest.index(b"0\r\n\r\n") + 5 if b"0\r\n\r\n" in rest else len(rest)
    return len(rest)


class _Connection(asyncio.Protocol):
    """A client that sends bytes as they are and keeps all that comes, also when it ends in a reset."""

    def __init__(self) -> None:
        self.data = b""
        self.is_closed = False
        self.news = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.news.set()

    def eof_received(self) -> bool:
        self.is_closed = True
        self.news.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self.news.set()

    async def quiet(self, quiet_s: float) -> None:
        """Wait until nothing has come for so long, or nothing can."""
        while not self.is_closed:
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), quiet_s)
            except TimeoutError:
                return


async def exchange(address: Address, pieces: list[bytes], *, quiet_s: float, gap_s: float = 0.0) -> Outcome:
    """Send the pieces, wait until nothing more comes, then ask whether the connection still serves.

    quiet_s: how long nothing comes until nothing more is expected. gap_s: between two pieces.
    """
    outcome = Outcome()
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, *address)
    outcome.port = connection.transport.get_extra_info("sockname")[1]
    outcome.forget = connection.transport.abort
    for piece in pieces:
        if connection.is_closed:
            break
        connection.transport.write(piece)
        if gap_s:
            await asyncio.sleep(gap_s)
    await connection.quiet(quiet_s)
    outcome.answers = statuses(connection.data, _methods(b"".join(pieces)))
    # While an answer is owed the probe would be taken for the rest of the request.
    if outcome.answers and outcome.answers[-1] != 100 and not connection.is_closed:
        connection.transport.write(_PROBE)
        await connection.quiet(quiet_s)
    outcome.is_closed = connection.is_closed
    return outcome


def _methods(data: bytes) -> list[str]:
    """Good enough to tell whose answers have no body: HEAD stands first or nowhere in the corpus."""
    return ["HEAD"] if data.startswith(b"HEAD ") else []


async def look_up(address: Address, outcomes: Iterable[Outcome]) -> None:
    """Ask the application what it got, note it in the outcomes, and close their connections."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {TOLD} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    body = answer[answer.index(b"\r\n\r\n") + 4 :]
    told = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
    for outcome in outcomes:
        outcome.forget()
        seen = told.get(str(outcome.port), [])
        outcome.is_kept = any(each["path"] == PROBE for each in seen)
        # One that was refused within its body is no request: whether the application had heard of it is chance.
        is_answered = outcome.answers[-1:] != [] and 200 <= outcome.answers[-1] < 300
        outcome.seen = [each for each in seen if each["path"] != PROBE and (each["is_whole"] or is_answered)]
