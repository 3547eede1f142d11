"""The thread behind an ``Upgrader``: it carries what is passed on to the program that follows, and what comes from the one before.

    leaving: pass_on ──> queue ──> Thing ──> (Kept: the follower's) ──> True
                           |         `─ the channel ends first: the next heir gets it
                           `─ nobody takes over: False, and it stays where it is

At most one thing is on its way; only its answer says whose it is, so there is no time limit on that: a follower that hangs is
killed by whoever watches it, and its channel ends. All that the program hears of happens in this thread, except its own
callbacks where it gave an event loop for them.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from midair.errors import MidairError
from midair.sockets import heirs, passing

HEIR_WITHIN_S = 10.0
"""After a program was told to leave, or its heir has died: how long it waits to be told who follows it."""
AGAIN_S = 0.02
"""After the channel had no room."""
STATE_MAX_BYTES = 256 * 1024 * 1024
"""Of one thing. It is held in memory on both sides."""
IN_MESSAGE_MAX_BYTES = 32 * 1024
"""Larger state travels as a memfd."""


@dataclass(slots=True)
class Luggage:
    """Something to be passed on. ``fds`` are the program's, and stay open until the answer is there."""

    thing: heirs.Thing
    fds: list[int]
    answer: Future[bool]
    file: int = -1
    """A memfd of ours with the state; -1: it fits into the word."""

    def begins(self) -> bool:
        """Whether it is still wanted. Once it was sent it cannot be called off: only the answer says whose it is."""
        return self.answer.running() or self.answer.set_running_or_notify_cancel()

    def settle(self, is_taken: bool) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
        if not self.answer.cancelled() and self.begins():
            self.answer.set_result(is_taken)


Taker = Callable[[heirs.Thing, tuple[int, ...], Callable[[str], None]], None]
"""Takes a thing, its descriptors, and whom to tell how it went: empty, it is kept; else why not."""


class Porter:
    """Owns the channel to the supervisor (None: alone), and those to other programs. Its methods may be called by any thread."""

    def __init__(self, channel: socket.socket | None, on_leave: Callable[[], None]) -> None:
        """on_leave: called in the thread, once, when the program was told to leave."""
        self._channel = channel
        self._on_leave = on_leave
        self._take: Taker | None = None
        self._queue: deque[Luggage] = deque()
        self._under_way: Luggage | None = None
        self._heir: socket.socket | None = None
        self._next_heir: socket.socket | None = None
        """Named while something was on its way to the one before."""
        self._is_told = channel is None
        """The supervisor's last word about an heir holds."""
        self._waits_until_s = 0.0
        self._is_leaving = False
        self._asked: deque[Callable[[], None]] = deque()
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._woken, selectors.EVENT_READ, self._on_woken)
        if channel:
            channel.setblocking(False)
            self._selector.register(channel, selectors.EVENT_READ, self._on_channel)
        threading.Thread(target=self._run, name="midair-upgrader", daemon=True).start()

    # --- from any thread --------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """The program was told to leave. Safe in a signal handler."""
        self._do(self._leave)

    def greet(self, take: Taker | None) -> None:
        """Tell the supervisor that this program knows the words, and whether it takes over."""
        self._take = take
        self._send_greeting()

    def carry(self, luggage: Luggage) -> None:
        self._do(lambda: self._queue.append(luggage))

    def _do(self, order: Callable[[], None]) -> None:
        self._asked.append(order)
        try:
            os.write(self._wake, b"!")
        except BlockingIOError:
            pass  # It is awake already.

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select(self._timeout_s()):
                key.data()
            self._pump()

    def _timeout_s(self) -> float | None:
        if not self._queue or self._under_way:
            return None
        return AGAIN_S if self._heir else max(0.0, self._waits_until_s - time.monotonic())

    def _on_woken(self) -> None:
        os.read(self._woken, 4096)
        while self._asked:
            self._asked.popleft()()

    def _leave(self) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            self._waits_until_s = time.monotonic() + HEIR_WITHIN_S
            self._on_leave()

    def _send_greeting(self) -> None:
        if self._channel:
            try:
                word = heirs.Greeting(formats=heirs.FORMATS, takes=self._take is not None)
                passing.send(self._channel, heirs.encode(word))
            except OSError:
                pass  # The supervisor is gone: there is nobody to follow.

    def _on_channel(self) -> None:
        assert self._channel is not None
        try:
            message = passing.receive(self._channel)
            word = heirs.decode_to_child(message.data) if message else None
        except BlockingIOError:
            return
        except (OSError, MidairError, msgspec.MsgspecError):
            message = word = None
        match word:
            case heirs.Heir() if message and message.fds:
                self._named(socket.socket(fileno=message.fds[0]))
                self._leave()
            case heirs.NoHeir():
                self._is_told = True
                self._leave()
            case heirs.Heritage() if message and message.fds:
                self._follow(socket.socket(fileno=message.fds[0]))
            case _:
                # No word of ours, or the end of the supervisor.
                self._selector.unregister(self._channel)
                self._channel.close()
                self._channel, self._is_told = None, True

    # --- passing on -------------------------------------------------------------------------------------------------

    def _named(self, heir: socket.socket) -> None:
        """From now on this one; but what is on its way is the other's if its answer says so."""
        if self._next_heir:
            self._next_heir.close()
        self._next_heir, self._is_told = heir, True
        if not self._under_way:
            self._close_heir()

    def _pump(self) -> None:
        if self._next_heir and not self._heir:
            self._heir, self._next_heir = self._next_heir, None
            self._heir.setblocking(False)
            self._selector.register(self._heir, selectors.EVENT_READ, self._on_answer)
        while self._queue and not self._under_way:
            if self._queue[0].answer.cancelled():
                self._queue.popleft().settle(False)
            elif self._heir:
                if not self._send(self._queue[0]):
                    return
            elif self._is_leaving and not self._is_told and time.monotonic() < self._waits_until_s:
                return
            else:
                self._queue.popleft().settle(False)

    def _send(self, luggage: Luggage) -> bool:
        """Whether it is on its way."""
        assert self._heir is not None
        if not luggage.begins():
            return True
        fds = [*luggage.fds, *([luggage.file] if luggage.file >= 0 else [])]
        try:
            passing.send(self._heir, heirs.encode(luggage.thing), fds)
        except (BlockingIOError, passing.DescriptorsInFlight):
            return False
        except (BrokenPipeError, ConnectionError):
            self._lost_heir()
            return False
        except (OSError, MidairError):  # A descriptor that is closed already: nobody can take that.
            self._queue.popleft().settle(False)
            return True
        self._under_way = self._queue.popleft()
        return True

    def _on_answer(self) -> None:
        assert self._heir is not None
        try:
            message = passing.receive(self._heir)
            word = heirs.decode_answer(message.data) if message else None
        except BlockingIOError:
            return
        except (OSError, MidairError, msgspec.MsgspecError):
            word = None
        luggage = self._under_way
        if word is None or luggage is None:
            self._lost_heir()
            return
        self._under_way = None
        luggage.settle(isinstance(word, heirs.Kept))
        if self._next_heir:
            self._close_heir()

    def _lost_heir(self) -> None:
        """It has ended before it took what is on its way: that is still ours, and the next one's to take."""
        self._close_heir()
        self._is_told = self._channel is None or self._next_heir is not None
        self._waits_until_s = time.monotonic() + HEIR_WITHIN_S

    def _close_heir(self) -> None:
        if self._heir:
            self._selector.unregister(self._heir)
            self._heir.close()
            self._heir = None
        luggage, self._under_way = self._under_way, None
        if luggage:
            self._queue.appendleft(luggage)

    # --- following --------------------------------------------------------------------------------------------------

    def _follow(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._selector.register(channel, selectors.EVENT_READ, lambda: self._on_thing(channel))

    def _on_thing(self, channel: socket.socket) -> None:
        try:
            message = passing.receive(channel)
        except BlockingIOError:
            return
        except MidairError as error:  # No room for its descriptors: the one that leaves keeps it.
            _answer(channel, str(error))
            return
        except OSError:
            message = None
        if message is None:
            self._selector.unregister(channel)
            channel.close()
            return
        try:
            thing, fds = _unpacked(heirs.decode_thing(message.data), message.fds)
        except (OSError, msgspec.MsgspecError) as exc:
            message.close()
            _answer(channel, str(exc))
            return
        if self._take is None:
            message.close()
            _answer(channel, "it takes nothing over")
            return
        try:
            self._take(thing, fds, lambda why: _answer(channel, why))
        except Exception as exc:  # noqa: BLE001 - the program's
            traceback.print_exc()
            _answer(channel, repr(exc))


def pack(name: str, state: bytes, fds: list[int], answer: Future[bool]) -> Luggage:
    """A thing to be passed on. Raises OSError when a large state finds no memory."""
    if len(state) <= IN_MESSAGE_MAX_BYTES:
        return Luggage(heirs.Thing(format=heirs.FORMATS[-1], name=name, state=state), fds, answer)
    file = os.memfd_create("midair:state", os.MFD_CLOEXEC)
    view = memoryview(state)
    while view:
        view = view[os.write(file, view) :]
    return Luggage(heirs.Thing(format=heirs.FORMATS[-1], name=name, is_in_file=True), fds, answer, file)


def _unpacked(thing: heirs.Thing, fds: tuple[int, ...]) -> tuple[heirs.Thing, tuple[int, ...]]:
    if thing.format not in heirs.FORMATS:
        raise OSError(f"format {thing.format} is not known here")
    if not thing.is_in_file:
        return thing, fds
    *rest, file = fds
    size = os.fstat(file).st_size
    if size > STATE_MAX_BYTES:
        raise OSError(f"the state has {size} bytes")
    state = os.pread(file, size, 0)
    os.close(file)
    return msgspec.structs.replace(thing, state=state, is_in_file=False), tuple(rest)


def _answer(channel: socket.socket, why: str) -> None:
    """From any thread: one datagram."""
    try:
        passing.send(channel, heirs.encode(heirs.Declined(why=why[:500]) if why else heirs.Kept()))
    except OSError:
        pass  # It has ended; what it passed on stays here.
