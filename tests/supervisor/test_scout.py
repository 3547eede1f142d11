"""What the child that stays and the supervisor say to each other."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.config.load import sources_for_run
from midair.errors import Fault
from midair.supervisor import looking, scout
from midair.supervisor.offload import unpack

T = TypeVar("T")


@given(st.lists(st.binary(min_size=1, max_size=300)), st.integers(1, 50))
def test_messages_come_out_as_they_went_in_however_they_are_cut(messages: list[bytes], size: int) -> None:
    data = b"".join(map(scout.framed, messages))
    buffer, out = bytearray(), []
    for at in range(0, len(data), size):
        buffer += data[at : at + size]
        while (message := scout.taken(buffer)) is not None:
            out.append(message)
    assert out == messages
    assert not buffer


class Child:
    """The program itself, asked as the supervisor asks it."""

    def __init__(self) -> None:
        self.ambient = dict(os.environ)
        self.link, theirs = socket.socketpair()
        argv = [sys.executable, "-P", "-m", "midair.supervisor.scout", str(theirs.fileno())]
        with theirs:
            self.process = subprocess.Popen(argv, env=self.ambient, pass_fds=(theirs.fileno(),), cwd="/")
        self.link.settimeout(20)
        self._buffer = bytearray()

    def read(self) -> bytes:
        while (message := scout.taken(self._buffer)) is None:
            data = self.link.recv(1 << 16)
            assert data, "it has hung up"
            self._buffer += data
        return message

    def ask(self, question: looking.Question, result: type[T]) -> T | Fault:
        self.link.sendall(scout.framed(msgspec.msgpack.encode(question)))
        return unpack("looking", self.read(), result)

    def end(self) -> int:
        """It leaves at the end of its link."""
        self.link.close()
        return self.process.wait(10)


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.end()


def test_it_answers_what_a_forked_child_would_and_sees_each_change(tmp_path: Path, child: Child) -> None:
    (tmp_path / "midair.toml").write_text('name = "x"\napp = "app:app"\nsurge = "all"\n')
    (tmp_path / "app.py").write_text("app = 1\n")
    sources = sources_for_run(folder=str(tmp_path), environ=os.environ)
    settings = sources.load().settings
    assert child.read() == scout.THERE
    new = looking.NewVersion(settings=settings, sources=sources, generation=7, earlier=None, rereads=True)
    first = child.ask(new, looking.Prepared)
    assert first == looking.answer(new, child.ambient)
    assert isinstance(first, looking.Prepared)
    same = looking.SameFiles(settings=first.settings, generation=7, earlier=first.survey.interpreter)
    assert child.ask(same, looking.Seen) == looking.Seen(first.survey.fingerprint.value)
    (tmp_path / "app.py").write_text("app = 2\n")
    assert (
        child.ask(same, looking.Seen)
        == looking.answer(same, child.ambient)
        != looking.Seen(first.survey.fingerprint.value)
    )
    (tmp_path / "midair.toml").write_text("workers = 0\n")
    fault = child.ask(new, looking.Prepared)
    assert isinstance(fault, Fault)
    assert "workers" in fault.message + fault.detail
    assert child.end() == 0
