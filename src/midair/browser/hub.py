"""The open pages of this worker: one WebSocket each, told how things are and what happens.

A socket moves with the other connections to the next version's worker (``midair.carry_on``) and is greeted there with ``hello``,
whose generation is another: that is how a page learns that its requests are answered by new code now. A page that does not read
is bounded: it loses the oldest messages, and what it needs stands in each ``hello`` anyway.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from midair.browser import messages
from midair.browser.messages import Asset, Compiled, Failed, Hello, Message
from midair.live import carry_on
from midair.worker.asgi import Receive, Scope, Send

PAGES_MAX = 200
"""Sockets of one worker; more are refused."""
SERVICE_RESTART = 1012
WAITING_MAX = 32
"""Messages for a page that does not read."""


class Page:
    """One socket's messages, on their way."""

    def __init__(self, *, is_local: bool, can_move: bool) -> None:
        """can_move: with its connection, to the worker of the next version."""
        self.is_local, self.can_move = is_local, can_move
        self._waiting: deque[bytes] = deque(maxlen=WAITING_MAX)
        self._news = asyncio.Event()
        self._is_leaving = False

    def tell(self, message: Message) -> None:
        self._waiting.append(messages.encode(message if self.is_local else messages.for_strangers(message)))
        self._news.set()

    def leave(self) -> None:
        self._is_leaving = True
        self._news.set()

    async def next(self) -> bytes | None:
        """The next message; None: it is time to go."""
        while not (self._waiting or self._is_leaving):
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft() if self._waiting else None


class Hub:
    """Belongs to the worker's event loop. ``hello`` is what a page is greeted with."""

    def __init__(
        self,
        generation: int,
        version: str,
        *,
        can_open: bool,
        on_count: Callable[[int], None],
        is_own: bool = True,
    ) -> None:
        """on_count: takes the number of open pages whenever it has changed. is_own: the generation is that of this very
        process, which answers the pages' requests; else it is the one that was told of last."""
        self._is_own = is_own
        status: messages.Status = "serving" if generation else "waiting"
        self.hello = Hello(generation=generation, version=version, status=status, can_open=can_open)
        self._pages: set[Page] = set()
        self._on_count = on_count

    def hello_for(self, *, is_known: bool, is_local: bool) -> Hello:
        """How things are, for whoever asks: what is wrong is nothing for strangers, and source nothing for other machines."""
        if is_local:
            return self.hello
        return msgspec.structs.replace(
            self.hello,
            error=self.hello.error.without_source() if self.hello.error and is_known else None,
            can_open=False,
        )

    def told(self, data: bytes) -> None:
        """A message from the supervisor: remember it for those who come, pass it on to those who are here."""
        try:
            message = messages.decode(data)
        except msgspec.MsgspecError:
            return  # of a newer midair
        self.hello = _after(self.hello, message, is_own=self._is_own)
        if isinstance(message, Hello):
            message = self.hello
        for page in self._pages:
            page.tell(message)

    def send_away(self, *, that_can_move: bool) -> None:
        """Another worker serves now: pages come again, to it. that_can_move: those too that it could take over."""
        for page in self._pages:
            if that_can_move or not page.can_move:
                page.leave()

    async def serve(self, receive: Receive, send: Send, scope: Scope, *, is_local: bool) -> None:
        """One page's WebSocket, whose handshake was found good."""
        await receive()
        if len(self._pages) >= PAGES_MAX:
            await send({"type": "websocket.close", "code": 1013})
            return
        await send({"type": "websocket.accept"})
        carry_on(scope, None)
        page = Page(is_local=is_local, can_move=scope["scheme"] == "ws")  # TLS stays where its keys are.
        page.tell(self.hello)
        self._pages.add(page)
        self._on_count(len(self._pages))
        telling = asyncio.create_task(_tell(page, send))
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass  # Pages have nothing to say: what they send is read away.
        finally:
            telling.cancel()
            self._pages.discard(page)
            self._on_count(len(self._pages))


async def _tell(page: Page, send: Send) -> None:
    try:
        while (message := await page.next()) is not None:
            await send({"type": "websocket.send", "text": message.decode()})
        await send({"type": "websocket.close", "code": SERVICE_RESTART})
    except OSError:
        pass  # It has gone, or moved: whoever waits for its messages is told.


def _after(hello: Hello, message: Message, *, is_own: bool) -> Hello:
    """How things are once this has been said. is_own: the generation stays, whatever is said of others."""
    match message:
        case Hello():
            generation = hello.generation if is_own else message.generation
            return msgspec.structs.replace(hello, generation=generation, status=message.status, error=message.error)
        case Compiled():
            generation = hello.generation if is_own else message.generation
            return msgspec.structs.replace(hello, generation=generation, status="serving", error=None)
        case Failed(error=error):
            return msgspec.structs.replace(hello, status="failed" if error.serving else "waiting", error=error)
        case Asset():
            return hello
