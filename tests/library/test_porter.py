"""What is on its way to another program belongs to exactly one of the two, whoever ends or is named meanwhile."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from midair.library.porter import IN_MESSAGE_MAX_BYTES, Porter, pack
from midair.library.upgrader import Handing
from midair.sockets import heirs, passing

WITHIN_S = 10.0


class Supervisor:
    """The other end of a program's channel, and the followers that it names."""

    def __init__(self) -> None:
        ours, theirs = passing.pair()
        ours.settimeout(WITHIN_S)
        self.channel = ours
        self.left = threading.Event()
        self.porter = Porter(theirs, self.left.set)
        self.ends: list[socket.socket] = [ours]

    def names(self) -> socket.socket:
        """The follower's end of a new channel."""
        theirs, follower = passing.pair()
        with theirs:
            passing.send(self.channel, heirs.encode(heirs.Heir(worker=1)), [theirs.fileno()])
        follower.settimeout(WITHIN_S)
        self.ends.append(follower)
        return follower

    def carries(self, state: bytes, *fds: int) -> Handing:
        answer = Handing()
        self.porter.carry(pack("it", state, list(fds), answer))
        return answer


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor()
    yield made
    for end in made.ends:
        end.close()


def takes(follower: socket.socket) -> bytes:
    message = passing.receive(follower)
    assert message
    message.close()
    return heirs.decode_thing(message.data).state


def answers(follower: socket.socket, why: str = "") -> None:
    passing.send(follower, heirs.encode(heirs.Declined(why=why) if why else heirs.Kept()))


def test_a_thing_is_the_followers_when_it_says_so(supervisor: Supervisor) -> None:
    follower = supervisor.names()
    first, second = supervisor.carries(b"1"), supervisor.carries(b"2")
    assert takes(follower) == b"1"
    follower.setblocking(False)
    with pytest.raises(BlockingIOError):  # One at a time.
        takes(follower)
    follower.settimeout(WITHIN_S)
    answers(follower)
    assert first.result(WITHIN_S) is True
    assert takes(follower) == b"2"
    answers(follower, "no room")
    assert second.result(WITHIN_S) is False
    assert supervisor.left.wait(WITHIN_S)


def test_what_was_not_acknowledged_goes_to_the_next_one(supervisor: Supervisor) -> None:
    killed = supervisor.names()
    answer = supervisor.carries(b"1")
    assert takes(killed) == b"1"
    killed.close()
    follower = supervisor.names()
    assert takes(follower) == b"1"
    answers(follower)
    assert answer.result(WITHIN_S) is True


def test_another_follower_does_not_get_what_is_on_its_way_to_the_first(supervisor: Supervisor) -> None:
    first = supervisor.names()
    answer = supervisor.carries(b"1")
    assert takes(first) == b"1"
    second = supervisor.names()
    later = supervisor.carries(b"2")
    second.settimeout(0.2)
    with pytest.raises(TimeoutError):
        takes(second)
    answers(first)
    assert answer.result(WITHIN_S) is True
    second.settimeout(WITHIN_S)
    assert takes(second) == b"2"
    answers(second)
    assert later.result(WITHIN_S) is True


def test_without_a_follower_it_stays(supervisor: Supervisor) -> None:
    supervisor.porter.leave()
    answer = supervisor.carries(b"1")
    passing.send(supervisor.channel, heirs.encode(heirs.NoHeir()))
    assert answer.result(WITHIN_S) is False
    follower = supervisor.names()  # Yet another one may come.
    again = supervisor.carries(b"1")
    assert takes(follower) == b"1"
    answers(follower)
    assert again.result(WITHIN_S) is True


def test_the_end_of_the_supervisor_leaves_it_where_it_is(supervisor: Supervisor) -> None:
    supervisor.channel.close()
    supervisor.porter.leave()
    assert supervisor.carries(b"1").result(WITHIN_S) is False


def test_what_was_called_off_in_time_is_not_sent(supervisor: Supervisor) -> None:
    follower = supervisor.names()
    first, second = supervisor.carries(b"1"), supervisor.carries(b"2")
    assert takes(follower) == b"1"
    assert not first.cancel()
    assert second.cancel()
    third = supervisor.carries(b"3")
    answers(follower)
    assert takes(follower) == b"3"
    answers(follower)
    assert third.result(WITHIN_S) is True


def test_large_state_and_sockets_arrive_as_they_were(supervisor: Supervisor) -> None:
    """From one porter to another."""
    ours, theirs = passing.pair()
    taken: list[tuple[bytes, int]] = []
    follower = Porter(theirs, lambda: None)

    def take(thing: heirs.Thing, fds: tuple[int, ...], answer: object) -> None:
        taken.append((thing.state, os.fstat(fds[0]).st_ino))
        for fd in fds:
            os.close(fd)
        assert callable(answer)
        answer("")

    follower.greet(take)
    state = os.urandom(10 * IN_MESSAGE_MAX_BYTES)
    one, other = passing.pair()
    passing.send(ours, heirs.encode(heirs.Heritage(worker=1)), [other.fileno()])
    passing.send(supervisor.channel, heirs.encode(heirs.Heir(worker=1)), [one.fileno()])
    with ours, one, other, socket.socket() as connection:
        inode = os.fstat(connection.fileno()).st_ino
        assert supervisor.carries(state, connection.fileno()).result(WITHIN_S) is True
        assert taken == [(state, inode)]
