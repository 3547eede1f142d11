"""Messages with descriptors between two ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from midair.sockets import passing
from tests.sockets.machine import descriptors_left

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Pair]:
    ours, theirs = passing.pair()
    with ours, theirs:
        yield ours, theirs


def open_fds() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")}


def receive(channel: socket.socket) -> passing.Message:
    message = passing.receive(channel)
    assert message is not None
    return message


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sent=st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.integers(0, 3)), max_size=10))
def test_messages_arrive_whole_and_in_order(ends: Pair, sent: list[tuple[bytes, int]]) -> None:
    ours, theirs = ends
    reading, writing = os.pipe()
    for data, count in sent:
        passing.send(ours, data, [writing] * count)
    for data, count in sent:
        message = receive(theirs)
        assert (message.data, len(message.fds)) == (data, count)
        message.close()
    os.close(reading)
    os.close(writing)


def test_a_descriptor_works_on_the_other_side_and_is_close_on_exec(ends: Pair) -> None:
    reading, writing = os.pipe()
    passing.send(ends[0], b"take this", [writing])
    os.close(writing)
    message = receive(ends[1])
    assert not os.get_inheritable(message.fds[0])
    os.write(message.fds[0], b"through")
    assert os.read(reading, 100) == b"through"
    message.close()
    os.close(reading)


def test_the_largest_message_passes_and_a_larger_one_is_ours_to_mend(ends: Pair) -> None:
    with open(os.devnull, "rb") as null:
        most = [null.fileno()] * passing.DESCRIPTORS_MAX
        passing.send(ends[0], b"x" * passing.MESSAGE_MAX_BYTES, most)
        message = receive(ends[1])
        assert len(message.data) == passing.MESSAGE_MAX_BYTES
        assert len(message.fds) == passing.DESCRIPTORS_MAX
        message.close()
        for data, fds in ((b"x" * (passing.MESSAGE_MAX_BYTES + 1), []), (b"x", [*most, null.fileno()]), (b"", [])):
            with pytest.raises(passing.MessageTooLarge):
                passing.send(ends[0], data, fds)


def test_a_peer_that_goes_without_reading_is_heard_to_the_end(ends: Pair) -> None:
    ours, theirs = ends
    passing.send(theirs, b"not read any more")
    with open(os.devnull, "rb") as null:
        passing.send(ours, b"take this", [null.fileno()])
    passing.send(ours, b"last words")
    ours.close()
    first = receive(theirs)
    assert (first.data, len(first.fds)) == (b"take this", 1)
    first.close()
    assert receive(theirs).data == b"last words"
    assert passing.receive(theirs) is None


def test_the_end_of_the_peer_is_told(ends: Pair) -> None:
    ours, theirs = ends
    passing.send(ours, b"last words")
    ours.close()
    assert receive(theirs).data == b"last words"
    assert passing.receive(theirs) is None
    with pytest.raises(BrokenPipeError):
        passing.send(theirs, b"too late")


def test_nothing_to_read_and_a_full_queue_are_said_not_waited_for(ends: Pair) -> None:
    ours, theirs = ends
    with pytest.raises(BlockingIOError):
        passing.receive(theirs)

    def fill() -> None:
        for _ in range(10_000):
            passing.send(ours, b"x" * 4096)

    with pytest.raises(BlockingIOError):
        fill()
    assert receive(theirs).data == b"x" * 4096


def test_an_over_long_message_leaves_no_descriptor_open(ends: Pair) -> None:
    with open(os.devnull, "rb") as null:
        before = open_fds()
        socket.send_fds(ends[0], [b"x" * (passing.MESSAGE_MAX_BYTES + 1)], [null.fileno()])
        with pytest.raises(passing.MessageCut):
            passing.receive(ends[1])
        assert open_fds() == before


def test_descriptors_that_do_not_fit_are_told_and_none_stays_open(ends: Pair) -> None:
    with open(os.devnull, "rb") as null:
        passing.send(ends[0], b"six", [null.fileno()] * 6)
        passing.send(ends[0], b"next")
        before = open_fds()
        with descriptors_left(3), pytest.raises(passing.DescriptorsLost, match="only 3"):
            passing.receive(ends[1])
        assert open_fds() == before
    assert receive(ends[1]).data == b"next"
