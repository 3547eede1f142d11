"""The servers that the WebSocket cases go to, each on the same application, in one process each, on a port of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.differential.websocket_cases import MESSAGE_MAX_BYTES
from tests.support.service import clean_environment

FOLDER = Path(__file__).parent
APP = "websocket_app:app"
START_WITHIN_S = 30.0
STOP_WITHIN_S = 10.0

_SETTINGS = json.dumps({"ws_max_bytes": MESSAGE_MAX_BYTES})
_OURS = (
    "-m",
    "midair.worker.standalone",
    APP,
    "--no-access-log",
    "--settings",
    _SETTINGS,
    "--bind",
    "127.0.0.1:{port}",
)
_UVICORN = (
    "-m",
    "uvicorn",
    APP,
    "--port",
    "{port}",
    "--log-level",
    "critical",
    "--ws-max-size",
    str(MESSAGE_MAX_BYTES),
)
# Hypercorn's limit is no flag of its command line.
_HYPERCORN = f"""
import asyncio, sys
from hypercorn.asyncio import serve
from hypercorn.config import Config
from websocket_app import app
config = Config()
config.bind = ["127.0.0.1:" + sys.argv[1]]
config.websocket_max_message_size = {MESSAGE_MAX_BYTES}
config.errorlog = None
asyncio.run(serve(app, config))
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and the words after the interpreter that start it; ``{port}`` is filled in."""

    name: str
    words: tuple[str, ...]


OURS = (
    Server("midair (uvloop)", (*_OURS, "--loop", "uvloop")),
    Server("midair (asyncio)", (*_OURS, "--loop", "asyncio")),
)
PEERS = (
    Server("uvicorn (websockets-sansio)", (*_UVICORN, "--ws", "websockets-sansio")),
    Server("uvicorn (websockets)", (*_UVICORN, "--ws", "websockets")),
    Server("uvicorn (wsproto)", (*_UVICORN, "--ws", "wsproto")),
    Server("hypercorn", ("-c", _HYPERCORN, "{port}")),
    Server("granian", ("-m", "granian", APP, "--interface", "asgi", "--port", "{port}", "--no-log")),
)


@contextmanager
def all_serving(servers: tuple[Server, ...]) -> Iterator[dict[str, tuple[str, int]]]:
    """Start them side by side; their addresses by name."""
    with ExitStack() as stack:
        ports = {server.name: stack.enter_context(_started(server)) for server in servers}
        for name, (process, port) in ports.items():
            _await_answer(name, process, port)
        yield {name: ("127.0.0.1", port) for name, (_, port) in ports.items()}


@contextmanager
def _started(server: Server) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = _free_port()
    words = [word.replace("{port}", str(port)) for word in server.words]
    environment = clean_environment(PYTHONPATH=os.pathsep.join([str(FOLDER), *sys.path]))
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=FOLDER,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # granian has children
    )
    try:
        yield process, port
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _await_answer(name: str, process: subprocess.Popen[bytes], port: int) -> None:
    deadline_s = time.monotonic() + START_WITHIN_S
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise AssertionError(f"{name} did not start (exit code {process.poll()})")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=START_WITHIN_S) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            return re.match(rb"HTTP/1\.1 200", sock.recv(100)) is not None
    except OSError:
        return False
