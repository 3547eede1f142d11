"""Parts of command children that can be shown without a service: probes, families, what happens to listeners."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from midair.errors import MidairError
from midair.sockets.bind import PortInUse, open_own
from midair.sockets.listener import Listener, actual_address
from midair.supervisor.commands import own_listeners
from midair.supervisor.family import is_of, members
from midair.supervisor.listening import Watched, is_shut
from midair.supervisor.readiness import ProbeIsBind, check_apart, read_readiness


def _listener(family: socket.AddressFamily = socket.AF_INET, path: str = "") -> Listener:
    bound = socket.socket(family)
    bound.bind(path or ("127.0.0.1", 0))
    bound.listen()
    return Listener("web", "", actual_address(bound), bound)


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = _listener()
    yield made
    made.close()


# --- probes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "kind", "address", "path", "delay_s"),
    [
        ("", "notify", "None", "", 0),
        ("notify", "notify", "None", "", 0),
        ("http://127.0.0.1:9000/health?deep=1", "http", "127.0.0.1:9000", "/health?deep=1", 0),
        ("http://[::1]:9000", "http", "[::1]:9000", "/", 0),
        ("tcp://127.0.0.1:9000", "tcp", "127.0.0.1:9000", "", 0),
        ("listener:/health", "listener", "None", "/health", 0),
        ("delay:3", "delay", "None", "", 3),
        ("delay:1500ms", "delay", "None", "", 1.5),
    ],
)
def test_a_probe_says_how_readiness_is_found_out(
    probe: str, kind: str, address: str, path: str, delay_s: float
) -> None:
    readiness = read_readiness(probe)
    assert (readiness.kind, str(readiness.address), readiness.path) == (kind, address, path)
    assert readiness.delay_s == delay_s
    assert readiness.is_asked == (kind in {"http", "tcp", "listener"})


@pytest.mark.parametrize(
    "probe",
    [
        "ftp://x",
        "http:/x",
        "http://nonsense",
        "tcp://127.0.0.1:80/path",
        "tcp://unix:/run/x",
        "listener:health",
        "delay:soon",
    ],
)
def test_what_is_no_probe_is_refused(probe: str) -> None:
    with pytest.raises(MidairError):
        read_readiness(probe)


@pytest.mark.parametrize(
    ("probe", "bind", "meets"),
    [
        ("http://127.0.0.1:80/", "127.0.0.1:80", True),
        ("http://127.0.0.1:80/", "0.0.0.0:80", True),
        ("tcp://0.0.0.0:80", "127.0.0.1:80", True),
        ("http://127.0.0.1:81/", "127.0.0.1:80", False),
        ("http://127.0.0.2:80/", "127.0.0.1:80", False),
        ("http://127.0.0.1:80/", "unix:/run/web.sock", False),
        ("listener:/health", "127.0.0.1:80", False),
    ],
)
def test_a_probe_may_not_arrive_where_the_service_listens(probe: str, bind: str, meets: bool) -> None:
    if meets:
        with pytest.raises(ProbeIsBind):
            check_apart(read_readiness(probe), [bind])
    else:
        check_apart(read_readiness(probe), [bind])


# --- families -----------------------------------------------------------------------------------------------------


def test_a_family_is_the_group_and_all_below() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'], stdin=0)"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, process_group=0) as leader:
        try:
            assert is_of(leader.pid, leader.pid) is True
            assert leader.pid in members(leader.pid)
            assert is_of(os.getpid(), leader.pid) is False
            assert is_of(os.getppid(), os.getpid()) is False
        finally:
            leader.communicate(timeout=10)
    assert is_of(leader.pid, os.getpid()) is None, "nobody can say whose a process was that is gone"


def test_a_name_in_parentheses_does_not_hide_the_parent(tmp_path: Path) -> None:
    for pid, parent, group in ((30, 20, 30), (20, 10, 20)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) 1 1 (b c) S {parent} {group} 1 0 -1")
    assert is_of(30, 10, str(tmp_path)) is True
    assert is_of(30, 11, str(tmp_path)) is False


# --- listeners ----------------------------------------------------------------------------------------------------


def test_a_mode_is_seen_once_each_time_that_it_changes(listener: Listener) -> None:
    watched = Watched([listener])
    assert watched.look() == []
    copy = socket.socket(fileno=os.dup(listener.fd))  # as a child has it
    copy.setblocking(False)
    assert [changed.change for changed in watched.look()] == ["non-blocking"]
    assert watched.look() == []
    copy.setblocking(True)
    assert [changed.change for changed in watched.look()] == ["blocking"]
    copy.close()


def test_a_shut_tcp_listener_listens_again_at_its_address(listener: Listener) -> None:
    watched = Watched([listener])
    listener.socket.shutdown(socket.SHUT_RDWR)
    (changed,) = watched.look()
    assert (changed.change, changed.is_mended) == ("shut", True)
    assert actual_address(listener.socket) == listener.actual
    with socket.create_connection(listener.socket.getsockname(), timeout=5):
        assert not is_shut(listener.socket)
    assert watched.look() == []


def test_a_shut_unix_listener_is_said_once_and_stays_lost(tmp_path: Path) -> None:
    listener = _listener(socket.AF_UNIX, str(tmp_path / "web.sock"))
    watched = Watched([listener])
    listener.socket.shutdown(socket.SHUT_RDWR)
    assert [(changed.change, changed.is_mended) for changed in watched.look()] == [("shut", False)]
    assert watched.look() == []
    listener.close()
    assert Watched([]).look() == []


def test_a_closed_listener_is_looked_at_no_more(listener: Listener) -> None:
    watched = Watched([listener])
    listener.close()
    assert watched.look() == []


def test_own_listeners_are_as_many_as_the_first_version_has_workers() -> None:
    own = own_listeners(open_own("127.0.0.1:0", 1))
    try:
        first, second = own.of_slot(0, 2), own.of_slot(1, 2)
        assert first[0].actual == second[0].actual
        assert first[0].fd != second[0].fd
        assert own.of_slot(2, 4) == first, "a later slot shares, or a queue would be lost when there are fewer again"
        own.give_up(1)
        assert second[0].fd == -1
        assert own.of_slot(1, 2) == first
        own.give_up(0)
        assert first[0].fd >= 0, "slot 0's are the service's own"
    finally:
        own.close()
        for each in own.of_slot(0, 1):
            each.close()


def test_own_listeners_do_not_join_another_service() -> None:
    (other,) = open_own("127.0.0.1:0", 1)
    with pytest.raises(PortInUse):
        open_own(other.actual, 1)
    (joined,) = open_own(other.actual, 1, joins=True)
    joined.close()
    other.close()
