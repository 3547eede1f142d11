"""The servers that are compared: each started once, on the same application, one process that serves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.support.service import clean_environment
from tests.support.waiting import wait_for

ROOT = Path(__file__).parent.parent.parent
APP = "tests.differential.http_app:app"
UVICORN = f"-m uvicorn {APP} --fd {{fd}} --log-level critical --no-access-log --timeout-keep-alive 60"
MIDAIR = f"-m midair.worker.standalone {APP} --bind 127.0.0.1:{{port}} --no-access-log"
COMMANDS = {
    "midair": f"{MIDAIR} --loop uvloop",
    "midair on asyncio": f"{MIDAIR} --loop asyncio",
    "uvicorn (httptools)": f"{UVICORN} --http httptools --loop uvloop",
    "uvicorn (h11)": f"{UVICORN} --http h11 --loop asyncio",
    "hypercorn": f"-m hypercorn {APP} --bind fd://{{fd}} --log-level critical --keep-alive 60",
    "granian": f"-m granian {APP} --interface asgi --host 127.0.0.1 --port {{port}} --workers 1 --no-log",
}
OURS, TWIN = "midair", "midair on asyncio"
PEERS = tuple(name for name in COMMANDS if name not in (OURS, TWIN))
START_WITHIN_S = 30.0


@contextmanager
def running() -> Iterator[dict[str, tuple[str, int]]]:
    """Start them all, side by side. The address of each."""
    with ExitStack() as stack:
        addresses = {name: stack.enter_context(_started(command)) for name, command in COMMANDS.items()}
        for name, address in addresses.items():
            wait_for(partial(_answers, address), within_s=START_WITHIN_S, what=f"{name} to answer")
        yield addresses


@contextmanager
def _started(command: str) -> Iterator[tuple[str, int]]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        host, port = listener.getsockname()
        fds: tuple[int, ...] = ()
        if "{fd}" in command:
            listener.listen(1000)
            fds = (listener.fileno(),)
        else:
            listener.close()  # these two have no other way of being told a port
        process = subprocess.Popen(
            [sys.executable, *command.format(fd=listener.fileno(), port=port).split()],
            cwd=ROOT,
            env=clean_environment(),
            pass_fds=fds,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield host, port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return client.recv(20).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
