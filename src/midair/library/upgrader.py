"""``midair.Upgrader``: updates without a gap for any server that is no ASGI application, asyncio or blocking.

    upgrader = midair.Upgrader()
    listener = upgrader.listen("127.0.0.1:7000")    # inherited, or bound if nobody passed one
    ...                                             # everything that can fail
    upgrader.ready()                                # the version before is told to leave
    await upgrader.leaving()                        # a newer version is ready, or the service stops
    taken = await upgrader.pass_on(connection, state=b"...")

Under ``midair run -- python server.py`` that is an update; alone the program binds, ``ready`` tells nobody, and nothing is
passed on.

Make one in the main thread: it takes SIGTERM. All else may be called by any thread; what is to be awaited, in its loop's.
Forked children do not have it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias, TypeVar

from midair.errors import UsageError
from midair.library import porter
from midair.sockets import heirs
from midair.sockets.address import TcpAddress, UnixAddress, parse
from midair.sockets.bind import BACKLOG, open_listeners, passed_by_systemd
from midair.sockets.listener import Listener, adopt
from midair.sockets.passing import DESCRIPTORS_MAX
from midair.systemd.notify import Notifier

READY_TRIES = 50
"""READY=1 is a datagram; if its queue is full, it is said again 20 ms later."""
READY_AGAIN_S = 0.02
ALONE = (
    "midair: running alone, so an update is a restart; updates without a gap need: midair run --bind ADDRESS -- PROGRAM"
)


class UpgraderMisplaced(UsageError):
    """An Upgrader was made where it cannot hear that it has to leave, or a second one."""

    code = "upgrader-misplaced"
    hint = "make one Upgrader, in the main thread, before the threads that use it"


class NotToBePassedOn(UsageError):
    """More descriptors or state than one thing may have."""

    code = "upgrader-too-much"
    hint = "pass it on in parts, each with a name"


class HasFileno(Protocol):
    def fileno(self) -> int: ...


Descriptor: TypeAlias = HasFileno | int


class Handing(Future[bool]):
    """The answer to ``pass_on``: awaitable in asyncio, ``result()`` in a thread. True: it is the follower's, close your copy.
    False: nobody took it, and it is yours as before."""

    def __await__(self) -> Generator[Any, None, bool]:
        return asyncio.wrap_future(self).__await__()


class Passed:
    """What the version before has passed on."""

    def __init__(self, name: str, state: bytes, fds: tuple[int, ...]) -> None:
        self.name = name
        self.state = state
        self._fds = list(fds)

    def __repr__(self) -> str:
        return f"Passed({self.name!r}, {len(self.state)} bytes of state, {len(self._fds)} descriptors)"

    def socket(self) -> socket.socket:
        """The next of its sockets, in the order in which they were passed on; the caller's from now on."""
        return socket.socket(fileno=self.fd())

    def fd(self) -> int:
        """The next of its descriptors. Raises IndexError when there is none left."""
        return self._fds.pop(0)

    def close(self) -> None:
        """Close what was not taken out of it."""
        while self._fds:
            os.close(self._fds.pop())


TakeOver: TypeAlias = Callable[[Passed], Awaitable[object] | object]
_T = TypeVar("_T", bound=TakeOver)

_made: list[Upgrader] = []


class Upgrader:
    """One a process."""

    def __init__(self) -> None:
        """Raises UpgraderMisplaced."""
        if threading.current_thread() is not threading.main_thread():
            raise UpgraderMisplaced("an Upgrader was made in a thread")
        if _made:
            raise UpgraderMisplaced("a second Upgrader was made in this process")
        self._inherited = _inherited()
        channel = _channel()
        self.is_alone = channel is None
        """Nobody updates this program: it was not started by ``midair run``."""
        self._is_leaving = False
        self._left = threading.Event()
        self._to_tell: list[Callable[[], None]] = []
        self._notifier = Notifier(os.environ.get("NOTIFY_SOCKET", ""))
        self._porter = porter.Porter(channel, self._told_to_leave)
        self._before = signal.signal(signal.SIGTERM, self._on_sigterm)
        _made.append(self)
        if channel is None:
            print(ALONE, file=sys.stderr, flush=True)
        else:
            self._porter.greet(None)

    # --- listeners and readiness ------------------------------------------------------------------------------------

    def listen(self, address: str, *, backlog: int = BACKLOG) -> socket.socket:
        """The listening socket at ``address``, or of the name ``address`` in LISTEN_FDNAMES: inherited, else bound here.

        address: as ``midair run --bind`` takes it, or a name without a colon. An inherited socket is in the mode that it has,
        which all versions share; never shut one down, close it. Raises BadAddress, PortInUse and the other errors of a bind.
        """
        found = next((each for each in self._inherited if _is_at(each, address)), None)
        if found:
            self._inherited.remove(found)
            return found.socket
        if not self.is_alone and not address.endswith(":0"):
            text = f"midair: {address} is bound by this version alone, and the next one needs it: add --bind {address}"
            print(text, file=sys.stderr, flush=True)
        return (
            open_listeners([address], folder=os.getcwd(), environ={}, backlog=backlog, is_blocking=True)
            .listeners[0]
            .socket
        )

    def ready(self, status: str = "") -> None:
        """This program can serve: the version before is told to leave. Say it last, after all that can fail."""
        for _ in range(READY_TRIES):
            if self._notifier.ready(status) or not self._notifier.is_heard:
                return
            time.sleep(READY_AGAIN_S)

    # --- leaving ----------------------------------------------------------------------------------------------------

    @property
    def is_leaving(self) -> bool:
        """This program was told to leave: accept no more, pass on or finish what is there, and end."""
        return self._is_leaving

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the program is told to leave; whether it was."""
        return self._left.wait(timeout_s)

    async def leaving(self) -> None:
        """Return when the program is told to leave."""
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        self.on_leave(lambda: _call_in(loop, told.set))
        await told.wait()

    def on_leave(self, function: Callable[[], None]) -> None:
        """Call ``function()`` once when the program is told to leave, in a thread of the Upgrader's; at once if it was."""
        self._to_tell.append(function)
        if self._left.is_set():
            self._tell()

    def _on_sigterm(self, number: int, frame: Any) -> None:
        # A handler may come between any two instructions: nothing here takes a lock.
        self._is_leaving = True
        self._porter.leave()
        if callable(self._before):
            self._before(number, frame)

    def _told_to_leave(self) -> None:
        self._is_leaving = True
        self._left.set()
        self._tell()

    def _tell(self) -> None:
        while self._to_tell:
            try:
                function = self._to_tell.pop(0)
            except IndexError:
                return  # The other thread was faster.
            function()

    # --- passing on -------------------------------------------------------------------------------------------------

    def pass_on(self, *descriptors: Descriptor, state: bytes = b"", name: str = "") -> Handing:
        """Give connected sockets (or any descriptors) and what belongs to them to the program that follows.

        To be called when this one ``is_leaving``, with nothing of the connection left in a buffer that is not in ``state``.
        The descriptors stay open and untouched until the answer (``await`` it, or ``.result()``). True: the follower has
        taken it; close your copy, never shut it down. False: nobody did (alone, a stop, a version that does not take over),
        it is yours as before; ask again at its next boundary, for a follower may come. Raises NotToBePassedOn.
        """
        fds = [each if isinstance(each, int) else each.fileno() for each in descriptors]
        if len(fds) >= DESCRIPTORS_MAX or len(state) > porter.STATE_MAX_BYTES:
            raise NotToBePassedOn(f"{len(fds)} descriptors and {len(state)} bytes of state are too much for one thing")
        answer = Handing()
        self._porter.carry(porter.pack(name, bytes(state), fds, answer))
        return answer

    def on_passed(self, function: _T) -> _T:
        """Call ``function(passed)`` for each thing that the version before passes on. To be set before ``ready``.

        Set within an event loop it is called in that loop, and may be a coroutine function; else in a thread of the
        Upgrader's, one call after the other. When it has returned the thing is this program's; if it raises, it stays the
        other's.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None and inspect.iscoroutinefunction(function):
            raise UpgraderMisplaced("a coroutine function was given to on_passed outside of an event loop", hint="")
        self._porter.greet(_in_thread(function) if loop is None else _in_loop(function, loop))
        return function


# --- what the version before passes on ------------------------------------------------------------------------------


def _in_thread(function: TakeOver) -> porter.Taker:
    def take(thing: heirs.Thing, fds: tuple[int, ...], answer: Callable[[str], None]) -> None:
        passed = Passed(thing.name, thing.state, fds)
        try:
            function(passed)
        except BaseException:
            passed.close()
            raise
        answer("")

    return take


def _in_loop(function: TakeOver, loop: asyncio.AbstractEventLoop) -> porter.Taker:
    async def taken(passed: Passed, answer: Callable[[str], None]) -> None:
        try:
            outcome = function(passed)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception as exc:  # noqa: BLE001 - the program's
            traceback.print_exc()
            passed.close()
            answer(repr(exc))
        else:
            answer("")

    def take(thing: heirs.Thing, fds: tuple[int, ...], answer: Callable[[str], None]) -> None:
        asyncio.run_coroutine_threadsafe(taken(Passed(thing.name, thing.state, fds), answer), loop)

    return take


def _call_in(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        pass  # The loop has ended, and nobody waits in it.


# --- what was inherited ---------------------------------------------------------------------------------------------


def _inherited() -> list[Listener]:
    passed = passed_by_systemd(os.environ, os.getpid())
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)  # They are for this process alone.
    return [adopt(each.fd, each.name, is_blocking=os.get_blocking(each.fd)) for each in passed]


def _channel() -> socket.socket | None:
    number = os.environ.pop(heirs.VARIABLE, "")
    try:
        found = socket.socket(fileno=int(number))
    except (OSError, ValueError):
        return None  # None, or it was closed on the way here.
    if (found.family, found.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
        found.detach()  # Closed, and its number given to something else.
        return None
    os.set_inheritable(found.fileno(), False)
    return found


def _is_at(listener: Listener, address: str) -> bool:
    if ":" not in address:
        return listener.name == address
    asked, actual = parse(address, os.getcwd()), parse(listener.actual)
    if isinstance(asked, TcpAddress) and isinstance(actual, TcpAddress):
        return (asked.host, asked.port) == (actual.host, actual.port)
    if isinstance(asked, UnixAddress) and isinstance(actual, UnixAddress):
        return asked.path == actual.path
    return False
