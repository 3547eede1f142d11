"""What happens to the listening sockets that command children inherit: seen, named, mended where that is possible.

O_NONBLOCK and shutdown(2) act on the open socket, not on a descriptor: one child that uses them hits every process that has
the socket, the older version's too (tried). A mode is never set back: a process that relies on O_NONBLOCK would then wait in
accept and answer nobody. A TCP listener that was shut down listens again; a Unix one cannot.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from midair.sockets.listener import Listener, actual_address

BACKLOG = 2048

Change = Literal["non-blocking", "blocking", "shut"]


class Changed(Struct, frozen=True):
    """Somebody did something to a listener."""

    listener: Listener
    change: Change
    is_mended: bool = False


class _Known(Struct):
    listener: Listener
    is_blocking: bool
    is_lost: bool = False
    """It was shut down for good; said once."""


class Watched:
    """Compares each listener with how it was seen last."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._known: list[_Known] = []
        self.watch(listeners)

    def watch(self, listeners: Sequence[Listener]) -> None:
        """From now on these, too. One that is closed is forgotten by itself."""
        for each in listeners:
            if all(known.listener is not each for known in self._known):
                self._known.append(_Known(each, is_blocking(each.socket)))

    def look(self) -> list[Changed]:
        """What has changed since the last look; a listener that was shut down is made to listen again."""
        self._known = [known for known in self._known if known.listener.fd >= 0]
        return [changed for known in self._known for changed in _look(known)]


def _look(known: _Known) -> Iterator[Changed]:
    listener = known.listener
    now = is_blocking(listener.socket)
    if now != known.is_blocking:
        known.is_blocking = now
        yield Changed(listener, "blocking" if now else "non-blocking")
    if is_shut(listener.socket) and not known.is_lost:
        is_mended = listen_again(listener)
        known.is_lost = not is_mended
        yield Changed(listener, "shut", is_mended)


def is_blocking(listening: socket.socket) -> bool:
    """The mode of the open socket itself; Python's own idea of it may be older."""
    return not fcntl.fcntl(listening.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK


def is_shut(listening: socket.socket) -> bool:
    """Whether shutdown(2) was called on it by whoever shares it."""
    if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return True  # A TCP socket is closed by it.
    poll = select.poll()
    poll.register(listening, select.POLLRDHUP)  # A Unix socket goes on listening and refuses everybody.
    return any(events & (select.POLLRDHUP | select.POLLHUP) for _, events in poll.poll(0))


def listen_again(listener: Listener) -> bool:
    """Make a TCP listener listen again after a shutdown; whether it does, at the same address."""
    if listener.is_unix:
        return False
    try:
        # A port that the kernel had chosen (bind to port 0) was given back by shutdown(2), although getsockname still says
        # it. One that was named is kept, and a second bind is an error that means just that.
        with contextlib.suppress(OSError):
            listener.socket.bind(listener.socket.getsockname())
        listener.socket.listen(BACKLOG)
        return actual_address(listener.socket) == listener.actual
    except OSError:
        return False


class OwnListeners:
    """``listener = "own"``: sockets for each slot, bound with SO_REUSEPORT, inherited by each process of the slot in turn.

    The kernel spreads new connections over all of them, so one without a process would keep its share of clients waiting.
    Their number is therefore fixed by the first generation: a slot beyond shares an earlier slot's (nothing is lost, it only
    is not alone); those of a slot that is given up are closed here as soon as its process was told to go, so that the kernel
    spreads over the others from the moment that the process closes its own copy. Who waits in the queue then is lost, unless
    net.ipv4.tcp_migrate_req is 1.
    """

    def __init__(self, first: Sequence[Listener], open_more: Callable[[Listener, int], Sequence[Listener]]) -> None:
        """first: those of slot 0. open_more: binds a number of others to the address of a listener. Raises WorldError."""
        self._slots: dict[int, list[Listener]] = {0: list(first)}
        self._open_more = open_more
        self._is_complete = False

    def of_slot(self, slot: int, count: int) -> list[Listener]:
        """The listeners that a process of this slot inherits. count: workers of its generation, of which the first one
        decides how many there are. Raises WorldError."""
        if not self._is_complete:
            self._is_complete = True
            for each in self._slots[0]:
                for number, more in enumerate(self._open_more(each, count - 1), 1):
                    self._slots.setdefault(number, []).append(more)
        known = sorted(self._slots)
        return self._slots[known[slot % len(known)] if slot not in self._slots else slot]

    @property
    def slots(self) -> list[int]:
        """Slots with listeners of their own."""
        return list(self._slots)

    def give_up(self, slot: int) -> None:
        """No process will have this slot any more. Slot 0's are the service's own, and stay."""
        if slot:
            for each in self._slots.pop(slot, []):
                each.close()

    def export(self) -> list[tuple[int, Listener]]:
        """Slot and listener, slot 0 left out."""
        return [(slot, each) for slot, found in self._slots.items() if slot for each in found]

    def adopt(self, found: Sequence[tuple[int, Listener]]) -> None:
        """Take over what ``export`` gave in the image before this one."""
        self._is_complete = True
        for slot, each in found:
            self._slots.setdefault(slot, []).append(each)

    def close(self) -> None:
        for slot in list(self._slots):
            self.give_up(slot)
