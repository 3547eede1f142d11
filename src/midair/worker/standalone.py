"""One server in one process, without a supervisor: for benches and tests of the connection layer.

    python -m midair.worker.standalone module:app --bind 127.0.0.1:8000

Says ``listening on ADDRESS`` on standard error when it accepts. SIGTERM and SIGINT drain, for at most five seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys

import msgspec

from midair.observe.counters import Page
from midair.worker.lifespan import Lifespan
from midair.worker.loader import load
from midair.worker.server import Server
from midair.worker.settings import ServeSettings
from midair.worker.wsgi import as_asgi


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m midair.worker.standalone")
    parser.add_argument("target")
    parser.add_argument("--bind", default="127.0.0.1:0", help="host:port or unix:PATH")
    parser.add_argument("--factory", action="store_true")
    parser.add_argument("--settings", default="{}", help="ServeSettings as JSON")
    parser.add_argument("--no-access-log", action="store_true")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    options = parser.parse_args(arguments)
    settings = msgspec.json.decode(options.settings, type=ServeSettings)
    if options.no_access_log:
        settings = msgspec.structs.replace(settings, access_log=False)
    sys.path.insert(0, os.getcwd())
    with asyncio.Runner(loop_factory=_loop_factory(options.loop)) as runner:
        runner.run(_serve(options.target, options.factory, options.bind, settings))


def _loop_factory(name: str) -> type[asyncio.AbstractEventLoop]:
    if name == "uvloop":
        import uvloop

        loop: type[asyncio.AbstractEventLoop] = uvloop.Loop
        return loop
    return asyncio.SelectorEventLoop


async def _serve(target: str, factory: bool, bind: str, settings: ServeSettings) -> None:
    loaded = load(target, factory=factory, interface=settings.interface)
    is_wsgi = loaded.interface == "wsgi"
    app = as_asgi(loaded.app, settings.wsgi_threads) if is_wsgi else loaded.app
    lifespan = Lifespan(app, "off" if is_wsgi else settings.lifespan)
    await lifespan.startup()
    loop = asyncio.get_running_loop()
    page = Page.create("standalone")
    server = Server(app, settings, page, lifespan.state, loop=loop)
    listener = _bind(bind, settings.backlog)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server.accept([listener])
    print(f"listening on {_name(listener)}", file=sys.stderr, flush=True)
    await stop.wait()
    server.stop_accepting()
    server.drain()
    try:
        empty = asyncio.Event()
        server.when_empty(empty.set)
        await asyncio.wait_for(empty.wait(), 5)
    except TimeoutError:
        for line in server.cut():
            print(f"cut: {line}", file=sys.stderr)
    await lifespan.shutdown()
    server.close()


def _bind(bind: str, backlog: int) -> socket.socket:
    if bind.startswith("unix:"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(bind.removeprefix("unix:"))
    else:
        host, _, port = bind.rpartition(":")
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), int(port)))
    listener.listen(backlog)
    return listener


def _name(listener: socket.socket) -> str:
    name = listener.getsockname()
    return name if isinstance(name, str) else f"{name[0]}:{name[1]}"


if __name__ == "__main__":
    main()
