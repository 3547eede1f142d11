"""Who takes over what a command child passes on when it leaves: the supervisor names heirs and makes their channels.

A reconciler, as ``moving`` is for workers: whatever happens, the next look compares who should be whose heir with what was
told. What is passed on goes from program to program; only the two ends of a channel pass through here. A program that does
not use ``midair.Upgrader`` never reads its channel, and nothing is ever sent to it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from msgspec import Struct

from midair.core.ids import WorkerId
from midair.errors import MidairError
from midair.sockets import heirs, passing
from midair.supervisor.loop import Loop, Timer

AGAIN_S = 0.1
"""After a child's channel had no room, or no channel could be made."""
WORDS_A_TURN = 8
"""A child that talks on must not hold up the loop. It has two words to say."""


class Child(Protocol):
    """What is asked of a command child here."""

    @property
    def id(self) -> WorkerId: ...
    @property
    def generation(self) -> int: ...
    @property
    def slot(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def has_left(self) -> bool: ...


class _Known(Struct):
    """A child's channel, and what was said over it."""

    channel: socket.socket
    formats: tuple[int, ...] = ()
    """Empty: it has said nothing, and is told nothing."""
    takes: bool = False
    heir: int = 0
    """Who it was told of; 0: nobody."""
    is_told: bool = False


class HeirState(msgspec.Struct, kw_only=True):
    """A channel on its way to the next image of the supervisor; its descriptor travels beside it."""

    worker: int
    formats: tuple[int, ...] = ()
    takes: bool = False
    heir: int = 0
    is_told: bool = False


class Heirs:
    """All channels, by child."""

    def __init__(
        self,
        loop: Loop,
        children: Mapping[WorkerId, Child],
        say: Callable[[str, Mapping[str, str | int | float | None]], None],
    ) -> None:
        """children: those that live, as they are at any time. say: takes an event of the log."""
        self._loop = loop
        self._children = children
        self._say = say
        self._known: dict[WorkerId, _Known] = {}
        self._timer: Timer | None = None

    def open(self, worker: WorkerId) -> socket.socket:
        """The end of a new channel that is the child's; the caller passes it on and closes it. Raises OSError."""
        ours, theirs = passing.pair()
        self._adopt(worker, _Known(ours))
        return theirs

    def _adopt(self, worker: WorkerId, known: _Known) -> None:
        self._known[worker] = known
        self._loop.on_readable(known.channel.fileno(), lambda: self.read(worker))

    def close(self, worker: WorkerId) -> None:
        """It has ended, or never was."""
        known = self._known.pop(worker, None)
        if known:
            self._loop.forget(known.channel.fileno())
            known.channel.close()
            self.look_soon()

    def read(self, worker: WorkerId) -> None:
        """Take in what a child has said, WORDS_A_TURN at most."""
        known = self._known.get(worker)
        for _ in range(WORDS_A_TURN):
            if known is None:
                return
            try:
                message = passing.receive(known.channel)
                if message is None:
                    self.close(worker)
                    return
                message.close()
                greeting = heirs.decode_greeting(message.data)
            except BlockingIOError:
                return
            except (OSError, MidairError, msgspec.MsgspecError):
                self.close(worker)
                return
            known.formats, known.takes = greeting.formats, greeting.takes
            self.look_soon()

    def look_soon(self) -> None:
        """Somebody was told to leave, serves, has ended."""
        self._look_in(0.0)

    def _look_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._look)

    # --- one look ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._timer = None
        for worker, known in list(self._known.items()):
            child = self._children.get(worker)
            if child and child.has_left and known.formats:
                self._settle(child, known)

    def _settle(self, child: Child, known: _Known) -> None:
        heir = self._heir_of(child, known)
        if known.is_told and known.heir == (heir.id if heir else 0):
            return
        is_said = (
            self._name(child, known, heir) if heir else _send(known.channel, heirs.NoHeir(why="nobody takes over"))
        )
        if is_said:
            known.is_told, known.heir = True, heir.id if heir else 0
        else:
            self._look_in(AGAIN_S)

    def _heir_of(self, child: Child, known: _Known) -> Child | None:
        """The one it has, as long as it lives and stays; else that of the same slot, else who has the fewest to follow."""
        found = [each for each in self._children.values() if self._can_take(each, known)]
        load = {each.id: sum(known.heir == each.id for known in self._known.values()) for each in found}
        newest = max((each.generation for each in found), default=0)
        order = sorted(
            found,
            key=lambda each: (
                each.id != known.heir,
                each.generation != newest,
                each.slot != child.slot,
                load[each.id],
                each.slot,
            ),
        )
        return next(iter(order), None)

    def _can_take(self, other: Child, known: _Known) -> bool:
        theirs = self._known.get(other.id)
        is_able = theirs is not None and theirs.takes and not set(theirs.formats).isdisjoint(known.formats)
        return is_able and other.state == "serving" and not other.has_left

    def _name(self, child: Child, known: _Known, heir: Child) -> bool:
        """Join the two; whether both could be told."""
        try:
            one, other = passing.pair()
        except OSError:
            return False
        with one, other:
            # The heir first: one end in a queue that nobody reads is closed with it, and the other sees that.
            told = _send(self._known[heir.id].channel, heirs.Heritage(worker=child.id), other)
            told = told and _send(known.channel, heirs.Heir(worker=heir.id), one)
        if told:
            self._say("passing_on", {"generation": child.generation, "worker": child.id, "target": heir.id})
        return told

    # --- over an upgrade --------------------------------------------------------------------------------------------

    def freeze(self) -> tuple[list[HeirState], list[int]]:
        """What is known, and the channels' descriptors in the same order. Nothing is read any more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        for known in self._known.values():
            self._loop.forget(known.channel.fileno())
        states = [
            HeirState(worker=worker, formats=each.formats, takes=each.takes, heir=each.heir, is_told=each.is_told)
            for worker, each in self._known.items()
        ]
        return states, [each.channel.fileno() for each in self._known.values()]

    def thaw(self, states: list[HeirState], fds: list[int]) -> None:
        for state, fd in zip(states, fds, strict=True):
            worker = WorkerId(state.worker)
            known = self._known.get(worker)  # Here already if the execve failed.
            channel = known.channel if known else socket.socket(fileno=fd)
            self._adopt(worker, _Known(channel, state.formats, state.takes, state.heir, state.is_told))
        self.look_soon()

    def end(self) -> None:
        """At the end of the service."""
        for worker in list(self._known):
            self.close(worker)
        if self._timer:
            self._timer.cancel()


def _send(channel: socket.socket, word: heirs.ToChild, end: socket.socket | None = None) -> bool:
    try:
        passing.send(channel, heirs.encode(word), [end.fileno()] if end else [])
    except BlockingIOError:
        return False
    except passing.DescriptorsInFlight:
        return False
    except OSError:
        return True  # It is gone, and nobody is left to be told.
    return True
