"""Entries of the journal, read by a socket that stands for it."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.observe.capture import Line
from midair.observe.log import Log
from midair.observe.sink import OWN_MAX_BYTES, Callback, Sink
from midair.systemd.journal import Journal, NoJournal, encoder, is_journal


def fields(entry: bytes) -> dict[str, str]:
    """An entry taken apart as the journal does it."""
    found = {}
    while entry:
        row, _, entry = entry.partition(b"\n")
        name, equals, value = row.partition(b"=")
        if not equals:
            (size,) = struct.unpack_from("<Q", entry)
            value, entry = entry[8 : 8 + size], entry[9 + size :]
        found[name.decode()] = value.decode()
    return found


class Journald:
    """The other end."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "journal")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)

    def read(self) -> list[dict[str, str]]:
        """What has come."""
        entries: list[dict[str, str]] = []
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._socket, 1 << 20, 1)
            except BlockingIOError:
                return entries
            for fd in fds:
                with os.fdopen(fd, "rb") as file:
                    # Only what can never change is believed; the descriptor stands where the writer left it.
                    assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
                    data = os.pread(fd, os.fstat(file.fileno()).st_size, 0)
            entries.append(fields(data))

    def close(self) -> None:
        self._socket.close()
        os.unlink(self.path)


@pytest.fixture
def folder() -> Iterator[str]:
    # A short path: that of a Unix socket has 107 bytes.
    with tempfile.TemporaryDirectory(prefix="midair-") as folder:
        yield folder


@pytest.fixture
def journald(folder: str) -> Iterator[Journald]:
    journald = Journald(folder)
    yield journald
    journald.close()


def _log(journald: Journald) -> tuple[Log, Sink]:
    sink = Sink(Journal(journald.path))
    return Log(sink, format="journal", is_strict=True, encode=encoder("shop"), bound={"node": "node-3"}), sink


def test_an_event_is_an_entry_with_its_fields(journald: Journald) -> None:
    log, sink = _log(journald)
    log.bind(update=7, generation=8, version="1.9.0").say(
        "update_refused", error="no such module", detail="line 1\nline 2"
    )
    (entry,) = journald.read()
    assert entry.pop("MESSAGE") == (
        'update refused  update=7 generation=8 version=1.9.0 error="no such module"\n    line 1\n    line 2'
    )
    assert entry == {
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "shop",
        "MIDAIR_SERVICE": "shop",
        "MIDAIR_EVENT": "update_refused",
        "MIDAIR_STATUS": "hot-update-refused",
        "MIDAIR_NODE": "node-3",
        "MIDAIR_UPDATE": "7",
        "MIDAIR_GENERATION": "8",
        "MIDAIR_VERSION": "1.9.0",
        "MIDAIR_ERROR": "no such module",
        "MIDAIR_DETAIL": "line 1\nline 2",
    }
    sink.close()


@pytest.mark.parametrize(
    ("text", "priority"),
    [("plain", "6"), ('{"level": "ERROR", "PRIORITY": "0", "event": "x"}', "3"), ('{"level": "odd"}', "6")],
)
def test_a_line_of_a_worker_stays_as_it_is_and_takes_no_field_of_ours(
    journald: Journald, text: str, priority: str
) -> None:
    log, sink = _log(journald)
    log.pass_on(Line(generation=8, slot=1, text=text), version="1.9.0")
    (entry,) = journald.read()
    assert entry == {
        "MESSAGE": text,
        "PRIORITY": priority,
        "SYSLOG_IDENTIFIER": "shop",
        "MIDAIR_SERVICE": "shop",
        "MIDAIR_EVENT": "worker_output",
        "MIDAIR_NODE": "node-3",
        "MIDAIR_VERSION": "1.9.0",
        "MIDAIR_GENERATION": "8",
        "MIDAIR_SLOT": "1",
    }
    sink.close()


@given(st.text(), st.text())
def test_any_value_comes_back_as_it_was(one: str, other: str) -> None:
    found = fields(encoder("shop")({"message": one, "error": other}))
    assert (found["MESSAGE"], found["MIDAIR_ERROR"]) == tuple(
        text.encode(errors="backslashreplace").decode() for text in (one, other)
    )


def test_an_entry_that_no_datagram_holds_comes_whole(journald: Journald) -> None:
    sink = Sink(Journal(journald.path))
    message = "x" * (OWN_MAX_BYTES - 1000)
    assert sink.write(encoder("shop")({"message": message}))
    (entry,) = journald.read()
    assert entry["MESSAGE"] == message
    sink.close()


def test_a_journal_that_does_not_read_holds_up_nobody_and_what_is_lost_is_counted(journald: Journald) -> None:
    watched: dict[int, Callback] = {}

    def watch(fd: int, callback: Callback | None) -> None:
        watched.pop(fd) if callback is None else watched.update({fd: callback})

    sink = Sink(Journal(journald.path), watch)
    entry = encoder("shop")({"message": "x" * 1000})
    taken = 0
    while sink.write(entry):
        taken += 1
    assert watched, "it is not told when there is room again"
    came = 0
    while watched:
        came += len(journald.read())
        for callback in list(watched.values()):
            callback()
    came += len(journald.read())
    assert came == taken
    assert sink.take_dropped() == {"": 1}
    sink.close()


def test_a_journal_that_is_started_anew_is_found_again(journald: Journald, folder: str) -> None:
    sink = Sink(Journal(journald.path))
    entry = encoder("shop")({"message": "x"})
    journald.close()
    sink.write(entry)
    assert sink.dropped_total == 1
    assert not sink.is_broken
    again = Journald(folder)
    sink.write(entry)
    assert [found["MESSAGE"] for found in again.read()] == ["x"]
    sink.close()
    again._socket.close()


def test_a_machine_without_a_journal_says_so(folder: str) -> None:
    with pytest.raises(NoJournal):
        Journal(f"{folder}/none")


def test_the_journal_is_told_from_a_file_that_took_its_place(tmp_path: Path) -> None:
    with open(tmp_path / "a", "w") as stream, open(tmp_path / "b", "w") as other:
        found = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert is_journal(environ, stream.fileno())
        assert not is_journal(environ, other.fileno())
        assert not is_journal({}, stream.fileno())
        assert not is_journal(environ, 99999)
