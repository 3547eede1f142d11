"""``python -m midair.admin.host ORDERS``: the child that Prometheus scrapes and people look at.

midair's own connection layer serves the applications of ``observe/exporter.py`` and ``site.py`` on the sockets that the
supervisor bound; what they say comes from the supervisor, over the control socket; what processes take of memory is looked up
here. It ends with the supervisor (the kernel
kills it) and holds nothing that could be lost: the minutes that the page draws begin again.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys

from midair.admin.asking import Shared, Supervisor
from midair.admin.guard import Guard
from midair.admin.lookout import Lookout
from midair.admin.orders import Orders, read
from midair.admin.site import site
from midair.observe.counters import Page
from midair.observe.exporter import exporter, with_memory
from midair.observe.footprint import Footprint
from midair.observe.metrics import MetricsSnapshot
from midair.sockets.listener import actual_address
from midair.worker.asgi import Asgi
from midair.worker.server import Server
from midair.worker.settings import ServeSettings

SETTINGS = ServeSettings(
    access_log=False,
    lifespan="off",
    loop="asyncio",
    body_max_bytes=1024,
    head_max_bytes=16 * 1024,
    headers_max=64,
    timeout_head_s=5.0,
    timeout_keep_alive_s=15.0,
    timeout_send_s=15.0,
    proxy_headers=False,
)
"""Who asks sends a short head and no body, and takes what it gets. Connections are not counted out: a probe for readiness has to
get through where a thousand do nothing, and these are gone after seconds."""
DESCRIPTORS = 4096
"""Enough for that; more than the kernel allows is not asked for."""
NICER = 5
"""Whoever asks all the time for pages gets what processor time the workers leave."""


def main() -> None:
    orders = read(sys.argv[1])
    # Ctrl-C at the terminal is the supervisor's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.nice(NICER)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS if most < 0 else min(DESCRIPTORS, most), most))
    asyncio.run(serve(orders))


async def serve(orders: Orders) -> None:
    """Answer until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    supervisor = Supervisor(orders.control)
    footprint = Footprint()

    async def figures() -> MetricsSnapshot:
        return await with_memory(await supervisor.figures(), footprint)

    metrics = exporter(Shared(figures).get)
    servers, lookout = [], Lookout(supervisor)
    if orders.metrics_fd >= 0:
        servers.append(_serve(metrics, socket.socket(fileno=orders.metrics_fd), loop))
    if orders.admin_fd >= 0:
        listener = socket.socket(fileno=orders.admin_fd)
        guard = Guard(actual_address(listener), orders.allowed_hosts, orders.remote)
        servers.append(_serve(site(lookout, guard, metrics), listener, loop))
        lookout.begin()
    await stop.wait()
    lookout.end()
    for server in servers:
        server.close()


def _serve(application: Asgi, listener: socket.socket, loop: asyncio.AbstractEventLoop) -> Server:
    server = Server(application, SETTINGS, Page.create("admin"), {}, loop=loop)
    server.accept([listener])
    return server


if __name__ == "__main__":
    main()
