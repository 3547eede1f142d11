"""A page's socket goes to the next version with the other connections, and is told there whose it is now."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.support.waiting import wait_for
from tests.support.watched import Watched

pytestmark = pytest.mark.slow


def address(service: Watched) -> str:
    """Where a page that it has sent listens, with the token."""
    page = wait_for(service.get, until=lambda answer: b"client.js" in answer[1], what="a page")[1]
    found = re.search(rb"client\.js\?t=([^&]+)&amp;", page)
    assert found is not None
    return f"{service.url.replace('http', 'ws')}/__midair/live?t={found[1].decode()}"


def listen_in(service: Watched, where: str = "") -> ClientConnection:
    return connect(where or address(service), origin=Origin(service.url), proxy=None)


def hello(socket: ClientConnection, generation: int) -> None:
    """Read on until the greeting of this generation."""
    deadline_s = time.monotonic() + 10.0
    while time.monotonic() < deadline_s:
        message = json.loads(socket.recv(timeout=10.0))
        if message["type"] == "hello" and message["generation"] == generation:
            return
    raise AssertionError(f"no hello of generation {generation}\n")


def test_a_page_s_socket_outlives_versions_and_is_told_of_each(tmp_path: Path) -> None:
    with Watched(tmp_path) as service, listen_in(service) as socket:
        hello(socket, 1)
        for version in (2, 3):
            service.change("app.py", f'VERSION = "{version - 1}"', f'VERSION = "{version}"')
            hello(socket, version)
            assert f"shop {version}".encode() in service.get()[1]


def test_a_page_that_cannot_move_is_sent_to_the_new_version_at_once(tmp_path: Path) -> None:
    settings = {"drain": {"migrate": False, "timeout": "30s"}}
    with Watched(tmp_path, settings=settings) as service, listen_in(service) as socket:
        hello(socket, 1)
        service.change("app.py", 'VERSION = "1"', 'VERSION = "2"')
        with pytest.raises(ConnectionClosed) as left:
            hello(socket, 2)
        assert left.value.rcvd is not None
        assert left.value.rcvd.code == 1012
        with listen_in(service) as again:
            hello(again, 2)
