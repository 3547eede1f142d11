"""A listener that is a command's, too, is accepted on and stays in the mode that it has."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from midair.worker.borrowed import accept_soon, acceptor


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    before = signal.getsignal(signal.SIGALRM)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock
        assert os.get_blocking(sock.fileno())
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    signal.signal(signal.SIGALRM, before)


def test_who_waits_is_accepted(listening: socket.socket) -> None:
    accept = acceptor(listening)
    with socket.create_connection(listening.getsockname()) as client, accept()[0] as accepted:
        accepted.sendall(b"hello")
        assert client.recv(10) == b"hello"
        assert not accepted.get_inheritable()


def test_nobody_is_waited_for(listening: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        acceptor(listening)()


def test_if_somebody_else_was_quicker_it_gives_up_at_once(listening: socket.socket) -> None:
    acceptor(listening)
    for _ in range(20):
        began_s = time.monotonic()
        with pytest.raises(BlockingIOError):
            accept_soon(listening)
        assert time.monotonic() - began_s < 0.5


def test_a_listener_that_is_non_blocking_will_do(listening: socket.socket) -> None:
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        accept_soon(listening)
    listening.setblocking(True)
