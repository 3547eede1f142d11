"""systemd's descriptor store, as we speak to it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from midair.systemd.notify import Notifier
from midair.systemd.store import QUESTION, Store
from tests.support.keeper import Keeper
from tests.support.waiting import is_readable, wait_for


@contextlib.contextmanager
def told(address: str) -> Iterator[Store]:
    notifier = Notifier(address)
    yield Store(notifier)
    notifier.close()


def asked(store: Store) -> bool:
    """Whether the store says that it keeps things."""
    question = store.ask()
    assert question is not None
    try:
        assert is_readable(question.fd, 20)
        return question.answer()
    finally:
        question.close()


def test_what_is_kept_is_there_by_its_name_until_it_is_removed() -> None:
    with Keeper() as keeper, told(keeper.address) as store, socket.create_server(("127.0.0.1", 0)) as listening:
        assert store.keep("web", listening.fileno())
        wait_for(lambda: keeper.names, 20, until=lambda names: names == ["web"])
        ((_, kept),) = keeper.kept
        assert os.path.samestat(os.fstat(kept), os.fstat(listening.fileno()))
        assert keeper.said[-1]["FDPOLL"] == "0", "a listener that was shut down is to stay"
        assert store.remove("web")
        wait_for(lambda: keeper.names, 20, until=lambda names: names == [])


def test_whether_things_are_kept_is_found_out_by_asking() -> None:
    with Keeper(room=1) as keeper, told(keeper.address) as store:
        assert asked(store)
        assert keeper.names == [QUESTION]
        assert not asked(store), "there is no more room"
        store.remove(QUESTION)
        assert asked(store)


def test_a_reader_that_keeps_nothing_says_so_and_nobody_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with told(path) as store, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
        assert store.ask() is None, "nobody is there"
        assert not store.keep("web", 0)
        reader.bind(path)
        question = store.ask()
        assert question is not None
        assert not is_readable(question.fd, 0), "not before it was heard"
        reader.recv(100)  # Without room for descriptors the kernel closes them.
        reader.recv(100)
        assert is_readable(question.fd, 20)
        assert not question.answer()
        question.close()


def test_without_systemd_nothing_is_stored() -> None:
    with told("") as store:
        assert not store.keep("web", 0)
        assert not store.remove("web")
        assert store.ask() is None
