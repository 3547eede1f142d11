"""The shared page: what it holds when its writer is killed, and that readers see what the writer wrote."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from midair.observe.counters import LATENCY_BOUNDS_S, PAGE_BYTES, Cell, Page

SERVE = """
import asyncio, socket, sys, uvloop
from midair.observe.counters import Page
from midair.worker.server import Server
from midair.worker.settings import ServeSettings

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 500 if scope["path"] == "/500" else 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})

async def serve(page_fd, listener_fd):
    loop = asyncio.get_running_loop()
    server = Server(app, ServeSettings(access_log=False), Page(page_fd), {}, loop=loop)
    server.accept([socket.socket(fileno=listener_fd)])
    await asyncio.Event().wait()

loops = {"uvloop": uvloop.Loop, "asyncio": asyncio.SelectorEventLoop}
with asyncio.Runner(loop_factory=loops[sys.argv[3]]) as runner:
    runner.run(serve(int(sys.argv[1]), int(sys.argv[2])))
"""


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page.create("test")
    yield page
    page.close()
    os.close(page.fd)


@contextmanager
def worker(page: Page, listener: socket.socket, loop: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server in another process that counts on ``page``; killed at the end."""
    fds = (page.fd, listener.fileno())
    words = [sys.executable, "-c", SERVE, *(str(fd) for fd in fds), loop]
    process = subprocess.Popen(words, pass_fds=fds)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def ask(client: socket.socket, path: str) -> bytes:
    client.sendall(b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % path.encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\nx"):
        piece = client.recv(4096)
        assert piece, "the connection has ended"
        answer += piece
    return answer


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_what_a_client_has_seen_is_on_the_page_when_the_worker_is_killed(page: Page, loop: str) -> None:
    answers = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(5):
            with (
                worker(page, listener, loop) as process,
                socket.create_connection(listener.getsockname(), timeout=10) as client,
            ):
                for path in ("/", "/500", "/"):
                    sent = page.cells[Cell.BYTES_OUT]
                    length = len(ask(client, path))
                    answers += 1
                    # Read while the answer is fresh: nothing has to settle first.
                    assert page.cells[Cell.REQUESTS] == answers
                    assert page.cells[Cell.BYTES_OUT] - sent == length
                process.send_signal(signal.SIGKILL)
                process.wait(10)
            assert page.cells[Cell.REQUESTS] == answers
            assert page.cells[Cell.RESPONSES_5XX] * 3 == answers
    assert page.cells[Cell.ACCEPTED] == page.cells[Cell.OPEN] == 5


def test_two_mappings_of_a_page_show_the_same(page: Page) -> None:
    reader = Page(page.fd)
    page.cells[Cell.REQUESTS] = 1 << 63
    assert reader.cells[Cell.REQUESTS] == 1 << 63
    assert reader.snapshot()["requests"] == 1 << 63
    reader.close()


def test_a_latency_falls_into_the_bucket_whose_bound_it_does_not_exceed(page: Page) -> None:
    for bound in LATENCY_BOUNDS_S:
        page.observe_latency(bound)
    page.observe_latency(LATENCY_BOUNDS_S[-1] + 1)
    assert page.latency_buckets() == [1] * (len(LATENCY_BOUNDS_S) + 1)
    assert page.cells[Cell.LATENCY_SUM_US] == int((sum(LATENCY_BOUNDS_S) + LATENCY_BOUNDS_S[-1] + 1) * 1e6)


def test_all_cells_have_room_and_a_place_of_their_own() -> None:
    buckets = range(Cell.LATENCY_FIRST, Cell.LATENCY_FIRST + len(LATENCY_BOUNDS_S) + 1)
    places = [int(cell) for cell in Cell if cell is not Cell.LATENCY_FIRST] + list(buckets)
    assert len(set(places)) == len(places)
    assert 8 * (max(places) + 1) <= PAGE_BYTES
