"""Listeners that are bound here."""

from __future__ import annotations

import importlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from midair.sockets import holder
from midair.sockets.bind import (
    AddressMissing,
    BindFailed,
    NotOwnable,
    Opened,
    PortInUse,
    PortRefused,
    open_listeners,
    open_own,
)
from midair.sockets.listener import Listener
from midair.sockets.unix_file import FolderMissing, OwnerRefused, PathInUse, UnknownOwner
from tests.sockets.machine import descriptors_left, needs_v6

Open = Callable[..., Opened]


@pytest.fixture
def opening() -> Iterator[Open]:
    """``open_listeners``, closed again at the end of the test."""
    opened: list[Opened] = []

    def call(*bind: str, **options: object) -> Opened:
        opened.append(open_listeners(bind, environ={}, **options))  # type: ignore[arg-type]  # passed on as given
        return opened[-1]

    yield call
    for each in opened:
        for listener in each.listeners:
            listener.close()


def connect(listener: Listener) -> socket.socket:
    client = socket.socket(listener.socket.family)
    client.settimeout(5)
    client.connect(listener.socket.getsockname())
    return client


def accept(listener: Listener) -> socket.socket:
    listener.socket.settimeout(5)
    accepted, _ = listener.socket.accept()
    listener.socket.setblocking(False)
    return accepted


@pytest.mark.parametrize(
    ("typed", "family", "actual"),
    [
        ("127.0.0.1:0", socket.AF_INET, "127.0.0.1:"),
        ("localhost:0", socket.AF_INET, "127.0.0.1:"),
        (":0", socket.AF_INET, "0.0.0.0:"),
        pytest.param("[::1]:0", socket.AF_INET6, "[::1]:", marks=needs_v6),
        ("unix:web.sock", socket.AF_UNIX, "unix:"),
    ],
)
def test_a_listener_accepts_without_blocking_and_is_close_on_exec(
    opening: Open, tmp_path: Path, typed: str, family: int, actual: str
) -> None:
    (listener,) = opening(typed, folder=str(tmp_path)).listeners
    assert listener.name == "web"
    assert listener.typed == typed
    assert listener.actual.startswith(actual)
    assert not listener.actual.endswith(":0")
    assert listener.socket.family == family
    assert not listener.socket.get_inheritable()
    with pytest.raises(BlockingIOError):
        listener.socket.accept()
    with connect(listener), accept(listener) as accepted:
        if family != socket.AF_UNIX:
            assert listener.socket.proto == socket.IPPROTO_TCP
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_listeners_of_one_service_have_names_of_their_own(opening: Open) -> None:
    assert [each.name for each in opening(":0", "127.0.0.1:0", ":0").listeners] == ["web", "web2", "web3"]


@needs_v6
def test_both_families_can_have_one_port(opening: Open) -> None:
    (first,) = opening("0.0.0.0:0").listeners
    port = first.socket.getsockname()[1]
    (second,) = opening(f"[::]:{port}").listeners
    assert second.actual == f"[::]:{port}"


def test_a_blocking_listener_is_for_command_children(opening: Open) -> None:
    (listener,) = opening(":0", is_blocking=True).listeners
    assert os.get_blocking(listener.fd)


def test_a_port_in_use_names_who_holds_it(opening: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        holder, "LOOK_MAX_S", 20.0
    )  # Start-up does not wait for all processes of a busy machine; the test does.
    (first,) = opening("127.0.0.1:0").listeners
    with pytest.raises(PortInUse) as caught:
        opening(first.actual)
    held = caught.value.holder
    assert held is not None
    assert held.pid == os.getpid()
    assert f"(pid {os.getpid()})" in str(caught.value)


def test_a_port_in_use_names_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "LOOK_MAX_S", 20.0)
    script = "import socket; s = socket.create_server(('', 0)); print(s.getsockname()[1], flush=True); input()"
    # Nothing of the user's settings: the child's name is the point.
    with subprocess.Popen(
        [sys.executable, "-I", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = other.stdout.readline().strip()
        with pytest.raises(PortInUse) as caught:
            open_listeners([f"127.0.0.1:{port}"], environ={})
        other.communicate("done\n")
    assert caught.value.holder is not None
    assert caught.value.holder.pid == other.pid
    assert f"kill {other.pid}" in caught.value.hint


def test_a_port_in_time_wait_can_be_bound_again(opening: Open) -> None:
    (first,) = opening("127.0.0.1:0").listeners
    with connect(first) as client:
        accept(first).close()  # the server closes first: its side waits
        assert client.recv(1) == b""
    first.close()
    opening(first.actual)


def test_an_address_of_another_machine_is_said(opening: Open) -> None:
    with pytest.raises(AddressMissing):
        opening("192.0.2.1:0")  # TEST-NET-1
    with pytest.raises(AddressMissing):
        opening("[fe80::1%nosuch0]:0")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs uid 0 to give it up")
def test_a_privileged_port_says_how(opening: Open) -> None:
    limit = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if limit <= 1:
        pytest.skip("this machine lets everybody bind any port")
    os.seteuid(65534)
    try:
        with pytest.raises(PortRefused) as caught:
            opening("127.0.0.1:1")
    finally:
        os.seteuid(0)
    assert "CAP_NET_BIND_SERVICE" in caught.value.hint


def test_without_descriptors_the_error_says_so(opening: Open) -> None:
    with descriptors_left(0), pytest.raises(BindFailed, match="open files"):
        opening("127.0.0.1:0")


def test_one_bad_address_leaves_none_open(opening: Open, tmp_path: Path) -> None:
    (held,) = opening("127.0.0.1:0").listeners
    with pytest.raises(PortInUse):
        opening(f"unix:{tmp_path}/web.sock", held.actual)
    assert not (tmp_path / "web.sock").exists()


def test_own_listeners_share_a_port_and_no_open_file(opening: Open) -> None:
    listeners = open_own("127.0.0.1:0", 3)
    assert len({listener.actual for listener in listeners}) == 1
    os.set_blocking(listeners[0].fd, False)
    assert os.get_blocking(listeners[1].fd)
    for listener in listeners:
        listener.close()
    with pytest.raises(NotOwnable):
        open_own("unix:/run/web.sock", 2)


def test_a_unix_socket_has_its_mode_and_goes_with_its_listener(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    (listener,) = opening(f"unix:{path}", socket_mode=0o640).listeners
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    listener.close()
    assert not path.exists()


def test_closing_does_not_remove_the_file_of_a_successor(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    (first,) = opening(f"unix:{path}").listeners
    path.unlink()
    (second,) = opening(f"unix:{path}").listeners
    first.close()
    connect(second).close()


def test_a_stale_socket_file_is_replaced(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    (listener,) = opening(f"unix:{path}").listeners
    connect(listener).close()


def test_of_services_that_start_at_once_on_a_stale_socket_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    script = """
import sys
from midair.errors import MidairError
from midair.sockets.bind import open_listeners
print("here", flush=True)
sys.stdin.readline()
try:
    opened = open_listeners(["unix:" + sys.argv[1]], environ={})
    print("got it", flush=True)
except MidairError as exc:
    print(exc.code, flush=True)
sys.stdin.readline()
"""
    with ExitStack() as stack:
        starts = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(6)
        ]
        pipes = [(start.stdin, start.stdout) for start in starts if start.stdin and start.stdout]
        assert [said.readline() for _, said in pipes] == ["here\n"] * 6
        for tell, _ in pipes:
            tell.write("go\n")
            tell.flush()
        assert sorted(said.readline() for _, said in pipes) == ["got it\n"] + ["path-in-use\n"] * 5
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_living_socket_is_left_alone_even_with_a_full_queue(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen(0)
        with pytest.raises(PathInUse, match="something listens"):
            opening(f"unix:{path}")
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.setblocking(False)
            waiting.connect_ex(str(path))
            with pytest.raises(PathInUse, match="something listens"):
                opening(f"unix:{path}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        path.unlink()
        datagrams.bind(str(path))
        with pytest.raises(PathInUse, match="left alone"):
            opening(f"unix:{path}")


def test_a_file_that_is_no_socket_is_left_alone(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    path.write_text("precious")
    with pytest.raises(PathInUse, match="left alone"):
        opening(f"unix:{path}")
    assert path.read_text() == "precious"


def test_a_missing_folder_and_an_unknown_owner_are_said(opening: Open, tmp_path: Path) -> None:
    with pytest.raises(FolderMissing) as caught:
        opening(f"unix:{tmp_path}/no/web.sock")
    assert "mkdir -p" in caught.value.hint
    with pytest.raises(UnknownOwner):
        opening(f"unix:{tmp_path}/web.sock", socket_owner="no-such-user-here")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs uid 0")
def test_a_unix_socket_is_given_to_its_owner(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    opening(f"unix:{path}", socket_owner="1234:4321")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs uid 0 to give it up")
def test_an_owner_that_cannot_be_given_leaves_no_file(opening: Open, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and folder.name.startswith(("pytest", "popen")):
            folder.chmod(0o755)
    importlib.import_module(
        "grp"
    )  # An interpreter may lie in the home of root, where nothing can be imported from then on.
    os.seteuid(65534)
    try:
        with pytest.raises(OwnerRefused):
            opening(f"unix:{tmp_path}/web.sock", socket_owner="0:0")
    finally:
        os.seteuid(0)
    assert list(tmp_path.iterdir()) == []
