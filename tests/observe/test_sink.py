"""Lines leave without anybody waiting for their reader."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import socket
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from midair.observe import sink as sink_module
from midair.observe.sink import OWN_MAX_BYTES, SOURCE_MAX_BYTES, Callback, Sink

LINE = b"x" * 999 + b"\n"


class Watcher:
    """Stands for the loop."""

    def __init__(self) -> None:
        self.watched: dict[int, Callback] = {}

    def __call__(self, fd: int, callback: Callback | None) -> None:
        if callback is None:
            del self.watched[fd]
        else:
            self.watched[fd] = callback


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            pass  # the test has closed it


def read_all(fd: int) -> bytes:
    """What can be read now."""
    data = b""
    while select.select([fd], [], [], 0)[0] and (more := os.read(fd, 1 << 20)):
        data += more
    return data


def fill(sink: Sink, source: str = "") -> int:
    """Write lines until one is dropped; how many were taken."""
    count = 0
    while sink.write(LINE, source):
        count += 1
        assert count < 100_000
    return count


def test_a_full_pipe_keeps_lines_and_writes_them_in_order_later(pipe: tuple[int, int]) -> None:
    watcher = Watcher()
    sink = Sink(pipe[1], watcher)
    for number in range(200):
        assert sink.write(b"%06d %s" % (number, LINE))
    assert list(watcher.watched) == [sink.fd]
    got = b""
    while watcher.watched:
        got += read_all(pipe[0])
        watcher.watched[sink.fd]()
    got += read_all(pipe[0])
    assert [int(line[:6]) for line in got.splitlines()] == list(range(200))
    sink.close()


def test_the_shared_descriptor_stays_blocking(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1])
    sink.write(LINE)
    assert os.get_blocking(pipe[1])
    assert not os.get_inheritable(sink.fd)
    sink.close()


def test_beyond_the_bound_lines_are_dropped_whole_counted_and_said_when_there_is_room(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1])
    taken = fill(sink)
    assert sink.waiting_bytes <= OWN_MAX_BYTES
    assert not sink.write(LINE)
    assert sink.take_dropped() == {}, "not while it could not be written"
    got = b""
    while not sink.flush():
        got += read_all(pipe[0])
    got += read_all(pipe[0])
    assert got == LINE * taken
    assert sink.take_dropped() == {"": 2}
    assert sink.take_dropped() == {}
    assert sink.dropped_total == 2
    sink.close()


def test_a_noisy_worker_takes_no_room_of_others(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1])
    fill(sink, "8.0")
    assert SOURCE_MAX_BYTES - 2000 < sink.waiting_bytes <= SOURCE_MAX_BYTES
    sink.write(b"x" * (SOURCE_MAX_BYTES - sink.waiting_bytes), "8.0")
    assert sink.would_drop("8.0")
    assert not sink.would_drop("8.1")
    assert sink.write(LINE, "8.1")
    assert sink.write(LINE)
    for slot in range(20):
        fill(sink, f"9.{slot}")
    assert sink.waiting_bytes <= sink_module.SOURCES_MAX_BYTES + OWN_MAX_BYTES
    assert sink.write(LINE), "the supervisor's own lines have their own room"
    sink.close(within_s=0)


def test_a_reader_that_is_gone_costs_nothing(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1])
    os.close(pipe[0])
    sink.write(LINE)
    assert sink.is_broken
    assert not sink.write(LINE)
    sink.close()


def test_a_full_disk_loses_lines_and_not_the_log() -> None:
    with open("/dev/full", "wb") as full:
        sink = Sink(full.fileno())
        sink.write(LINE)
        assert not sink.is_broken
        assert sink.take_dropped() == {"": 1}
        sink.close()


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("ab") as file:
        sink = Sink(file.fileno(), Watcher())
        sink.write(b"one\n")
        os.write(file.fileno(), b"two\n")
        sink.write(b"three\n")
        sink.close()
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_socket_that_nobody_reads_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sink = Sink(ours.fileno())
        for _ in range(400):
            sink.write(LINE)
        assert sink.waiting_bytes > 0
        assert ours.gettimeout() is None
        assert os.get_blocking(ours.fileno())
        got = 0
        while not sink.flush():
            got += len(theirs.recv(1 << 20))
        sink.close()
        ours.close()
        while data := theirs.recv(1 << 20):
            got += len(data)
        assert got % len(LINE) == 0


@pytest.mark.parametrize("can_reopen", [True, False])
def test_a_paused_terminal_is_not_waited_for(can_reopen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    if not can_reopen:

        def refused(*_: object) -> int:
            raise PermissionError

        monkeypatch.setattr(os, "open", refused)
    sink = Sink(slave)
    monkeypatch.undo()
    termios.tcflow(slave, termios.TCOOFF)  # what Ctrl-S does
    sink.write(LINE)
    assert sink.waiting_bytes == len(LINE)
    assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
    termios.tcflow(slave, termios.TCOON)
    got = b""
    while not sink.flush():
        got += read_all(master)
    while len(got) < len(LINE):
        got += os.read(master, 4096)
    assert got == LINE
    sink.close()
    os.close(master)
    os.close(slave)


def test_closing_gives_what_waits_a_last_chance_and_ends(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1])
    fill(sink)
    sink.close(within_s=0.01)
    assert sink.fd == -1
    assert sink.waiting_bytes == 0
