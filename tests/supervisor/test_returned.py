"""What systemd hands back at the start: our own sockets, a unit's, and our state, told apart."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from midair.config.schema import Metrics, Settings
from midair.sockets.bind import Passed, open_listeners, open_own
from midair.sockets.listener import Listener
from midair.supervisor.remembered import Remembered, StoredListener, encode
from midair.supervisor.returned import Returned, give_up_unknown, give_up_unwanted, sort
from midair.systemd.notify import Notifier
from midair.systemd.record import Record
from midair.systemd.store import QUESTION, STATE, Store

DUPLICATES: list[int] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while DUPLICATES:
        try:
            os.close(DUPLICATES.pop())
        except OSError:
            pass  # Whom it was passed to has closed it, as it should.


def asking(bind: tuple[str, ...], folder: str = "/", **more: Any) -> Settings:
    return Settings(name="test", folder=folder, bind=bind, **more)


def passed(name: str, fd: int) -> Passed:
    """A copy, as systemd passes it."""
    DUPLICATES.append(os.dup(fd))
    return Passed(DUPLICATES[-1], name)


def bound(*typed: str, folder: str = "") -> tuple[Listener, ...]:
    return open_listeners(typed, folder=folder, environ={}).listeners


def stored(listeners: Sequence[Listener], use: str = "bind", slot: int = 0) -> dict[str, StoredListener]:
    return {
        f"{each.name}.{slot}" if slot else each.name if use == "bind" else use: StoredListener(
            use=use, name=each.name, typed=each.typed, inode=each.inode, file=each.file, slot=slot
        )
        for each in listeners
    }


def returned(
    listeners: Sequence[Listener], known: dict[str, StoredListener], *more: Passed, settings: Settings
) -> Returned:
    """What the next process makes of these listeners and this record."""
    record = Record.make(STATE)
    record.write(encode(Remembered(listeners=known)))
    came = [*more, *(passed(each.name, each.fd) for each in listeners), passed(STATE, record.fd)]
    record.close()
    found = sort(tuple(came), is_blocking=settings.is_command)
    give_up_unwanted(found, settings, Store(Notifier("")))
    for each in (*listeners, *found.listeners.values()):
        each.socket.close()
    if found.record:
        found.record.close()
    return found


def names(found: Returned) -> list[str]:
    return sorted(found.listeners)


def test_what_the_record_names_is_ours_whatever_a_unit_calls_its_own() -> None:
    ours, theirs = bound("127.0.0.1:0"), bound("127.0.0.1:0")
    settings = asking(("fd://3", "127.0.0.1:0"))
    unit = passed("web", theirs[0].fd)
    found = returned(ours, stored(ours), unit, settings=settings)
    assert names(found) == ["web"]
    assert unit.fd not in found.taken
    assert found.has_sockets_of_unit
    theirs[0].close()


def test_a_unit_takes_the_place_of_what_was_bound() -> None:
    ours, theirs = bound("127.0.0.1:0"), bound("127.0.0.1:0")
    found = returned(ours, stored(ours), passed("web", theirs[0].fd), settings=asking(("127.0.0.1:0",)))
    assert names(found) == []
    assert found.given_up == [("web", ours[0].actual)]
    theirs[0].close()


@pytest.mark.parametrize("again", ["the words", "the address", "another name for it"])
def test_a_listener_goes_on_for_the_address_that_it_has(again: str) -> None:
    ours = bound("127.0.0.1:0", "[::1]:0")
    port = ours[0].actual.rpartition(":")[2]
    typed = {
        "the words": "127.0.0.1:0",
        "the address": ours[0].actual,
        "another name for it": f"localhost:{port}",
    }[again]
    found = returned(ours, stored(ours), settings=asking((typed,)))
    assert names(found) == ["web"]
    assert found.given_up == [("web2", ours[1].actual)]


def test_a_unix_socket_goes_on_while_its_file_is_its_own(tmp_path: Path) -> None:
    def again() -> Returned:
        return returned(ours, known, settings=settings)

    settings = asking(("unix:web.sock",), folder=str(tmp_path))
    ours = bound("unix:web.sock", folder=str(tmp_path))
    known = stored(ours)
    copy = socket.socket(fileno=os.dup(ours[0].fd))
    assert names(again()) == ["web"]
    ours = (Listener("web", "unix:web.sock", ours[0].actual, copy, ours[0].file),)
    os.unlink(tmp_path / "web.sock")
    with socket.socket(socket.AF_UNIX) as another:
        another.bind(str(tmp_path / "web.sock"))
        assert names(again()) == []
        assert (tmp_path / "web.sock").exists(), "the file of another is left alone"


def test_what_midair_serves_itself_and_what_programs_opened_go_on_where_they_are_wanted() -> None:
    def again(settings: Settings) -> list[str]:
        ours, metrics, lent = bound("127.0.0.1:0"), bound("127.0.0.1:0"), bound("127.0.0.1:0")
        known = stored(ours) | stored(metrics, "metrics") | stored(lent, "lent")
        return names(returned((*ours, *metrics, *lent), known, settings=settings))

    bind, command = ("127.0.0.1:0",), ("program",)
    address = Metrics(address="127.0.0.1:0")
    assert again(asking(bind, metrics=address)) == ["metrics", "web"]
    assert again(asking(bind)) == ["web"]
    assert again(asking(bind, command=command, listener="lent")) == ["lent", "web"]


def test_sockets_of_slots_go_on_together_and_only_as_such() -> None:
    def again(settings: Settings) -> list[str]:
        first = open_own("127.0.0.1:0", 1)
        second = open_own(first[0].actual, 1, joins=True)
        known = stored(first) | stored(second, "own", 1)
        return names(returned((*first, *second), known, settings=settings))

    own = asking(("127.0.0.1:0",), command=("program",), listener="own")
    assert again(own) == ["web", "web.1"]
    assert again(asking(("127.0.0.1:0",), command=("program",))) == [], "nobody else may join what is shared"
    assert again(asking(("127.0.0.1:9",), command=("program",), listener="own")) == []


def test_without_a_record_that_can_be_read_all_sockets_are_a_units() -> None:
    ours = bound("127.0.0.1:0")
    record = Record.make(STATE)
    record.write(b"not what we write")
    came = (passed("web", ours[0].fd), passed(STATE, record.fd))
    found = sort(came, is_blocking=False)
    assert found.trouble is not None
    assert found.trouble.code == "stored-state-unreadable"
    assert (found.record, found.state, names(found)) == (None, None, [])
    assert found.taken == {came[1].fd}
    record.close()
    ours[0].close()


@pytest.mark.parametrize("mode", ["shared", "own"])
def test_without_a_record_what_is_for_something_else_is_opened_anew(mode: str) -> None:
    ours = (*bound("127.0.0.1:0"), *bound("127.0.0.1:0"))
    came = (passed("web", ours[0].fd), passed("metrics", ours[1].fd), Passed(-1, STATE))
    found = Returned(taken=frozenset({-1}))
    settings = asking(("127.0.0.1:0",), command=("program",), listener=mode)
    give_up_unknown(came, found, settings, Store(Notifier("")))
    kept = {each.fd for each in came} - found.taken
    assert kept == ({came[0].fd} if mode == "shared" else set())
    assert found.has_sockets_of_unit == (mode == "shared")
    for each in ours:
        each.close()


def test_what_is_no_listener_any_more_or_came_twice_is_closed() -> None:
    ours = bound("127.0.0.1:0")
    known = stored(ours)
    found = returned(ours, known, passed("web", ours[0].fd), settings=asking(("127.0.0.1:0",)))
    assert names(found) == ["web"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        inode = os.fstat(datagrams.fileno()).st_ino
        other = {"web": StoredListener(use="bind", name="web", typed="127.0.0.1:0", inode=inode)}
        odd = passed("web", datagrams.fileno())
        assert names(returned((), other, odd, settings=asking(("127.0.0.1:0",)))) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(odd.fd)


def test_a_question_that_was_not_taken_back_is_closed() -> None:
    reading, writing = os.pipe()
    found = sort((passed(QUESTION, writing),), is_blocking=False)
    os.close(writing)
    assert os.read(reading, 1) == b""
    assert not found.has_sockets_of_unit
    os.close(reading)
