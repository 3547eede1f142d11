"""sd_notify, told and heard."""

from __future__ import annotations

import errno
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.systemd.notify import (
    MESSAGES_A_TURN,
    Inbox,
    InboxFailed,
    Notification,
    Notifier,
    address_bytes,
    parse_notification,
    watchdog_interval_s,
)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    made = Inbox(str(tmp_path / "notify.sock"))
    yield made
    made.close()


def heard(inbox: Inbox, within_s: float = 20) -> Notification:
    assert select.select([inbox.fd], [], [], within_s)[0], "nothing was said"
    (notification,) = inbox.receive()
    return notification


# --- telling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_every_word_arrives_as_systemd_reads_it(kind: str, tmp_path: Path) -> None:
    address = f"@midair-test-{os.getpid()}" if kind == "abstract" else str(tmp_path / "systemd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address_bytes(address))
        notifier = Notifier(address)
        before_us = time.monotonic_ns() // 1000
        said = [
            notifier.ready("serving 1.9.0"),
            notifier.reloading(),
            notifier.stopping(),
            notifier.status("two\nlines"),
            notifier.watchdog(),
        ]
        assert said == [True] * 5
        got = [systemd.recv(4096).decode() for _ in said]
        notifier.close()
    assert got[0] == "READY=1\nSTATUS=serving 1.9.0"
    word, _, stamp = got[1].partition("\nMONOTONIC_USEC=")
    assert word == "RELOADING=1"
    assert before_us <= int(stamp) <= time.monotonic_ns() // 1000
    assert got[2:] == ["STOPPING=1", "STATUS=two lines", "WATCHDOG=1"]


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative/path"])
def test_without_a_listener_nothing_happens(address: str) -> None:
    notifier = Notifier(address)
    assert not notifier.is_heard
    assert not notifier.ready()
    notifier.close()


def test_a_listener_that_is_gone_or_busy_costs_nothing(tmp_path: Path) -> None:
    address = str(tmp_path / "systemd")
    notifier = Notifier(address)
    assert not notifier.ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        sent = 0
        while notifier.watchdog():
            sent += 1
            assert sent < 10_000
        systemd.recv(100)
        assert notifier.watchdog(), "it is tried anew each time"
    notifier.close()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_fed_at_half_its_time(environ: dict[str, str], expected: float) -> None:
    assert watchdog_interval_s(environ, 7) == expected


# --- hearing -----------------------------------------------------------------------------------------------------


def test_a_message_is_read() -> None:
    data = b"READY=1\nSTATUS= all is well \nMAINPID=42\nX_MINE=a=b\nnonsense\n=\nEXTEND_TIMEOUT_USEC=2500000\n"
    assert parse_notification(data, 7, 0) == Notification(
        pid=7,
        uid=0,
        is_ready=True,
        status="all is well",
        main_pid=42,
        extend_timeout_s=2.5,
        others={"X_MINE": "a=b"},
    )
    assert parse_notification(b"STOPPING=1\nERRNO=2") == Notification(is_stopping=True, error=os.strerror(errno.ENOENT))
    assert parse_notification(b"READY=0\nMAINPID=-1\nERRNO=99999\nSTATUS=").status == ""
    assert parse_notification(b"RELOADING=1\nWATCHDOG=1") == Notification(is_reloading=True, is_watchdog=True)


@given(st.binary(max_size=200) | st.text().map(lambda text: f"READY={text}\nMAINPID={text}\nERRNO={text}".encode()))
def test_any_bytes_can_be_read(data: bytes) -> None:
    notification = parse_notification(data)
    assert notification.main_pid is None or notification.main_pid > 0


def test_the_kernel_says_who_sent_it(inbox: Inbox) -> None:
    notifier = Notifier(inbox.address)
    notifier.ready("it is me")
    assert heard(inbox) == Notification(pid=os.getpid(), uid=os.getuid(), is_ready=True, status="it is me")
    notifier.close()
    script = "import sys; from midair.systemd.notify import Notifier; Notifier(sys.argv[1]).ready()"
    with subprocess.Popen([sys.executable, "-c", script, inbox.address]) as child:
        assert heard(inbox).pid == child.pid


def test_the_socket_is_ours_alone_and_goes_with_the_inbox(tmp_path: Path) -> None:
    path = tmp_path / "notify.sock"
    path.write_text("left behind")
    inbox = Inbox(str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert not inbox.socket.get_inheritable()
    assert inbox.receive() == []
    inbox.close()
    assert not path.exists()
    with pytest.raises(InboxFailed):
        Inbox(str(tmp_path / "no" / "notify.sock"))
    with pytest.raises(InboxFailed):
        Inbox(str(tmp_path / ("x" * 120)))


def test_descriptors_are_closed_which_answers_a_barrier(inbox: Inbox) -> None:
    reading, writing = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as child:
        child.connect(inbox.address)
        socket.send_fds(child, [b"BARRIER=1"], [writing])
    os.close(writing)
    assert heard(inbox).others == {"BARRIER": "1"}
    assert os.read(reading, 1) == b"", "every copy is closed"
    os.close(reading)


def test_a_message_that_is_too_long_is_not_believed(inbox: Inbox) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as child:
        child.sendto(b"READY=1\nSTATUS=" + b"x" * 5000, inbox.address)
    assert inbox.receive() == []


def test_a_child_that_never_stops_talking_is_heard_in_turns(inbox: Inbox) -> None:
    count = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as child:
        child.setblocking(False)
        limit = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
        if limit < MESSAGES_A_TURN:
            pytest.skip("this kernel's queue is shorter than a turn")
        for _ in range(MESSAGES_A_TURN + 2):
            try:
                child.sendto(b"WATCHDOG=1", inbox.address)
            except BlockingIOError:
                break
            count += 1
    assert len(inbox.receive()) == min(count, MESSAGES_A_TURN)
    assert len(inbox.receive()) == max(count - MESSAGES_A_TURN, 0)
