"""How many wait in a listener's queue."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from midair.sockets.queue import Queue, queue_of


def listener(family: int, tmp_path: Path) -> socket.socket:
    made = socket.socket(family)
    addresses: dict[int, Any] = {
        socket.AF_INET: ("127.0.0.1", 0),
        socket.AF_INET6: ("::1", 0),
        socket.AF_UNIX: str(tmp_path / "web.sock"),
    }
    made.bind(addresses[family])
    made.listen(7)
    return made


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_who_waits_to_be_accepted_is_counted(family: int, tmp_path: Path) -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(listener(family, tmp_path))
        assert queue_of(listening) == Queue(0, 7)
        for _ in range(3):
            stack.enter_context(socket.socket(family)).connect(listening.getsockname())
        assert queue_of(listening) == Queue(3, 7)
        stack.enter_context(listening.accept()[0])
        assert queue_of(listening) == Queue(2, 7)


def test_of_a_socket_that_is_closed_nothing_is_known(tmp_path: Path) -> None:
    for family in (socket.AF_INET, socket.AF_UNIX):
        listening = listener(family, tmp_path)
        listening.close()
        assert queue_of(listening) is None
