"""The control socket's bounds: what a peer sends, what it does not read, how long it takes, how many there are."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from midair.control import words
from midair.control.framing import ANSWER_MAX_BYTES, FrameDecoder, decode_answer, encode_request
from midair.supervisor import control
from midair.supervisor.control import ControlServer, Peer
from midair.supervisor.loop import Loop


class HandClock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.time_s = 1000.0

    def now_s(self) -> float:
        return self.time_s

    def wall_s(self) -> float:
        return self.time_s


class Place:
    """A control socket in a loop that the test turns, with a supervisor that has nothing to report but one text."""

    def __init__(self, path: str) -> None:
        self.clock = HandClock()
        self.loop = Loop(self.clock)
        self.said: list[tuple[str, Mapping[str, Any]]] = []
        self.text = "x" * 100
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(path)
        listener.listen(512)
        self._path = path
        estate = SimpleNamespace(
            say=lambda event, fields: self.said.append((event, fields)),
            settings=SimpleNamespace(folder="/srv", name="it"),
        )
        self.refused: list[str] = []
        accounts = SimpleNamespace(refused=self.refused.append)
        supervisor = SimpleNamespace(estate=estate, accounts=accounts, answered=[], opened=[], closed=[])
        self.server = Answering(self, supervisor, listener)

    def connect(self, data: bytes = b"") -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(self._path)
        client.settimeout(0)
        client.sendall(data)
        return client

    def turn(self, times: int = 3) -> None:
        for _ in range(times):
            self.loop.turn_now()

    def wait(self, seconds: float) -> None:
        self.clock.time_s += seconds
        self.turn()

    @property
    def peers(self) -> list[Peer]:
        return list(self.server._peers)


class Answering(ControlServer):
    """Answers every request with a report as long as the place's text."""

    def __init__(self, place: Place, supervisor: Any, listener: socket.socket) -> None:
        self._place = place
        super().__init__(place.loop, supervisor, listener)

    def _do(self, peer: Peer, request: words.Request) -> None:
        self.asked_for = request
        peer.end(words.MetricsReport(text=self._place.text))


@pytest.fixture
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="midair-") as folder:
        made = Place(str(Path(folder) / "c.sock"))
        yield made
        made.server.close()
        made.loop.close()


def _answer(client: socket.socket) -> words.AnyAnswer | None:
    """None: hung up without a word. Raises BlockingIOError while nothing has come."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := client.recv(65536):
            data += more
    client.close()
    frames = FrameDecoder(ANSWER_MAX_BYTES).feed(data)
    return decode_answer(frames[0]) if frames else None


def _code(client: socket.socket) -> str:
    answer = _answer(client)
    assert isinstance(answer, words.Refused), answer
    return answer.fault.code


ASK = encode_request(words.Status())


def test_whoever_asks_nothing_gives_way_to_whoever_does(place: Place) -> None:
    silent = [place.connect(b"\x00") for _ in range(control.CONNECTIONS_MAX)]
    place.turn(8)
    assert len(place.peers) == control.CONNECTIONS_MAX
    assert isinstance(_ask(place), words.MetricsReport)
    assert _code(silent[0]) == "too-many-connections"
    assert place.refused == ["too_many"]
    for client in silent[1:]:
        client.close()


def _ask(place: Place) -> words.AnyAnswer | None:
    client = place.connect(ASK)
    place.turn()
    return _answer(client)


def test_a_flood_of_connections_leaves_no_more_than_the_bound_and_those_who_ask_are_answered(place: Place) -> None:
    clients = []
    for number in range(400):
        clients.append(place.connect(ASK if number % 40 == 0 else b""))
        if number % 10 == 0:
            place.turn(1)
    place.turn(30)
    assert len(place.peers) <= control.CONNECTIONS_MAX
    assert all(isinstance(_answer(client), words.MetricsReport) for client in clients[::40])
    for client in clients:
        client.close()
    place.turn(30)
    assert place.peers == []


def test_if_all_have_asked_the_new_one_is_told_to_come_again(place: Place) -> None:
    place.text = "x" * 500_000
    reading = [place.connect(ASK) for _ in range(control.CONNECTIONS_MAX)]
    place.turn(8)
    late = place.connect()
    place.turn()
    assert _code(late) == "too-many-connections"
    for client in reading:
        client.close()


def test_who_does_not_read_is_hung_up_on(place: Place) -> None:
    place.text = "x" * 2_000_000
    client = place.connect(ASK)
    place.turn()
    place.wait(control.TAKEN_WITHIN_S - 1)
    assert len(place.peers) == 1
    with contextlib.suppress(BlockingIOError):
        while client.recv(65536):
            pass
    place.turn()
    place.wait(control.TAKEN_WITHIN_S - 1)
    assert len(place.peers) == 1, "it has read a little"
    place.wait(2)
    assert place.peers == []
    assert place.refused == ["unread"]
    client.close()


def test_what_all_together_do_not_read_is_bounded(place: Place) -> None:
    place.text = "x" * 3_000_000
    clients = [place.connect(ASK) for _ in range(30)]
    place.turn(8)
    waiting = sum(peer.waiting_bytes for peer in place.peers)
    assert 0 < waiting <= control.ALL_OUT_MAX_BYTES
    for client in clients:
        client.close()


def test_half_a_request_is_waited_for_and_then_no_more(place: Place) -> None:
    client = place.connect(ASK[:-1])
    place.turn()
    place.wait(control.REQUEST_WITHIN_S / 2)
    client.sendall(b"")
    place.wait(control.REQUEST_WITHIN_S / 2 + 0.1)
    assert place.peers == []
    client.close()


def test_what_comes_behind_a_request_is_bounded(place: Place) -> None:
    place.text = "x" * 2_000_000
    client = place.connect(ASK)
    place.turn()
    client.sendall(b"y" * 30_000)
    place.turn()
    assert len(place.peers) == 1
    client.sendall(b"y" * 60_000)
    place.turn()
    assert place.peers == []
    client.close()


def test_complaints_are_bounded_and_say_how_many_were_left_out(place: Place) -> None:
    for _ in range(100):
        client = place.connect(b"\xff\xff\xff\xff")
        place.turn()
        assert _code(client) == "control-garbage"
    assert len(place.said) == control.COMPLAINTS_MAX
    place.wait(control.COMPLAINTS_PER_S + 1)
    client = place.connect(b"\xff\xff\xff\xff")
    place.turn()
    assert place.said[-1][1]["left_out"] == 100 - control.COMPLAINTS_MAX
    client.close()


@pytest.mark.parametrize("text", ["x" * (ANSWER_MAX_BYTES + 1), "a path that is no text: \udcff"])
def test_an_answer_that_cannot_be_sent_is_a_refusal(place: Place, text: str) -> None:
    place.text = text
    client = place.connect(ASK)
    place.turn()
    assert _code(client) == "unanswerable"


def test_a_reason_is_kept_in_its_beginning(place: Place) -> None:
    client = place.connect(encode_request(words.Reload(reason="r" * 60_000)))
    place.turn()
    client.close()
    asked = place.server.asked_for
    assert isinstance(asked, words.Reload)
    assert asked.reason == "r" * control.REASON_MAX + "…"
    assert msgspec.structs.replace(asked, reason="") == words.Reload()


def test_without_descriptors_the_socket_is_left_alone_for_a_moment(place: Place) -> None:
    class Exhausted:
        calls = 0

        def __init__(self, listener: socket.socket) -> None:
            self.fileno, self.close = listener.fileno, listener.close

        def accept(self) -> object:
            self.calls += 1
            raise OSError(24, "Too many open files")

    listener = place.server._listener
    exhausted = Exhausted(listener)
    place.server._listener = exhausted  # type: ignore[assignment]  # as a listener of a process without descriptors
    client = place.connect(ASK)
    place.turn(20)
    assert exhausted.calls == 1
    place.server._listener = listener
    place.wait(control.ACCEPT_AGAIN_S + 0.1)
    place.turn()
    assert isinstance(_answer(client), words.MetricsReport)
