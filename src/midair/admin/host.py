"""``python -m midair.admin.host ORDERS``: the child that Prometheus scrapes.

midair's own connection layer serves the application of ``observe/exporter.py`` on the socket that the supervisor bound; the
figures come from the supervisor, over the control socket, one question a scrape; what processes take of memory is looked up
here. It ends with the supervisor (the kernel kills it) and holds nothing that could be lost.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

from midair.admin.orders import Orders, read
from midair.control.framing import ANSWER_MAX_BYTES, FrameDecoder, decode_answer, encode_request
from midair.control.place import short_path
from midair.control.words import FiguresReport, Metrics
from midair.errors import NotRunning, WorldError
from midair.observe.counters import Page
from midair.observe.exporter import exporter, with_memory
from midair.observe.footprint import Footprint
from midair.observe.metrics import MetricsSnapshot
from midair.worker.server import Server
from midair.worker.settings import ServeSettings

SETTINGS = ServeSettings(
    access_log=False,
    lifespan="off",
    loop="asyncio",
    limit_concurrency=64,
    body_max_bytes=1024,
    head_max_bytes=16 * 1024,
)
"""A scraper sends a short head and no body."""
TRIES = 3
AGAIN_S = 0.2
"""A supervisor that is just re-executing itself hangs up, and answers again within this time."""


class Unanswered(WorldError):
    """The supervisor said something else than the figures."""

    code = "metrics-unanswered"


def main() -> None:
    orders = read(sys.argv[1])
    # Ctrl-C at the terminal is the supervisor's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asyncio.run(serve(orders))


async def serve(orders: Orders) -> None:
    """Answer until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    footprint = Footprint()

    async def figures() -> MetricsSnapshot:
        return await with_memory(await fetch(orders.control), footprint)

    server = Server(exporter(figures), SETTINGS, Page.create("metrics"), {}, loop=loop)
    server.accept([socket.socket(fileno=orders.metrics_fd)])
    await stop.wait()
    server.close()


async def fetch(path: str) -> MetricsSnapshot:
    """The figures, from the supervisor behind the control socket ``path``. Raises OSError, MidairError."""
    for _ in range(TRIES - 1):
        try:
            return await _ask(path)
        except (OSError, NotRunning):
            await asyncio.sleep(AGAIN_S)
    return await _ask(path)


async def _ask(path: str) -> MetricsSnapshot:
    with short_path(path) as short:
        reader, writer = await asyncio.open_unix_connection(short)
    try:
        writer.write(encode_request(Metrics(form="figures")))
        decoder = FrameDecoder(ANSWER_MAX_BYTES)
        while data := await reader.read(65536):
            for frame in decoder.feed(data):
                answer = decode_answer(frame)
                if isinstance(answer, FiguresReport):
                    return answer.snapshot
                raise Unanswered(f"the supervisor answered with {type(answer).__name__}")
    finally:
        writer.close()
    raise NotRunning("the supervisor hung up before it had answered")


if __name__ == "__main__":
    main()
