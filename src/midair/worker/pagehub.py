"""``python -m midair.worker.pagehub LINK LISTENER``: the hub for pages that another program answers.

A command serves its own requests, so nobody stands between it and its pages: they bring the script's line in their templates
(MIDAIR_DEV_SCRIPT), and the script comes here, to a loopback port of its own. The supervisor bound it, so this process can end and
come back without that line becoming wrong. It ends with its link and holds nothing that could be lost.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

import msgspec

from midair.browser.guard import Guard
from midair.browser.hub import Hub
from midair.browser.layer import Layer
from midair.observe.counters import Page
from midair.sockets import passing, words
from midair.worker.asgi import Receive, Scope, Send
from midair.worker.pages import peer_of
from midair.worker.server import Server
from midair.worker.settings import ServeSettings

SETTINGS = ServeSettings(access_log=False, lifespan="off", loop="asyncio", limit_concurrency=256, body_max_bytes=1024)


def main() -> None:
    link, listener = (socket.socket(fileno=int(each)) for each in sys.argv[1:3])
    # Ctrl-C at the terminal is the supervisor's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asyncio.run(_Host(link, listener).live())


class _Host:
    def __init__(self, link: socket.socket, listener: socket.socket) -> None:
        self._link = link
        self._listener = listener
        self._hub: Hub | None = None
        self._ended = asyncio.Event()

    async def live(self) -> None:
        """Serve pages until the supervisor closes the link."""
        self._link.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._ended.set)
        loop.add_reader(self._link.fileno(), self._read)
        await self._ended.wait()
        loop.remove_reader(self._link.fileno())

    def _read(self) -> None:
        while not self._ended.is_set():
            try:
                message = passing.receive(self._link)
                word = words.decode_to_host(message.data) if message else None
            except BlockingIOError:
                return
            except (OSError, msgspec.MsgspecError):
                word = None
            match word:
                case words.BeHub():
                    self._serve(word)
                case words.TellPages(message=told):
                    if self._hub:
                        self._hub.told(told)
                case None:
                    self._ended.set()
                case _:
                    pass  # A word of a newer supervisor.

    def _serve(self, word: words.BeHub) -> None:
        def counted(count: int) -> None:
            self._say(words.PagesOpen(count=count))

        hub = self._hub = Hub(0, "", can_open=bool(word.dev.editor), on_count=counted, is_own=False)
        guard = Guard(word.dev, peer_of, frozenset(word.ports))

        def said(event: str, fields: dict[str, str | int | float | None]) -> None:
            self._say(words.Said(event=event, fields=fields))

        layer = Layer(_nothing, word.dev, hub, guard, say=said, is_apart=True)
        server = Server(layer, SETTINGS, Page.create("pages"), {}, loop=asyncio.get_running_loop())
        server.accept([self._listener])

    def _say(self, word: words.FromHost) -> None:
        try:
            passing.send(self._link, words.encode(word))
        except OSError:
            pass  # It reads later, or never again: its end is told by the reader.


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Only our own paths are served here."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"there is nothing here\n"})


if __name__ == "__main__":
    main()
