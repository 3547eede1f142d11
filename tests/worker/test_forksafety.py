"""What must not cross a fork is found in this process, by name; what may is not."""

from __future__ import annotations

import os
import select
import socket
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from midair.worker import forksafety

Findings = Callable[[], list[str]]


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> Findings:
    """What is found beyond what there was at the beginning: the runner of the tests and other tests keep threads."""
    monkeypatch.setattr(forksafety, "FINDINGS_MAX", 1000)
    before = forksafety.open_descriptors()
    already = forksafety.findings(before)
    return lambda: [found for found in forksafety.findings(before) if found not in already]


def test_nothing_opened_is_nothing_found(findings: Findings) -> None:
    assert findings() == []


def test_the_first_descriptor_opened_is_found(tmp_path: Path, findings: Findings) -> None:
    with (tmp_path / "journal.log").open("w"):
        assert findings() == [f"a file is open for writing ({tmp_path}/journal.log)"]


def test_a_file_open_for_reading_may_be_shared(tmp_path: Path, findings: Findings) -> None:
    (tmp_path / "data").touch()
    with (tmp_path / "data").open():
        assert findings() == []


def test_a_descriptor_opened_under_the_number_of_one_that_was_closed_is_found(
    tmp_path: Path, findings: Findings
) -> None:
    first = os.open(os.devnull, os.O_RDONLY)
    before = forksafety.open_descriptors()
    os.close(first)
    with (tmp_path / "journal.log").open("w") as file:
        assert file.fileno() == first
        assert f"a file is open for writing ({tmp_path}/journal.log)" in forksafety.findings(before)


def test_a_sqlite_database_is_named(tmp_path: Path, findings: Findings) -> None:
    path = tmp_path / "shop.sqlite3"
    database = sqlite3.connect(path)
    try:
        database.execute("create table visits (at integer)")
        assert findings() == [f"a SQLite database is open ({path})"]
    finally:
        database.close()


def test_a_connection_is_named_by_its_peer_and_a_bound_socket_may_be_shared(findings: Findings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert findings() == []
        address = server.getsockname()
        with socket.create_connection(address):
            assert findings() == [f"a connection is open to 127.0.0.1:{address[1]}"]


def test_pipes_and_event_loops_are_found(findings: Findings) -> None:
    with select.epoll():
        assert findings() == ["an event loop was made at import (epoll)"]
    read, write = os.pipe()
    try:
        assert [found.partition(" (")[0] for found in findings()] == ["a pipe is open"] * 2
    finally:
        os.close(read)
        os.close(write)


def test_a_thread_is_named(findings: Findings) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, args=(10,), name="of-the-application")
    thread.start()
    try:
        assert findings() == ["thread 'of-the-application' is running"]
    finally:
        end.set()
        thread.join(10)


def test_a_long_list_is_cut_and_says_so(tmp_path: Path) -> None:
    before = forksafety.open_descriptors()
    others = len(forksafety.findings(before))
    files = [(tmp_path / str(number)).open("w") for number in range(12)]
    try:
        found = forksafety.findings(before)
    finally:
        for file in files:
            file.close()
    assert len(found) == forksafety.FINDINGS_MAX + 1
    assert found[-1] == f"and {12 + others - forksafety.FINDINGS_MAX} more"
