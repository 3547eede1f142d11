"""What the child asks the supervisor, over the control socket: how things are, and nothing else.

One question a connection. A supervisor that is just re-executing itself hangs up, and is asked again. ``Shared`` is between it
and whoever asks us: however many these are, there is one question under way, and a few a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeAlias, TypeVar

from midair.control.framing import ANSWER_MAX_BYTES, FrameDecoder, decode_answer, encode_request
from midair.control.place import short_path
from midair.control.words import (
    FiguresReport,
    History,
    HistoryReport,
    Metrics,
    Receipt,
    ReceiptReport,
    Refused,
    Status,
    StatusReport,
)
from midair.errors import MidairError, NotRunning, WorldError
from midair.observe.metrics import MetricsSnapshot

Question: TypeAlias = Status | History | Receipt | Metrics
"""All that may be asked from here: a type, so that a word that acts is an error before it is a danger."""

TRIES = 3
AGAIN_S = 0.2
"""A supervisor that is just re-executing itself hangs up, and answers again within this time."""
WITHIN_S = 5.0
EVERY_S = 0.1
"""Between two questions of one kind, whoever asks."""

NO_RECEIPT = "no-receipt"
"""The code with which the supervisor says so."""

A = TypeVar("A")


class Unanswered(WorldError):
    """The supervisor said something else than what it was asked for."""

    code = "metrics-unanswered"


class NoReceipt(WorldError):
    """There is no receipt of that number, or not any more."""


class Supervisor:
    """Questions to the supervisor behind a control socket. All raise OSError, MidairError, TimeoutError."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def status(self, *, disk: bool = False) -> StatusReport:
        """disk: what a restart would start is looked up first."""
        return await self._answer(Status(look=disk), StatusReport)

    async def figures(self) -> MetricsSnapshot:
        return (await self._answer(Metrics(form="figures"), FiguresReport)).snapshot

    async def history(self, limit: int) -> HistoryReport:
        return await self._answer(History(limit=limit), HistoryReport)

    async def receipt(self, number: int) -> bytes:
        """The receipt's document, as JSON. Raises NoReceipt."""
        return bytes((await self._answer(Receipt(number=number), ReceiptReport)).document)

    async def _answer(self, question: Question, kind: type[A]) -> A:
        async with asyncio.timeout(WITHIN_S):
            for _ in range(TRIES - 1):
                try:
                    return await self._ask(question, kind)
                except (OSError, NotRunning):
                    await asyncio.sleep(AGAIN_S)
            return await self._ask(question, kind)

    async def _ask(self, question: Question, kind: type[A]) -> A:
        with short_path(self._path) as short:
            reader, writer = await asyncio.open_unix_connection(short)
        try:
            writer.write(encode_request(question))
            decoder = FrameDecoder(ANSWER_MAX_BYTES)
            while data := await reader.read(65536):
                for frame in decoder.feed(data):
                    answer = decode_answer(frame)
                    if isinstance(answer, kind):
                        return answer
                    if isinstance(answer, Refused) and answer.fault.code == NO_RECEIPT:
                        raise NoReceipt(answer.fault.message)
                    raise Unanswered(f"the supervisor answered with {type(answer).__name__}")
        finally:
            writer.close()
        raise NotRunning("the supervisor hung up before it had answered")


class Shared(Generic[A]):
    """One question at a time for all who want its answer.

    Who comes while one is under way waits for the next: no answer is older than the wish for it.
    """

    def __init__(self, ask: Callable[[], Awaitable[A]], every_s: float = EVERY_S) -> None:
        self._ask = ask
        self._every_s = every_s
        self._next: asyncio.Task[A] | None = None
        self._turn = asyncio.Lock()
        self._asked_s = -1e9

    async def get(self) -> A:
        """Raises what the question raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
            self._next.add_done_callback(_seen)
        return await asyncio.shield(self._next)

    async def _run(self) -> A:
        async with self._turn:
            now_s = asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, self._asked_s + self._every_s - now_s))
            self._asked_s = asyncio.get_running_loop().time()
            self._next = None
            return await self._ask()


def _seen(task: asyncio.Task[A]) -> None:
    """Everybody who waited may have gone: then nobody else looks at what went wrong."""
    if not task.cancelled():
        task.exception()


SILENT = (OSError, MidairError, TimeoutError)
"""What is raised when the supervisor does not answer."""
