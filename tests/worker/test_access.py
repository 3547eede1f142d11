"""The access log: uvicorn's lines, and never a wait."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from midair.worker.access import AccessLog
from midair.worker.asgi import Scope

CLIENT = ("127.0.0.1", 5000)
SCOPE: Scope = {"client": CLIENT, "method": "GET", "raw_path": b"/a", "query_string": b"b=c", "http_version": "1.1"}


async def test_a_line_reads_as_uvicorns(tmp_path: Path) -> None:
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    log = AccessLog(asyncio.get_running_loop(), fd)
    log.note(SCOPE, 200)
    log.note({**SCOPE, "client": None, "query_string": b""}, 404)
    log.note_websocket(SCOPE, 101)
    log.note_websocket(SCOPE, 403)
    log.close()
    os.close(fd)
    assert path.read_text().splitlines() == [
        'INFO:     127.0.0.1:5000 - "GET /a?b=c HTTP/1.1" 200 OK',
        'INFO:      - "GET /a HTTP/1.1" 404 Not Found',
        'INFO:     127.0.0.1:5000 - "WebSocket /a?b=c" [accepted]',
        'INFO:     127.0.0.1:5000 - "WebSocket /a?b=c" 403',
    ]


async def test_a_pipe_that_nobody_reads_costs_lines_and_not_time() -> None:
    read, write = os.pipe()
    log = AccessLog(asyncio.get_running_loop(), write)
    for _ in range(20):
        for _ in range(1000):
            log.note(SCOPE, 200)
        log._flush()
    assert log.dropped > 0
    # The pipe's other writers still block as they did: the flag was not put on the file that they share.
    assert os.get_blocking(write)
    log.close()
    lines = os.read(read, 1 << 20).splitlines()
    assert set(lines[:-1]) == {b'INFO:     127.0.0.1:5000 - "GET /a?b=c HTTP/1.1" 200 OK'}
    os.close(read)
    os.close(write)


async def test_a_reader_that_has_gone_is_no_error() -> None:
    read, write = os.pipe()
    log = AccessLog(asyncio.get_running_loop(), write)
    os.close(read)
    log.note(SCOPE, 200)
    log.close()
    os.close(write)


async def test_no_standard_output_at_all_is_no_error() -> None:
    log = AccessLog(asyncio.get_running_loop(), 1_000_000)
    log.note(SCOPE, 200)
    log.close()
