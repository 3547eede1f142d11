"""Listeners that were passed to us."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from midair.sockets.bind import Passed, passed_by_systemd
from midair.sockets.listener import NotAListener, adopt
from tests.sockets.machine import needs_v6

# Is passed sockets by number, puts them where systemd would (which would hit the parent's own numbers), says it is meant.
CHILD = """
import os, sys
passed = sys.argv[1].split(",")
for index, fd in enumerate(passed):
    os.dup2(int(fd), 100 + index)
for index in range(len(passed)):
    os.dup2(100 + index, 3 + index)
os.environ["LISTEN_PID"] = os.environ["LISTEN_PID"].replace("self", str(os.getpid()))
from midair.errors import MidairError
from midair.sockets.bind import open_listeners
try:
    opened = open_listeners(sys.argv[2:])
except MidairError as exc:
    print("error", exc.code)
else:
    print([(each.name, each.actual, each.fd, each.socket.get_inheritable()) for each in opened.listeners])
    print(opened.ignored)
"""


def run(sockets: list[socket.socket], bind: list[str], **environ: str) -> list[str]:
    """Start CHILD with the sockets at 3, 4, … and return its lines."""
    numbers = [each.fileno() for each in sockets]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, ",".join(map(str, numbers)), *bind],
        env={"LISTEN_PID": "self", "LISTEN_FDS": str(len(sockets)), **environ},
        pass_fds=numbers,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def actual(listening: socket.socket) -> str:
    host, port = listening.getsockname()
    return f"{host}:{port}"


def test_sockets_from_systemd_are_the_listeners_and_bind_is_not_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        lines = run([first, second], [actual(first), "127.0.0.1:1"], LISTEN_FDNAMES="web:admin")
        web, admin = actual(first), actual(second)
    assert lines == [
        f"[('web', '{web}', 3, False), ('admin', '{admin}', 4, False)]",
        "('127.0.0.1:1',)",
    ]


def test_fd_addresses_say_it_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        lines = run([first, second], ["fd://4"], LISTEN_FDNAMES="web:admin")
        admin = actual(second)
    assert lines == [f"[('admin', '{admin}', 4, False)]", "()"]


def test_sockets_for_another_process_are_not_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        assert run([first], ["unix:/no/such/folder/x.sock"], LISTEN_PID="1") == ["error socket-folder"]


def test_a_descriptor_that_does_not_listen_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert run([datagrams], []) == ["error not-a-listener"]


@pytest.mark.parametrize("count", ["x", "-1", "100000", "٣"])
def test_nonsense_in_listen_fds_is_refused(count: str) -> None:
    with pytest.raises(NotAListener):
        passed_by_systemd({"LISTEN_PID": "7", "LISTEN_FDS": count}, 7)


def test_missing_names_are_given() -> None:
    passed = passed_by_systemd({"LISTEN_PID": "7", "LISTEN_FDS": "2"}, 7)
    assert passed == (Passed(3, "web"), Passed(4, "web2"))


@pytest.mark.parametrize(
    "family", [socket.AF_INET, pytest.param(socket.AF_INET6, marks=needs_v6), socket.AF_UNIX], ids=["v4", "v6", "unix"]
)
def test_an_adopted_listener_has_its_true_family_and_no_delay(family: int, tmp_path: Path) -> None:
    with socket.socket(family) as original:
        original.bind(str(tmp_path / "x") if family == socket.AF_UNIX else ("", 0))
        listener = adopt(os.dup(original.fileno()), "web")  # bound, and listens from then on
        assert listener.socket.family == family
        assert not listener.socket.get_inheritable()
        with socket.socket(family) as client:
            client.connect(original.getsockname())
            accepted, _ = listener.socket.accept()
            with accepted:
                if family != socket.AF_UNIX:
                    assert listener.socket.proto == socket.IPPROTO_TCP
                    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        listener.close()


def test_a_refused_descriptor_stays_open_and_with_the_caller() -> None:
    left, right = socket.socketpair()
    reading, writing = os.pipe()
    with left, right, socket.socket() as unbound:
        for fd in (left.fileno(), reading, unbound.fileno()):
            with pytest.raises(NotAListener):
                adopt(fd, "web")
            os.fstat(fd)
    os.close(reading)
    os.close(writing)
    with pytest.raises(NotAListener, match="Bad file descriptor"):
        adopt(reading, "web")
